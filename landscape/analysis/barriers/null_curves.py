"""Curves that have no barrier by a rule, as near as may be to curves that may have one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from landscape.analysis.barriers.rules import RULES, Array, check_curves, valley
from landscape.core.errors import require_known


def convex_envelope(losses: ArrayLike, positions: ArrayLike | None = None) -> Any:
    """The greatest convex function below each curve, at the curve's points.

    The convexity gap is the largest height of a curve over it: a point lies on the envelope or
    under a chord between two points that do.

    Args:
        losses: (..., n_points) nats.
        positions: (n_points,) ascending; evenly spaced when absent.

    Returns:
        (..., n_points) nats; NaN for a curve with a loss that is NaN or infinite.

    Raises:
        ConfigError: Fewer than two points, or positions that do not fit or do not ascend.
    """
    return null_curve("convexity_gap", losses, positions)


def null_curve(rule: str, losses: ArrayLike, positions: ArrayLike | None = None) -> Any:
    """For each curve one for which the rule gives 0: what it would be without its barrier.

    convexity_gap: the convex envelope. barrier_height: the curve cut off at the line between its
    ends. max_endpoint_barrier: cut off at the higher end. mean_endpoint_barrier: cut off at the
    ends' mean, where both ends then lie. bump_height: the greatest curve below it that falls and
    then rises. Other rules: 0 everywhere. For the five, the rule's value is the largest height of
    the curve over this one.

    Args:
        rule: A name in ``RULES``.
        losses: (..., n_points) nats.
        positions: (n_points,) ascending; evenly spaced when absent.

    Returns:
        (..., n_points) nats; NaN for a curve with a loss that is NaN or infinite.

    Raises:
        ConfigError: An unknown rule, fewer than two points, or positions that do not fit or do not
            ascend.
    """
    require_known("barrier rule", rule, RULES)
    values = np.asarray(losses, dtype=np.float64)
    t = check_curves(values, positions)
    flat = values.reshape(-1, len(t))
    result = np.full(flat.shape, np.nan)
    good = np.isfinite(flat).all(axis=1)
    result[good] = _WITHOUT_BARRIER.get(rule, _level)(flat[good].T, t).T
    return result.reshape(values.shape)


def _under_every_chord(y: Array, t: Array) -> Array:
    lowest = y.copy()
    for i in range(len(t) - 2):
        for j in range(i + 2, len(t)):
            share = ((t[i + 1 : j] - t[i]) / (t[j] - t[i]))[:, None]
            chord = y[i] + share * (y[j] - y[i])
            np.minimum(lowest[i + 1 : j], chord, out=lowest[i + 1 : j])
    return lowest


def _under_the_chord(y: Array, t: Array) -> Array:
    share = ((t - t[0]) / (t[-1] - t[0]))[:, None]
    lowest = np.minimum(y, y[0] + share * (y[-1] - y[0]))
    lowest[[0, -1]] = y[[0, -1]]
    return lowest


def _under_the_mean_end(y: Array, t: Array) -> Array:
    middle = (y[0] + y[-1]) / 2
    lowest = np.minimum(y, middle)
    lowest[[0, -1]] = middle
    return lowest


def _level(y: Array, t: Array) -> Array:
    return np.zeros_like(y)


_WITHOUT_BARRIER: dict[str, Callable[[Array, Array], Array]] = {
    "convexity_gap": _under_every_chord,
    "barrier_height": _under_the_chord,
    "mean_endpoint_barrier": _under_the_mean_end,
    "max_endpoint_barrier": lambda y, t: np.minimum(y, np.maximum(y[0], y[-1])),
    "bump_height": lambda y, t: valley(y),
}
