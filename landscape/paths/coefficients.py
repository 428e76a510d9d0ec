"""What every geometry does: give a matrix of coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from landscape.core.errors import ConfigError


@runtime_checkable
class Geometry(Protocol):
    """Anything that turns its positions into a matrix of coefficients."""

    def coefficients(self) -> np.ndarray:
        """(n_points, n_anchors): one row a point of weight space."""


def as_coefficients(coefficients: Geometry | ArrayLike, n_anchors: int) -> np.ndarray:
    """A geometry's matrix, or a matrix as it is, as float64 (n_points, n_anchors)."""
    if isinstance(coefficients, Geometry):
        coefficients = coefficients.coefficients()
    matrix = np.asarray(coefficients, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != n_anchors or not np.isfinite(matrix).all():
        raise ConfigError(
            "The coefficients do not fit the anchors.",
            where="evaluate(..., coefficients)",
            expected=f"finite numbers of shape (n_points, {n_anchors})",
            found=f"shape {matrix.shape}",
        )
    return matrix


@dataclass(frozen=True)
class ParametricPath:
    """A path from one end, at t = 0, to the other, at t = 1.

    Args:
        points: How many evenly spaced values of t, at least 2.
        at: The values of t themselves, ascending from 0 to 1, instead of ``points``.
    """

    points: int = 11
    _: KW_ONLY
    at: Sequence[float] | None = None

    def __post_init__(self) -> None:
        spaced(self.points, self.at, type(self).__name__)

    @property
    def n_anchors(self) -> int:
        """Ends and what lies between them."""
        return 2

    @property
    def positions(self) -> np.ndarray:
        """(n_points,) values of t."""
        return spaced(self.points, self.at, type(self).__name__)

    def basis(self, t: ArrayLike) -> np.ndarray:
        """(len(t), n_anchors) coefficients at any positions, rows that sum to 1."""
        raise NotImplementedError

    def coefficients(self) -> np.ndarray:
        """(n_points, n_anchors), rows that sum to 1."""
        return self.basis(self.positions)


def spaced(points: int, at: Sequence[float] | None, kind: str) -> np.ndarray:
    """(n_points,) positions from 0 to 1 of a path between two ends."""
    if at is None:
        if points < 2:
            raise ConfigError(f"A {kind} needs at least two points.", found=points)
        return np.linspace(0, 1, points)
    t = np.asarray(at, dtype=np.float64)
    if t.ndim != 1 or len(t) < 2 or t[0] != 0 or t[-1] != 1 or not (np.diff(t) > 0).all():
        raise ConfigError(
            f"A {kind}'s positions must ascend from 0 to 1.", where=f"{kind}(at=...)", found=at
        )
    return t
