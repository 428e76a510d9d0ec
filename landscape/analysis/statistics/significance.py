"""The permutation test of basins: does the score differ between them more than by chance?"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from landscape.analysis.statistics.permutation import (
    VALUES_AT_ONCE,
    center_within,
    permute_within,
    share_at_least,
)
from landscape.core.arrays import Array, Indices


def basin_p_values(
    values: Array,
    labels: Indices,
    blocks: Indices | None,
    n_resamples: int,
    rng: np.random.Generator,
) -> Array:
    """p-values (n_columns,) of the between-basin sum of squares of values (n_models, n_columns)."""
    if blocks is None:
        return _permute([values[labels == name] for name in np.unique(labels)], n_resamples, rng)
    return _permute_within(values, labels, blocks, n_resamples, rng)


def _permute(members: list[Array], n_resamples: int, rng: np.random.Generator) -> Array:
    pooled = np.concatenate(members)
    centre = pooled.mean(0)
    spread = np.sqrt(((pooled - centre) ** 2).sum(0))
    spread = np.where(spread > 0, spread, 1)

    def between(*samples: Array, axis: int) -> Any:
        # one more than a share, so that scipy takes for equal what differs by rounding only
        return 1 + sum(rows.shape[axis] * rows.mean(axis) ** 2 for rows in samples)

    tested = stats.permutation_test(
        tuple((rows - centre) / spread for rows in members),
        between,
        permutation_type="independent",
        vectorized=True,
        n_resamples=n_resamples,
        batch=max(1, VALUES_AT_ONCE // pooled.size),
        alternative="greater",
        axis=0,
        rng=rng,
    )
    p_values: Array = np.where(np.ptp(pooled, axis=0) == 0, 1.0, tested.pvalue)
    return p_values


def _permute_within(
    values: Array, labels: Indices, blocks: Indices, n_resamples: int, rng: np.random.Generator
) -> Array:
    """As ``_permute``, beyond the blocks' means and exchanging models of one block only."""
    within = center_within(values, blocks)
    indicators = center_within((labels[:, None] == np.unique(labels)).astype(np.float64), blocks)
    left, sizes, _ = np.linalg.svd(indicators, full_matrices=False)
    basis = left[:, sizes > 1e-9]
    if not basis.shape[1]:
        return np.full(values.shape[1], np.nan)
    spread = np.sqrt((within**2).sum(0))
    within = within / np.where(spread > 0, spread, 1)
    orders, _ = permute_within(blocks, n_resamples, rng, kinds=labels)
    observed = ((basis.T @ within) ** 2).sum(0)
    step = max(1, VALUES_AT_ONCE // basis.size)
    null = [
        (np.tensordot(basis[orders[start : start + step]], within, (1, 0)) ** 2).sum(1)
        for start in range(0, len(orders), step)
    ]
    p_values: Array = share_at_least(np.concatenate(null), observed)
    return p_values
