"""Least squares: shares of variance in and out of sample, and the permutations of a gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from landscape.analysis.statistics.permutation import VALUES_AT_ONCE
from landscape.analysis.statistics.predictors import Design, independent, side_by_side
from landscape.core.arrays import Array, Indices

_FEW = 20  # models; below, leaving one out is cheap and wastes the fewest
_FOLDS = 10
_REPEATS = 10


def explained(spanned: Array, values: Array) -> Array:
    """In-sample R2 (n_groups,) of scores (n, n_groups) by a ``basis``; NaN if constant."""
    moved = values - values[0]
    moved = moved - moved.mean(0)
    total = (moved**2).sum(0)
    explained_part = ((spanned[:, 1:].T @ moved) ** 2).sum(0)
    share: Array = np.where(
        total > 0, np.minimum(explained_part / np.where(total > 0, total, 1), 1), np.nan
    )
    return share


def cross_validated(
    design: Design,
    models: Mapping[str, Sequence[str]],
    values: Array,
    folds: Sequence[Indices],
) -> dict[str, Array]:
    """R2 (n_groups,) on models left out, 1 - squared errors / squared errors of the training mean.

    Negative where that mean predicts better, exactly 0 for no sets, NaN for constant scores.
    """
    total = np.zeros(values.shape[1])
    errors = {name: np.zeros(values.shape[1]) for name in models}
    moved = values - values[0]
    for fold in folds:
        training = np.ones(len(values), dtype=bool)
        training[fold] = False
        mean = moved[training].mean(0)
        total += ((moved[fold] - mean) ** 2).sum(0)
        parts = design.parts(training)
        for name, sets in models.items():
            matrix = side_by_side(parts, sets)
            matrix = matrix[:, independent(matrix[training])]
            slopes = np.linalg.lstsq(matrix[training], moved[training] - mean)[0]
            errors[name] += ((moved[fold] - mean - matrix[fold] @ slopes) ** 2).sum(0)
    varied = total > 0
    total = np.where(varied, total, 1)
    return {name: np.where(varied, 1 - left / total, np.nan) for name, left in errors.items()}


def draw_folds(n: int, rng: np.random.Generator) -> tuple[list[Indices], int]:
    """Models left out together, and how many folds there are: see ``explain``."""
    if n < _FEW:
        return [*np.arange(n)[:, None]], n
    parts = [np.array_split(rng.permutation(n), _FOLDS) for _ in range(_REPEATS)]
    return [fold for part in parts for fold in part], _FOLDS


def freedman_lane(
    reduced: Array, added: Array, values: Array, orders: Indices
) -> tuple[Array, Array]:
    """Partial R2 (n_groups,) of added predictors, and of permuted residuals (n_orders, n_groups).

    Freedman and Lane (1983): residuals of the reduced model are permuted, put back onto its fit,
    and the full model is fitted to the sum. Partial R2 orders permutations as F does; it is NaN
    where the reduced model leaves nothing. ``reduced`` and ``added`` are orthonormal (n, .).
    """
    moved = values - values[0]
    moved = moved - moved.mean(0)
    left = moved - reduced @ (reduced.T @ moved)
    size, total = np.linalg.norm(left, axis=0), np.linalg.norm(moved, axis=0)
    some = size > 1e-9 * total
    left = left / np.where(some, size, 1)
    spanned = np.concatenate([added, reduced[:, 1:]], axis=1)
    n_added = added.shape[1]

    def partial(chosen: Indices) -> Array:
        # permuting the basis is permuting the residuals by the inverse: the set is the same
        moments = np.tensordot(spanned[chosen], left, (1, 0)) ** 2
        explained_part = moments[:, :n_added].sum(1)
        remaining = 1 - moments[:, n_added:].sum(1)
        share = np.where(remaining > 1e-9, explained_part / np.maximum(remaining, 1e-9), 0)
        return np.where(some, share, np.nan)

    step = max(1, VALUES_AT_ONCE // max(1, spanned.size))
    null = [partial(orders[start : start + step]) for start in range(0, len(orders), step)]
    return partial(np.arange(len(values))[None])[0], np.concatenate(null)
