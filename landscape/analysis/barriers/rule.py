"""What a barrier rule of loss curves (nats) is, and the registry of all rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from landscape.core.arrays import Array
from landscape.core.errors import ConfigError

Kernel = Callable[[Array, Array], Any]
Bound = Callable[[Array, Array, Array], tuple[float, tuple[int, ...]]]
Corners = Callable[[Array, Array], list[int]]

_CURVES_AT_ONCE = 8192  # what a rule works on then fits into a cache


@dataclass(frozen=True)
class BarrierRule:
    """How high the barrier of a loss curve is, by one definition.

    Attributes:
        name: What configurations and the command line call it.
        text: The definition, as readers of a report see it.
        kernel: From curves (n_points, n_curves) in nats, all finite, and positions (n_points,),
            ascending, to (n_curves,).
        sources: Papers, each with its arXiv id.
        flat: From the same to curves (n_points, n_curves) without their barrier; the rule is the
            largest height of a curve over this one. 0 everywhere when absent.
        bound: From the least and the largest losses that a curve may have, (n_points,) each, and
            the positions to the largest value of any curve between them and the ascending indices
            of the points that it hangs on. For rules that more points can only raise; absent else.
        corners: From one curve (n_points,) and the positions to the indices of the points, both
            ends among them, over whose polygon the rule is the largest height. Such a rule is
            linear in the losses of single examples once the highest point is chosen.
        least: Nats that no value lies below.
        is_zero_without: Whether a path without a barrier has 0 or less.
    """

    name: str
    text: str
    kernel: Kernel
    sources: tuple[tuple[str, str], ...] = ()
    flat: Kernel | None = None
    bound: Bound | None = None
    corners: Corners | None = None
    least: float = 0.0
    is_zero_without: bool = False

    @property
    def grows(self) -> bool:
        """Whether more points can only raise it: what some points give is then a lower bound."""
        return self.bound is not None

    @property
    def linear(self) -> bool:
        """Whether it is a sum over examples."""
        return self.corners is not None

    @property
    def is_level(self) -> bool:
        """Whether it is a loss rather than a rise, so that 0 means nothing."""
        return self.least == -math.inf and not self.is_zero_without

    def __call__(self, losses: ArrayLike, positions: ArrayLike | None = None) -> Any:
        """The barriers of curves.

        Args:
            losses: (..., n_points) nats.
            positions: (n_points,) ascending; evenly spaced over [0, 1] when absent.

        Returns:
            (...) nats; NaN for a curve with a loss that is NaN or infinite.

        Raises:
            ConfigError: Fewer than two points, or positions that do not fit or do not ascend.
        """
        values = np.asarray(losses, dtype=np.float64)
        t = _check_curves(values, positions)
        curves = values.reshape(-1, len(t))
        heights = np.full(len(curves), np.nan)
        for start in range(0, len(curves), _CURVES_AT_ONCE):
            block = curves[start : start + _CURVES_AT_ONCE]
            good = np.isfinite(block).all(1)
            if good.any():
                columns = np.ascontiguousarray(block[good].T)
                heights[start + np.flatnonzero(good)] = self.kernel(columns, t)
        return heights.reshape(values.shape[:-1])[()]

    def without_barrier(self, losses: ArrayLike, positions: ArrayLike | None = None) -> Any:
        """For each curve one of which the rule gives 0: what it would be without its barrier."""
        values = np.asarray(losses, dtype=np.float64)
        t = _check_curves(values, positions)
        curves = values.reshape(-1, len(t))
        lower = np.full(curves.shape, np.nan)
        good = np.isfinite(curves).all(axis=1)
        lower[good] = 0.0 if self.flat is None else self.flat(curves[good].T, t).T
        return lower.reshape(values.shape)


RULES: dict[str, BarrierRule] = {}
"""Every rule by its name."""


def barrier_rule(**declaration: Any) -> Callable[[Kernel], BarrierRule]:
    """Declare a rule: its kernel's name is the rule's, its kernel's docstring the definition."""

    def register(kernel: Kernel) -> BarrierRule:
        text = " ".join((kernel.__doc__ or "").split())
        RULES[kernel.__name__] = BarrierRule(kernel.__name__, text, kernel, **declaration)
        return RULES[kernel.__name__]

    return register


def _check_curves(values: Array, positions: ArrayLike | None) -> Array:
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
