"""Permutation tests that shuffle a population's models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from scipy.stats import permutation_test

_VALUES_AT_ONCE = 1 << 21  # of permuted labels or distances: 16 MB


def permute(
    statistic: Callable[..., Any],
    n: int,
    n_values: int,
    alternative: Literal["greater", "two-sided"],
    n_resamples: int,
    rng: np.random.Generator | int | None,
) -> float:
    """The p-value of a statistic under all orders of the models; exact where they are few."""
    models: Any = (np.arange(n),)
    test = permutation_test(
        models,
        statistic,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=n_resamples,
        batch=max(1, _VALUES_AT_ONCE // n_values),
        alternative=alternative,
        axis=-1,
        rng=np.random.default_rng(0 if rng is None else rng),
    )
    return float(test.pvalue)
