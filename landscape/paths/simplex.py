"""Convex combinations of any number of anchors: grids on a simplex, samples of a complex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from landscape.core.errors import ConfigError


@dataclass(frozen=True)
class Simplex:
    """A grid on the simplex of some vertices, which are its anchors, faces included.

    Args:
        vertices: How many, at least 1.
        divisions: Barycentric coordinates are multiples of 1 / divisions; at least 1.
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


@dataclass(frozen=True)
class SimplexSample:
    """Points drawn evenly from simplexes that may share vertices: a simplicial complex.

    Args:
        simplexes: For each, the indices of its vertices among the anchors.
        n_anchors: How many vertices there are in all.
        volumes: (n_simplexes,) of each, in proportion to which it is drawn from.
        points: How many.
        seed: Of the draw.
    """

    simplexes: tuple[tuple[int, ...], ...]
    n_anchors: int
    volumes: np.ndarray = field(repr=False)
    points: int = 100
    seed: int = 0

    @property
    def positions(self) -> np.ndarray:
        """The coefficients: a point's position is barycentric."""
        return self.coefficients()

    def basis(self, at: ArrayLike) -> np.ndarray:
        """(n, n_anchors) coefficients, as they are."""
        return np.atleast_2d(np.asarray(at, dtype=np.float64))

    def coefficients(self) -> np.ndarray:
        """(points, n_anchors) barycentric coordinates."""
        rng = np.random.default_rng(self.seed)
        return draw(self.simplexes, self.volumes, self.n_anchors, self.points, rng)


def draw(
    simplexes: Sequence[Sequence[int]],
    volumes: np.ndarray,
    n_anchors: int,
    n: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """(n, n_anchors) points drawn evenly from simplexes of one dimension.

    A simplex is chosen in proportion to its volume, a point of it by flat Dirichlet coordinates.
    """
    rows = np.zeros((n, n_anchors))
    numbers = rng.choice(len(simplexes), size=n, p=volumes / volumes.sum())
    for row, number in zip(rows, numbers, strict=True):
        members = simplexes[number]
        row[list(members)] = rng.dirichlet(np.ones(len(members)), size=1)[0]
    return rows
