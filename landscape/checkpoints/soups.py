"""Recipes that make one model of several: rows of coefficients over the members, for ``evaluate``.

A recipe only weighs; whether the result is any good is for ``evaluate`` to say.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from landscape.checkpoints.anchors import Anchor, side_by_side
from landscape.core.errors import ConfigError

# below this angle, in radians, sin(t w) / sin w is t to 12 digits
_NEARLY_PARALLEL = 1e-6


@dataclass(frozen=True)
class GreedySoup:
    """Which members a greedy soup took.

    Attributes:
        coefficients: (n_members,) equal for those in the soup, 0 for the others.
        members: (n_in_soup,) those in the soup, as they entered.
        score: Of the soup.
    """

    coefficients: np.ndarray
    members: np.ndarray
    score: float


def uniform(n: int) -> np.ndarray:
    """(n,) equal coefficients: the uniform soup (Wortsman et al. 2022, arXiv 2203.05482)."""
    return np.full(n, 1 / n)


def weighted(weights: ArrayLike) -> np.ndarray:
    """(n,) coefficients that sum to 1: finite weights divided by their sum.

    Raises:
        ConfigError: Weights without a positive, finite sum.
    """
    row = np.asarray(weights, dtype=np.float64)
    if not (row.sum() > 0 and np.isfinite(row).all()):
        raise ConfigError(
            "The weights of a soup must be finite, with a positive sum.", found=row.tolist()
        )
    return row / row.sum()


def greedy(n: int, score: Callable[[np.ndarray], float]) -> GreedySoup:
    """The greedy soup: a member stays where the soup with it is at least as good as before.

    Members are tried from the best one down (of equals, the first one first), each in the uniform
    soup with those that stayed. Wortsman et al. 2022, arXiv 2203.05482, recipe 1. ``score`` goes
    from coefficients (n_members,) to a score of that point, higher is better: accuracy on held-out
    examples, by ``evaluate`` as a rule.

    Raises:
        ConfigError: A score that is not finite.
    """
    order = np.argsort([-score(row) for row in np.eye(n)], kind="stable")
    soup, best, inside = np.zeros(n), -math.inf, np.array([], dtype=int)
    for member in order:
        wider = np.zeros(n)
        wider[[*inside, member]] = 1 / (len(inside) + 1)
        value = score(wider.copy())
        if not math.isfinite(value):
            raise ConfigError("The score of a soup is not finite.", found=value)
        if value >= best:
            best, soup, inside = value, wider, np.append(inside, member)
    return GreedySoup(soup, inside, best)


def slerp(angle: float, t: ArrayLike) -> np.ndarray:
    """(n_points, 2) coefficients of spherical interpolation between two checkpoints.

    (sin((1 - t) w) / sin w, sin(t w) / sin w): along the circle about the origin of weight space,
    at constant speed for ends of one length (Shoemake 1985, doi 10.1145/325165.325242). The angle w
    is that of the whole models, so that every point is a linear combination of the two; mergekit
    takes an angle for each tensor. Nearly parallel ends give the line.

    Args:
        angle: Between the two, in radians; see ``weight_angle``.
        t: (n_points,) or one number, 0 at the first end and 1 at the second.

    Raises:
        ConfigError: Ends that point in opposite directions (no way round is the shortest).
    """
    positions = np.atleast_1d(np.asarray(t, dtype=np.float64))
    if math.pi - angle < _NEARLY_PARALLEL:
        raise ConfigError(
            "The two ends point in opposite directions: there is no shortest way round.",
            found=angle,
            fix="use the line between them",
        )
    both = np.stack([1 - positions, positions], axis=1)
    return both if angle < _NEARLY_PARALLEL else np.sin(both * angle) / math.sin(angle)


def weight_angle(a: Anchor, b: Anchor) -> float:
    """The angle in radians between two models' weights, all parameters in one vector.

    Of the weights themselves, not of differences. Read tensor by tensor, summed in float64; small
    angles, as between models of one pretrained encoder, keep their digits. 0 where either is zero.

    Raises:
        ConfigError: Parameters that differ in name or shape.
    """
    aa = ad = dd = 0.0
    for _, tensors in side_by_side([a, b], "weight_angle(a, b)"):
        first, second = (tensor.cpu().double().ravel() for tensor in tensors)
        step = second - first
        aa += float(first @ first)
        ad += float(first @ step)
        dd += float(step @ step)
    # through the difference: the arc cosine of nearly 1 would lose half of the digits
    return math.atan2(math.sqrt(max(aa * dd - ad * ad, 0.0)), aa + ad)
