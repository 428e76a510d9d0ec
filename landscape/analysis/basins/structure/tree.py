"""The level at which two models join: single linkage of the gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from landscape.analysis.basins.structure.checks import check_gaps

Array = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class MergeTree:
    """Single linkage of the gaps on the graph of measured pairs.

    Attributes:
        tree: (n_joins, 4) rows of scipy's linkage, heights in nats; n_joins is n_models minus
            n_components, and scipy draws it when there is one component.
        edges: (n_joins, 2) the pair of models whose gap makes each join: the minimum spanning tree.
        heights: (n_models, n_models) nats, the level at which two models join: the least largest
            gap of any chain between them. 0 on the diagonal, NaN where no chain is measured; pairs
            that were not measured could only lower it.
        n_components: Parts of the population that no measured pair links.
    """

    tree: Array
    edges: Indices
    heights: Array
    n_components: int


def merge_tree(gaps: ArrayLike) -> MergeTree:
    """At which level models join, and by which pairs.

    Single linkage's heights are the edges of the minimum spanning tree (Gower and Ross 1969).

    Args:
        gaps: (n_models, n_models) nats, symmetric, zero diagonal, NaN where not measured.

    Raises:
        ConfigError: No such matrix.
    """
    matrix = check_gaps(gaps)
    n = len(matrix)
    first, second = np.triu_indices(n, 1)
    values = matrix[first, second]
    known = ~np.isnan(values)
    first, second, values = first[known], second[known], values[known]
    # scipy's tree has no room for gaps of 0, and takes any of equal ones: ranks settle both
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    ends = first.astype(np.int32), second.astype(np.int32)  # scipy before 1.17.1 takes no others
    spanning = minimum_spanning_tree(coo_array((ranks, ends), shape=(n, n)))
    joins = order[np.sort(spanning.data).astype(np.intp) - 1]
    names = np.arange(n)  # of each model's group, as scipy counts them
    tree = np.empty((len(joins), 4))
    heights = np.full((n, n), np.nan)
    np.fill_diagonal(heights, 0.0)
    for step, join in enumerate(joins):
        sides = sorted((names[first[join]], names[second[join]]))
        left, right = (np.flatnonzero(names == side) for side in sides)
        heights[np.ix_(left, right)] = heights[np.ix_(right, left)] = values[join]
        tree[step] = (*sides, values[join], len(left) + len(right))
        names[left] = names[right] = n + step
    edges = np.stack([first[joins], second[joins]], axis=1)
    return MergeTree(tree, edges, heights, n - len(joins))


def merge_heights(gaps: ArrayLike) -> Array:
    """(n_models, n_models) nats, the level at which two models join: see ``MergeTree.heights``.

    Args:
        gaps: (n_models, n_models) nats, symmetric, zero diagonal, NaN where not measured.

    Raises:
        ConfigError: No such matrix.
    """
    return merge_tree(gaps).heights


def fill_unmeasured(gaps: ArrayLike, pairs: ArrayLike) -> Array:
    """Gaps with the pairs that were never measured at their merge height.

    That is the lowest barrier by way of other models, as little as the gap can be where barriers
    were an ultrametric. What is NaN among the measured pairs stays NaN.

    Args:
        gaps: (n_models, n_models) nats.
        pairs: (n_pairs, 2) measured pairs of models.
    """
    matrix, held = np.asarray(gaps, dtype=np.float64), np.asarray(pairs)
    known = np.eye(len(matrix), dtype=bool)
    known[held[:, 0], held[:, 1]] = known[held[:, 1], held[:, 0]] = True
    return matrix if known.all() else np.where(known, matrix, merge_heights(matrix))
