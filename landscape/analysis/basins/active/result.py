"""What a search with few pairs found."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from landscape.analysis.basins import Basins
from landscape.analysis.basins.active.assign import joins_two, place
from landscape.analysis.basins.active.blocks import complete_gaps
from landscape.analysis.basins.active.core import Core, fit, score
from landscape.analysis.basins.active.landmarks import (
    basin_landmarks,
    nystrom_embedding,
    take_turns,
)
from landscape.analysis.basins.active.measured import MeasuredGaps
from landscape.analysis.basins.spectral import by_size, choose_delta
from landscape.core.arrays import Array, Labels, Mask
from landscape.core.sentences import active_sentence

_JOINED = 4  # pairs with each of two basins before a model is said to be joined to both


@dataclass(frozen=True)
class Active:
    """Which models share a basin, from few of their pairs.

    Attributes:
        labels: (n_models,) basin of each model; basin 0 is the largest (of equals, the one with
            the first model).
        n_basins: How many; 1 is an answer.
        gaps: (n_models, n_models) nats, zero on the diagonal, NaN where never measured.
        completed: (n_models, n_models) nats, the unmeasured ones filled by what the basins'
            measured pairs say. For drawing and never for a test.
        n_measured: Pairs.
        share: Of all pairs, in [0, 1].
        core: (n_core,) models all of whose pairs with each other are measured.
        uncertain: (n_models,) bool: the log-odds of its basin against the next best are small, it
            is joined to two basins alike, or no pairs were left to test it.
        basins: The complete answer on the core, models in its order. It has as many basins, unless
            models outside the core refuted them or one of a single model did not stand out.
        reason: One plain sentence.
    """

    labels: Labels
    n_basins: int
    gaps: Array
    completed: Array
    n_measured: int
    share: float
    core: Labels
    uncertain: Mask
    basins: Basins
    reason: str


def summarize(
    measured: MeasuredGaps,
    core: Core,
    refuted: tuple[float, float] | None,
    *,
    apart: Labels,
    n_random: int,
    threshold: float,
) -> Active:
    """Labels for all models from what was measured; ``apart`` are those never tested."""
    n, k = len(measured.gaps), core.k
    everyone = np.arange(n)
    blocks = fit(measured, core)
    scores = score(measured, core, everyone, blocks)
    labels, doubtful = place(measured, core, everyone)
    bridges = joins_two(measured, core, everyone, blocks, _JOINED)
    bridges &= np.bincount(labels, ~bridges, k)[labels] > 0  # no basin is of bridges alone
    if len(core.models) == n:  # the complete answer has placed them
        bridges[:] = False
    completed = complete_gaps(measured.gaps, labels)
    if k > 1 and bridges.any():
        labels = _place_bridges(measured, core, labels, completed, bridges)
        completed = complete_gaps(measured.gaps, labels)
    margins = np.full(n, np.inf)
    if k > 1:
        likelihood = scores[everyone, labels]
        scores[everyone, labels] = -np.inf
        margins = likelihood - scores.max(1)
    uncertain = (margins < threshold) | bridges | doubtful
    uncertain[apart] = True
    if len(core.models) == n:
        uncertain[:] = False
    n_measured, every = int(measured.mask.sum()) // 2, n * (n - 1) // 2
    return Active(
        labels=by_size(labels),
        n_basins=k,
        gaps=measured.gaps,
        completed=completed,
        n_measured=n_measured,
        share=n_measured / every,
        core=core.models,
        uncertain=uncertain,
        basins=core.basins,
        reason=active_sentence(
            k,
            n_models=n,
            n_measured=n_measured,
            n_core=len(core.models),
            n_random=n_random,
            core_basins=core.basins.groups.n_groups,
            core_why=core.basins.groups.evidence.why,
            n_refused=core.n_refused,
            merged=core.n_joined > 0,
            silhouettes=refuted,
            n_untested=len(apart),
            n_uncertain=int(uncertain.sum()),
        ),
    )


def _place_bridges(
    measured: MeasuredGaps, core: Core, labels: Labels, completed: Array, bridges: Mask
) -> Labels:
    """The labels (n_models,), of bridges those of the nearest centroid in Nystrom's embedding."""
    k = core.k
    landmarks = _choose_landmarks(measured, core, bridges)
    between = measured.gaps[np.ix_(landmarks, landmarks)]
    delta = choose_delta(between[np.triu_indices(len(landmarks), 1)], "median")[0]
    # each landmark stands for its share of the basin
    size = np.maximum(np.bincount(labels, ~bridges, k), 1)
    size /= np.maximum(np.bincount(labels[landmarks], None, k), 1)
    embedding = nystrom_embedding(
        completed[:, landmarks],
        landmarks,
        delta=delta,
        weights=size[labels[landmarks]],
        n_components=k,
    )
    centroids = [embedding[~bridges & (labels == basin)].mean(0) for basin in range(k)]
    nearest = ((embedding[:, None] - np.array(centroids)) ** 2).sum(2).argmin(1)
    return np.where(bridges, nearest, labels)


def _choose_landmarks(measured: MeasuredGaps, core: Core, bridges: Mask) -> Labels:
    """As many as basins and log2 N more, each basin's in turn; none joined to two if it can be."""
    n_landmarks = core.k + math.ceil(math.log2(len(measured.gaps)))
    orders = basin_landmarks(measured.gaps[np.ix_(core.models, core.models)], core.labels)
    models = [core.models[order] for order in orders]
    clear = [group[~bridges[group]] for group in models]
    return take_turns(
        [few if len(few) else group for few, group in zip(clear, models, strict=True)], n_landmarks
    )
