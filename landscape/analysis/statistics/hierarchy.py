"""False discoveries over groups that lie within groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from landscape.core.arrays import Array


def group_q_values(
    names: Sequence[str], p_values: Array, parents: Mapping[str, str] | None
) -> Array:
    """``tree_q_values`` of named groups; ``a: b`` lies within ``a`` where nothing is given."""
    given = parents or {}
    within = [given.get(name, name.rpartition(": ")[0]) for name in names]
    place = {name: number for number, name in enumerate(names)}
    return tree_q_values(p_values, [place.get(parent, -1) for parent in within])


def tree_q_values(p_values: Array, parents: Sequence[int]) -> Array:
    """q-values (n_groups,) by TreeBH (Bogomolov, Peterson, Benjamini and Sabatti 2021, Biometrika).

    A group's family is itself and the groups directly within it. It is tested only where something
    is found in it (Simes 1986) among its siblings, by Benjamini and Hochberg (1995), at a level
    that is the lower the fewer of these are: so many families, selected by what they hold, do not
    fill with false discoveries. A q-value is the least level at which all of that finds the group;
    of groups without others within, Benjamini and Hochberg's. A group that differs both ways
    within, and so not on the whole, is found by its parts.

    Args:
        p_values: (n_groups,), NaN where a group is not tested.
        parents: Of each group the place of that which it lies directly within; -1 where it
            lies in none.
    """
    members: dict[int, list[int]] = {}
    for place, parent in enumerate(parents):
        members.setdefault(parent, []).append(place)
    q = np.full(len(p_values), np.nan)
    for place, level in _family(-1, p_values, members)[1].items():
        q[place] = level
    return q


def _family(
    parent: int, p_values: Array, members: dict[int, list[int]]
) -> tuple[float, dict[int, float]]:
    """The p-value that nothing in a family is true, and the least level that finds each group."""
    parts = [] if parent < 0 else [(float(p_values[parent]), {parent: 0.0})]
    for place in members.get(parent, []):
        if place in members:
            parts.append(_family(place, p_values, members))
        else:
            parts.append((float(p_values[place]), {place: 0.0}))
    parts = [part for part in parts if np.isfinite(part[0])]
    if not parts:
        return np.nan, {}
    adjusted = stats.false_discovery_control([p for p, _ in parts])
    ordered, n = np.sort(adjusted), len(parts)
    share = np.arange(1, n + 1) / n  # of the family that is selected, which its level falls by
    levels = {
        place: max(own, float(np.maximum(level / share, ordered).min()))
        for own, (_, within) in zip(adjusted, parts, strict=True)
        for place, level in within.items()
    }
    return float(ordered[0]), levels
