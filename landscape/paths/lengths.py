"""Lengths and coordinates from the anchors' inner products: weights themselves are not needed.

``gram`` (n_anchors, n_anchors) holds the inner products of the anchors' differences from the
first one, so that its first row and column are 0; ``landscape.gram`` makes them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from landscape.core.errors import ConfigError


def distances(gram: ArrayLike, coefficients: ArrayLike | None = None) -> np.ndarray:
    """(n, n) Euclidean distances between anchors, or between points that are made of them.

    ``coefficients`` (n_points, n_anchors) have rows of one sum.
    """
    inner = np.asarray(gram, np.float64)
    c = np.eye(len(inner)) if coefficients is None else np.asarray(coefficients, np.float64)
    steps = c[:, None] - c[None]
    squares = np.einsum("ijk,kl,ijl->ij", steps, inner, steps)
    return np.sqrt(np.maximum(squares, 0.0))


def arc_lengths(gram: ArrayLike, coefficients: ArrayLike) -> np.ndarray:
    """(n_points,) length of the path up to each point, straight from point to point.

    ``coefficients`` (n_points, n_anchors) have rows of one sum, in the order of the path.
    """
    steps = np.diff(np.asarray(coefficients, np.float64), axis=0)
    squares = np.einsum("ik,kl,il->i", steps, np.asarray(gram, np.float64), steps)
    return np.concatenate([[0.0], np.cumsum(np.sqrt(np.maximum(squares, 0.0)))])


def path_mean(values: ArrayLike, lengths: ArrayLike) -> np.ndarray:
    """(...,) mean of (..., n_points) along a path by its arc lengths, by the trapezoidal rule."""
    y, s = np.asarray(values, np.float64), np.asarray(lengths, np.float64)
    if s[-1] <= s[0]:
        return y.mean(-1)
    return np.trapezoid(y, s, axis=-1) / (s[-1] - s[0])


def coordinates(gram: ArrayLike, n_dims: int = 2) -> np.ndarray:
    """(n_anchors, n_dims) of the anchors in an orthonormal basis by Gram and Schmidt.

    The first anchor is the origin, the second lies on the first axis, the third in the plane of the
    first two, with coordinates of at least 0 where it defines an axis. Anchors beyond
    ``n_dims + 1`` are projected.

    Raises:
        ConfigError: The anchors that define the axes depend on each other.
    """
    inner = np.asarray(gram, np.float64)
    rows = np.zeros((n_dims, len(inner)))  # inner products with each basis vector
    for axis in range(n_dims):
        left = inner[axis + 1] - rows[:axis, axis + 1] @ rows[:axis]
        if left[axis + 1] <= 1e-9 * inner.diagonal().max():
            raise ConfigError(
                "The anchors that should define the axes depend on each other.",
                where=f"anchor {axis + 1}",
                fix="choose checkpoints that are not on one line",
            )
        rows[axis] = left / math.sqrt(left[axis + 1])
    return rows.T


def volume(gram: ArrayLike) -> float:
    """The volume of the simplex that the anchors span, in units of length to the number of edges.

    The Cayley-Menger determinant (as in Benton et al. 2021, arXiv 2102.13042) by way of inner
    products: sqrt(det G) / (n_anchors - 1)!, in logarithms.
    """
    inner = np.asarray(gram, np.float64)[1:, 1:]
    if not len(inner):
        return 1.0
    sign, log = np.linalg.slogdet(inner)
    return math.exp(log / 2 - math.lgamma(len(inner) + 1)) if sign > 0 else 0.0
