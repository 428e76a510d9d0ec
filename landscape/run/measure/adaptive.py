"""Loss curves at no more points than their gap needs: adaptive positions, and a fast format first.

Every grid point of a curve is an interval of losses: of width 0 where it was evaluated exactly,
+-error where it was screened, and what smoothness leaves open where it was not evaluated. One loop
bounds the gap of every curve inside the intervals and evaluates the point that the bound hangs on.

What smoothness leaves open is learnt from six pilot pairs: a spike that none of them has can be
missed, and a tolerance of 0 says that the gap is known on this grid, not between its points.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landscape.analysis.barriers import RULES

Array = NDArray[np.float64]
Measure = Callable[[Sequence[int], bool], Array]

# Chosen on the 222 pairs of the four stores under figures/, where these miss no gap, whether the
# pilot crosses barriers or not; factors of 1 or 2.5, or a pilot of four, miss up to 1 % of them.
PILOT_PAIRS = 6
_OVER_PILOT = 1.5
# Known points that are far apart average out the bends between them: what they show counts more.
_OVER_SEEN = 3.0
# Where pairs differ in what their gap hangs on, screening first costs less.
_AGREED = 0.75
_NEGLIGIBLE = 1e-4  # nats; keeps the logarithm of a loss of 0 finite


@dataclass(frozen=True)
class Smoothness:
    """How much a loss curve may bend: the logarithm of the loss, less the shape that pairs share.

    Attributes:
        shape: (n_points,) mean over the pilot curves of the logarithm of their losses.
        curvature: The largest second derivative, in size, of a pilot curve's departure from
            ``shape``; log nats per squared unit of the positions.
        deciding: Ascending indices of the inner points that the gaps of three in four pilot
            curves hang on; another curve is evaluated there first, exactly.
    """

    positions: Array
    shape: Array
    curvature: float
    deciding: tuple[int, ...] = ()


@dataclass(frozen=True)
class Refined:
    """What was evaluated of one curve in each format, (n_points,) nats, NaN where it was not.

    The gap on the whole grid lies between the gap on the exact points and ``tolerance`` more; it is
    NaN where an exact loss is not finite, so that there is no gap.
    """

    exact: Array
    screened: Array
    tolerance: float


def learn_smoothness(values: Array, t: Array, rule: str) -> Smoothness:
    """The shape that pairs share and how far they bend away from it, from complete curves.

    A curve that bends more than these ever do, as at a spike, may be missed where points are left
    out: nothing in them warns of it.

    ``values`` are (n_curves, n_points) finite losses in nats at the positions ``t`` (n_points,) of
    some pairs; the gap's rule is one that grows.
    """
    logs = np.log(values + _NEGLIGIBLE)
    shape = logs.mean(0)
    bends = np.abs(_second_derivative(t, logs - shape, logs - shape))
    # a curve is nearer to a mean that it is part of than to one that it is not
    curvature = bends.max(initial=0.0) * len(values) / (len(values) - 1)
    hang_on = Counter(point for curve in values for point in highest(curve, curve, t, rule)[1])
    inner = [point for point in range(1, len(t) - 1) if hang_on[point] >= _AGREED * len(values)]
    return Smoothness(t, shape, float(curvature), tuple(inner))


def bounds(y: Array, error: Array, smoothness: Smoothness | None) -> tuple[Array, Array]:
    """The losses that a curve can have at every point.

    Between two known points the log loss, less the pilot's shape, stays within B (t - l)(r - t) / 2
    of the line between them, where B is 1.5 times the pilot's largest second derivative or, where
    that is more, three times the largest that the curve's own known points show beyond doubt.

    ``y`` (n_points,) is not finite where a loss is not known; the ends are. A known one may be off
    by ``error`` (n_points,). Without ``smoothness`` an unknown loss is anything from 0 up. All in
    nats.
    """
    evaluated = np.flatnonzero(np.isfinite(y))
    low, high = np.zeros(len(y)), np.full(len(y), np.inf)
    if smoothness is not None:
        low, high = _between(y[evaluated], error[evaluated], evaluated, smoothness)
    # an exact value stays as it is, to the last bit
    low[evaluated] = np.where(
        error[evaluated] > 0, np.maximum(y[evaluated] - error[evaluated], 0.0), y[evaluated]
    )
    high[evaluated] = y[evaluated] + error[evaluated]
    return low, high


def _between(
    y: Array, error: Array, known: NDArray[np.intp], by: Smoothness
) -> tuple[Array, Array]:
    """Bounds (n_points,) from the known points alone."""
    t, at = by.positions, by.positions[known]
    least = np.log(np.maximum(y - error, 0.0) + _NEGLIGIBLE) - by.shape[known]
    most = np.log(np.maximum(y + error, 0.0) + _NEGLIGIBLE) - by.shape[known]
    # the smallest bends that the errors allow: noise is not curvature
    valley = _second_derivative(at, least, most)
    hill = -_second_derivative(at, most, least)
    seen = max(valley.max(initial=0.0), hill.max(initial=0.0))
    bend = max(_OVER_PILOT * by.curvature, _OVER_SEEN * seen)
    segment = np.clip(np.searchsorted(at, t, side="right"), 1, len(at) - 1)
    room = bend * (t - at[segment - 1]) * (at[segment] - t) / 2
    with np.errstate(over="ignore"):
        low = np.exp(by.shape + np.interp(t, at, least) - room) - _NEGLIGIBLE
        high = np.exp(by.shape + np.interp(t, at, most) + room) - _NEGLIGIBLE
    return np.maximum(low, 0.0), np.maximum(high, 0.0)


def _second_derivative(t: Array, outer: Array, middle: Array) -> Array:
    """(..., n_points - 2) twice the second divided differences; the middle has its own values."""
    left = (middle[..., 1:-1] - outer[..., :-2]) / (t[1:-1] - t[:-2])
    right = (outer[..., 2:] - middle[..., 1:-1]) / (t[2:] - t[1:-1])
    return 2 * (right - left) / (t[2:] - t[:-2])


def highest(low: Array, high: Array, positions: Array, rule: str) -> tuple[float, tuple[int, ...]]:
    """The largest gap of any curve between two, and the points that decide it (a rule's bound)."""
    bound = RULES[rule].bound
    assert bound is not None  # the configuration is refused otherwise
    return bound(low, high, positions)


def refine(
    measure: Measure,
    ends: Array,
    t: Array,
    *,
    rule: str,
    tolerance: float,
    smoothness: Smoothness | None,
    error: float | None,
) -> Refined:
    """Evaluate a curve until its gap on the whole grid is known to within a tolerance.

    ``measure`` goes from the indices of points and whether exactly, to their mean losses (nats): no
    point is asked for twice in one format, and the ends never. ``ends`` (2,) are exact, ``t``
    (n_points,) ascending positions, ``tolerance`` by how much the gap on the exact points may fall
    short, ``error`` what a screened mean loss may be off by; None evaluates exactly only. Without
    ``smoothness`` every point is evaluated in some format.
    """
    exact, screened = np.full(len(t), np.nan), np.full(len(t), np.nan)
    exact[[0, -1]] = ends
    is_exact, is_screened = np.isin(np.arange(len(t)), (0, len(t) - 1)), np.zeros(len(t), bool)
    # a gap most likely hangs on these: no need to screen them
    points, precise = list(smoothness.deciding) if smoothness is not None else [], True
    if not points:
        steps = len(t) - 1 if smoothness is None else 4
        coarse = np.linspace(0, len(t) - 1, steps + 1).round().astype(int)
        points, precise = np.unique(coarse)[1:-1].tolist(), error is None
    while True:
        if points and np.isfinite(exact[is_exact]).all():
            target, done = (exact, is_exact) if precise else (screened, is_screened)
            target[points] = measure(points, precise)
            done[points] = True
        if not np.isfinite(exact[is_exact]).all():
            return Refined(exact, screened, np.nan)
        if is_exact.all():
            return Refined(exact, screened, 0.0)
        values = np.where(is_exact, exact, screened)  # an overflow of the fast format: unknown
        low, high = bounds(values, np.where(is_exact, 0.0, error or 0.0), smoothness)
        upper, deciding = highest(low, high, t, rule)
        reached = max(0.0, upper - RULES[rule](exact[is_exact], t[is_exact]))
        undecided = [point for point in deciding if not is_exact[point]]
        if reached <= tolerance or not undecided:
            return Refined(exact, screened, reached)
        widest = max(undecided, key=lambda point: high[point] - low[point])
        # the points of a gap that has been screened are all needed exactly: one call
        again = [point for point in undecided if is_screened[point]]
        points = again if is_screened[widest] else [widest]
        precise = error is None or bool(is_screened[points].all())
