"""The barrier rules. A further one is one more entry, here or in any module that is imported."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from landscape.analysis.barriers.rule import Bound, barrier_rule
from landscape.core.arrays import Array, Indices

_JUNEJA = ("Juneja et al. 2023", "2205.12411")


def rises_over(base: Callable[[Array, Array, Array], Array], *, anywhere: bool) -> Bound:
    """The bound of a rule that is the largest L_k less a base of L_i and L_j, i < k < j."""

    def bound(least: Array, most: Array, t: Array) -> tuple[float, tuple[int, ...]]:
        i, k, j = points = _triples(len(t), anywhere)
        height = most[k] - base(least[i], least[j], (t[k] - t[i]) / (t[j] - t[i]))
        if not (height.size and height.max() > 0):
            return 0.0, ()
        return float(height.max()), tuple(points[:, height.argmax()].tolist())

    return bound


@lru_cache(maxsize=8)
def _triples(n_points: int, anywhere: bool) -> Indices:
    """(3, n_triples) ascending points: all, or those that begin and end with the ends."""
    if anywhere:
        return np.array(list(combinations(range(n_points), 3)), np.intp).reshape(-1, 3).T
    inner = np.arange(1, n_points - 1)
    return np.stack([np.zeros_like(inner), inner, np.full_like(inner, n_points - 1)])


def _chord(low: Array, high: Array, share: Array) -> Array:
    return low + share * (high - low)


def _rise(y: Array, t: Array, i: int, j: int) -> Any:
    """Height of the points between i and j over the line through y_i and y_j."""
    share = ((t[i + 1 : j] - t[i]) / (t[j] - t[i]))[:, None]
    return y[i + 1 : j] - _chord(y[i], y[j], share)


def _under_every_chord(y: Array, t: Array) -> Array:
    lowest = y.copy()
    for i in range(len(t) - 2):
        for j in range(i + 2, len(t)):
            share = ((t[i + 1 : j] - t[i]) / (t[j] - t[i]))[:, None]
            np.minimum(lowest[i + 1 : j], _chord(y[i], y[j], share), out=lowest[i + 1 : j])
    return lowest


def _lower_hull(y: Array, t: Array) -> list[int]:
    """Indices of the lower convex hull's corners, from left to right (Andrew 1979)."""
    hull: list[int] = []
    for k in range(len(t)):
        while len(hull) > 1:
            i, middle = hull[-2:]
            height = (y[middle] - y[i]) * (t[k] - t[i])
            if height < (y[k] - y[i]) * (t[middle] - t[i]):
                break
            hull.pop()
        hull.append(k)
    return hull


@barrier_rule(
    sources=(_JUNEJA,),
    flat=_under_every_chord,
    bound=rises_over(_chord, anywhere=True),
    corners=_lower_hull,
    is_zero_without=True,
)
def convexity_gap(y: Array, t: Array) -> Array:
    """The largest barrier height over every sub-segment of the line.

    It says how far the loss curve rises above its own convex envelope: at least the barrier
    height, and 0 for a convex curve.
    """
    gap = np.zeros(y.shape[1])
    for i in range(len(t) - 2):
        for j in range(i + 2, len(t)):
            np.maximum(gap, _rise(y, t, i, j).max(0), out=gap)
    return gap


def _under_the_chord(y: Array, t: Array) -> Array:
    share = ((t - t[0]) / (t[-1] - t[0]))[:, None]
    lowest = np.minimum(y, _chord(y[0], y[-1], share))
    lowest[[0, -1]] = y[[0, -1]]
    return lowest


@barrier_rule(
    sources=(("Entezari et al. 2022", "2110.06296"), _JUNEJA),
    flat=_under_the_chord,
    bound=rises_over(_chord, anywhere=False),
    corners=lambda y, t: [0, len(t) - 1],
    is_zero_without=True,
)
def barrier_height(y: Array, t: Array) -> Any:
    """The largest rise of the loss curve over the straight line between its two ends.

    It is 0 where the curve stays below.
    """
    return _rise(y, t, 0, len(t) - 1).max(0, initial=0.0)


@barrier_rule(
    flat=lambda y, t: np.minimum(y, np.maximum(y[0], y[-1])),
    bound=rises_over(lambda low, high, share: np.maximum(low, high), anywhere=False),
    is_zero_without=True,
)
def max_endpoint_barrier(y: Array, t: Array) -> Any:
    """The curve's maximum less the higher loss of its two ends."""
    return y.max(0) - np.maximum(y[0], y[-1])


def _valley(y: Array, t: Array) -> Any:
    """The greatest curves below (n_points, n_curves) that fall and then rise."""
    before = np.minimum.accumulate(y, axis=0)
    after = np.minimum.accumulate(y[::-1], axis=0)[::-1]
    return np.maximum(before, after)


@barrier_rule(
    # the two-sided form of the rise that breaks monotonicity there
    sources=(("Lucas et al. 2021", "2104.11044"),),
    flat=_valley,
    bound=rises_over(lambda low, high, share: np.maximum(low, high), anywhere=True),
    is_zero_without=True,
)
def bump_height(y: Array, t: Array) -> Any:
    """The largest rise of the curve over the lowest losses on both sides of it."""
    return (y - _valley(y, t)).max(0)


@barrier_rule(
    sources=(("Yang et al. 2021", "2107.11228"),),
    least=-math.inf,
    is_zero_without=True,
)
def signed_deviation(y: Array, t: Array) -> Any:
    """The largest deviation of the curve from the mean loss of its two ends, with its sign.

    It is positive for a barrier, negative for a valley.
    """
    # minus their mode connectivity; where a rise and a fall are equally large, the rise counts
    middle = (y[0] + y[-1]) / 2
    up, down = y.max(0) - middle, y.min(0) - middle
    # the ends deviate by the same amount up and down; rounding must not choose between them
    slack = 1e-12 * np.abs(y).max(0)
    return np.where(up >= -down - slack, up, down)


def _under_the_mean_end(y: Array, t: Array) -> Array:
    middle = (y[0] + y[-1]) / 2
    lowest = np.minimum(y, middle)
    lowest[[0, -1]] = middle
    return lowest


def _bound_over_the_mean_end(least: Array, most: Array, t: Array) -> tuple[float, tuple[int, ...]]:
    inner = rises_over(lambda low, high, share: (low + high) / 2, anywhere=False)(least, most, t)
    tilt = max(most[0] - least[-1], most[-1] - least[0]) / 2  # an end can be the maximum
    return (float(tilt), (0, len(t) - 1)) if tilt > inner[0] else inner


@barrier_rule(
    sources=(("Frankle et al. 2020", "1912.05671"),),
    flat=_under_the_mean_end,
    bound=_bound_over_the_mean_end,
)
def mean_endpoint_barrier(y: Array, t: Array) -> Any:
    """The curve's maximum less the mean loss of its two ends."""
    return y.max(0) - (y[0] + y[-1]) / 2


@barrier_rule(
    sources=(("Draxler et al. 2018", "1803.00885"),),
    bound=lambda least, most, t: (float(most.max()), (int(most.argmax()),)),
    least=-math.inf,
)
def saddle(y: Array, t: Array) -> Any:
    """The largest loss along the curve."""
    return y.max(0)


@barrier_rule()
def area_above_minimum(y: Array, t: Array) -> Any:
    """The area between the curve and its minimum."""
    return np.trapezoid(y - y.min(0), t, axis=0)
