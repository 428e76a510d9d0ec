"""Triples of models: is having no barrier transitive, and are the gaps a metric?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landscape.analysis.basins.checks import check_gaps
from landscape.core import sentences
from landscape.core.arrays import Array
from landscape.core.errors import ConfigError

_ROUNDING = 1e-9  # nats by which three means may break an equality
_WORST = 5  # triples that are listed
_JOINED, _APART = 1, 4  # states of a pair that add up to 6 in one way only: joined twice, one apart


@dataclass(frozen=True)
class Triple:
    """Three models, the two farthest first and last, and their gaps in nats."""

    models: tuple[int, int, int]
    near: tuple[float, float]
    far: float
    certain: bool


@dataclass(frozen=True)
class Triangles:
    """What the triples of models say, of those whose three gaps are measured.

    Attributes:
        n_triples: How many triples; comb(n_models, 3) when no gap is missing.
        tolerance: Nats up to which two models join.
        with_noise: Whether it was given what is shown beyond noise.
        n_intransitive: Open triples: two pairs join, the third does not.
        n_certain: Triples of which that is shown; all open ones where gaps were taken as exact.
        n_closed: Triples of which all three pairs join.
        n_violations: Triples whose largest gap is more than the sum of the other two.
        mean_violation: Nats, by how much more; NaN without any.
        largest_violation: Nats; NaN without any.
        worst: The five intransitive triples with the highest barriers, certain ones first.
    """

    n_models: int
    n_triples: int
    tolerance: float
    with_noise: bool
    n_intransitive: int
    n_certain: int
    n_closed: int
    n_violations: int
    mean_violation: float
    largest_violation: float
    worst: tuple[Triple, ...]


def count_triangles(
    gaps: ArrayLike,
    *,
    apart: ArrayLike | None = None,
    joined: ArrayLike | None = None,
    tolerance: float = 0.02,
) -> Triangles:
    """Count the triples that no partition can describe, and those that no metric can.

    Args:
        gaps: (n_models, n_models) nats, symmetric, zero diagonal, NaN where not measured.
        apart: (n_models, n_models) bool, pairs shown to have a barrier; gaps are exact when absent.
        joined: (n_models, n_models) bool, pairs shown to have none.
        tolerance: Nats below which a gap is no barrier.

    Raises:
        ConfigError: No such matrices, or a negative tolerance.
    """
    matrix = check_gaps(gaps, complete=False)
    if not tolerance >= 0:
        raise ConfigError("The tolerance must not be negative.", found=tolerance)
    states = _states(matrix, apart, joined, tolerance)
    n = len(matrix)
    n_triples = n_open = n_certain = n_closed = n_violations = 0
    violation, largest = 0.0, np.nan
    worst: list[tuple[float, Triple]] = []
    top = np.nanmax(matrix, initial=0.0) + 1.0  # puts the certain ones first
    for i in range(n - 2):  # all triples that begin with i at a time
        j, k = np.triu_indices(n - i - 1, 1)
        j, k = j + i + 1, k + i + 1
        sides = np.sort([matrix[i, j], matrix[i, k], matrix[j, k]], axis=0)
        measured = ~np.isnan(sides[2])
        j, k, (shortest, middle, longest) = j[measured], k[measured], sides[:, measured]
        certain = states[i, j] + states[i, k] + states[j, k] == 2 * _JOINED + _APART
        is_open = (middle <= tolerance) & (longest > tolerance)
        excess = (longest - middle) - shortest
        broken = excess > _ROUNDING
        n_triples += len(j)
        n_open += int(is_open.sum())
        n_certain += int(certain.sum())
        n_closed += int((longest <= tolerance).sum())
        n_violations += int(broken.sum())
        if broken.any():
            violation += float(excess[broken].sum())
            largest = np.fmax(largest, excess.max())
        order = np.argsort(-(longest + top * certain)[is_open], kind="stable")[:_WORST]
        for place in np.flatnonzero(is_open)[order]:
            triple = _triple(matrix, (i, int(j[place]), int(k[place])), bool(certain[place]))
            worst.append((-(longest[place] + top * certain[place]), triple))
        worst = sorted(worst, key=lambda ranked: ranked[0])[:_WORST]
    return Triangles(
        n_models=n,
        n_triples=n_triples,
        tolerance=float(tolerance),
        with_noise=apart is not None,
        n_intransitive=n_open,
        n_certain=n_certain,
        n_closed=n_closed,
        n_violations=n_violations,
        mean_violation=violation / n_violations if n_violations else np.nan,
        largest_violation=float(largest),
        worst=tuple(triple for _, triple in worst),
    )


def structure_sentence(triangles: Triangles, models: Sequence[str]) -> str:
    """One sentence: do blocks describe who joins whom, and if not, which three models say so."""
    worst = triangles.worst[0] if triangles.worst else None
    return sentences.structure_sentence(
        n_triples=triangles.n_triples,
        all_measured=triangles.n_triples == comb(triangles.n_models, 3),
        tolerance=triangles.tolerance,
        n_intransitive=triangles.n_intransitive,
        n_certain=triangles.n_certain if triangles.with_noise else None,
        n_closed=triangles.n_closed,
        worst=() if worst is None else [models[model] for model in worst.models],
        gaps=() if worst is None else (*worst.near, worst.far),
    )


def _states(
    gaps: Array, apart: ArrayLike | None, joined: ArrayLike | None, tolerance: float
) -> NDArray[np.int8]:
    """(n, n): joined for certain, apart for certain, or 0."""
    states = np.zeros(gaps.shape, dtype=np.int8)
    states[gaps <= tolerance if joined is None else np.asarray(joined)] = _JOINED
    states[gaps > tolerance if apart is None else np.asarray(apart)] = _APART
    return states


def _triple(gaps: Array, models: tuple[int, int, int], certain: bool) -> Triple:
    i, j, k = models
    a, b, c = max(((i, j, k), (i, k, j), (j, i, k)), key=lambda path: gaps[path[0], path[2]])
    return Triple((a, b, c), (float(gaps[a, b]), float(gaps[b, c])), float(gaps[a, c]), certain)
