"""The climb out of one model on the way to another, and who reaches whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from landscape.analysis.basins.structure.coefficients import ratio
from landscape.core.arrays import Array, Indices


@dataclass(frozen=True)
class Climbs:
    """Who reaches whom without climbing out of its own basin.

    Attributes:
        climbs: (n_models, n_models) nats, as ``climbs`` gives them.
        tolerance: Nats up to which i reaches j.
        n_links: Ordered pairs of models, measured, where the first reaches the second.
        one_way: (n_one_way, 2) the first reaches the second, which does not reach the first; the
            longest way back first.
        reciprocity: Share of links whose reverse is a link, of those measured; NaN without any.
    """

    climbs: Array
    tolerance: float
    n_links: int
    one_way: Indices
    reciprocity: float


def climbs(
    curves: ArrayLike, pairs: ArrayLike, n_models: int, *, points: ArrayLike | None = None
) -> Array:
    """The climb out of each model on the way to each other: highest loss minus its own.

    [i, j] and [j, i] share their highest loss and differ by the difference of the ends' own.
    """
    losses = np.asarray(curves, dtype=np.float64)
    seen = np.ones(losses.shape, dtype=bool) if points is None else np.asarray(points, dtype=bool)
    i, j = np.asarray(pairs).T
    good = np.where(seen, np.isfinite(losses), True).all(1)
    highest = np.where(good, np.where(seen, losses, -np.inf).max(1), np.nan)
    matrix = np.full((n_models, n_models), np.nan)
    np.fill_diagonal(matrix, 0.0)
    matrix[i, j], matrix[j, i] = highest - losses[:, 0], highest - losses[:, -1]
    return matrix


def directed_links(matrix: ArrayLike, *, tolerance: float = 0.02) -> Climbs:
    """Who reaches another model within the tolerance, and how often that goes both ways.

    Reciprocity: Garlaschelli and Loffredo 2004, cond-mat/0404521.
    """
    values = np.array(matrix, dtype=np.float64)
    other = ~np.eye(len(values), dtype=bool)
    links = (values <= tolerance) & other
    one_way = np.argwhere(links & (tolerance < values.T))
    back = values.T[tuple(one_way.T)]
    returned = links & links.T
    # a link whose reverse was not measured says nothing about reciprocity
    n_judged = (links & ~np.isnan(values.T)).sum()
    return Climbs(
        climbs=values,
        tolerance=float(tolerance),
        n_links=int(links.sum()),
        one_way=one_way[np.argsort(-back, kind="stable")],
        reciprocity=float(ratio(returned.sum(), n_judged)),
    )
