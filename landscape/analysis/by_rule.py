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
from numpy.typing import NDArray
from scipy.spatial.distance import squareform
from scipy.stats import norm

from landscape.analysis.barriers import bootstrap_gaps
from landscape.analysis.basins.noise import Noise
from landscape.analysis.basins.states import LEVEL, PairStates, pair_states
from landscape.analysis.gaps import gap_matrix
from landscape.core.arrays import Array, Indices, Mask
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
    data, n = results.datasets[dataset], len(results.models)
    only_gaps = results.given_gaps is not None
    curves = np.array([pair.mean(-1, dtype=np.float64) for pair in data.losses])
    place = np.asarray(squareform(np.arange(n * (n - 1) // 2)), dtype=np.intp)
    by_rule: list[RuleGaps] = []
    for name in (rule,) if only_gaps else dict.fromkeys((rule, *SIDE_BY_SIDE)):
        every = np.maximum(gap_matrix(results, curves, name)[tuple(results.pairs.T)], 0)
        measured = np.isfinite(every)
        if not measured.any():
            return ()
        pairs, gaps = place[tuple(results.pairs[measured].T)], every[measured]
        resample, noise = None, None
        if not (only_gaps or data.aggregated):
            resample = partial(
                _resample,
                data.losses[measured],
                results.positions,
                results.exact[measured],
                rule=name,
                n_resamples=n_resamples,
                seed=seed,
            )
            noise = resample()
        if not by_rule:
            states = states or _states(gaps, noise, pairs, n, tolerance)
            shown, used = states, states.tolerance
        else:  # errors are what raises the tolerance and what joined pairs need
            quiet = None if noise is None else replace(noise, errors=0 * gaps)
            shown = _states(gaps, quiet, pairs, n, used)
        n_apart = int(squareform(shown.apart, checks=False)[pairs].sum())
        seen = _seen(noise, resample, used) if noise and resample else np.nan
        by_rule.append(RuleGaps(name, every, n_apart, used, shown.beyond_noise, seen))
    return tuple(by_rule)


@dataclass(frozen=True)
class _Noise:
    """Gaps that noise alone gives, (n_draws, n_pairs) nats, and standard errors (n_pairs,)."""

    null: Array
    errors: Array

    def scale(self, tolerance: float) -> Array:
        """(n_pairs,) nats, the size of what noise alone gives."""
        least = _LEAST * max(tolerance, float(np.median(self.errors)))
        return np.maximum(np.sqrt((self.null**2).mean(0)), least)


def _resample(
    losses: NDArray[np.float32],
    positions: Array,
    points: Mask,
    *,
    rule: str,
    n_resamples: int,
    seed: int,
    more: float = 0.0,
) -> _Noise:
    """What resampling says of gaps, had each pair a barrier of so many nats ``more``."""
    bump = (more * 4 * positions * (1 - positions)).astype(np.float32)
    sampled = bootstrap_gaps(
        losses + bump[:, None] if more else losses,
        rule,
        positions,
        points=points,
        n_resamples=n_resamples,
        method="percentile",  # the ends are not used
        keep_draws=True,
        rng=seed,
    )
    assert sampled.null is not None  # was asked for
    return _Noise(np.maximum(sampled.null, 0).astype(np.float64), sampled.standard_error)


def _states(
    gaps: Array, noise: _Noise | None, pairs: Indices, n: int, tolerance: float
) -> PairStates:
    """Of the pairs with these places in a condensed matrix; of others nothing is known."""
    flat, known = np.zeros((2, n * (n - 1) // 2))
    flat[pairs], known[pairs] = gaps, 1
    of_all = None
    if noise is not None:
        null = np.zeros((len(noise.null), len(flat)))
        errors = np.full(len(flat), np.median(noise.errors))  # so that the median stays
        null[:, pairs], errors[pairs] = noise.null, noise.errors
        of_all = Noise(draws=null, null=null, errors=errors, corrected=flat, resampled=True)
    matrix, measured = (np.asarray(squareform(a, checks=False)) for a in (flat, known))
    return pair_states(matrix, of_all, tolerance, measured > 0)


def _seen(noise: _Noise, resample: Callable[..., _Noise], tolerance: float) -> float:
    """Nats, as ``RuleGaps.seen`` says.

    Noise is larger where there is a barrier: it is that of the pairs, had each one.
    """
    scale, power = noise.scale(tolerance), norm.ppf(POWER)
    quantile = np.quantile((noise.null / scale).max(1), LEVEL)
    barrier = resample(more=tolerance + (quantile + power) * float(np.median(scale)))
    margin = quantile * np.median(barrier.scale(tolerance))
    return float(tolerance + margin + power * np.median(barrier.errors))
