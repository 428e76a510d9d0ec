"""Gap matrix to basins."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from landscape.analysis.basins.answer import Division, divide
from landscape.analysis.basins.checks import check_gaps
from landscape.analysis.basins.membership import Membership, find_membership
from landscape.analysis.basins.noise import make_noise
from landscape.analysis.basins.number import Evidence, decide
from landscape.analysis.basins.spectral import choose_delta, cluster, embed, two_sides
from landscape.core.arrays import Array, Labels
from landscape.core.errors import ConfigError
from landscape.core.sentences import basins_sentence, why_basins

_MOST_BASINS = 8


@dataclass(frozen=True)
class Basins:
    """Which models share a basin.

    Attributes:
        labels: (n_models,) basin of each model; basin 0 is the largest (of equals, the one with
            the first model).
        n_basins: How many; 1 is an answer.
        split: (n_models,) the two sides behind ``centroid_distance``: ``labels`` when there are
            two basins, a forced split when there is one, the nearer of basins 0 and 1 beyond two.
        centroid_distance: (n_models,) ||w - c0|| - ||w - c1|| in the embedding, c0 and c1 the
            centroids of the two sides; positive is nearer to side 1.
        membership: How sure each model's basin is, and which lie between two.
        embedding: (n_models, max(2, n_basins)) spectral embedding, first component kept.
        delta: The affinity's scale in nats.
        delta_rule: Where delta comes from: ``median`` or ``given``.
        merge_tree: (n_models - 1, 4) scipy's single linkage of the gaps, heights in nats.
        gaps: (n_models, n_models) nats.
        evidence: What the number of basins rests on.
        division: Whether no barrier within and one between is true of any division.
    """

    labels: Labels
    n_basins: int
    split: Labels
    centroid_distance: Array
    membership: Membership
    embedding: Array
    delta: float
    delta_rule: str
    merge_tree: Array
    gaps: Array
    evidence: Evidence
    division: Division


def find_basins(
    gaps: ArrayLike,
    n_basins: int | None = None,
    *,
    delta: float | str = "median",
    noise: ArrayLike | None = None,
    draws: ArrayLike | None = None,
    null: ArrayLike | None = None,
    corrected: ArrayLike | None = None,
    n_examples: int | None = None,
    tolerance: float = 0.02,
    rng: np.random.Generator | int | None = None,
) -> Basins:
    """Cluster a population by its gaps, and say whether there is more than one basin.

    Labels come from spectral clustering of exp(-gap^2 / 2 delta^2) (Juneja et al. 2023, arXiv
    2205.12411, with delta = 1). Where ``n_basins`` is not given:

    1. One basin if no gap exceeds ``tolerance`` beyond noise, by the margin that example noise
       alone exceeds for any pair of the population in 5% of its draws.
    2. If having no barrier is an equivalence relation (every gap between groups exceeds the
       tolerance beyond noise, none within does and all within are smaller), these groups are the
       basins.
    3. Else candidates are k = 2 to min(8, n_models // 2) basins, and 2 for three models. The
       median gap between any two of a candidate's basins must exceed ``tolerance`` by what
       clusters of noise alone show, and its mean silhouette (Rousseeuw 1987) what nulls of one
       basin give (``basins.null``), at one level for all k such that 5% of a null's draws exceed
       any (Westfall and Young 1993). Of those that pass, the fewest basins are taken whose
       silhouette is within a standard error (over models) of the highest.

    The nulls ask for groups, not for large gaps: equal gaps between all models are one basin to
    them, and so is a chain whose neighbours share a valley and whose ends do not. How often each
    kind of population is split wrongly is measured in ``experiments/simulations``.

    Args:
        gaps: (n_models, n_models) nats, symmetric, zero diagonal.
        n_basins: How many; found from the gaps when absent.
        delta: The affinity's scale in nats, or ``median`` of the off-diagonal gaps (their mean
            when the median is 0, 1 when all are).
        noise: (n_models, n_models) standard errors of the gaps in nats, taken as normal and
            independent where there are no draws.
        draws: (n_draws, n_pairs) resampled gaps as ``bootstrap_gaps`` keeps them, pairs in the
            order of scipy's condensed matrices; with ``null``.
        null: (n_draws, n_pairs) gaps that example noise alone gives.
        corrected: (n_models, n_models) gaps less their bias; the gaps when absent.
        n_examples: That the gaps are from.
        tolerance: Nats below which a gap is no barrier; 0.02 lowers the (geometric) mean
            probability of the right label by 2%.
        rng: A generator or a seed, for the nulls and k-means; seed 0 when absent.

    Raises:
        ConfigError: Gaps or noise that are no symmetric non-negative matrix, unmeasured pairs, a
            delta, tolerance or n_basins out of range.
    """
    matrix = check_gaps(gaps)
    n = len(matrix)
    if not tolerance >= 0:
        raise ConfigError("The tolerance must not be negative.", found=tolerance)
    if n_basins is not None and not 1 <= n_basins <= n:
        raise ConfigError(
            "The number of basins does not fit the population.",
            expected=f"1 to {n}, for {n} models",
            found=n_basins,
        )
    scale, rule = choose_delta(squareform(matrix, checks=False), delta)
    generator = np.random.default_rng(0 if rng is None else rng)
    seed = int(generator.integers(2**31))
    sampled = make_noise(matrix, noise, draws, null, corrected, generator)
    affinity = _affinity(matrix, scale)
    most = _most_basins(n, n_basins)
    embedding = embed(affinity, most, seed)
    candidates = {k: cluster(embedding[:, :k], k, seed) for k in range(2, most + 1)}
    evidence, labels = decide(matrix, sampled, tolerance, candidates, affinity, n_basins, generator)
    k = int(labels.max()) + 1 if n_basins is None else n_basins
    if k > most:
        embedding = embed(affinity, k, seed)
    embedding = embedding[:, : max(2, k)]
    split, distance = two_sides(embedding, labels if k > 1 else candidates[2])
    return Basins(
        labels=labels,
        n_basins=k,
        split=split,
        centroid_distance=distance,
        membership=find_membership(matrix, labels, sampled, tolerance),
        embedding=embedding,
        delta=scale,
        delta_rule=rule,
        merge_tree=linkage(squareform(matrix, checks=False), method="single"),
        gaps=matrix,
        evidence=_in_words(evidence, matrix, k),
        division=divide(matrix, sampled, tolerance, n_examples),
    )


def _in_words(evidence: Evidence, gaps: Array, n_basins: int) -> Evidence:
    silhouette = np.nan
    if np.isfinite(evidence.null_quantile):
        best = int(np.flatnonzero(evidence.null_quantiles == evidence.null_quantile)[0])
        silhouette = float(evidence.silhouettes[best])
    why = why_basins(
        evidence.verdict,
        n_basins,
        n_models=len(gaps),
        n_barriers=evidence.n_barriers,
        tolerance=evidence.tolerance,
        beyond_noise=bool(np.isfinite(evidence.noise)),
        sharp=evidence.sharp,
        largest_gap=float(gaps.max()),
        silhouette=silhouette,
        null_quantile=evidence.null_quantile,
    )
    reason = basins_sentence(n_basins, why, evidence.verdict == "asked")
    return replace(evidence, why=why, reason=reason)


def cut_into(
    gaps: ArrayLike,
    n_basins: int,
    *,
    delta: float | str = "median",
    rng: np.random.Generator | int | None = None,
) -> Labels:
    """The labels (n_models,) that ``find_basins`` gives for this number, without any evidence."""
    matrix = check_gaps(gaps)
    seed = int(np.random.default_rng(0 if rng is None else rng).integers(2**31))
    affinity = _affinity(matrix, choose_delta(squareform(matrix, checks=False), delta)[0])
    embedding = embed(affinity, _most_basins(len(matrix), n_basins), seed)
    return cluster(embedding[:, :n_basins], n_basins, seed)


def order_by_basin(basins: Basins) -> Labels:
    """Models (n_models,) basin by basin, from the first side's core to the second's."""
    return np.lexsort((basins.centroid_distance, basins.labels))


def _affinity(gaps: Array, delta: float) -> Array:
    return np.asarray(np.exp(-0.5 * (gaps / delta) ** 2))


def _most_basins(n_models: int, n_basins: int | None) -> int:
    """The largest number of basins that is tried."""
    return max(2, min(_MOST_BASINS, n_models // 2), n_basins or 1)
