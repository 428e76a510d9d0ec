"""Triples of models: is having no barrier transitive, and are the gaps a metric?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landscape.analysis.basins.checks import check_square
from landscape.analysis.basins.structure.checks import around, check_gaps, check_numbers
from landscape.core.errors import ConfigError

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

_TRIPLES_AT_ONCE = 1 << 19  # a handful of arrays of 4 MB
_ROUNDING = 1e-9  # nats by which three means may break an equality
_JOINED, _APART = 1, 4  # states of a pair that add up to 6 in one way only: joined twice, one apart


@dataclass(frozen=True)
class Triple:
    """Three models, the two with the largest gap first and last.

    Attributes:
        models: First, middle, last.
        near: Nats, the gaps first to middle and middle to last.
        far: Nats, the gap first to last.
        certain: It is intransitive beyond the intervals.
    """

    models: tuple[int, int, int]
    near: tuple[float, float]
    far: float
    certain: bool


@dataclass(frozen=True)
class Triangles:
    """What the triples of models say, of those whose three gaps are measured.

    Attributes:
        n_models: How many models.
        n_triples: How many triples; comb(n_models, 3) when no gap is missing.
        tolerance: Nats up to which two models join.
        with_intervals: Whether intervals or standard errors were given.
        n_intransitive: Open triples: two pairs join, the third does not.
        n_certain: Of these, the ones whose joins end at the tolerance or below and whose barrier
            starts above it; all of them where gaps were taken as exact.
        n_closed: Triples of which all three pairs join.
        transitivity: 3 closed / (3 closed + open) in [0, 1] (Newman 2003, cond-mat/0303516, eq.
            3); NaN where no model joins two others.
        n_violations: Triples that break the triangle inequality.
        mean_violation: Nats, their mean metric excess; NaN without any.
        largest_violation: Nats; NaN without any.
        metric_excess: (n_kept,) nats, largest gap minus the sum of the other two; above 0 breaks
            the triangle inequality.
        ultrametric_excess: (n_kept,) nats, largest gap minus the second largest; 0 throughout in an
            ultrametric, in which any tolerance is transitive.
        worst: The intransitive triples with the highest barriers, certain ones first.
        violations: The triples with the largest metric excess.
    """

    n_models: int
    n_triples: int
    tolerance: float
    with_intervals: bool
    n_intransitive: int
    n_certain: int
    n_closed: int
    transitivity: float
    n_violations: int
    mean_violation: float
    largest_violation: float
    metric_excess: Array
    ultrametric_excess: Array
    worst: tuple[Triple, ...]
    violations: tuple[Triple, ...]


def count_triangles(
    gaps: ArrayLike,
    *,
    noise: ArrayLike | None = None,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    tolerance: float = 0.02,
    n_worst: int = 5,
    most_kept: int = 100_000,
    rng: np.random.Generator | int | None = None,
) -> Triangles:
    """Count the triples that no partition can describe, and those that no metric can.

    Only triples of three different models count, each once, and only measured ones. Three gaps can
    break the triangle inequality only by their largest, so a triple counts once there as well.

    Args:
        gaps: (n_models, n_models) nats, symmetric, zero diagonal, NaN where not measured.
        noise: (n_models, n_models) standard errors in nats; intervals are two of them either way.
        low: (n_models, n_models) nats, the intervals' lower ends, instead of ``noise``.
        high: (n_models, n_models) nats, the upper ends. An interval that leaves its gap out (a
            percentile interval may) is widened to hold it; one that is NaN makes nothing certain.
        tolerance: Nats below which a gap is no barrier.
        n_worst: How many triples to list of either kind.
        most_kept: Above so many triples the two arrays of excesses are a random sample of this
            size; counts, means and maxima are always of all triples. 85 models have 98,770.
        rng: A generator or a seed, for that sample; seed 0 when absent.

    Raises:
        ConfigError: No such matrices, or a number out of range.
    """
    matrix = check_gaps(gaps)
    check_numbers(tolerance, n_worst, most_kept)
    states = _states(matrix, noise, low, high, tolerance)
    n = len(matrix)
    known = ~np.isnan(matrix) & ~np.eye(n, dtype=bool)
    total = round(around(known.astype(np.float64)).sum() / 6)
    kept = np.arange(min(total, most_kept))
    if total > most_kept:
        generator = np.random.default_rng(0 if rng is None else rng)
        kept = np.sort(generator.choice(total, most_kept, replace=False, shuffle=False))
    excesses = np.empty((2, len(kept)))
    first, second = np.triu_indices(n, 1)
    pairs = matrix[first, second]
    offsets = np.concatenate([[0], np.cumsum(np.arange(n - 1, -1, -1))])  # where row i starts
    n_open = n_certain = n_closed = n_violations = seen = 0
    violation = 0.0
    largest = np.nan
    rank_up = np.nanmax(pairs, initial=0.0) + 1.0  # puts the certain ones first
    worst = violations = (np.empty(0), np.empty((0, 3), dtype=np.intp))
    for i in range(n - 2):
        # all pairs (j, k) with i < j < k stand in one piece behind row i's own
        for start in range(offsets[i + 1], len(pairs), _TRIPLES_AT_ONCE):
            piece = slice(start, start + _TRIPLES_AT_ONCE)
            j, k, opposite = first[piece], second[piece], pairs[piece]
            to_j, to_k = matrix[i, j], matrix[i, k]
            lower, upper = np.minimum(to_j, to_k), np.maximum(to_j, to_k)
            longest = np.maximum(upper, opposite)
            if not (good := ~np.isnan(longest)).all():
                j, k, opposite = j[good], k[good], opposite[good]
                lower, upper, longest = lower[good], upper[good], longest[good]
            middle = np.maximum(lower, np.minimum(upper, opposite))
            ultrametric = longest - middle
            metric = ultrametric - np.minimum(lower, opposite)
            is_open = (middle <= tolerance) & (longest > tolerance)
            certain = states[i, j] + states[i, k] + states[j, k] == 2 * _JOINED + _APART
            broken = metric > _ROUNDING
            n_open += int(is_open.sum())
            n_certain += int(certain.sum())
            n_closed += int((longest <= tolerance).sum())
            if n_here := int(broken.sum()):
                n_violations += n_here
                violation += float(metric[broken].sum())
                largest = np.fmax(largest, metric.max())
            ends = np.searchsorted(kept, [seen, seen + len(j)])
            chosen = kept[slice(*ends)] - seen
            excesses[:, slice(*ends)] = metric[chosen], ultrametric[chosen]
            seen += len(j)
            keys = longest + rank_up * certain
            worst = _largest(worst, keys, is_open, (i, j, k), n_worst)
            violations = _largest(violations, metric, broken, (i, j, k), n_worst)
    connected = 3 * n_closed + n_open
    return Triangles(
        n_models=n,
        n_triples=total,
        tolerance=float(tolerance),
        with_intervals=noise is not None or low is not None,
        n_intransitive=n_open,
        n_certain=n_certain,
        n_closed=n_closed,
        transitivity=3 * n_closed / connected if connected else np.nan,
        n_violations=n_violations,
        mean_violation=violation / n_violations if n_violations else np.nan,
        largest_violation=float(largest),
        metric_excess=excesses[0],
        ultrametric_excess=excesses[1],
        worst=tuple(_triple(matrix, states, models) for models in worst[1]),
        violations=tuple(_triple(matrix, states, models) for models in violations[1]),
    )


def structure_sentence(triangles: Triangles, models: Sequence[str] | None = None) -> str:
    """One sentence: do blocks describe who joins whom, and if not, which three models say so.

    Args:
        triangles: From ``count_triangles``.
        models: Their names; ``model 0`` and so on when absent.

    Raises:
        ConfigError: Not a name for every model.
    """
    n, total = triangles.n_models, triangles.n_triples
    if models is not None and len(models) != n:
        raise ConfigError(
            "The names do not match the models.", expected=f"{n} names", found=len(models)
        )
    limit = f"{_short(triangles.tolerance)} nats"
    if not total:
        return "Nothing can be intransitive: no three models have all three gaps measured."
    triples = "triple" if total == 1 else "triples"
    of = f"of {total} {'' if total == comb(n, 3) else 'measured '}{triples}"
    if not triangles.n_intransitive:
        if not triangles.n_closed:
            return (
                f"None {of} is intransitive, and none could be: no model joins two others within "
                f"{limit}."
            )
        return (
            f"None {of} is intransitive: wherever a model joins two others within {limit}, these "
            "two join as well."
        )
    worst = triangles.worst[0]
    a, b, c = (f"model {m}" if models is None else models[m] for m in worst.models)
    count = f"{triangles.n_intransitive} {of} {_is(triangles.n_intransitive)} intransitive"
    if triangles.with_intervals:
        certain = triangles.n_certain
        count += f" ({certain if certain else 'none'} of them beyond noise)"
    what = "no barrier" if triangles.tolerance == 0 else f"no barrier above {limit}"
    verdict = "no partition into blocks says that"
    if triangles.with_intervals and not triangles.n_certain:
        verdict = "if that is more than noise, no partition into blocks says it"
    return (
        f"{count}: there is {what} between {a} and {b} ({_short(worst.near[0])}) nor between {b} "
        f"and {c} ({_short(worst.near[1])}), but one of {_short(worst.far)} nats between {a} and "
        f"{c}; {verdict}."
    )


def _states(
    gaps: Array,
    noise: ArrayLike | None,
    low: ArrayLike | None,
    high: ArrayLike | None,
    tolerance: float,
) -> NDArray[np.int8]:
    """(n, n): joined for certain, apart for certain, or 0."""
    if (low is None) != (high is None) or (noise is not None and low is not None):
        raise ConfigError(
            "The intervals of the gaps are not clear.", expected="noise, or both low and high"
        )
    lower = upper = gaps
    if noise is not None:
        errors = check_square(noise, "noise", gaps.shape)
        if (errors < 0).any():
            raise ConfigError("Standard errors must be 0 or more.", where="noise")
        lower, upper = gaps - 2 * errors, gaps + 2 * errors
    elif low is not None and high is not None:
        lower, upper = (
            check_square(low, "low", gaps.shape),
            check_square(high, "high", gaps.shape),
        )
        if (lower > upper).any():
            raise ConfigError(
                "An interval's lower end lies above its upper end.", where="low, high"
            )
        lower, upper = np.minimum(lower, gaps), np.maximum(upper, gaps)
    states = np.zeros(gaps.shape, dtype=np.int8)
    states[upper <= tolerance] = _JOINED
    states[lower > tolerance] = _APART
    return states


def _largest(
    kept: tuple[Array, Indices], keys: Array, mask: Any, models: tuple[Any, ...], n: int
) -> tuple[Array, Indices]:
    """Add the models of a piece to the ``n`` with the largest keys; of equals, the first stay."""
    lowest = kept[0][-1] if len(kept[0]) == n > 0 else -np.inf
    new = np.flatnonzero(mask & (keys > lowest)) if n else np.empty(0, dtype=np.intp)
    if not len(new):
        return kept
    triples = np.stack([np.broadcast_to(m, keys.shape)[new] for m in models], axis=1)
    everything = np.concatenate([kept[0], keys[new]])
    best = np.argsort(-everything, kind="stable")[:n]
    return everything[best], np.concatenate([kept[1], triples])[best]


def _triple(gaps: Array, states: NDArray[np.int8], models: Indices) -> Triple:
    i, j, k = (int(model) for model in models)
    a, b, c = max(((i, j, k), (i, k, j), (j, i, k)), key=lambda way: gaps[way[0], way[2]])
    certain = states[i, j] + states[i, k] + states[j, k] == 2 * _JOINED + _APART
    near = (float(gaps[a, b]), float(gaps[b, c]))
    return Triple((a, b, c), near, float(gaps[a, c]), bool(certain))


def _is(n: int) -> str:
    return "is" if n == 1 else "are"


def _short(value: float) -> str:
    """Two digits, without a leading zero: .32, 1.9, .004."""
    text = f"{value:.2f}" if abs(value) >= 0.01 or value == 0 else f"{value:.1g}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and value != 0 else text
