"""Populations of one basin that look like a given one, to hold its silhouettes against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy.cluster.hierarchy import linkage

from landscape.analysis.basins.silhouette import cuts, silhouettes
from landscape.core.arrays import Array, Labels

_VALUES_AT_ONCE = 1 << 21  # gaps held at a time: 16 MB
_LINKAGES: tuple[Literal["average", "complete"], ...] = ("average", "complete")

Draw = Callable[[np.random.Generator, int], Array]


def n_null_draws(n_models: int) -> int:
    """300, and fewer where many models make a draw dear: their silhouettes vary less."""
    return int(np.clip(3_000_000 // n_models**2, 99, 300))


def additive_null(gaps: Array) -> Draw:
    """Draws of gaps a_i + a_j, a exponential, plus permuted residuals of the additive fit.

    Some models lie farther from everyone, smoothly so; a gap is not below 0.
    """
    n = len(gaps)
    first, second = np.triu_indices(n, 1)
    # least squares of gap_ij = a_i + a_j has a closed form on a full off-diagonal
    rows = gaps.sum(1)
    effects = (rows - rows.sum() / (2 * (n - 1))) / (n - 2)
    # sorted, so that the draws do not depend on the order of the models
    residuals = np.sort(gaps[first, second] - effects[first] - effects[second])
    mean = max(float(effects.mean()), 0.0)

    def draw(rng: np.random.Generator, n_draws: int) -> Array:
        far = rng.exponential(mean, (n_draws, n))
        noise = rng.permuted(np.broadcast_to(residuals, (n_draws, len(residuals))), axis=1)
        return np.maximum(far[:, first] + far[:, second] + noise, 0)

    return draw


def even_continuum_null(gaps: Array) -> Draw:
    """Draws of squared distances in a cloud without groups, spread evenly along every axis.

    The axes are as long as those of classical scaling (Torgerson 1952) of the gaps as squared
    distances. Of all clouds with one mode the even one falls most readily into groups of like size
    (as in the gap statistic of Tibshirani, Walther and Hastie 2001).
    """
    return _continuum(gaps, lambda rng, shape: rng.uniform(-np.sqrt(3), np.sqrt(3), shape))


def normal_continuum_null(gaps: Array) -> Draw:
    """The same of models that crowd in the middle, with few at the ends."""
    return _continuum(gaps, lambda rng, shape: rng.normal(size=shape))


def _continuum(
    gaps: Array, draw_places: Callable[[np.random.Generator, tuple[int, ...]], Array]
) -> Draw:
    n = len(gaps)
    first, second = np.triu_indices(n, 1)
    centring = np.eye(n) - 1 / n
    squared_lengths = np.linalg.eigvalsh(-0.5 * centring @ gaps @ centring) / (n - 1)
    axes = np.sqrt(squared_lengths[squared_lengths > 1e-9 * max(squared_lengths.max(), 1e-300)])

    def draw(rng: np.random.Generator, n_draws: int) -> Array:
        places = draw_places(rng, (n_draws, n, len(axes))) * axes
        squared = (places**2).sum(-1)
        apart = squared[:, first] + squared[:, second]
        apart -= 2 * (places @ places.transpose(0, 2, 1))[:, first, second]
        return np.maximum(apart, 0)

    return draw


NULLS = (additive_null, even_continuum_null, normal_continuum_null)
"""Each of one basin; groups have to stand out against all."""


def null_silhouettes(
    draw: Draw, n_models: int, candidates: Labels, rng: np.random.Generator
) -> Array:
    """(n_draws, n_candidates) silhouettes of a null's draws, the better of two linkages' cuts."""
    left, most, scores = n_null_draws(n_models), int(candidates[-1]), []
    chunk = max(1, _VALUES_AT_ONCE // n_models**2)
    while left:
        pairs = draw(rng, min(chunk, left))
        left -= len(pairs)
        square = squares(pairs, n_models)
        of_linkages = [
            np.stack([silhouettes(square, tree[int(k)], int(k)).mean(-1) for k in candidates], 1)
            for tree in (cut_all(pairs, most, kind) for kind in _LINKAGES)
        ]
        scores.append(np.max(of_linkages, axis=0))
    return np.concatenate(scores)


def cut_all(
    pairs: Array, most: int, method: Literal["average", "complete"] = "average"
) -> dict[int, Labels]:
    """Labels (n_draws, n_models) of draws (n_draws, n_pairs) in 2 to ``most`` groups."""
    return cuts(np.array([linkage(row, method=method) for row in pairs]), most)


def squares(pairs: Array, n_models: int) -> Array:
    """Symmetric matrices (n_draws, n_models, n_models) from condensed ones (n_draws, n_pairs)."""
    first, second = np.triu_indices(n_models, 1)
    matrix = np.zeros((len(pairs), n_models, n_models))
    matrix[:, first, second] = matrix[:, second, first] = pairs
    return matrix
