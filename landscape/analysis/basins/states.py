"""Which pairs of models have a barrier, and which have none: at 5% for all pairs together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import squareform
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
        highest: (n_models, n_models) nats, what each gap could be; with 5% risk for all together.
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
    gaps: Array, noise: Noise | None, tolerance: float, measured: Mask | None = None
) -> PairStates:
    """The states of all pairs.

    Apart: the gap less its margin exceeds the tolerance, the margin what noise alone exceeds for
    any pair in 5% of the draws. Joined: the corrected gap and so many standard errors are at most
    the tolerance. Both are stepped down (Romano and Wolf 2005, J. Am. Stat. Assoc. 100): what is
    decided does not widen the margins of the rest. Near-copies hardly have noise, and of what they
    have a few examples decide: a floor keeps them from setting the margin of all others.
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
    least = _LEAST * max(used, noise.error)
    null, above = None, None
    if noise.resampled:
        null, above = noise.null, noise.draws - noise.corrected
    scale = np.maximum(noise.scale if noise.resampled else noise.errors, least)
    apart, _ = _step_down(known, null, scale, flat - used)
    error = np.maximum(noise.errors, least)
    joined, quantile = _step_down(known, above, error, used - noise.corrected)
    highest = noise.corrected + quantile * error
    return _states(known, apart, joined & ~apart, highest, used, tolerance, True)


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


def _step_down(known: Mask, draws: Array | None, scale: Array, excess: Array) -> tuple[Mask, float]:
    """Of which pairs ``excess`` is larger than what ``draws`` of any pair, in units of ``scale``.

    Returns:
        (n_pairs,) bool, and the quantile at first, of all pairs.
    """
    ratios = None if draws is None else draws / scale
    rejected = ~known
    first = np.nan
    while not rejected.all():
        quantile = _quantile(ratios, rejected)
        first = quantile if np.isnan(first) else first
        more = ~rejected & (excess >= quantile * scale) & (excess > 0)
        if not more.any():
            break
        rejected |= more
    return rejected & known, float(first)


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
        over, _ = _step_down(
            np.ones(len(excess), dtype=bool), draws, np.maximum(scale, _LEAST * tolerance), excess
        )
    shown.flat[across] = over
    return shown | shown.T


def p_joined(gaps: Array, errors: Array, groups: Labels, tolerance: float) -> Array:
    """(n_models, n_models) how likely each gap is at most the tolerance, given those of its block.

    A block holds the pairs between two groups, or within one. Its true gaps are taken as normal
    about a mean of their own, their variance by the method of moments (DerSimonian and Laird 1986);
    both lean on all blocks of the kind as if these were three pairs more.
    """
    k, of_pairs = int(groups.max()) + 1, _blocks(groups)
    flat = squareform(gaps, checks=False)
    variance = squareform(errors, checks=False) ** 2
    within = of_pairs // k == of_pairs % k
    pool_mean, pool_variance = (
        values[within.astype(int)] for values in _moments(flat, variance, within.astype(int), 2)
    )
    n_pairs = np.bincount(of_pairs, minlength=k * k)[of_pairs]
    mean, between = (values[of_pairs] for values in _moments(flat, variance, of_pairs, k * k))
    mean = (n_pairs * mean + _POOL * pool_mean) / (n_pairs + _POOL)
    between = ((n_pairs - 1) * between + _POOL * pool_variance) / (n_pairs - 1 + _POOL)
    total = between + variance
    center = (between * flat + variance * mean) / total
    spread = np.sqrt(np.maximum(between * variance / total, 1e-30))
    return np.asarray(squareform(norm.cdf((tolerance - center) / spread), checks=False))


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
