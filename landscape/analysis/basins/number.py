"""How many basins? k-means finds two in anything, so each number has to stand against one basin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse.csgraph import laplacian
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from landscape.analysis.basins.answer import Division
from landscape.analysis.basins.mixture import Mixture, fit_mixture
from landscape.analysis.basins.noise import Noise
from landscape.analysis.basins.null import (
    NULLS,
    cut_all,
    null_silhouettes,
    squares,
)
from landscape.analysis.basins.silhouette import fewest, mean_separation, separation, silhouettes
from landscape.analysis.basins.spectral import by_size
from landscape.core.arrays import Array, Labels, Mask
from landscape.core.sentences import Answer

Verdict = Literal["asked", "one valley", "no groups", "groups"]

_LEVEL = 0.95
_STABILITY_DRAWS = 50
_MOST_BRIDGES = 0.1  # of the models; where more join two groups, these are no groups but a chain


@dataclass(frozen=True)
class Evidence:
    """Why there are as many basins as there are.

    Attributes:
        verdict: ``one valley``: no gap beyond noise; ``no groups``: gaps, but no basins stand
            apart; ``groups``; ``asked``: the number was given.
        candidates: (n_candidates,) numbers of basins that were tried.
        silhouettes: (n_candidates,) mean silhouette of each candidate's labels on the gaps.
        null_quantiles: (n_candidates,) the silhouette to exceed; of each null, at most 5% of the
            draws exceed any of them. NaN for two models.
        null_quantile: That of the best candidate, in ``reason``.
        separations: (n_candidates,) nats, the smallest median gap between two of its basins.
        noise_quantiles: (n_candidates,) nats, the separation that noise alone gives to 5%.
        stabilities: (n_candidates,) mean adjusted Rand index of the labels with average linkage's
            on resampled gaps; NaN where no noise is known.
        p_value: Share of one-basin draws that stand out at any number of basins as much as the
            best candidate does at its own; the largest of all nulls'.
        p_noise: Share of draws of noise alone whose largest gap, each against its own noise, is as
            large; NaN where no noise is known.
        n_barriers: Gaps that exceed the tolerance beyond noise, with 5% risk for all together.
        sharp: Whether the groups are the answer's basins.
        eigenvalues: (n_models,) of the affinity's normalised Laplacian, ascending.
        eigengap: The number of basins after which these rise most.
        mixture: One kind of gaps or two; None for few pairs.
        noise: Median standard error of a gap in nats, NaN when none was given.
        tolerance: Nats that a gap must exceed to count.
        reason: One plain sentence.
        why: The part of it that says on what the number rests; may be "".
    """

    verdict: Verdict
    candidates: Labels
    silhouettes: Array
    null_quantiles: Array
    null_quantile: float
    separations: Array
    noise_quantiles: Array
    stabilities: Array
    p_value: float
    p_noise: float
    n_barriers: int
    sharp: bool
    eigenvalues: Array
    eigengap: int
    mixture: Mixture | None
    noise: float
    tolerance: float
    reason: str
    why: str


def decide(
    gaps: Array,
    noise: Noise | None,
    division: Division,
    labels: dict[int, Labels],
    affinity: Array,
    asked: int | None,
    rng: np.random.Generator,
) -> tuple[Evidence, Labels]:
    """The evidence, and the labels (n_models,)."""
    n, candidates = len(gaps), np.array([*labels], dtype=np.intp)
    states, parts = division.states, _as_basins(gaps, division)
    tolerance, barrier = states.tolerance, states.apart
    scores = np.array([silhouettes(gaps, groups, k) for k, groups in labels.items()])
    means = scores.mean(1)
    separations = np.array([separation(gaps, groups) for groups in labels.values()])
    thresholds, p_values = np.full(len(labels), np.nan), np.full(len(labels), np.nan)
    if n > 2:
        against = [
            _against(null_silhouettes(make(gaps), n, candidates, rng), means) for make in NULLS
        ]
        thresholds, p_values = np.max(against, axis=0)
    lowest, stabilities = np.zeros(len(labels)), np.full(len(labels), np.nan)
    if noise is not None and n > 2:
        lowest = _against(_noise_separations(noise, n, candidates), separations)[0]
        stabilities = _stabilities(noise, labels)
    apart = separations - lowest > tolerance
    typical = 0.0 if noise is None else squareform(np.median(noise.null, axis=0), checks=False)
    joined = gaps - typical <= tolerance
    bridges = np.array([n_bridges(joined, groups) for groups in labels.values()])
    apart &= bridges <= max(1, int(_MOST_BRIDGES * n))
    passed = apart & (p_values <= 1 - _LEVEL)
    best = fewest(scores, passed if passed.any() else apart)
    if asked is not None and asked > 1:
        best = [*labels].index(asked)
    chosen = np.zeros(n, dtype=np.intp)
    verdict: Verdict = "no groups"
    if asked is not None:
        verdict, chosen = "asked", labels[asked] if asked > 1 else chosen
    elif not barrier.any():
        verdict = "one valley"
    elif n == 2:
        verdict, chosen = "groups", labels[2]
    elif parts is not None:
        verdict, chosen = "groups", parts
        best = int(np.argmin(np.abs(candidates - (parts.max() + 1))))
    elif passed.any():
        verdict, chosen = "groups", labels[int(candidates[best])]
    eigenvalues = np.linalg.eigvalsh(np.asarray(laplacian(affinity, normed=True)))
    largest = min(n - 1, int(candidates[-1]))
    evidence = Evidence(
        verdict=verdict,
        candidates=candidates,
        silhouettes=means,
        null_quantiles=thresholds,
        null_quantile=float(thresholds[best]),
        separations=separations,
        noise_quantiles=lowest,
        stabilities=stabilities,
        p_value=float(p_values[best]),
        p_noise=np.nan if noise is None else _noise_p(gaps, noise),
        n_barriers=int(np.triu(barrier, 1).sum()),
        sharp=parts is not None,
        eigenvalues=eigenvalues,
        eigengap=int(np.argmax(np.diff(eigenvalues[: largest + 1])) + 1),
        mixture=fit_mixture(gaps),
        noise=np.nan if noise is None else noise.error,
        tolerance=float(tolerance),
        reason="",
        why="",
    )
    return evidence, chosen


def _as_basins(gaps: Array, division: Division) -> Labels | None:
    """The basins (n,), if the answer has several and fewer than half as many as models.

    A model that joins several is put into the one it is nearest to.
    """
    labels, k = division.labels, division.n_basins
    several = division.answer in (Answer.BASINS, Answer.BRIDGED)
    if not several or k is None or not 1 < k <= (len(labels) + 1) // 2:
        return None
    means = np.stack([gaps[:, labels == basin].mean(1) for basin in range(k)], axis=1)
    return by_size(np.where(labels < 0, means.argmin(1), labels))


def n_bridges(joined: Mask, labels: Labels) -> int:
    """How many models are joined to more than a quarter of another group than their own."""
    member = labels[:, None] == np.arange(labels.max() + 1)
    shares = joined.astype(np.float64) @ member / np.maximum(member.sum(0), 1)
    return int((np.where(member, 0, shares) > 0.25).any(1).sum())


def _against(null: Array, observed: Array) -> tuple[Array, Array]:
    """Thresholds for all candidates such that 5% of the draws exceed any; observed p-values.

    Both count the draws that are as rare at any candidate (Westfall and Young 1993).
    """
    # how rare each draw's rarest value is, among those at the same number of basins
    rarest = (rankdata(-null, method="max", axis=0) / len(null)).min(1)
    thresholds = np.quantile(null, 1 - np.quantile(rarest, 1 - _LEVEL), axis=0)
    as_rare = (null >= observed).mean(0)
    p_values = (1 + (rarest[:, None] <= as_rare).sum(0)) / (1 + len(null))
    return thresholds, p_values


def _noise_separations(noise: Noise, n_models: int, candidates: Labels) -> Array:
    """(n_draws, n_candidates) nats, separations that clusters of noise alone show."""
    cut = cut_all(noise.null, int(candidates[-1]))
    square = squares(noise.null, n_models)
    return np.stack([mean_separation(square, cut[int(k)], int(k)) for k in candidates], axis=1)


def _stabilities(noise: Noise, labels: dict[int, Labels]) -> Array:
    from sklearn.metrics import adjusted_rand_score

    cut = cut_all(noise.draws[:_STABILITY_DRAWS], max(labels))
    return np.array(
        [
            np.mean([adjusted_rand_score(groups, row) for row in cut[k]])
            for k, groups in labels.items()
        ]
    )


def _noise_p(gaps: Array, noise: Noise) -> float:
    """Of the largest gap in units of its own noise."""
    scale = np.sqrt((noise.null**2).mean(0))
    scale = np.where(scale > 0, scale, np.inf)
    highest = (noise.null / scale).max(1)
    largest = (squareform(gaps, checks=False) / scale).max()
    return float((1 + (highest >= largest).sum()) / (1 + len(highest)))
