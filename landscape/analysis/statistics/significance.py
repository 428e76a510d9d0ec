"""The permutation test of basins: does the score differ between them more than by chance?"""

from __future__ import annotations

import numpy as np

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
    blocks: Indices,
    n_resamples: int,
    rng: np.random.Generator,
) -> Array:
    """p-values (n_columns,) of the between-basin sum of squares of values (n_models, n_columns).

    That is beyond the blocks' means, and models of one block only are exchanged; NaN where every
    block lies in one basin.
    """
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
