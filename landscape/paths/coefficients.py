"""What every geometry does: give a matrix of coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from landscape.core.errors import ConfigError


@runtime_checkable
class Geometry(Protocol):
    """Anything that turns its positions into a matrix of coefficients."""

    def coefficients(self) -> np.ndarray:
        """(n_points, n_anchors): one row a point of weight space."""
        ...


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


def way_positions(points: int, at: Sequence[float] | None, what: str) -> np.ndarray:
    """(n_points,) positions from 0 to 1 of a way between two ends.

    Raises:
        ConfigError: Fewer than two points, or positions that do not ascend from 0 to 1.
    """
    if at is None:
        if points < 2:
            raise ConfigError(f"A {what} needs at least two points.", found=points)
        return np.linspace(0, 1, points)
    t = np.asarray(at, dtype=np.float64)
    if t.ndim != 1 or len(t) < 2 or t[0] != 0 or t[-1] != 1 or not (np.diff(t) > 0).all():
        raise ConfigError(
            f"A {what}'s positions must ascend from 0 to 1.", where=f"{what}(at=...)", found=at
        )
    return t


def axis(values: ArrayLike, name: str) -> np.ndarray:
    """(n,) ascending positions along one direction.

    Raises:
        ConfigError: None, not finite, or not ascending.
    """
    given = np.asarray(values, dtype=np.float64)
    if (
        given.ndim != 1
        or not len(given)
        or not np.isfinite(given).all()
        or (np.diff(given) <= 0).any()
    ):
        raise ConfigError("A grid's positions must be finite and ascend.", where=name, found=values)
    return given
