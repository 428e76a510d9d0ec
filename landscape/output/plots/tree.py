"""The order and the drawing of a merge tree's leaves beside a matrix."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

# an order of leaves, known by the unfinished basins at its left and right end
State: TypeAlias = dict[tuple[int | None, int | None], list[int]]


def leaves_of(merge_tree: np.ndarray) -> list[list[int]]:
    """The leaves below every node: n_models leaves, then n_models - 1 merges."""
    n = len(merge_tree) + 1
    leaves = [[leaf] for leaf in range(n)]
    for left, right in merge_tree[:, :2].astype(int):
        leaves.append(leaves[left] + leaves[right])
    return leaves


def agrees(order: np.ndarray, merge_tree: np.ndarray) -> bool:
    """Whether the tree can be drawn over ``order`` without crossing branches."""
    place = np.argsort(order)
    for leaves in leaves_of(merge_tree):
        spots = place[leaves]
        if spots.max() - spots.min() != len(leaves) - 1:
            return False
    return True


def contiguous_order(merge_tree: np.ndarray, labels: np.ndarray) -> np.ndarray | None:
    """An order of the tree's leaves in which every basin is one run, or None if there is none.

    Turning the two branches of any merge leaves the tree the same. From the leaves up, this keeps
    one order for each pair of basins that stand unfinished at an order's two ends; a basin that
    is unfinished and not at an end can never become one run.

    Args:
        merge_tree: (n_models - 1, 4) as scipy's linkage gives it.
        labels: (n_models,) basins.
    """
    totals = {label: int((labels == label).sum()) for label in np.unique(labels).tolist()}
    counts: list[dict[int, int]] = []
    states: list[State] = []

    def close(count: dict[int, int], order: list[int]) -> tuple[int | None, int | None] | None:
        left, right = int(labels[order[0]]), int(labels[order[-1]])
        opened = {label for label, seen in count.items() if seen < totals[label]}
        if not opened <= {left, right}:
            return None
        return (left if left in opened else None, right if right in opened else None)

    for leaf, label in enumerate(labels.tolist()):
        count = {label: 1}
        key = close(count, [leaf])
        assert key is not None  # one leaf is its own two ends
        counts.append(count)
        states.append({key: [leaf]})
    for first, second in merge_tree[:, :2].astype(int):
        count = dict(counts[first])
        for label, seen in counts[second].items():
            count[label] = count.get(label, 0) + seen
        shared = counts[first].keys() & counts[second].keys()
        merged: State = {}
        for a, b in ((first, second), (second, first)):
            for (_, end), left in states[a].items():
                for (start, _), right in states[b].items():
                    if shared and not (shared == {end} == {start}):
                        continue
                    # turned round, a branch is as good: its mirror image
                    key = close(count, left + right)
                    if key is not None:
                        merged.setdefault(key, left + right)
        merged |= {
            key[::-1]: order[::-1] for key, order in merged.items() if key[::-1] not in merged
        }
        if not merged:
            return None
        counts.append(count)
        states.append(merged)
    orders = [np.array(order) for order in states[-1].values()]
    orders += [order[::-1] for order in orders]
    # the largest basin first, where the tree leaves a choice
    return min(orders, key=lambda order: tuple(labels[order].tolist()))


def branches(merge_tree: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The bracket of every merge, its leaves at the places of ``order``.

    Returns:
        (n_models - 1, 4, 2): four corners (place, height) of each bracket.
    """
    n = len(order)
    place = np.empty(2 * n - 1)
    height = np.zeros(2 * n - 1)
    place[order] = np.arange(n)
    out = np.empty((len(merge_tree), 4, 2))
    for row, (first, second, level, _) in enumerate(merge_tree):
        a, b = int(first), int(second)
        out[row] = [
            (place[a], height[a]),
            (place[a], level),
            (place[b], level),
            (place[b], height[b]),
        ]
        place[n + row] = (place[a] + place[b]) / 2
        height[n + row] = level
    return out
