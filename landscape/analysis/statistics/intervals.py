"""Intervals of means of few models, and of differences of two, that cover whatever the scores.

Gaffke's bound (2005; Learned-Miller and Thomas 2020, arXiv 1905.06208; Phan, Thomas and
Learned-Miller 2021, arXiv 2106.03163): the mean of the scores and of one more at the end of their
range, with weights that are uniform on the simplex. Of scores that are 0 or 1 its quantiles are the
interval of Clopper and Pearson.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from landscape.core.arrays import Array

Range = tuple[float, float]
"""The least and the largest score that there can be."""
UNBOUNDED: Range = (-np.inf, np.inf)
_DRAWS = 9999


def range_of(values: Array) -> Range:
    """[0, 1] or [-1, 1], if all scores lie in it."""
    seen = values[np.isfinite(values)]
    ranges = ((0.0, 1.0), (-1.0, 1.0))
    inside = (r for r in ranges if seen.min(initial=1) >= r[0] and seen.max(initial=0) <= r[1])
    return next(inside, UNBOUNDED)


def interval_of_mean(
    rows: Array, ranges: Sequence[Range], confidence: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Ends (n_columns,) for scores (n_models, n_columns); NaN of one model.

    Student's t where the range has no ends; it covers of scores that are about normal.
    """
    n, missing = len(rows), np.full(rows.shape[1], np.nan)
    if n < 2:
        return missing, missing
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * np.sqrt(_variance(rows))
    lower, upper = _bounds(rows, ranges, rng)
    return _ends(rows.mean(0), half, lower, upper, ranges, confidence)


def interval_of_difference(
    first: Array,
    second: Array,
    ranges: Sequence[Range],
    confidence: float,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """As ``interval_of_mean``, of the first mean less the second; Welch's for Student's."""
    n, m, missing = len(first), len(second), np.full(first.shape[1], np.nan)
    if min(n, m) < 2:
        return missing, missing
    parts = np.stack([_variance(first), _variance(second)])
    shares = parts / np.maximum(parts.sum(0), 1e-300)
    freedom = 1 / np.maximum(shares[0] ** 2 / (n - 1) + shares[1] ** 2 / (m - 1), 1 / (n + m - 2))
    half = stats.t.ppf((1 + confidence) / 2, freedom) * np.sqrt(parts.sum(0))
    lower, upper = _bounds(first, ranges, rng)
    other_lower, other_upper = _bounds(second, ranges, rng)
    # about one of the scores, so that equal scores differ by exactly 0
    difference = (first - first[0]).mean(0) - (second - first[0]).mean(0)
    return _ends(difference, half, lower - other_upper, upper - other_lower, ranges, confidence)


def _variance(rows: Array) -> Array:
    """Of the mean; of scores that are all equal exactly 0."""
    return np.asarray((rows - rows[0]).var(0, ddof=1) / len(rows))


def _bounds(rows: Array, ranges: Sequence[Range], rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws (n_draws, n_columns) of a lower and of an upper bound of the mean."""
    low, high = np.nan_to_num(np.array(ranges).T, posinf=0, neginf=0)  # unused, if not finite
    weights = rng.dirichlet(np.ones(len(rows) + 1), _DRAWS)
    seen, unseen = weights[:, :-1] @ rows, weights[:, -1:]
    return seen + unseen * low, seen + unseen * high


def _ends(
    center: Array,
    half: Array,
    lower: Array,
    upper: Array,
    ranges: Sequence[Range],
    confidence: float,
) -> tuple[Array, Array]:
    low = np.quantile(lower, (1 - confidence) / 2, axis=0)
    high = np.quantile(upper, (1 + confidence) / 2, axis=0)
    bounded = np.isfinite(np.array(ranges)).all(1)
    return np.where(bounded, low, center - half), np.where(bounded, high, center + half)
