"""Recipes that make one model of several: rows of coefficients over the members, for ``evaluate``.

A recipe only weighs; whether the result is any good is for ``evaluate`` to say.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from landscape.checkpoints.anchors import Anchor, side_by_side
from landscape.core.errors import ConfigError

# below this angle, in radians, sin(t w) / sin w is t to 12 digits
_NEARLY_PARALLEL = 1e-6


@dataclass(frozen=True)
class GreedySoup:
    """Which members a greedy soup took, and what each of them did to it.

    Attributes:
        coefficients: (n_members,) equal for those in the soup, 0 for the others.
        order: (n_members,) the members as they were tried, the best score first.
        scores: (n_members,) of the soup with each of them in it, in that order.
        entered: (n_members,) bool: it stayed in the soup; in that order.
    """

    coefficients: np.ndarray
    order: np.ndarray
    scores: np.ndarray
    entered: np.ndarray

    @property
    def members(self) -> list[int]:
        """Those in the soup, as they entered."""
        return [int(member) for member in self.order[self.entered]]


def uniform(n: int) -> np.ndarray:
    """(n,) equal coefficients: the uniform soup (Wortsman et al. 2022, arXiv 2203.05482).

    Raises:
        ConfigError: No members.
    """
    if n < 1:
        raise ConfigError("A soup needs members.", where="uniform(n)", found=n)
    return np.full(n, 1 / n)


def weighted(weights: ArrayLike) -> np.ndarray:
    """(n,) coefficients that sum to 1: the weights divided by their sum.

    Args:
        weights: (n_members,) finite, of a positive sum; one below 0 moves away from its member.

    Raises:
        ConfigError: Not such weights.
    """
    row = _vector(weights, "weighted(weights)")
    if not row.sum() > 0:
        raise ConfigError(
            "The weights of a soup must have a positive sum.",
            where="weighted(weights)",
            found=f"{row.tolist()}, of the sum {row.sum():g}",
        )
    return row / row.sum()


def greedy(
    n: int, score: Callable[[np.ndarray], float], *, alone: ArrayLike | None = None
) -> GreedySoup:
    """The greedy soup: a member stays where the soup with it is at least as good as before.

    Members are tried from the best one down (of equals, the first one first), each in the uniform
    soup with those that stayed. Wortsman et al. 2022, arXiv 2203.05482, recipe 1.

    Args:
        n: How many members.
        score: From coefficients (n_members,) to a score of that point, higher is better: accuracy
            on held-out examples, by ``evaluate`` as a rule.
        alone: (n_members,) the members' own scores, where they are measured already.

    Raises:
        ConfigError: No members, or a score that is not finite.
    """
    if alone is None:
        alone = [score(row) for row in np.eye(n)]
    order = np.argsort(-_vector(alone, "greedy(alone)"), kind="stable")
    scores, entered = np.empty(len(order)), np.zeros(len(order), dtype=bool)
    soup, best = np.zeros(len(order)), -math.inf
    for step, member in enumerate(order):
        inside = np.append(order[:step][entered[:step]], member)
        wider = np.zeros(len(order))
        wider[inside] = 1 / len(inside)
        scores[step] = score(wider.copy())
        if not math.isfinite(scores[step]):
            raise ConfigError(
                "The score of a soup is not finite.",
                where=f"greedy(score), members {inside.tolist()}",
                found=scores[step],
            )
        if scores[step] >= best:
            best, soup, entered[step] = scores[step], wider, True
    return GreedySoup(soup, order, scores, entered)


def task_arithmetic(n: int, scale: ArrayLike) -> np.ndarray:
    """(n + 1,) coefficients over (pretrained, members...) that add the members' task vectors.

    theta_0 + sum_i scale_i (theta_i - theta_0). Ilharco et al. 2023, arXiv 2212.04089. The
    pretrained model is an anchor like the others: it must hold every parameter, a head too.

    Args:
        n: How many members.
        scale: One number for all of them, or (n,); below 0 it negates a task.

    Raises:
        ConfigError: No members, or scales that do not fit them.
    """
    scales = np.asarray(scale, dtype=np.float64)
    if n < 1 or scales.shape not in ((), (n,)) or not np.isfinite(scales).all():
        raise ConfigError(
            "Task vectors need a finite scale for all, or one for each member.",
            where="task_arithmetic(n, scale)",
            expected=f"a number, or {n} of them" if n > 0 else "at least one member",
            found=f"{n} members and scales of shape {scales.shape}",
        )
    scales = np.broadcast_to(scales, (n,))
    return np.concatenate([[1 - scales.sum()], scales])


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
        ConfigError: An angle outside [0, pi], ends that point in opposite directions (no way round
            is the shortest), or values of t that are not finite.
    """
    positions = _vector(np.atleast_1d(np.asarray(t, dtype=np.float64)), "slerp(angle, t)")
    if not 0 <= angle <= math.pi:
        raise ConfigError(
            "An angle between two checkpoints lies from 0 to pi.", where="slerp(angle)", found=angle
        )
    if math.pi - angle < _NEARLY_PARALLEL:
        raise ConfigError(
            "The two ends point in opposite directions: there is no shortest way round.",
            where="slerp(angle)",
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
    sums = np.zeros(3)
    for _, (first, second) in side_by_side([a, b], "weight_angle(a, b)"):
        sums += _products(first.cpu(), second.cpu())
    return _angle(*sums)


def _products(a: Tensor, b: Tensor) -> np.ndarray:
    """(3,) inner products <a, a>, <a, b - a>, <b - a, b - a>."""
    first = a.double().ravel()
    step = b.double().ravel() - first
    return np.array([float(first @ first), float(first @ step), float(step @ step)])


def _angle(aa: float, ad: float, dd: float) -> float:
    # through the difference: the arc cosine of nearly 1 would lose half of the digits
    return math.atan2(math.sqrt(max(aa * dd - ad * ad, 0.0)), aa + ad)


def _vector(values: ArrayLike, where: str) -> np.ndarray:
    row = np.asarray(values, dtype=np.float64)
    if row.ndim != 1 or not len(row) or not np.isfinite(row).all():
        raise ConfigError(
            "There must be one finite number or more, in one row.", where=where, found=values
        )
    return row
