"""Positions in a geometry to coefficients of its anchors: theta(c) = sum_i c_i anchor_i."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from landscape.errors import ConfigError


@runtime_checkable
class Geometry(Protocol):
    """Anything that turns its positions into a matrix of coefficients."""

    def coefficients(self) -> np.ndarray:
        """(n_points, n_anchors): one row a point of weight space."""
        ...


@dataclass(frozen=True)
class Line:
    """The segment between two anchors, theta(t) = (1 - t) a + t b, both ends included.

    Args:
        points: How many evenly spaced positions, at least 2.
        at: The positions themselves, ascending from 0 to 1, instead of ``points``.

    Raises:
        ConfigError: Fewer than two points, or positions that do not ascend from 0 to 1.
    """

    points: int = 11
    at: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if self.at is None:
            if self.points < 2:
                raise ConfigError("A line needs at least two points.", found=self.points)
            return
        at = np.asarray(self.at, dtype=np.float64)
        if at.ndim != 1 or len(at) < 2 or at[0] != 0 or at[-1] != 1 or not (np.diff(at) > 0).all():
            raise ConfigError(
                "A line's positions must ascend from 0 to 1.", where="Line(at=...)", found=self.at
            )

    @property
    def positions(self) -> np.ndarray:
        """(n_points,) values of t."""
        if self.at is None:
            return np.linspace(0, 1, self.points)
        return np.asarray(self.at, dtype=np.float64)

    def coefficients(self) -> np.ndarray:
        """(n_points, 2) rows (1 - t, t)."""
        t = self.positions
        return np.stack([1 - t, t], axis=1)


def as_coefficients(coefficients: Geometry | np.ndarray, n_anchors: int) -> np.ndarray:
    """A geometry's matrix, or a matrix as it is, as float64 (n_points, n_anchors).

    Raises:
        ConfigError: It is not a finite matrix with a column for each anchor.
    """
    given = coefficients.coefficients() if isinstance(coefficients, Geometry) else coefficients
    matrix = np.asarray(given, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != n_anchors or not np.isfinite(matrix).all():
        raise ConfigError(
            "The coefficients do not fit the anchors.",
            where="evaluate(..., coefficients)",
            expected=f"finite numbers of shape (n_points, {n_anchors})",
            found=f"shape {matrix.shape}",
        )
    return matrix
