"""Which basins of the core are basins of the population."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from landscape.analysis.basins.active.assign import place
from landscape.analysis.basins.active.blocks import TOLERANCE, basin_means
from landscape.analysis.basins.active.core import Core, others
from landscape.analysis.basins.active.measured import MeasuredGaps
from landscape.analysis.basins.silhouette import fewest
from landscape.core.arrays import Array, Labels

_HOLDS = 0.8  # chance groups reached .7 of the core's silhouette in simulations, true ones .93
_FEWEST = 5  # models outside the core, below which nothing can be said
_NOISE = 4.0  # standard errors that a gap stands above the tolerance by, among thousands


def join_basins(measured: MeasuredGaps, core: Core, labels: Labels) -> Core:
    """The core with those of its basins joined that are one to the models outside it.

    On few models a wide basin falls into more pieces than on many, so numbers are compared again.
    Basins that every measured gap tells apart sharply stay.
    """
    outside = others(measured, core)
    if core.k < 3 or len(outside) < 2 or _sharp(measured, labels):
        return core
    sizes = np.bincount(labels, minlength=core.k).astype(np.intp)
    within = mean_gaps(measured.gaps, core.models, labels)
    between = np.array([within[core.labels == basin].mean(0) for basin in range(core.k)])
    apart = (between + between.T) / 2
    np.fill_diagonal(apart, 0)
    tree = linkage(squareform(apart, checks=False), method="average")
    cuts = [
        (fcluster(tree, k, criterion="maxclust") - 1).astype(np.intp) for k in range(2, core.k + 1)
    ]
    # the core's own gaps would favor the pieces that were found in them
    distances = basin_means(measured.gaps[np.ix_(outside, core.models)], core.labels, core.k)
    distances = np.where(np.isnan(distances), between[labels[outside]], distances)
    scores = [silhouettes_of_joined(distances, labels[outside], sizes, cut) for cut in cuts]
    joined = cuts[fewest(np.array(scores))]
    if joined.max() + 1 == core.k:
        return core
    return replace(core, labels=joined[core.labels], n_joined=core.k - int(joined.max()) - 1)


def mean_gaps(gaps: Array, models: Labels, labels: Labels) -> Array:
    """(n_core, k) mean gaps to the core's other models of each basin, or to those outside."""
    basins, k = labels[models], int(labels.max()) + 1
    block = gaps[np.ix_(models, models)]
    member = (basins[:, None] == np.arange(k)).astype(np.float64)
    counts = member.sum(0) - member
    means = block @ member / np.maximum(counts, 1)
    for row, model in enumerate(models):
        if counts[row, basins[row]] == 0:
            mates = gaps[model, (labels == basins[row]) & (np.arange(len(labels)) != model)]
            finite = mates[~np.isnan(mates)]
            means[row, basins[row]] = finite.mean() if len(finite) else 0.0
    return np.asarray(means)


def silhouettes_of_joined(distances: Array, own: Labels, sizes: Labels, joined: Labels) -> Array:
    """Silhouettes (n,) of models in a population of basins of these sizes, some of them joined."""
    k = len(sizes)
    others = sizes - (own[:, None] == np.arange(k))
    member = (joined[:, None] == np.arange(joined.max() + 1)).astype(np.float64)
    counts = others @ member
    means = (distances * others) @ member / np.maximum(counts, 1)
    at = np.arange(len(own)), joined[own]
    within, alone = means[at], counts[at] == 0
    means[at] = np.inf
    nearest = means.min(1)
    larger = np.maximum(within, nearest)
    scores = np.where(alone | (larger == 0), 0, nearest - within) / np.where(larger > 0, larger, 1)
    return np.asarray(scores)


def _sharp(measured: MeasuredGaps, labels: Labels) -> bool:
    """Whether every measured gap between basins is a barrier and none within is."""
    first, second = np.nonzero(np.triu(measured.mask))
    gaps, errors = measured.gaps[first, second], measured.errors[first, second]
    same = labels[first] == labels[second]
    barrier = gaps - _NOISE * errors > TOLERANCE
    return bool((gaps[same] <= TOLERANCE).all() and barrier[~same].all())


def refute(measured: MeasuredGaps, core: Core) -> tuple[float, float] | None:
    """Mean silhouettes (Rousseeuw 1987) inside and outside, where the core's groups fail there."""
    gaps = measured.gaps[np.ix_(core.models, core.models)].copy()
    np.fill_diagonal(gaps, np.nan)
    inside = silhouettes(gaps, core.labels, core.labels)
    models = others(measured, core)
    rows = measured.gaps[np.ix_(models, core.models)]
    outside = silhouettes(rows, core.labels, place(measured, core, models)[0])
    placed = outside[~np.isnan(outside)]
    mean = float(np.nan_to_num(inside).mean())
    if len(placed) < _FEWEST or not placed.mean() < _HOLDS * mean:
        return None
    return mean, float(placed.mean())


def silhouettes(gaps: Array, labels: Labels, groups: Labels) -> Array:
    """(n,) silhouettes of models of basins ``groups`` (n,) by gaps (n, m); NaN if unmeasured."""
    means = basin_means(gaps, labels, int(labels.max()) + 1)
    at = np.arange(len(gaps)), groups
    within = means[at]
    means[at] = np.nan
    nearest = np.where(np.isnan(means), np.inf, means).min(1)
    larger = np.maximum(within, nearest)
    usable = np.isfinite(larger)
    score = np.where(usable, nearest - np.where(usable, within, 0), np.nan)
    score[usable] /= np.where(larger[usable] > 0, larger[usable], 1)
    return np.asarray(score)
