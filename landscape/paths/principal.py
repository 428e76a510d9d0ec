"""The plane that holds most of what a set of checkpoints, a training trajectory, spreads over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from landscape.core.errors import ConfigError
from landscape.paths.plane import Span, grid_around

_FLAT = 1e-9  # of the largest variance: less than the rounding of weights in fp32


@dataclass(frozen=True, eq=False)
class Pca:
    """Principal axes of some anchors, as combinations of the anchors themselves.

    theta(x, ...) = origin @ anchors + x * axes[0] @ anchors + ..., the axes orthonormal.

    Attributes:
        origin: (n_anchors,) coefficients of the point where the coordinates are 0; sum 1.
        axes: (n_dims, n_anchors) coefficients of the axes, most variance first; sums 0.
        coordinates: (n_anchors, n_dims) of the anchors, projected, in units of length.
        explained: (n_dims,) each axis's share of the variance; they sum to at most 1.
        off_plane: (n_anchors,) how far each anchor lies from what is spanned: its loss is not that
            of the point that it is projected onto.
    """

    origin: np.ndarray = field(repr=False)
    axes: np.ndarray = field(repr=False)
    coordinates: np.ndarray
    explained: np.ndarray
    off_plane: np.ndarray

    def span(self, points: int = 21, margin: float = 0.2) -> Span:
        """A grid on the first two axes that holds all anchors' projections."""
        x, y = grid_around(self.coordinates[:, :2], points, margin)
        return Span(self.origin, self.axes[:2], x, y)


def pca(gram: ArrayLike, n_dims: int = 2, *, origin: Literal["mean"] | int = "mean") -> Pca:
    """Principal axes from inner products alone: no weights are read.

    The axes are those of the checkpoints about their mean, whatever the origin: they hold the most
    variance, and the origin only shifts the plane. Li et al. 2018 (arXiv 1712.09913, section 7)
    draw a trajectory so, with its last checkpoint as the origin. An axis points so that the
    first checkpoint far out on it (half as far as the farthest) has a negative coordinate.

    Args:
        gram: (n_anchors, n_anchors) inner products of the checkpoints' differences from any one of
            them, or from any other point; ``landscape.gram`` makes them.
        n_dims: How many axes.
        origin: ``mean``, or the number of a checkpoint; -1 is the last one.

    Raises:
        ConfigError: Too few checkpoints, or checkpoints that differ in fewer dimensions.
    """
    inner = np.asarray(gram, dtype=np.float64)
    n = len(inner)
    if not 1 <= n_dims < n:
        raise ConfigError(
            "So many checkpoints do not have so many principal axes.",
            expected=f"from 1 to {n - 1} for {n} checkpoints",
            found=n_dims,
        )
    mean = np.full(n, 1 / n)
    centring = np.eye(n) - mean
    # rows that sum to 0 make the products independent of what differences were taken from
    centred = centring @ inner @ centring.T
    variances, vectors = np.linalg.eigh(centred)
    variances, vectors = variances[::-1][:n_dims], vectors[:, ::-1].T[:n_dims]
    total = float(np.trace(centred))
    if not variances[-1] > _FLAT * variances[0]:
        raise ConfigError(
            "The checkpoints differ in fewer dimensions than that.",
            expected=f"at most {int((variances > _FLAT * variances[0]).sum())}",
            found=n_dims,
            fix="leave out copies, or take more checkpoints",
        )
    axes = _turned(vectors) @ centring / np.sqrt(variances)[:, None]
    start = mean if origin == "mean" else np.eye(n)[origin]
    moved = np.eye(n) - start
    coordinates = moved @ inner @ axes.T
    squares = np.einsum("ij,jk,ik->i", moved, inner, moved) - np.square(coordinates).sum(1)
    return Pca(start, axes, coordinates, variances / total, np.sqrt(np.maximum(squares, 0.0)))


def _turned(vectors: np.ndarray) -> np.ndarray:
    """Each axis (a row) with its sign chosen; an eigenvector's own is arbitrary."""
    far = np.abs(vectors) >= np.abs(vectors).max(1, keepdims=True) / 2
    first = vectors[np.arange(len(vectors)), far.argmax(1)]
    return -np.sign(first)[:, None] * vectors
