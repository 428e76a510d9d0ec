"""Gaps between named models, without the curves that they are of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landscape.core.errors import DataError
from landscape.importers.curves import MAX_MODELS, TOLERANCE, PublishedCurves
from landscape.importers.names import natural_key


@dataclass(frozen=True)
class MeasuredGap:
    """One gap as a source has it.

    Attributes:
        first: A model.
        second: Another.
        gap: Nats; NaN where unknown.
        where: The file, and the line where there is one.
    """

    first: str
    second: str
    gap: float
    where: str = ""


@dataclass(frozen=True)
class PublishedGaps:
    """Gaps of many pairs.

    Attributes:
        models: (n_models) names, numbers in them in the order of numbers.
        pairs: (n_pairs, 2) model indices, first < second, of the pairs whose gap is known.
        gaps: (n_pairs,) nats, none below 0.
        notes: What was found twice, does not agree, or is missing, a line each.
    """

    models: tuple[str, ...]
    pairs: NDArray[np.intp]
    gaps: NDArray[np.float64]
    notes: tuple[str, ...] = ()


def gather_gaps(measured: Sequence[MeasuredGap], *, tolerance: float = TOLERANCE) -> PublishedGaps:
    """Bring gaps to one order of models and one direction of pairs.

    Of two records of a pair the first is kept, and a difference of more than ``tolerance`` noted.

    Args:
        measured: Gaps.
        tolerance: Nats.

    Raises:
        DataError: No known gap, one below 0 or infinite, or a gap from a model to itself that is
            not 0.
    """
    names = {name for gap in measured for name in (gap.first, gap.second)}
    models = tuple(sorted(names, key=natural_key))
    if len(models) > MAX_MODELS:
        raise DataError(
            "There are too many models.",
            where=measured[0].where,
            expected=f"up to {MAX_MODELS}",
            found=len(models),
        )
    index = {name: i for i, name in enumerate(models)}
    found: dict[tuple[int, int], MeasuredGap] = {}
    missing: set[tuple[int, int]] = set()
    notes = []
    for one in measured:
        a, b = sorted((index[one.first], index[one.second]))
        if one.gap < 0 or math.isinf(one.gap):
            raise DataError(
                f"The gap of {one.first} and {one.second} is no gap.",
                where=one.where,
                expected="a number of nats, 0 or more",
                found=one.gap,
                fix="a rule whose values have a sign is no distance: give the convexity gaps",
            )
        if a == b and one.gap > tolerance:
            raise DataError(
                f"The gap from {one.first} to itself is not 0.",
                where=one.where,
                expected="gaps, 0 on the diagonal",
                found=one.gap,
                fix="give gaps, not affinities",
            )
        if a == b or math.isnan(one.gap):
            missing |= {(a, b)} if a != b else set()
        elif (a, b) not in found:
            found[a, b] = one
        elif abs(found[a, b].gap - one.gap) > tolerance:
            notes.append(
                f"{models[a]} - {models[b]}: {found[a, b].gap:.6g} and {one.gap:.6g} nats; "
                "the first is kept"
            )
    if not found:
        raise DataError("There is no known gap between two models.")
    if unknown := len(missing - set(found)):
        notes.append(f"{unknown} pairs have no number")
    pairs = sorted(found)
    return PublishedGaps(
        models=models,
        pairs=np.array(pairs, dtype=np.intp),
        gaps=np.array([found[pair].gap for pair in pairs], dtype=np.float64),
        notes=tuple(notes),
    )


def curves_from_gaps(gaps: PublishedGaps, dataset: str) -> PublishedCurves:
    """Curves of three points whose convexity gap is the given number: 0, the gap, 0.

    Their ends are no losses; nothing is known of those.

    Args:
        gaps: Of each pair.
        dataset: The name of the data set that the gaps were measured on.
    """
    losses = np.zeros((len(gaps.gaps), 3))
    losses[:, 1] = gaps.gaps
    return PublishedCurves(
        dataset=dataset,
        models=gaps.models,
        pairs=gaps.pairs,
        positions=np.array([0.0, 0.5, 1.0]),
        losses=losses,
        accuracies=None,
        metric="accuracy",
        model_losses=np.zeros(len(gaps.models)),
        distances=np.full(len(gaps.gaps), np.nan),
        notes=gaps.notes,
    )
