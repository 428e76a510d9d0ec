"""Answers to an active rule, from measured losses."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from landscape.analysis.barriers import bootstrap_gaps
from landscape.core.arrays import Array

_RESAMPLES = 200


def gaps_and_errors(
    losses: ArrayLike, rule: str, positions: ArrayLike, points: ArrayLike
) -> tuple[Array, Array]:
    """Gaps and their standard errors, the same in a run and in every analysis of its store."""
    intervals = bootstrap_gaps(
        losses, rule, positions, points=points, n_resamples=_RESAMPLES, method="percentile", rng=0
    )
    return np.maximum(intervals.estimate, 0), intervals.standard_error
