"""Permutations of models, and the share of them that reach a statistic."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from landscape.core.arrays import Array, Indices, Mask

VALUES_AT_ONCE = 1 << 21  # permuted values held at a time: 16 MB
TIE = 1e-10  # statistics in [0, 1] that differ by less are equal but for rounding


def permute_models(
    n_models: int, n_permutations: int, rng: np.random.Generator
) -> tuple[Indices, bool]:
    """Orders of the models (n_orders, n_models), and whether these are all there are.

    All where they are no more than ``n_permutations``, else as many random ones after the order as
    it is. Both ways that one is among them, so that the share of orders with a statistic at least
    as large is a p-value that is never 0 (Phipson and Smyth 2010).
    """
    if math.factorial(n_models) <= n_permutations:
        return np.array([*itertools.permutations(range(n_models))], dtype=np.intp), True
    orders = np.tile(np.arange(n_models), (n_permutations + 1, 1))
    orders[1:] = rng.permuted(orders[1:], axis=1)
    return orders, False


def restrict(orders: Indices, chosen: Mask) -> Indices:
    """The orders (n_orders, n_chosen) that these orders of all models give of some of them."""
    if chosen.all():
        return orders
    number = np.cumsum(chosen) - 1
    return number[orders[chosen[orders]].reshape(len(orders), int(chosen.sum()))]


def center(values: Array) -> Array:
    """Values (n, n_columns) less their mean; those all equal exactly 0."""
    moved = values - values[0]
    return np.asarray(moved - moved.mean(0))


def share_at_least(null: Array, observed: Any) -> Any:
    """Share of permuted statistics (n_orders, ...) in [0, 1] that are no less than observed."""
    return (null >= observed - TIE).mean(0)
