"""Differences between two basins and correlations with centroid distance, many groups at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import gammaln

from landscape.analysis.statistics.permutation import VALUES_AT_ONCE
from landscape.analysis.statistics.predictors import basis
from landscape.core.arrays import Array, Indices, Mask


def compare(first: Array, second: Array) -> tuple[Array, ...]:
    """Difference, AUC and Hedges g."""
    # about one of the scores, so that equal scores differ by exactly 0
    difference = (first - first[0]).mean(0) - (second - first[0]).mean(0)
    higher = first[:, None] > second[None]
    auc = (higher.mean((0, 1)) + (first[:, None] >= second[None]).mean((0, 1))) / 2
    freedom = len(first) + len(second) - 2
    if freedom < 2:
        return difference, auc, np.full(first.shape[1], np.nan)
    squares: Any = sum(
        ((rows - rows.mean(0)) ** 2).sum(0) * (np.ptp(rows, axis=0) > 0) for rows in (first, second)
    )
    pooled = np.sqrt(squares / freedom)
    log_factor = gammaln(freedom / 2) - gammaln((freedom - 1) / 2)
    factor = np.exp(log_factor) / np.sqrt(freedom / 2)
    g = np.where(pooled > 0, factor * difference / np.where(pooled > 0, pooled, 1), np.nan)
    return difference, auc, g


def correlate(
    nearness: Array,
    values: Array,
    blocks: Indices,
    rank: bool,
    confidence: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> tuple[Array, Array, Array]:
    """Correlation with scores (n_models, n_columns), pooled within blocks, and its interval.

    Values, or their ranks in their block, are taken about the block's mean. The interval is the
    percentile bootstrap's over the models of each block, at levels that Student's t widens for few
    models (Hesterberg 2015, arXiv 1411.5279). NaN without spread; the interval for fewer than four
    models more than blocks are.
    """
    finite = np.isfinite(nearness)
    members = [np.flatnonzero(finite & (blocks == block)) for block in np.unique(blocks)]
    members = [models for models in members if len(models) > 1]
    freedom = sum(map(len, members)) - len(members)
    missing = np.full(values.shape[1], np.nan)
    if freedom < 2:
        return missing, missing, missing
    x, y = _scaled(nearness[:, None], finite), _scaled(values, finite)
    r = _pooled(x, y, [models[None] for models in members], rank)[0]
    if freedom < 3:
        return r, missing, missing
    rows = [
        models[rng.integers(len(models), size=(n_resamples, len(models)))] for models in members
    ]
    step = max(1, VALUES_AT_ONCE // values.size)
    draws = np.concatenate(
        [
            _pooled(x, y, [drawn[start : start + step] for drawn in rows], rank)
            for start in range(0, n_resamples, step)
        ]
    )
    wide = np.sqrt(1 + 1 / freedom) * stats.t.ppf((1 + confidence) / 2, freedom)
    ends = np.full((2, values.shape[1]), np.nan)
    some = np.isfinite(r)
    # a resample without spread shows no relation
    draws = np.nan_to_num(draws[:, some])
    ends[:, some] = np.quantile(draws, stats.norm.cdf([-wide, wide]), axis=0)
    return r, ends[0], ends[1]


def _scaled(values: Array, models: Mask) -> Array:
    """Of size 1, so that the squares of tiny spreads do not vanish."""
    moved: Array = values - values[models][0]
    return moved / np.maximum(np.abs(moved[models]).max(0), 1e-300)


def _pooled(x: Array, y: Array, rows: Sequence[Indices], rank: bool) -> Array:
    """(n_draws, n_columns) for the models (n_draws, n) of each block."""
    xx, yy, xy = 0.0, 0.0, 0.0
    for drawn in rows:
        parts = [values[drawn] for values in (x, y)]
        if rank:
            parts = [stats.rankdata(part, axis=1) for part in parts]
        # about one of the values, so that equal ones leave exactly 0
        parts = [part - part[:, :1] for part in parts]
        first, second = (part - part.mean(1, keepdims=True) for part in parts)
        xx, yy, xy = (
            xx + (first**2).sum(1),
            yy + (second**2).sum(1),
            xy + (first * second).sum(1),
        )
    size: Any = np.sqrt(xx * yy)
    r: Array = np.clip(np.where(size > 0, xy / np.where(size > 0, size, 1), np.nan), -1, 1)
    return r


def partial_correlate(x: Array, y: Array, controls: Array) -> tuple[Array, Array, Array]:
    """Rank correlation of x (n,) with y (n, c) given controls (n, k), and its interval."""
    x, y, controls = (stats.rankdata(v, axis=0) if v.size else v for v in (x[:, None], y, controls))
    spanned = basis(controls)
    parts, spread = [], []
    for values in (x, y):
        moved = values - values.mean(0)
        left = moved - spanned @ (spanned.T @ moved)
        size = np.linalg.norm(left, axis=0)
        spread.append(size > 1e-7 * np.linalg.norm(moved, axis=0))
        parts.append(left / np.where(spread[-1], size, 1))
    r = np.clip((parts[0] * parts[1]).sum(0), -1, 1)
    r = np.where(spread[0] & spread[1], r, np.nan)
    n = len(x) - (spanned.shape[1] - 1)
    if n < 4:
        return r, np.full(len(r), np.nan), np.full(len(r), np.nan)
    with np.errstate(divide="ignore"):  # r of 1 or -1 is infinite in z, and comes back as itself
        z = np.arctanh(r)
    half = stats.norm.ppf(0.975) * np.sqrt((1 + r**2 / 2) / (n - 3))
    return r, np.tanh(z - half), np.tanh(z + half)
