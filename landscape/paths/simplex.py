"""Convex combinations of any number of anchors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from landscape.core.errors import ConfigError


@dataclass(frozen=True)
class Simplex:
    """A grid on the simplex of some vertices, which are its anchors, faces included.

    Args:
        vertices: How many, at least 1.
        divisions: Barycentric coordinates are multiples of 1 / divisions; at least 1.

    Raises:
        ConfigError: Numbers out of range.
    """

    vertices: int = 3
    divisions: int = 10

    def __post_init__(self) -> None:
        if self.vertices < 1 or self.divisions < 1:
            raise ConfigError(
                "A simplex has at least one vertex, and its grid one division.",
                found=f"{self.vertices} vertices, {self.divisions} divisions",
            )

    def coefficients(self) -> np.ndarray:
        """(C(divisions + vertices - 1, vertices - 1), vertices) barycentric coordinates."""
        # stars and bars: where the bars stand among the stars
        total = self.divisions + self.vertices - 1
        chosen = list(combinations(range(total), self.vertices - 1))
        bars = np.array(chosen, dtype=np.int64).reshape(len(chosen), self.vertices - 1)
        edges = np.column_stack([np.full(len(bars), -1), bars, np.full(len(bars), total)])
        return (np.diff(edges, axis=1) - 1) / self.divisions

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, vertices) points drawn evenly from the simplex: flat Dirichlet coordinates."""
        return rng.dirichlet(np.ones(self.vertices), size=n)
