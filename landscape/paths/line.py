"""The straight path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from landscape.paths.coefficients import ParametricPath


@dataclass(frozen=True)
class Line(ParametricPath):
    """The segment between two anchors, theta(t) = (1 - t) a + t b, both ends included.

    Args:
        points: How many evenly spaced positions, at least 2.
        at: The positions themselves, ascending from 0 to 1, instead of ``points``.

    Raises:
        ConfigError: Fewer than two points, or positions that do not ascend from 0 to 1.
    """

    def basis(self, t: ArrayLike) -> np.ndarray:
        """(len(t), 2) rows (1 - t, t), at any positions."""
        t = np.asarray(t, dtype=np.float64)
        return np.stack([1 - t, t], axis=1)
