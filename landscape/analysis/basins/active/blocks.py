"""What gaps within and between basins look like, and to which basin a model's gaps fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from landscape.core.arrays import Array

TOLERANCE = 0.02  # nats below which a gap is no barrier, and gaps are alike
_LEAST_SPREAD = 0.25  # a quarter: no block is believed to be sharper
_PRIOR = 4.0  # pairs' worth of what all blocks have in common


@dataclass(frozen=True)
class Blocks:
    """Centers and scales (k, k) of log(gap + floor), Student's t within and between basins."""

    centers: Array
    spreads: Array


def fit_blocks(gaps: ArrayLike, labels: ArrayLike) -> Blocks:
    """Centers and scales of each block; small blocks lean on the others of their kind."""
    heights, basins = np.log(np.asarray(gaps, dtype=np.float64) + TOLERANCE), np.asarray(labels)
    k = int(basins.max()) + 1
    member = basins[:, None] == np.arange(k)
    np.fill_diagonal(heights, np.nan)
    values = {
        (a, b): _known(heights[np.ix_(member[:, a], member[:, b])])
        for a in range(k)
        for b in range(a + 1)
    }
    centers, spreads = np.empty((k, k)), np.empty((k, k))
    for kind in (True, False):
        blocks = [block for block in values if (block[0] == block[1]) == kind]
        pool = np.concatenate([values[block] for block in blocks]) if blocks else np.empty(0)
        # basins of one model each have no gap within: as low as the lowest between
        center = float(np.median(pool)) if len(pool) else np.log(TOLERANCE)
        block_centers = {block: _shrink(values[block], center) for block in blocks}
        rest = (
            np.concatenate([values[b] - block_centers[b] for b in blocks])
            if blocks
            else np.empty(0)
        )
        spread = _scale(rest) if len(rest) else 1.0
        for block in blocks:
            a, b = block
            n = len(values[block])
            around = _scale(values[block] - block_centers[block]) if n else spread
            width = np.sqrt((n * around**2 + _PRIOR * spread**2) / (n + _PRIOR))
            centers[a, b] = centers[b, a] = block_centers[block]
            spreads[a, b] = spreads[b, a] = max(width, _LEAST_SPREAD)
    return Blocks(centers, spreads)


def basin_medians(gaps: ArrayLike, labels: ArrayLike, k: int) -> Array:
    """(n, k) median of each model's measured gaps (n, m) to each basin, NaN where none is."""
    matrix, basins = np.asarray(gaps, dtype=np.float64), np.asarray(labels)
    medians = np.full((len(matrix), k), np.nan)
    for basin in range(k):
        block = matrix[:, basins == basin]
        measured = ~np.isnan(block).all(1)
        medians[measured, basin] = np.nanmedian(block[measured], axis=1)
    return medians


def basin_means(gaps: ArrayLike, labels: ArrayLike, k: int) -> Array:
    """(n, k) mean of each model's measured gaps (n, m) to each basin, NaN where none is."""
    matrix, basins = np.asarray(gaps, dtype=np.float64), np.asarray(labels)
    measured = ~np.isnan(matrix)
    member = (basins[:, None] == np.arange(k)).astype(np.float64)
    counts = measured @ member
    means = np.where(measured, matrix, 0) @ member / np.maximum(counts, 1)
    return np.where(counts > 0, means, np.nan)


def complete_gaps(gaps: ArrayLike, labels: ArrayLike) -> Array:
    """Gaps with the unmeasured ones filled by what their basins' measured pairs say, for drawing.

    Additive: the medians of each model's gaps to the other's basin less that between the two.
    """
    matrix, basins = np.array(gaps, dtype=np.float64), np.asarray(labels)
    k = int(basins.max()) + 1
    off = np.where(np.eye(len(matrix), dtype=bool), np.nan, matrix)
    member = [basins == basin for basin in range(k)]
    between = np.array(
        [[_median(off[np.ix_(first, second)]) for second in member] for first in member]
    )
    # basins without a measured pair: as far as any are
    between = np.where(np.isnan(between), _median(between), between)
    toward = basin_medians(off, basins, k)
    toward = np.where(np.isnan(toward), between[basins], toward)
    guess = toward[:, basins] + toward[:, basins].T - between[np.ix_(basins, basins)]
    return np.where(np.isnan(matrix), np.maximum(guess, 0), matrix)


def _known(values: Array) -> Array:
    return values[~np.isnan(values)]


def _median(values: Array) -> float:
    finite = _known(values)
    return float(np.median(finite)) if len(finite) else float("nan")


def _shrink(values: Array, center: float) -> float:
    n = len(values)
    return (n * float(np.median(values)) + center) / (n + 1) if n else center


def _scale(deviations: Array) -> float:
    """Normal-consistent median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(deviations)))
