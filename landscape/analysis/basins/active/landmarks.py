"""Landmarks: models that lie well apart, and the embedding of a population by its gaps to them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from landscape.core.arrays import Array, Labels


def farthest_points(gaps: ArrayLike, first: int | None = None) -> Labels:
    """All models, each the farthest from those before it (Gonzalez 1985).

    The first m cover the others within twice the smallest radius, where gaps are a metric.
    """
    matrix = np.asarray(gaps, dtype=np.float64)
    chosen = [int(np.argmin(matrix.sum(1))) if first is None else first]
    nearest = matrix[chosen[0]].copy()
    nearest[chosen[0]] = -np.inf
    for _ in range(1, len(matrix)):
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, matrix[chosen[-1]])
        nearest[chosen[-1]] = -np.inf
    return np.array(chosen, dtype=np.intp)


def basin_landmarks(gaps: ArrayLike, labels: ArrayLike) -> list[Labels]:
    """For each basin, all its models: farthest point first, from the one that stands out most.

    A model joined to several basins tells none apart: those that stand out least come last.
    """
    matrix, basins = np.asarray(gaps, dtype=np.float64), np.asarray(labels)
    groups = [np.flatnonzero(basins == basin) for basin in range(basins.max() + 1)]
    orders = []
    for group in groups:
        block = matrix[np.ix_(group, group)]
        apart = [matrix[np.ix_(group, other)].mean(1) for other in groups if other is not group]
        if not apart or len(group) == 1:
            orders.append(group[farthest_points(block)])
            continue
        contrast = np.min(apart, axis=0) - block.sum(1) / (len(group) - 1)
        order = farthest_points(block, int(np.argmax(contrast)))
        clear = contrast[order] >= np.median(contrast) / 2
        orders.append(group[np.concatenate([order[clear], order[~clear]])])
    return orders


def take_turns(groups: list[Labels], n_points: int) -> Labels:
    """The first ``n_points`` models, one of each group in turn."""
    longest = max(map(len, groups))
    turns = [group[turn] for turn in range(longest) for group in groups if turn < len(group)]
    return np.array(turns[:n_points], dtype=np.intp)


def nystrom_embedding(
    gaps: Array, landmarks: Labels, *, delta: float, weights: Array, n_components: int
) -> Array:
    """Eigenvectors of the random walk on exp(-gap^2 / 2 delta^2), extended from the landmarks.

    A landmark stands for as many models as its weight says (Williams and Seeger 2001; Fowlkes et
    al. 2004; Zhang and Kwok 2010). With all models as landmarks it is the spectral embedding.
    """
    # the floor keeps a model that is far from every landmark connected
    affinity = np.maximum(np.exp(-0.5 * (gaps / delta) ** 2), 1e-6) * weights
    walk = affinity / affinity.sum(1, keepdims=True)
    degrees = affinity[landmarks].sum(1)
    scale = np.sqrt(degrees * weights)
    # similar to the walk between landmarks, symmetric: sqrt(w_l / d_l) S_lm sqrt(w_m / d_m)
    symmetric = walk[landmarks] * scale[:, None] / scale
    values, vectors = np.linalg.eigh((symmetric + symmetric.T) / 2)
    leading = [c for c in np.argsort(-values)[:n_components] if values[c] > 1e-9]
    embedding = np.zeros((len(gaps), n_components))
    extended = walk @ (vectors[:, leading] / scale[:, None]) / values[leading]
    extended /= np.sqrt((extended**2).mean(0))
    extended *= np.sign(extended[np.abs(extended).argmax(0), np.arange(len(leading))])
    embedding[:, : len(leading)] = extended
    return embedding
