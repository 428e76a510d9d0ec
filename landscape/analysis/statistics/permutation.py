"""Permutations that exchange models within their block only, and what they make of a statistic."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from landscape.core.arrays import Array, Indices, Mask
from landscape.core.errors import ConfigError

VALUES_AT_ONCE = 1 << 21  # permuted values held at a time: 16 MB
TIE = 1e-10  # statistics in [0, 1] that differ by less are equal but for rounding


def block_codes(blocks: ArrayLike | None, n_models: int) -> Indices:
    """Numbers (n_models,) from 0 of what agrees in every column of conditions; one if absent.

    Raises:
        ConfigError: Another number of models.
    """
    import pandas as pd

    if blocks is None:
        return np.zeros(n_models, dtype=np.intp)
    content: Any = blocks
    table = pd.DataFrame(content).reset_index(drop=True)
    if len(table) != n_models or not len(table.columns):
        raise ConfigError(
            "The conditions do not match the models.",
            where="conditions",
            expected=f"({n_models},) or ({n_models}, n_columns)",
            found=f"{np.shape(blocks)}",
        )
    grouped = table.groupby(list(table.columns), dropna=False, sort=False)
    return grouped.ngroup().to_numpy().astype(np.intp)


def permute_within(
    blocks: Indices,
    n_permutations: int,
    rng: np.random.Generator,
    kinds: Indices | None = None,
) -> tuple[Indices, bool]:
    """Orders of the models in which each place keeps its block (Good 2005; Winkler et al. 2014).

    All (n_orders, n_models) where they are no more than ``n_permutations``, and whether they are;
    else as many random ones after the order as it is, so that no p-value is 0 (Phipson and Smyth
    2010). Orders that differ only by models of one kind are counted once.
    """
    same = np.arange(len(blocks)) if kinds is None else kinds
    members = [np.flatnonzero(blocks == block) for block in np.unique(blocks)]
    if math.prod(_count(same[models]) for models in members) <= n_permutations:
        orders = np.arange(len(blocks))[None]
        for models in members:
            within = _distinct_orders(models, same[models])
            orders = np.repeat(orders, len(within), axis=0)
            orders[:, models] = np.tile(within, (len(orders) // len(within), 1))
        return orders, True
    orders = np.tile(np.arange(len(blocks)), (n_permutations + 1, 1))
    for models in members:
        orders[1:, models] = rng.permuted(orders[1:, models], axis=1)
    return orders, False


def restrict(orders: Indices, blocks: Indices, kept_models: Mask) -> Indices:
    """These orders of the known models alone, (n_orders, n_known), numbered among themselves."""
    if kept_models.all():
        return orders
    by_block = np.argsort(blocks, kind="stable")
    sorted_orders = orders[:, by_block]
    n_known = int(kept_models.sum())
    left = sorted_orders[kept_models[sorted_orders]].reshape(len(orders), n_known)
    number = np.cumsum(kept_models) - 1
    restricted = np.empty_like(left)
    restricted[:, number[by_block[kept_models[by_block]]]] = number[left]
    return restricted


def center_within(values: Array, blocks: Indices) -> Array:
    """Values (n_models, n_columns) less their block's mean; those all equal in it exactly 0."""
    centered = np.empty_like(values)
    for block in np.unique(blocks):
        rows = values[blocks == block]
        rows = rows - rows[0]
        centered[blocks == block] = rows - rows.mean(0)
    return centered


def share_at_least(null: Array, observed: Any) -> Any:
    """Share of permuted statistics (n_orders, ...) in [0, 1] that are no less than observed."""
    return (null >= observed - TIE).mean(0)


def _count(kinds: Indices) -> int:
    """How many distinct orders there are of models of these kinds."""
    repeats = np.unique(kinds, return_counts=True)[1]
    return math.factorial(len(kinds)) // math.prod(math.factorial(int(n)) for n in repeats)


def _distinct_orders(models: Indices, kinds: Indices) -> Indices:
    """Every distinct order of models of these kinds, (n_orders, n)."""
    orders = np.full((1, len(models)), -1, dtype=np.intp)
    for kind in np.unique(kinds):
        group = models[kinds == kind]
        free = np.argwhere(orders < 0)[:, 1].reshape(len(orders), -1)
        chosen = np.array([*itertools.combinations(range(free.shape[1]), len(group))])
        orders = np.repeat(orders, len(chosen), axis=0)
        places = free[:, chosen].reshape(len(orders), len(group))
        np.put_along_axis(orders, places, np.broadcast_to(group, places.shape), axis=1)
    return orders
