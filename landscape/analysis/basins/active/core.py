"""The models all of whose pairs are measured, and what the complete answer says of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from landscape.analysis.basins import Basins, find_basins
from landscape.analysis.basins.active.blocks import (
    TOLERANCE,
    Blocks,
    fit_blocks,
)
from landscape.analysis.basins.active.measured import MeasuredGaps
from landscape.core.arrays import Array, Labels

_MOST_CANDIDATES = 8
_FREEDOM = 4.0  # of Student's t: one gap alone never settles much


@dataclass(frozen=True)
class Core:
    """A complete part of the population.

    Attributes:
        models: (n_core,) which.
        labels: (n_core,) basins, 0 to k - 1, none empty.
        basins: The complete answer on these models.
        tested: False where the labels are a candidate that the complete answer did not confirm.
        n_refused: Basins of one model that does not stand out.
        n_joined: Basins by which there are fewer than in the complete answer, for other reasons.
    """

    models: Labels
    labels: Labels
    basins: Basins
    tested: bool
    n_refused: int = 0
    n_joined: int = 0

    @property
    def k(self) -> int:
        """The number of basins, or of candidate groups."""
        return int(self.labels.max()) + 1

    @property
    def sizes(self) -> Labels:
        """(k,) models of the core in each basin."""
        return np.bincount(self.labels)


def decide(measured: MeasuredGaps, models: Labels, seed: int) -> Core:
    """The complete answer on models whose pairs are all measured."""
    at = np.ix_(models, models)
    gaps, noise = measured.gaps[at], measured.errors[at]
    basins = find_basins(gaps, noise=noise if noise.any() else None, tolerance=TOLERANCE, rng=seed)
    return refuse_singles(measured, Core(models, basins.groups.labels, basins, tested=True))


def refuse_singles(measured: MeasuredGaps, core: Core) -> Core:
    """The core with models that are alone, but do not stand out, in the basin they are nearest."""
    if len(core.models) == len(measured.gaps):
        return core
    gaps = measured.gaps[np.ix_(core.models, core.models)]
    while core.k > 1:
        weak = [
            int(basin)
            for basin in np.flatnonzero(core.sizes == 1)
            if not stands_out(measured, core, int(basin))
        ]
        if not weak:
            break
        model = int(np.flatnonzero(core.labels == weak[0])[0])
        rest = [basin for basin in range(core.k) if basin != weak[0]]
        near = rest[int(np.argmin([np.median(gaps[model, core.labels == b]) for b in rest]))]
        labels = np.where(core.labels == weak[0], near, core.labels)
        labels = np.unique(labels, return_inverse=True)[1].astype(np.intp)
        core = replace(core, labels=labels, n_refused=core.n_refused + 1)
    return core


def stands_out(measured: MeasuredGaps, core: Core, basin: int) -> bool:
    """Whether a lone model lies out farther than the farthest of N exponential effects would.

    That stays below ln N + 3 of their means in 19 of 20 populations; a typical model adds one.
    """
    gaps = measured.gaps[np.ix_(core.models, core.models)]
    others = [other for other in range(core.k) if other != basin]
    member = core.labels == basin
    medians = [np.median(gaps[np.ix_(member, core.labels == other)]) for other in others]
    near = core.labels == others[int(np.argmin(medians))]
    within = gaps[np.ix_(near, near)][np.triu_indices(int(near.sum()), 1)]
    if not len(within) or within.max() <= TOLERANCE:
        return bool(min(medians) > TOLERANCE)
    return bool(min(medians) > within.mean() / 2 * (math.log(len(measured.gaps)) + 4))


def candidate(measured: MeasuredGaps, core: Core) -> Core:
    """The same models in the average linkage's groups that stand out most, though not enough."""
    from sklearn.metrics import silhouette_score

    gaps = measured.gaps[np.ix_(core.models, core.models)]
    tree = linkage(squareform(gaps, checks=False), method="average")
    cuts = [
        fcluster(tree, k, criterion="maxclust") - 1
        for k in range(2, min(_MOST_CANDIDATES, len(gaps) // 2) + 1)
    ]
    cuts = [labels for labels in cuts if labels.max() > 0]
    if not cuts:
        return core
    scores = [silhouette_score(gaps, labels, metric="precomputed") for labels in cuts]
    labels = cuts[int(np.argmax(scores))].astype(np.intp)
    return replace(core, labels=labels, tested=False)


def fit(measured: MeasuredGaps, core: Core) -> Blocks:
    """What gaps within and between the core's basins look like."""
    return fit_blocks(measured.gaps[np.ix_(core.models, core.models)], core.labels)


def others(measured: MeasuredGaps, core: Core) -> Labels:
    """The models outside the core."""
    return np.setdiff1d(np.arange(len(measured.gaps)), core.models)


def rows_of(measured: MeasuredGaps, core: Core, models: Labels) -> Array:
    """Gaps (n, n_core) of models to the core, NaN where not measured or of a model to itself."""
    rows = measured.gaps[np.ix_(models, core.models)].copy()
    rows[models[:, None] == core.models] = np.nan
    return rows


def score(
    measured: MeasuredGaps, core: Core, models: Labels, blocks: Blocks, *, evenly: bool = False
) -> Array:
    """Log-likelihoods (n, k) of models from their gaps to the core, were they of each basin."""
    rows = rows_of(measured, core, models)
    finite = ~np.isnan(rows)
    heights = np.log(np.where(finite, rows, 0) + TOLERANCE)
    member = (core.labels[:, None] == np.arange(core.k)).astype(np.float64)
    weights = 1 / np.maximum(finite @ member, 1) if evenly else 1.0
    scores = np.empty((len(heights), core.k))
    for basin, (center, spread) in enumerate(zip(blocks.centers, blocks.spreads, strict=True)):
        scale = spread[core.labels]
        deviation = (heights - center[core.labels]) / scale
        density = -(_FREEDOM + 1) / 2 * np.log1p(deviation**2 / _FREEDOM) - np.log(scale)
        scores[:, basin] = ((np.where(finite, density, 0) @ member) * weights).sum(1)
    return scores
