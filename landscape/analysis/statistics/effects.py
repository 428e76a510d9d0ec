"""Differences between two basins and correlations with centroid distance, many groups at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats
from scipy.special import gammaln

from landscape.analysis.statistics.predictors import basis
from landscape.core.arrays import Array


def compare(first: Array, second: Array, confidence: float) -> tuple[Array, ...]:
    """Difference with Welch's interval, AUC and Hedges g."""
    missing = np.full(first.shape[1], np.nan)
    # about one of the scores, so that equal scores differ by exactly 0
    difference = (first - first[0]).mean(0) - (second - first[0]).mean(0)
    higher = first[:, None] > second[None]
    auc = (higher.mean((0, 1)) + (first[:, None] >= second[None]).mean((0, 1))) / 2
    n, m = len(first), len(second)
    spread = [
        ((rows - rows.mean(0)) ** 2).sum(0) * (np.ptp(rows, axis=0) > 0) for rows in (first, second)
    ]
    low = high = missing
    if n > 1 and m > 1:
        parts = np.stack([spread[0] / (n - 1) / n, spread[1] / (m - 1) / m])
        error: Any = parts.sum(0)
        weights = parts / np.where(error > 0, error, 1)
        freedom = 1 / np.maximum(weights[0] ** 2 / (n - 1) + weights[1] ** 2 / (m - 1), 1e-300)
        half = stats.t.ppf((1 + confidence) / 2, np.minimum(freedom, n + m - 2)) * np.sqrt(error)
        low, high = difference - half, difference + half
    g = missing
    freedom_all = n + m - 2
    if freedom_all > 1:
        pooled = np.sqrt((spread[0] + spread[1]) / freedom_all)
        log_factor = gammaln(freedom_all / 2) - gammaln((freedom_all - 1) / 2)
        factor = np.exp(log_factor) / np.sqrt(freedom_all / 2)
        g = np.where(pooled > 0, factor * difference / np.where(pooled > 0, pooled, 1), np.nan)
    return difference, low, high, auc, g


def correlate(
    nearness: Array, values: Array, rank: bool, confidence: float
) -> tuple[Array, Array, Array]:
    """Correlation and Fisher's interval; NaN for fewer than three models or without spread."""
    finite = np.isfinite(nearness)
    x, y = nearness[finite, None], values[finite]
    n = len(x)
    r = np.full(values.shape[1], np.nan)
    varied = np.ptp(y, axis=0) > 0 if n > 2 and np.ptp(x) > 0 else np.zeros(len(r), dtype=bool)
    if varied.any():
        y = y[:, varied]
        if rank:
            x, y = stats.rankdata(x, axis=0), stats.rankdata(y, axis=0)
        x, y = x - x.mean(0), y - y.mean(0)
        # scaled first, so that the squares of tiny spreads do not vanish
        x, y = x / np.abs(x).max(0), y / np.abs(y).max(0)
        r[varied] = np.clip((x * y).sum(0) / np.sqrt((x**2).sum(0) * (y**2).sum(0)), -1, 1)
    return r, *_fisher(r, n, rank, confidence)


def partial_correlate(
    x: Array, y: Array, controls: Array, rank: bool
) -> tuple[Array, Array, Array]:
    """Correlation of x (n,) with y (n, c) given controls (n, k), and Fisher's (1924) interval."""
    x = x[:, None]
    if rank:
        x, y, controls = (stats.rankdata(v, axis=0) if v.size else v for v in (x, y, controls))
    spanned = basis(controls)
    parts, spread = [], []
    for values in (x, y):
        moved = values - values[0]
        moved = moved - moved.mean(0)
        moved = moved / np.maximum(np.abs(moved).max(0), 1e-300)
        left = moved - spanned @ (spanned.T @ moved)
        size = np.linalg.norm(left, axis=0)
        spread.append(size > 1e-7 * np.linalg.norm(moved, axis=0))
        parts.append(left / np.where(spread[-1], size, 1))
    r = np.clip((parts[0] * parts[1]).sum(0), -1, 1)
    r = np.where(spread[0] & spread[1], r, np.nan)
    return r, *_fisher(r, len(x) - (spanned.shape[1] - 1), rank, 0.95)


def _fisher(r: Array, n: int, rank: bool, confidence: float) -> tuple[Array, Array]:
    """Ends of Fisher's interval of correlations of n models; NaN for fewer than four."""
    if n < 4:
        return np.full(len(r), np.nan), np.full(len(r), np.nan)
    variance = (1 + r**2 / 2 if rank else 1) / (n - 3)
    with np.errstate(divide="ignore"):  # r of 1 or -1 is infinite in z, and comes back as itself
        z = np.arctanh(r)
    half = stats.norm.ppf((1 + confidence) / 2) * np.sqrt(variance)
    return np.tanh(z - half), np.tanh(z + half)
