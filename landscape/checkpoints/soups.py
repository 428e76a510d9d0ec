"""Recipes that make one model of several: rows of coefficients over the members, for ``evaluate``.

A recipe only weighs; whether the result is any good is for ``evaluate`` to say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from landscape.checkpoints.gram_matrix import Anchor, as_state
from landscape.checkpoints.mix import add_up
from landscape.core.errors import ConfigError

# below this angle, in radians, sin(t w) / sin w is t to 12 digits
_NEARLY_PARALLEL = 1e-6


@dataclass(frozen=True)
class GreedySoup:
    """Which members a greedy soup took, and what each of them did to it.

    Attributes:
        coefficients: (n_members,) equal for those in the soup, 0 for the others.
        order: (n_members,) the members as they were tried, the best score first.
        accuracies: (n_members,) of the soup with each of them in it, in that order.
        entered: (n_members,) bool: it stayed in the soup; in that order.
    """

    coefficients: np.ndarray
    order: np.ndarray
    accuracies: np.ndarray
    entered: np.ndarray


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
    given = _vector(weights, "weighted(weights)")
    if not given.sum() > 0:
        raise ConfigError(
            "The weights of a soup must have a positive sum.",
            where="weighted(weights)",
            found=f"{given.tolist()}, of the sum {given.sum():g}",
        )
    return given / given.sum()


def greedy(scores: ArrayLike, accuracy_of: Callable[[np.ndarray], float]) -> GreedySoup:
    """The greedy soup: a member stays where the soup with it is at least as good as before.

    Members are tried from the best score down (of equals, the first one first), each in the
    uniform soup with those that stayed. Wortsman et al. 2022, arXiv 2203.05482, recipe 1.

    Args:
        scores: (n_members,) each member's own, held out; they only decide the order.
        accuracy_of: From coefficients (n_members,) to the accuracy of that point on the same
            held-out examples, by ``evaluate`` as a rule; called once a member.

    Raises:
        ConfigError: No members, or a score or an accuracy that is not finite.
    """
    order = np.argsort(-_vector(scores, "greedy(scores)"), kind="stable")
    accuracies, entered = np.empty(len(order)), np.zeros(len(order), dtype=bool)
    soup = np.zeros(len(order))
    best = -math.inf
    for step, member in enumerate(order):
        inside = np.append(order[:step][entered[:step]], member)
        wider = np.zeros(len(order))
        wider[inside] = 1 / len(inside)
        accuracies[step] = accuracy_of(wider.copy())
        if not math.isfinite(accuracies[step]):
            raise ConfigError(
                "The accuracy of a soup is not finite.",
                where=f"greedy(scores, accuracy_of), members {inside.tolist()}",
                found=accuracies[step],
            )
        if accuracies[step] >= best:
            best, soup, entered[step] = accuracies[step], wider, True
    return GreedySoup(soup, order, accuracies, entered)


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
    takes an angle for each tensor: see ``slerp_tensors``. Nearly parallel ends give the line.

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
    for _, first, second in _shared(a, b):
        if first.is_floating_point():
            sums += _products(first, second)
    return _angle(*sums)


def slerp_tensors(a: Anchor, b: Anchor, t: float) -> dict[str, Tensor]:
    """Weights at t of spherical interpolation tensor by tensor, as mergekit does it.

    Each tensor turns by its own angle, so that the way is no linear combination of the two models:
    the result is an anchor of its own. Nearly parallel tensors, and those of zeros, are mixed
    along the line; mergekit does so above a cosine of 0.9995, here only below 1e-6 radians.

    Args:
        a: The first end: a module, checkpoint or mapping.
        b: The second end, of the same parameters.
        t: 0 is ``a`` and 1 is ``b``, bit for bit.

    Returns:
        By the names of ``a``, at least fp32; tensors that hold no floats are those of ``a``.

    Raises:
        ConfigError: Parameters that differ in name or shape, tensors that point in opposite
            directions, or a t that is not finite.
    """
    mixed = {}
    for name, first, second in _shared(a, b):
        if not first.is_floating_point():
            mixed[name] = first.clone()
            continue
        try:
            (row,) = slerp(_angle(*_products(first, second)), t)
        except ConfigError as error:
            raise ConfigError(f"{error.what} (the tensor '{name}')") from None
        dtype = torch.promote_types(first.dtype, torch.float32)
        ends = (first.to(dtype), second.to(dtype))
        terms = [(float(c), end) for c, end in zip(row, ends, strict=True) if c]
        mixed[name] = add_up(terms, torch.empty_like(ends[0]))
    return mixed


def _products(a: Tensor, b: Tensor) -> np.ndarray:
    """(3,) inner products <a, a>, <a, b - a>, <b - a, b - a>."""
    first = a.double().ravel()
    step = b.double().ravel() - first
    return np.array([float(first @ first), float(first @ step), float(step @ step)])


def _angle(aa: float, ad: float, dd: float) -> float:
    # through the difference: the arc cosine of nearly 1 would lose half of the digits
    return math.atan2(math.sqrt(max(aa * dd - ad * ad, 0.0)), aa + ad)


def _shared(a: Anchor, b: Anchor) -> Iterator[tuple[str, Tensor, Tensor]]:
    first, second = as_state(a), as_state(b)
    there = set(second)  # to ask a mapping that reads from disk would read the tensor
    for name in first:
        if name not in there:
            raise ConfigError(
                f"The second end lacks the parameter '{name}'.", found=f"{len(second)} tensors"
            )
        one, two = first[name].detach().cpu(), second[name].detach().cpu()
        if one.shape != two.shape:
            raise ConfigError(
                f"The parameter '{name}' does not have the same shape at both ends.",
                found=f"{tuple(one.shape)} and {tuple(two.shape)}",
            )
        yield name, one, two


def _vector(values: ArrayLike | Sequence[float], where: str) -> np.ndarray:
    given = np.asarray(values, dtype=np.float64)
    if given.ndim != 1 or not len(given) or not np.isfinite(given).all():
        raise ConfigError(
            "There must be one finite number or more, in one row.", where=where, found=values
        )
    return given
