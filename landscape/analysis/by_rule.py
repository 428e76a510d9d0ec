"""The gaps of a population by several rules of a barrier, beside one another.

How many pairs have a barrier depends on what it is measured over: the convexity gap is the largest
rise above any chord, the barrier height that above the line between the ends, the max-endpoint
barrier that above the higher end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from scipy.stats import norm

from landscape.analysis.barriers import GapIntervals, bootstrap_gaps
from landscape.analysis.basins.noise import make_noise
from landscape.analysis.basins.states import LEVEL, PairStates, pair_states
from landscape.analysis.judgements import as_matrices, intervals_of, noise_of
from landscape.core.arrays import Array
from landscape.records import Results

SIDE_BY_SIDE = ("convexity_gap", "barrier_height", "max_endpoint_barrier")
POWER = 0.8
_LEAST = 0.1  # of tolerance or noise, as in ``pair_states``


@dataclass(frozen=True)
class RuleGaps:
    """What one rule says of all measured pairs.

    Attributes:
        rule: Its name.
        gaps: (n_pairs,) nats, in the order of ``Results.pairs``, NaN without finite losses.
        n_apart: Pairs above the tolerance, at 5% for all together where noise is known.
        tolerance: Nats, the same for all rules: as ``pair_states`` uses it for the first.
        beyond_noise: Whether noise is known.
        seen: Nats, the gap of one barrier alone that would be shown in 80% of samples of as many
            examples: the tolerance, the margin for all pairs together, and .84 standard errors,
            of a barrier that all examples carry alike on a pair of median noise. NaN where noise
            is not known.
    """

    rule: str
    gaps: Array = field(repr=False)
    n_apart: int
    tolerance: float
    beyond_noise: bool
    seen: float

    @property
    def name(self) -> str:
        """The rule in words."""
        return self.rule.replace("_", " ")

    @property
    def n_pairs(self) -> int:
        """Pairs with finite losses."""
        return int(np.isfinite(self.gaps).sum())

    @property
    def median(self) -> float:
        """Nats."""
        return float(np.nanmedian(self.gaps))

    @property
    def largest(self) -> float:
        """Nats."""
        return float(np.nanmax(self.gaps))


def gaps_by_rule(
    results: Results,
    dataset: str,
    rule: str = "convexity_gap",
    *,
    tolerance: float = 0.02,
    states: PairStates | None = None,
    n_resamples: int = 400,
    seed: int = 0,
) -> tuple[RuleGaps, ...]:
    """A rule's gaps, then those of the others in ``SIDE_BY_SIDE``, each of the exact points.

    All rules see the same resamples of the examples.

    Args:
        results: A store; there is nothing to say of one without a pair of finite losses.
        dataset: The data set that makes the gaps.
        rule: The first.
        tolerance: Nats below which a gap is no barrier.
        states: Those of the first rule, where they are known; else formed here.
        n_resamples: Of the examples.
        seed: Of the resampling.
    """
    n, by_rule = len(results.models), list[RuleGaps]()
    for name in (rule,) if results.given_gaps is not None else dict.fromkeys((rule, *SIDE_BY_SIDE)):
        rng = np.random.default_rng(seed)
        intervals = intervals_of(results, dataset, name, n_resamples, rng, "percentile")
        gaps = np.maximum(intervals.estimate, 0)
        if not np.isfinite(gaps).any():
            return ()
        matrices = as_matrices(intervals, results.pairs, n)
        measured = np.isfinite(matrices.estimate) & ~np.eye(n, dtype=bool)
        heights = np.where(measured, np.maximum(matrices.estimate, 0), 0)
        noise = make_noise(heights, **noise_of(results, matrices, intervals, heights), rng=rng)
        if not by_rule:
            states = states or pair_states(heights, noise, tolerance, measured)
            shown, used = states, states.tolerance
        else:  # without errors, which only joined pairs need, the tolerance is not raised again
            quiet = noise and replace(noise, errors=0 * noise.errors)
            shown = pair_states(heights, quiet, used, measured)
        n_apart = int(shown.apart[tuple(results.pairs.T)].sum())
        seen = np.nan
        if intervals.null is not None:
            seen = _seen(intervals, used, partial(_planted, results, dataset, name, seed))
        by_rule.append(RuleGaps(name, gaps, n_apart, used, noise is not None, seen))
    return tuple(by_rule)


def _planted(
    results: Results, dataset: str, rule: str, seed: int, height: float, n_resamples: int
) -> GapIntervals:
    """Of all pairs, had each a barrier of so many nats more that all examples carry alike."""
    t = results.positions
    bump = (height * 4 * t * (1 - t)).astype(np.float32)
    return bootstrap_gaps(
        results.datasets[dataset].losses + bump[:, None],
        rule,
        t,
        points=results.exact,
        n_resamples=n_resamples,
        method="percentile",  # the ends are not used
        keep_draws=True,
        rng=seed,
    )


def _seen(
    intervals: GapIntervals, tolerance: float, planted: Callable[[float, int], GapIntervals]
) -> float:
    """Nats, as ``RuleGaps.seen`` says: noise is larger where there is a barrier."""
    null, scale, _ = _noise(intervals, tolerance)
    quantile, power = np.quantile((null / scale).max(1), LEVEL), norm.ppf(POWER)
    first = tolerance + (quantile + power) * float(np.median(scale))
    _, scale, error = _noise(planted(first, intervals.n_resamples), tolerance)
    return float(tolerance + quantile * np.median(scale) + power * error)


def _noise(intervals: GapIntervals, tolerance: float) -> tuple[Array, Array, float]:
    """Gaps that noise alone gives, (n_draws, n_measured), their sizes, the median error; nats."""
    assert intervals.null is not None  # was asked for
    measured = np.isfinite(intervals.estimate)
    null = np.maximum(intervals.null[:, measured], 0).astype(np.float64)
    error = float(np.median(intervals.standard_error[measured]))
    scale = np.maximum(np.sqrt((null**2).mean(0)), _LEAST * max(tolerance, error))
    return null, scale, error
