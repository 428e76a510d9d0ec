"""The permutation test of basins: does the score differ between them more than by chance?"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from landscape.analysis.statistics.permutation import VALUES_AT_ONCE
from landscape.core.arrays import Array, Indices


def basin_p_values(
    values: Array, labels: Indices, n_resamples: int, rng: np.random.Generator
) -> Array:
    """p-values (n_columns,) of the between-basin sum of squares; see ``relate``."""
    members = [values[labels == name] for name in np.unique(labels)]
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
