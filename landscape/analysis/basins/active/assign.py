"""Pairs spent where it is uncertain to which basin a model belongs."""

from __future__ import annotations

import numpy as np

from landscape.analysis.basins.active.blocks import TOLERANCE, Blocks, basin_means, basin_medians
from landscape.analysis.basins.active.core import Core, fit, others, rows_of, score
from landscape.analysis.basins.active.landmarks import basin_landmarks
from landscape.analysis.basins.active.measured import MeasuredGaps
from landscape.core.arrays import Array, Labels, Mask

_AT_ONCE = 8  # models in a round, where only the least certain are left
_WIDER = 3.0  # scales
_EVEN = 3.0  # log-odds, 20 to 1: below it a model fits two basins alike
_FEW_BASINS = 4  # up to so many, each model is held against all
_ONE_BASIN = 3  # landmarks that each model is held against, where there is one basin
_TO_BE_FAR = 5  # pairs with the nearest basin before a model counts as far from it,
_FAR_AT_ONCE = 4.0  # unless it lies so many scales beyond the limit


def assign(
    measured: MeasuredGaps, core: Core, *, threshold: float, most: int, reserve: int = 0
) -> None:
    """Measure each model against the core, likeliest basins first, until its basin is certain."""
    models, k = others(measured, core), core.k
    blocks = fit(measured, core)
    orders = _orders(measured, core)
    prior = np.log(core.sizes / core.sizes.sum())
    while len(models) and measured.left > reserve:
        rows = measured.gaps[np.ix_(models, core.models)]
        counts = _counts(rows, core)
        ranked, margins = rank(score(measured, core, models, blocks) + prior)
        enough = np.minimum(_ONE_BASIN if k == 1 else 1, core.sizes[ranked[:, 0]])
        certain = np.take_along_axis(counts, ranked[:, :1], 1)[:, 0] >= enough
        certain &= (margins >= threshold) & ~joins_two(measured, core, models, blocks)
        labels, doubtful = place(measured, core, models)
        certain &= (labels == ranked[:, 0]) & ~doubtful
        if k <= _FEW_BASINS:
            certain &= (counts > 0).all(1)
        open_to = np.flatnonzero(~certain & (counts.sum(1) < most))
        # all are held against as many landmarks as there are basins, then the least certain first
        n_measured = np.minimum(counts[open_to].sum(1), k + 1)
        open_to = open_to[np.lexsort((margins[open_to], n_measured))]
        if len(n_measured) and n_measured.min() > k:
            open_to = open_to[: max(_AT_ONCE, len(open_to) // 3)]
        pairs = [
            (models[i], core.models[mark])
            for i in open_to
            for mark in _next(rows[i], counts[i], ranked[i], orders)
        ]
        if not pairs:
            return
        measured.ask(pairs[: measured.left - reserve])


def rank(scores: Array) -> tuple[Labels, Array]:
    """Basins (n, k), likeliest first, and log-odds (n,) of the first two; inf for one basin."""
    ranked = np.argsort(-scores, axis=1, kind="stable")
    best = np.take_along_axis(scores, ranked[:, :2], 1)
    margins = best[:, 0] - best[:, 1] if scores.shape[1] > 1 else np.full(len(scores), np.inf)
    return ranked, margins


def place(measured: MeasuredGaps, core: Core, models: Labels) -> tuple[Labels, Mask]:
    """The basin (n,) of models, the core's or the nearest, and whether it is in doubt.

    Nearest by the mean of log(gap + tolerance), which few pairs tell well; where the mean gap, by
    which the complete answer goes, is lower to another basin, the model is in doubt, and the mean
    is believed if five pairs with each are measured.
    """
    rows = rows_of(measured, core, models)
    counts = _counts(rows, core)
    first = _nearest(np.log(rows + TOLERANCE), core)
    second = _nearest(rows, core)
    at = np.arange(len(models))
    enough = np.minimum(counts[at, first], counts[at, second]) >= _TO_BE_FAR
    labels = np.where(enough, second, first)
    everyone = np.full(len(measured.gaps), -1)
    everyone[core.models] = core.labels
    inside = everyone[models] >= 0
    return np.where(inside, everyone[models], labels), (first != second) & ~inside


def _nearest(values: Array, core: Core) -> Labels:
    means = basin_means(values, core.labels, core.k)
    return np.where(np.isnan(means), np.inf, means).argmin(1)


def seem(measured: MeasuredGaps, core: Core, models: Labels) -> Labels:
    """The likeliest basin (n,) of models outside the core."""
    if not len(models):
        return models
    return rank(score(measured, core, models, fit(measured, core)))[0][:, 0]


def joins_two(
    measured: MeasuredGaps, core: Core, models: Labels, blocks: Blocks, least: int = 1
) -> Mask:
    """Models (n,) that lie within two basins, by ``least`` pairs each, and fit both alike."""
    even = rank(score(measured, core, models, blocks, evenly=True))[1] < _EVEN
    rows = rows_of(measured, core, models)
    limits = within_limits(measured, core, blocks, slack=0.0) + TOLERANCE
    near = basin_medians(rows, core.labels, core.k) <= limits
    near &= _counts(rows, core) >= np.minimum(least, core.sizes)
    return even & (near.sum(1) > 1)


def within_limits(measured: MeasuredGaps, core: Core, blocks: Blocks, slack: float = 1.0) -> Array:
    """Nats (k,): models whose median gap to a basin is larger do not look like its own."""
    inner = measured.gaps[np.ix_(core.models, core.models)].copy()
    np.fill_diagonal(inner, np.nan)
    medians = basin_medians(inner, core.labels, core.k)[np.arange(len(inner)), core.labels]
    centers, spreads = np.diag(blocks.centers), np.diag(blocks.spreads)
    largest = np.median(centers) + _WIDER * np.median(spreads)
    limits = centers + slack * spreads
    for basin in range(core.k):
        seen = medians[core.labels == basin]
        if not np.isnan(seen).all():
            limits[basin] = np.log(np.nanmax(seen) + TOLERANCE) + slack * spreads[basin]
    if core.k > 1:
        limits = np.minimum(limits, largest)
    return np.asarray(np.exp(limits) - TOLERANCE)


def find_misfits(measured: MeasuredGaps, core: Core, most: int) -> Labels:
    """Models that lie farther from their likeliest basin than its own do, farthest first."""
    models = others(measured, core)
    if not len(models):
        return models
    blocks = fit(measured, core)
    limits = within_limits(measured, core, blocks) + TOLERANCE
    orders = _orders(measured, core)
    while True:
        rows = measured.gaps[np.ix_(models, core.models)]
        likeliest = rank(score(measured, core, models, blocks))[0][:, 0]
        at = np.arange(len(models)), likeliest
        distance, counts = basin_medians(rows, core.labels, core.k)[at], _counts(rows, core)[at]
        beyond = np.log((distance + TOLERANCE) / (limits[likeliest] + TOLERANCE))
        far = np.argsort(-beyond, kind="stable")[:most]  # NaN, never measured, comes last
        far = far[beyond[far] > 0]
        doubtful = beyond[far] < _FAR_AT_ONCE * np.diag(blocks.spreads)[likeliest[far]]
        doubtful &= counts[far] < np.minimum(_TO_BE_FAR, core.sizes[likeliest[far]])
        pairs = [
            (models[i], core.models[next(m for m in orders[likeliest[i]] if np.isnan(rows[i, m]))])
            for i in far[doubtful]
        ]
        if not pairs or measured.left == 0:
            return models[far]
        measured.ask(pairs)


def _orders(measured: MeasuredGaps, core: Core) -> list[Labels]:
    return basin_landmarks(measured.gaps[np.ix_(core.models, core.models)], core.labels)


def _counts(rows: Array, core: Core) -> Labels:
    """(n, k) pairs of each model with each basin of the core."""
    member = core.labels[:, None] == np.arange(core.k)
    return ((~np.isnan(rows)).astype(np.intp) @ member).astype(np.intp)


def _next(row: Array, counts: Labels, ranked: Labels, orders: list[Labels]) -> list[int]:
    """The landmark to hold a model against next; none where all have been."""
    if len(orders) <= _FEW_BASINS and (counts == 0).any():
        nearest = [int(np.argmin(counts))]
    else:
        nearest = [int(basin) for basin in ranked[:2]]
        if len(nearest) == 2 and 0 < counts[nearest[0]] > counts[nearest[1]]:
            nearest.reverse()
    for basin in nearest:
        for mark in orders[basin]:
            if np.isnan(row[mark]):
                return [int(mark)]
    return []
