"""The straight way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from landscape.paths.coefficients import way_positions


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
        way_positions(self.points, self.at, "line")

    @property
    def positions(self) -> np.ndarray:
        """(n_points,) values of t."""
        return way_positions(self.points, self.at, "line")

    def basis(self, t: ArrayLike) -> np.ndarray:
        """(len(t), 2) rows (1 - t, t), at any positions."""
        t = np.asarray(t, dtype=np.float64)
        return np.stack([1 - t, t], axis=1)

    def coefficients(self) -> np.ndarray:
        """(n_points, 2) rows (1 - t, t)."""
        return self.basis(self.positions)
