"""Groups of models by their gaps: the clustering of Juneja et al. (2023, arXiv 2205.12411)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import squareform

from landscape.analysis.basins.answer import Division
from landscape.analysis.basins.checks import check_gaps
from landscape.analysis.basins.membership import Membership, find_membership
from landscape.analysis.basins.noise import Noise
from landscape.analysis.basins.number import Evidence, decide
from landscape.analysis.basins.spectral import choose_delta, cluster, embed, two_sides
from landscape.core.arrays import Array, Labels
from landscape.core.sentences import groups_sentence, why_groups

_MOST_GROUPS = 8


@dataclass(frozen=True)
class Groups:
    """Models whose gaps are alike; whether barriers lie within or between is not asked.

    Attributes:
        labels: (n_models,) group of each model; group 0 is the largest (of equals, the one with
            the first model).
        n_groups: How many; 1 is an answer.
        split: (n_models,) the two sides behind ``centroid_distance``: ``labels`` when there are
            two groups, a forced split when there is one, the nearer of groups 0 and 1 beyond two.
        centroid_distance: (n_models,) ||w - c0|| - ||w - c1|| in the embedding, c0 and c1 the
            centroids of the two sides; positive is nearer to side 1.
        membership: How sure each model's group is, and which lie between two.
        embedding: (n_models, max(2, n_groups)) spectral embedding, first component kept.
        delta: The affinity's scale in nats.
        delta_rule: Where delta comes from: ``median`` or ``given``.
        evidence: What the number of groups rests on.
    """

    labels: Labels
    n_groups: int
    split: Labels
    centroid_distance: Array
    membership: Membership
    embedding: Array
    delta: float
    delta_rule: str
    evidence: Evidence


def find_groups(
    gaps: Array,
    noise: Noise | None,
    division: Division,
    *,
    n_groups: int | None = None,
    delta: float | str = "median",
    rng: np.random.Generator,
) -> Groups:
    """Cluster a population by its gaps, and say whether there is more than one group.

    Labels come from spectral clustering of exp(-gap^2 / 2 delta^2) (Juneja et al. 2023, arXiv
    2205.12411, with delta = 1). Where ``n_groups`` is not given:

    1. One group if no pair is apart (see ``pair_states``).
    2. If the answer is several basins, fewer than half as many as models, these are the groups;
       a model that joins several is put into the nearest.
    3. Else candidates are k = 2 to min(8, n_models // 2) groups, and 2 for three models. The
       median gap between any two of a candidate's groups must exceed the tolerance by what
       clusters of noise alone show, and its mean silhouette (Rousseeuw 1987) what nulls of one
       group give (``basins.null``), at one level for all k such that 5% of a null's draws exceed
       any (Westfall and Young 1993). Of those that pass, the fewest groups are taken whose
       silhouette is within a standard error (over models) of the highest.

    The nulls ask for groups, not for large gaps: equal gaps between all models are one group to
    them, and so is a chain whose neighbours share a valley and whose ends do not.
    """
    n = len(gaps)
    scale, rule = choose_delta(squareform(gaps, checks=False), delta)
    seed = int(rng.integers(2**31))
    affinity = _affinity(gaps, scale)
    most = _most_groups(n, n_groups)
    embedding = embed(affinity, most, seed)
    candidates = {k: cluster(embedding[:, :k], k, seed) for k in range(2, most + 1)}
    evidence, labels = decide(gaps, noise, division, candidates, affinity, n_groups, rng)
    k = int(labels.max()) + 1 if n_groups is None else n_groups
    if k > most:
        embedding = embed(affinity, k, seed)
    embedding = embedding[:, : max(2, k)]
    split, distance = two_sides(embedding, labels if k > 1 else candidates[2])
    return Groups(
        labels=labels,
        n_groups=k,
        split=split,
        centroid_distance=distance,
        membership=find_membership(gaps, labels, noise, division.states),
        embedding=embedding,
        delta=scale,
        delta_rule=rule,
        evidence=_in_words(evidence, gaps, k, labels),
    )


def _in_words(evidence: Evidence, gaps: Array, n_groups: int, labels: Labels) -> Evidence:
    across = gaps[labels[:, None] != labels]
    silhouette = np.nan
    if np.isfinite(evidence.null_quantile):
        best = int(np.flatnonzero(evidence.null_quantiles == evidence.null_quantile)[0])
        silhouette = float(evidence.silhouettes[best])
    why = why_groups(
        evidence.verdict,
        n_groups,
        n_models=len(gaps),
        n_barriers=evidence.n_barriers,
        tolerance=evidence.tolerance,
        beyond_noise=bool(np.isfinite(evidence.noise)),
        sharp=evidence.sharp,
        bridged=bool((across <= evidence.tolerance).any()),
        largest_gap=float(gaps.max()),
        silhouette=silhouette,
        null_quantile=evidence.null_quantile,
    )
    reason = groups_sentence(n_groups, why, evidence.verdict == "asked")
    return replace(evidence, why=why, reason=reason)


def cut_into(
    gaps: ArrayLike,
    n_groups: int,
    *,
    delta: float | str = "median",
    rng: np.random.Generator | int | None = None,
) -> Labels:
    """The labels (n_models,) that ``find_groups`` gives for this number, without any evidence."""
    matrix = check_gaps(gaps)
    seed = int(np.random.default_rng(0 if rng is None else rng).integers(2**31))
    affinity = _affinity(matrix, choose_delta(squareform(matrix, checks=False), delta)[0])
    embedding = embed(affinity, _most_groups(len(matrix), n_groups), seed)
    return cluster(embedding[:, :n_groups], n_groups, seed)


def _affinity(gaps: Array, delta: float) -> Array:
    return np.asarray(np.exp(-0.5 * (gaps / delta) ** 2))


def _most_groups(n_models: int, n_groups: int | None) -> int:
    """The largest number of groups that is tried."""
    return max(2, min(_MOST_GROUPS, n_models // 2), n_groups or 1)
