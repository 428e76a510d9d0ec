"""Loss curves to barriers: every rule by name.

A curve holds the mean losses (nats) at the points of a path from one model to another. Every rule
maps curves (..., n_points) to (...); a curve with a loss that is NaN or infinite gives NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landscape.core.errors import ConfigError

Array = NDArray[np.float64]
Rule = Callable[[ArrayLike, ArrayLike | None], Any]

_CURVES_AT_ONCE = 8192  # what a rule works on then fits into a cache


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
    return _apply(lambda y, t: (y - valley(y)).max(0), losses, positions)


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


def _apply(
    rule: Callable[[Array, Array], Any], losses: ArrayLike, positions: ArrayLike | None
) -> Any:
    """Run a rule on (n_points, n_curves) arrays, a bounded number of curves at a time."""
    values = np.asarray(losses, dtype=np.float64)
    t = check_curves(values, positions)
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


def valley(y: Array) -> Any:
    """The greatest curves below (n_points, n_curves) that fall and then rise."""
    before = np.minimum.accumulate(y, axis=0)
    after = np.minimum.accumulate(y[::-1], axis=0)[::-1]
    return np.maximum(before, after)


def check_curves(values: Array, positions: ArrayLike | None) -> Array:
    """The positions (n_points,) of curves (..., n_points), or what is wrong with them."""
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
