"""Which pairs of models have a barrier, and which have none: at 5% for all pairs together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import squareform
from scipy.special import softmax
from scipy.stats import norm

from landscape.analysis.basins.noise import Noise
from landscape.core.arrays import Array, Labels, Mask

LEVEL = 0.95
_RAISED = 1.5  # median standard errors: what cannot be seen is no tolerance
_LEAST = 0.1  # of the tolerance or of the median noise: what less noise than this does is nothing
_POOL = 3.0  # pairs that all blocks of a kind count for in each


@dataclass(frozen=True)
class PairStates:
    """What is shown of each pair; what is neither apart nor joined is undecided.

    Attributes:
        apart: (n_models, n_models) bool, the gap exceeds the tolerance beyond noise.
        joined: (n_models, n_models) bool, the gap is shown to be at most the tolerance.
        measured: (n_models, n_models) bool, False on the diagonal; of other pairs nothing is shown.
        highest: (n_models, n_models) nats, what each gap could be, at 5%; the largest of them is
            what the largest gap could be, at 5% as well.
        tolerance: Nats, as used.
        asked: Nats, as given; less than ``tolerance`` where most gaps' noise exceeds it.
        beyond_noise: Whether noise is known.
    """

    apart: Mask
    joined: Mask
    measured: Mask
    highest: Array
    tolerance: float
    asked: float
    beyond_noise: bool

    @property
    def n_measured(self) -> int:
        """Pairs of which something is known."""
        return int(np.triu(self.measured, 1).sum())

    @property
    def n_apart(self) -> int:
        """Pairs with a barrier."""
        return int(np.triu(self.apart, 1).sum())

    @property
    def n_joined(self) -> int:
        """Pairs without one."""
        return int(np.triu(self.joined, 1).sum())

    @property
    def n_undecided(self) -> int:
        """Pairs of which neither is shown."""
        return self.n_measured - self.n_apart - self.n_joined


def pair_states(
    gaps: Array,
    noise: Noise | None,
    tolerance: float,
    measured: Mask | None = None,
    *,
    least: float = _LEAST,
) -> PairStates:
    """The states of all pairs.

    Apart: the gap less its margin exceeds the tolerance, the margin what noise alone exceeds for
    any pair in 5% of the draws. Joined: the corrected gap and so many standard errors are at most
    the tolerance. Both are stepped down (Romano and Wolf 2005, J. Am. Stat. Assoc. 100): what is
    decided does not widen the margins of the rest. Where each pair that is not apart is shown by
    itself to be joined, all are: were one not, it would have to be missed there (Berger 1982,
    Technometrics 24).

    Args:
        gaps: (n_models, n_models) nats.
        noise: What a sample of examples does to them.
        tolerance: Nats below which a gap is no barrier.
        measured: (n_models, n_models) bool; of other pairs nothing is shown. All when absent.
        least: Of the tolerance or of the median noise, a pair's least noise. Near-copies hardly
            have any, and of what they have a few examples decide: they would set the margin of all
            others.
    """
    flat = squareform(gaps, checks=False)
    known = np.ones(len(flat), dtype=bool)
    if measured is not None:
        known = squareform(measured, checks=False)
    if noise is None:
        apart = known & (flat > tolerance)
        return _states(known, apart, known & ~apart, flat, tolerance, tolerance, False)
    used = tolerance
    if noise.error > tolerance:
        used = _RAISED * noise.error
    floor = least * max(used, noise.error)
    null, above = None, None
    if noise.resampled:
        null, above = noise.null, noise.draws - noise.corrected
    scale = np.maximum(noise.scale if noise.resampled else noise.errors, floor)
    apart = _step_down(known, null, scale, flat - used)
    error = np.maximum(noise.errors, floor)
    joined = _step_down(known, above, error, used - noise.corrected)
    quantiles = norm.ppf(LEVEL) if above is None else np.quantile(above / error, LEVEL, axis=0)
    highest = noise.corrected + quantiles * error
    rest = known & ~apart
    if (highest[rest] <= used).all():
        joined = rest
    return _states(known, apart, joined & rest, highest, used, tolerance, True)


def _states(
    known: Mask,
    apart: Mask,
    joined: Mask,
    highest: Array,
    used: float,
    asked: float,
    beyond_noise: bool,
) -> PairStates:
    masks = (squareform(a, checks=False).astype(bool) for a in (apart, joined, known))
    parted, together, measured = masks
    np.fill_diagonal(together, True)
    height = squareform(np.where(known, highest, 0), checks=False)
    return PairStates(parted, together, measured, height, float(used), float(asked), beyond_noise)


def _step_down(known: Mask, draws: Array | None, scale: Array, excess: Array) -> Mask:
    """(n_pairs,) whose ``excess`` is larger than what ``draws`` of any pair are, in ``scale``."""
    ratios = None if draws is None else draws / scale
    rejected = ~known
    while not rejected.all():
        quantile = _quantile(ratios, rejected)
        more = ~rejected & (excess >= quantile * scale) & (excess > 0)
        if not more.any():
            break
        rejected |= more
    return rejected & known


def _quantile(ratios: Array | None, rejected: Mask) -> float:
    """Of the largest of the others; of independent normal ones where there are no draws."""
    if ratios is None:
        return float(norm.ppf(LEVEL ** (1 / (~rejected).sum())))
    return float(np.quantile(ratios[:, ~rejected].max(1), LEVEL))


def boundaries(gaps: Array, groups: Labels, noise: Noise | None, tolerance: float) -> Mask:
    """(n_groups, n_groups) between which the mean gap exceeds the tolerance, at 5% for all."""
    k = int(groups.max()) + 1
    shown = np.zeros((k, k), dtype=bool)
    if k == 1:
        return shown
    of_pairs = _blocks(groups)
    counts = np.bincount(of_pairs, minlength=k * k)
    across = np.flatnonzero(counts * (np.arange(k * k) // k != np.arange(k * k) % k))

    def means(values: Array) -> Array:
        sums = np.bincount(of_pairs, values, k * k)
        return np.asarray(sums[across] / counts[across])

    excess = means(squareform(gaps, checks=False)) - tolerance
    if noise is None:
        over = excess > 0
    else:
        draws, scale = None, means(noise.errors)
        if noise.resampled:
            draws = np.array([means(row) for row in noise.null])
            scale = np.sqrt((draws**2).mean(0))
        over = _step_down(
            np.ones(len(excess), dtype=bool), draws, np.maximum(scale, _LEAST * tolerance), excess
        )
    shown.flat[across] = over
    return shown | shown.T


def p_joined(gaps: Array, errors: Array, groups: Labels, tolerance: float) -> Array:
    """(n_models, n_models) how likely each gap is at most the tolerance, given those of its block.

    A block holds the pairs between two groups, or within one. Its true gaps are taken as
    log-normal, since none is below 0 and they differ by factors; their mean and variance by the
    method of moments (DerSimonian and Laird 1986), leaning on all blocks of the kind as if these
    were three pairs more.
    """
    k, of_pairs = int(groups.max()) + 1, _blocks(groups)
    flat, error = squareform(gaps, checks=False), squareform(errors, checks=False)
    within = (of_pairs // k == of_pairs % k).astype(int)
    pool_mean, pool_variance = (values[within] for values in _moments(flat, error**2, within, 2))
    n_pairs = np.bincount(of_pairs, minlength=k * k)[of_pairs]
    mean, variance = (values[of_pairs] for values in _moments(flat, error**2, of_pairs, k * k))
    mean = (n_pairs * mean + _POOL * pool_mean) / (n_pairs + _POOL)
    variance = ((n_pairs - 1) * variance + _POOL * pool_variance) / (n_pairs - 1 + _POOL)
    mean = np.maximum(mean, 1e-6 * tolerance)
    squared = np.log1p(variance / mean**2)
    center, spread = np.log(mean) - squared / 2, np.sqrt(squared)
    steps = np.linspace(-5.0, 5.0, 201)[:, None]
    likely = np.empty(len(flat))
    for some in np.array_split(np.arange(len(flat)), 1 + len(flat) // 10_000):
        true = np.exp(center[some] + spread[some] * steps)
        weights = softmax(-(steps**2 + ((flat[some] - true) / error[some]) ** 2) / 2, axis=0)
        likely[some] = (weights * (true <= tolerance)).sum(0)
    return np.asarray(squareform(likely, checks=False))


def _blocks(groups: Labels) -> Labels:
    """(n_pairs,) the number of the block of each pair, k x lower group + higher group."""
    first, second = np.triu_indices(len(groups), 1)
    one, other = groups[first], groups[second]
    k = int(groups.max()) + 1
    return np.asarray(k * np.minimum(one, other) + np.maximum(one, other))


def _moments(values: Array, variance: Array, of: Labels, n: int) -> tuple[Array, Array]:
    """Mean and variance of true values in each of n blocks."""
    weights = 1 / variance
    total, squares = np.bincount(of, weights, n), np.bincount(of, weights**2, n)
    total = np.where(total > 0, total, 1)
    mean = np.bincount(of, weights * values, n) / total
    about = np.bincount(of, weights * (values - mean[of]) ** 2, n)
    room = total - squares / total
    degrees = np.bincount(of, minlength=n) - 1
    excess = np.divide(about - degrees, room, out=np.zeros(n), where=(room > 0) & (degrees > 0))
    return mean, np.maximum(excess, 0)
