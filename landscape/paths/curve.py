"""Paths between two ends: straight, or curved by control points between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import comb

from landscape.core.errors import ConfigError
from landscape.paths.coefficients import ParametricPath, spaced


@dataclass(frozen=True)
class Line(ParametricPath):
    """The segment between two anchors, theta(t) = (1 - t) a + t b, both ends included."""

    def basis(self, t: ArrayLike) -> np.ndarray:
        """(len(t), 2) rows (1 - t, t), at any positions."""
        t = np.asarray(t, dtype=np.float64)
        return np.stack([1 - t, t], axis=1)


@dataclass(frozen=True)
class Bezier(ParametricPath):
    """A Bezier curve, theta(t) = sum_i C(n, i) (1 - t)^(n - i) t^i anchor_i.

    Its anchors are the one end, ``degree - 1`` control points and the other end (Garipov et al.
    2018, arXiv 1802.10026, with degree 2).

    Args:
        degree: 2 is quadratic, 3 cubic; at least 1.
    """

    degree: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.degree < 1:
            raise ConfigError("A Bezier curve's degree is at least 1.", found=self.degree)

    @property
    def n_anchors(self) -> int:
        """Ends and control points."""
        return self.degree + 1

    def basis(self, t: ArrayLike) -> np.ndarray:
        """(len(t), degree + 1) Bernstein polynomials, at any positions."""
        t = np.asarray(t, dtype=np.float64)[:, None]
        i = np.arange(self.degree + 1)
        return comb(self.degree, i) * (1 - t) ** (self.degree - i) * t**i


@dataclass(frozen=True)
class PolyChain(ParametricPath):
    """A polygonal chain: straight from the one end over each bend to the other end.

    Its anchors are the one end, the bends and the other end (Garipov et al. 2018, arXiv
    1802.10026, with one bend; the pivots of AutoNEB, Draxler et al. 2018, arXiv 1803.00885).

    Args:
        bends: How many, at least 0; anchor i lies at t = i / (bends + 1).
        knots: The t of every anchor, ascending from 0 to 1, instead of evenly spaced ones.
    """

    bends: int = 1
    knots: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bends < 0:
            raise ConfigError("A chain cannot have fewer than no bends.", found=self.bends)
        if self.knots is not None and len(self.knots) != self.n_anchors:
            raise ConfigError(
                "A chain has a knot for each end and each bend.",
                where="PolyChain(knots=...)",
                expected=f"{self.n_anchors} of them",
                found=self.knots,
            )
        spaced(self.n_anchors, self.knots, type(self).__name__)

    @property
    def n_anchors(self) -> int:
        """Ends and bends."""
        return self.bends + 2

    def basis(self, t: ArrayLike) -> np.ndarray:
        """(len(t), bends + 2) hat functions, at any positions."""
        t = np.asarray(t, dtype=np.float64)
        knots = spaced(self.n_anchors, self.knots, type(self).__name__)
        return np.stack([np.interp(t, knots, hat) for hat in np.eye(self.n_anchors)], axis=1)
