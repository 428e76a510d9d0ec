"""Loss curves to barriers: every rule by name, with bootstrap intervals over examples.

A curve holds the mean losses (nats) at the points of a path from one model to another. Every rule
maps curves (..., n_points) to (...); a curve with a loss that is NaN or infinite gives NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from landscape.errors import ConfigError, require_known

Array = NDArray[np.float64]
Rule = Callable[[ArrayLike, ArrayLike | None], Any]

_CURVES_AT_ONCE = 16_384
_VALUES_AT_ONCE = 1 << 21  # resampled losses held at a time: 16 MB


@dataclass(frozen=True)
class GapIntervals:
    """Gaps with what resampling the examples says about them.

    Attributes:
        estimate: (...,) nats, the rule applied to the mean losses.
        low: (...,) nats, the interval's lower end.
        high: (...,) nats, the interval's upper end.
        standard_error: (...,) nats, standard deviation over the resamples.
        bias: (...,) nats, mean over the resamples minus the estimate; a maximum over points is
            biased upwards under noise, and so is the estimate, by about as much.
        confidence: Nominal coverage in (0, 1).
        n_resamples: How many resamples of the examples.
    """

    estimate: Array
    low: Array
    high: Array
    standard_error: Array
    bias: Array
    confidence: float
    n_resamples: int


def barrier_height(losses: ArrayLike, positions: ArrayLike | None = None) -> Any:
    """Largest rise above the line between the end losses, at least 0.

    Entezari et al. 2022 (arXiv 2110.06296); Juneja et al. 2023 (arXiv 2205.12411).

    Args:
        losses: (..., n_points) nats.
        positions: (n_points,) ascending; evenly spaced when absent.

    Returns:
        (...) nats.

    Raises:
        ConfigError: Fewer than two points, or positions that do not fit or do not ascend.
    """
    return _apply(_barrier_height, losses, positions)


def convexity_gap(losses: ArrayLike, positions: ArrayLike | None = None) -> Any:
    """Largest barrier height over every sub-segment of the path, at least the barrier height.

    max over i < k < j of L_k minus the line through L_i and L_j at k: how far the curve rises above
    its own convex envelope. Juneja et al. 2023 (arXiv 2205.12411).

    Args:
        losses: (..., n_points) nats.
        positions: (n_points,) ascending; evenly spaced when absent.

    Returns:
        (...) nats.

    Raises:
        ConfigError: Fewer than two points, or positions that do not fit or do not ascend.
    """
    return _apply(_convexity_gap, losses, positions)


def mean_endpoint_barrier(losses: ArrayLike, positions: ArrayLike | None = None) -> Any:
    """Maximum minus the mean of the two ends. Frankle et al. 2020 (arXiv 1912.05671).

    Args:
        losses: (..., n_points) nats.
        positions: (n_points,) ascending; they do not change the value.

    Returns:
        (...) nats, at least 0.

    Raises:
        ConfigError: Fewer than two points, or positions that do not fit or do not ascend.
    """
    return _apply(lambda y, t: y.max(0) - (y[0] + y[-1]) / 2, losses, positions)


def max_endpoint_barrier(losses: ArrayLike, positions: ArrayLike | None = None) -> Any:
    """Maximum minus the higher of the two ends.

    Args:
        losses: (..., n_points) nats.
        positions: (n_points,) ascending; they do not change the value.

    Returns:
        (...) nats, at least 0.

    Raises:
        ConfigError: Fewer than two points, or positions that do not fit or do not ascend.
    """
    return _apply(lambda y, t: y.max(0) - np.maximum(y[0], y[-1]), losses, positions)


def saddle(losses: ArrayLike, positions: ArrayLike | None = None) -> Any:
    """The maximum itself. Draxler et al. 2018 (arXiv 1803.00885).

    Args:
        losses: (..., n_points) nats.
        positions: (n_points,) ascending; they do not change the value.

    Returns:
        (...) nats.

    Raises:
        ConfigError: Fewer than two points, or positions that do not fit or do not ascend.
    """
    return _apply(lambda y, t: y.max(0), losses, positions)


def signed_deviation(losses: ArrayLike, positions: ArrayLike | None = None) -> Any:
    """The deviation from the mean of the ends that is largest in size, with its sign.

    Positive is a barrier, negative a path below its ends: minus the mode connectivity of Yang et
    al. 2021 (arXiv 2107.11228). Where a rise and a fall are equally large, the rise counts.

    Args:
        losses: (..., n_points) nats.
        positions: (n_points,) ascending; they do not change the value.

    Returns:
        (...) nats.

    Raises:
        ConfigError: Fewer than two points, or positions that do not fit or do not ascend.
    """
    return _apply(_signed_deviation, losses, positions)


def area_above_minimum(losses: ArrayLike, positions: ArrayLike | None = None) -> Any:
    """Area between the curve and its own minimum, by the trapezoid rule.

    Args:
        losses: (..., n_points) nats.
        positions: (n_points,) ascending; evenly spaced over [0, 1] when absent.

    Returns:
        (...) nats times the unit of the positions.

    Raises:
        ConfigError: Fewer than two points, or positions that do not fit or do not ascend.
    """
    return _apply(lambda y, t: np.trapezoid(y - y.min(0), t, axis=0), losses, positions)


def bump_height(losses: ArrayLike, positions: ArrayLike | None = None) -> Any:
    """Largest rise above the lowest losses on both sides of it: the least climb from either.

    max over k of L_k - max(min of L up to k, min of L from k on). At least the max-endpoint
    barrier, at most the convexity gap; the two-sided form of the rise that breaks monotonicity in
    Lucas et al. 2021 (arXiv 2104.11044).

    Args:
        losses: (..., n_points) nats.
        positions: (n_points,) ascending; they do not change the value.

    Returns:
        (...) nats, at least 0.

    Raises:
        ConfigError: Fewer than two points, or positions that do not fit or do not ascend.
    """
    return _apply(_bump_height, losses, positions)


RULES: dict[str, Rule] = {
    "barrier_height": barrier_height,
    "convexity_gap": convexity_gap,
    "mean_endpoint_barrier": mean_endpoint_barrier,
    "max_endpoint_barrier": max_endpoint_barrier,
    "saddle": saddle,
    "signed_deviation": signed_deviation,
    "area_above_minimum": area_above_minimum,
    "bump_height": bump_height,
}


def bootstrap_gaps(
    losses: ArrayLike,
    rule: str = "convexity_gap",
    positions: ArrayLike | None = None,
    *,
    points: ArrayLike | None = None,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    method: Literal["percentile", "basic", "bca"] = "percentile",
    rng: np.random.Generator | int = 0,
) -> GapIntervals:
    """Intervals of gaps by resampling examples, the same ones at all points and for all pairs.

    Percentile intervals keep the upward bias of a maximum; ``basic`` reflects them about the
    estimate, ``bca`` corrects bias and skew (Efron 1987) with a leave-one-out jackknife. The gap
    of curves that are truly convex lies on the boundary 0, where no bootstrap covers exactly.

    Args:
        losses: (..., n_points, n_examples) nats; (n_pairs, n_points, n_examples) as a rule.
        rule: A name in ``RULES``.
        positions: (n_points,) ascending; evenly spaced when absent.
        points: (..., n_points) bool, the points of each path that the rule sees, with their own
            positions; all by default. What stands at the others does not matter.
        n_resamples: How many resamples.
        confidence: Nominal coverage in (0, 1).
        method: ``percentile``, ``basic`` or ``bca``.
        rng: A generator or a seed.

    Returns:
        Arrays of shape (...); NaN for a pair with a loss that is NaN or infinite at a point that
        the rule sees.

    Raises:
        ConfigError: An unknown rule or method, numbers out of range, points of another shape, or
            too few points or examples.
    """
    values = np.asarray(losses)
    _check_bootstrap(values, rule, n_resamples, confidence, method)
    *outer, n_points, n_examples = values.shape
    flat = values.reshape(-1, n_points, n_examples)
    seen = _check_points(points, values.shape[:-1]).reshape(-1, n_points)
    t = np.linspace(0.0, 1.0, n_points) if positions is None else positions
    generator = np.random.default_rng(rng)
    shares = np.full(n_examples, 1 / n_examples)
    weights = generator.multinomial(n_examples, shares, size=n_resamples) / n_examples
    rows = n_resamples + (n_examples if method == "bca" else 0)
    chunk = max(1, _VALUES_AT_ONCE // (rows * n_points))
    result = np.full((5, len(flat)), np.nan)
    for start in range(0, len(flat), chunk):
        block = flat[start : start + chunk].astype(np.float64)
        block[~seen[start : start + chunk]] = 0.0
        good = np.isfinite(block).all(axis=(1, 2))
        block = block[good]
        if not len(block):
            continue
        at = seen[start : start + chunk][good]
        mean = block.mean(-1)
        estimate = _at_points(RULES[rule], mean, t, at)
        resampled = (weights @ block.reshape(-1, n_examples).T).reshape(n_resamples, -1, n_points)
        draws = np.sort(_at_points(RULES[rule], resampled, t, at), axis=0)
        left_out = None
        if method == "bca":
            one_less = (mean[..., None] * n_examples - block) / (n_examples - 1)
            left_out = _at_points(RULES[rule], np.moveaxis(one_less, -1, 0), t, at)
        low, high = _interval(draws, estimate, left_out, confidence, method)
        summary = (estimate, low, high, draws.std(0, ddof=1), draws.mean(0) - estimate)
        result[:, start + np.flatnonzero(good)] = summary
    estimate, low, high, error, bias = result.reshape(5, *outer)
    return GapIntervals(estimate, low, high, error, bias, float(confidence), int(n_resamples))


def _at_points(rule: Rule, curves: Array, positions: ArrayLike, points: NDArray[np.bool_]) -> Array:
    """A rule on curves (..., n_curves, n_points), each at its own points (n_curves, n_points)."""
    if points.all():
        return rule(curves, positions)
    t, values = np.asarray(positions), np.empty(curves.shape[:-1])
    for mask in np.unique(points, axis=0):
        alike = (points == mask).all(axis=1)
        values[..., alike] = rule(curves[..., alike, :][..., mask], t[mask])
    return values


def _interval(
    draws: Array, estimate: Array, left_out: Array | None, confidence: float, method: str
) -> tuple[Array, Array]:
    """The two ends, from sorted draws (n_resamples, n_curves)."""
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if left_out is None:
        low, high = _quantiles(draws, np.broadcast_to(tails[:, None], (2, draws.shape[1])))
        return (2 * estimate - high, 2 * estimate - low) if method == "basic" else (low, high)
    n = len(draws)
    below = ((draws < estimate).mean(0) + (draws <= estimate).mean(0)) / 2
    # all draws on one side would ask for an infinite correction
    shift = norm.ppf(np.clip(below, 0.5 / n, 1 - 0.5 / n))
    influence = left_out.mean(0) - left_out
    scale = (influence**2).sum(0) ** 1.5
    acceleration = (influence**3).sum(0) / (6 * np.where(scale > 0, scale, np.inf))
    z = shift + norm.ppf(tails)[:, None]
    low, high = _quantiles(draws, norm.cdf(shift + z / (1 - acceleration * z)))
    return low, high


def _quantiles(draws: Array, levels: Array) -> Any:
    """Linear quantiles of sorted draws (n, n_curves) at levels (m, n_curves), one a curve."""
    place = levels * (len(draws) - 1)
    lower = np.floor(place).astype(int)
    upper = np.minimum(lower + 1, len(draws) - 1)
    first = np.take_along_axis(draws, lower, axis=0)
    return first + (place - lower) * (np.take_along_axis(draws, upper, axis=0) - first)


def _apply(
    rule: Callable[[Array, Array], Any], losses: ArrayLike, positions: ArrayLike | None
) -> Any:
    """Run a rule on (n_points, n_curves) arrays, a bounded number of curves at a time."""
    values = np.asarray(losses, dtype=np.float64)
    t = _check_curves(values, positions)
    flat = values.reshape(-1, len(t))
    result = np.full(len(flat), np.nan)
    for start in range(0, len(flat), _CURVES_AT_ONCE):
        block = flat[start : start + _CURVES_AT_ONCE]
        good = np.isfinite(block).all(1)
        if good.any():
            result[start + np.flatnonzero(good)] = rule(np.ascontiguousarray(block[good].T), t)
    return result.reshape(values.shape[:-1])[()]


def _rise(y: Array, t: Array, i: int, j: int) -> Any:
    """Height of the points between i and j over the line through y_i and y_j."""
    share = ((t[i + 1 : j] - t[i]) / (t[j] - t[i]))[:, None]
    return y[i + 1 : j] - (y[i] + share * (y[j] - y[i]))


def _barrier_height(y: Array, t: Array) -> Any:
    return _rise(y, t, 0, len(t) - 1).max(0, initial=0.0)


def _convexity_gap(y: Array, t: Array) -> Array:
    gap = np.zeros(y.shape[1])
    for i in range(len(t) - 2):
        for j in range(i + 2, len(t)):
            np.maximum(gap, _rise(y, t, i, j).max(0), out=gap)
    return gap


def _signed_deviation(y: Array, t: Array) -> Any:
    middle = (y[0] + y[-1]) / 2
    up, down = y.max(0) - middle, y.min(0) - middle
    # the ends deviate by the same amount up and down; rounding must not choose between them
    slack = 1e-12 * np.abs(y).max(0)
    return np.where(up >= -down - slack, up, down)


def _bump_height(y: Array, t: Array) -> Any:
    before = np.minimum.accumulate(y, axis=0)
    after = np.minimum.accumulate(y[::-1], axis=0)[::-1]
    return (y - np.maximum(before, after)).max(0)


def _check_curves(values: Array, positions: ArrayLike | None) -> Array:
    if values.ndim == 0 or values.shape[-1] < 2:
        raise ConfigError(
            "A loss curve needs at least two points.",
            expected="losses (..., n_points) with n_points >= 2",
            found=f"shape {values.shape}",
        )
    n_points = values.shape[-1]
    if positions is None:
        return np.linspace(0.0, 1.0, n_points)
    t = np.asarray(positions, dtype=np.float64)
    if t.shape != (n_points,):
        raise ConfigError(
            "The positions do not match the loss curve.",
            expected=f"positions ({n_points},)",
            found=f"shape {t.shape}",
            fix="Give one position for every point of the curve.",
        )
    if not (np.isfinite(t).all() and (np.diff(t) > 0).all()):
        raise ConfigError(
            "The positions must be finite and strictly ascending.",
            found=np.array2string(t, threshold=12),
        )
    return t


def _check_points(points: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    if points is None:
        return np.ones(shape, dtype=bool)
    seen = np.asarray(points, dtype=bool)
    if seen.shape != shape:
        raise ConfigError(
            "The points do not match the losses.",
            expected=f"points {shape}",
            found=f"shape {seen.shape}",
        )
    return seen


def _check_bootstrap(
    values: NDArray[Any], rule: str, n_resamples: int, confidence: float, method: str
) -> None:
    require_known("barrier rule", rule, RULES)
    if method not in ("percentile", "basic", "bca"):
        raise ConfigError(
            "The interval's method is unknown.", expected="percentile, basic or bca", found=method
        )
    if not 0 < confidence < 1:
        raise ConfigError("The confidence must lie between 0 and 1.", found=confidence)
    if n_resamples < 2:
        raise ConfigError("An interval needs at least two resamples.", found=n_resamples)
    if values.ndim < 2 or values.shape[-1] < 2:
        raise ConfigError(
            "Resampling needs the losses of at least two examples.",
            expected="losses (..., n_points, n_examples) with n_examples >= 2",
            found=f"shape {values.shape}",
        )
