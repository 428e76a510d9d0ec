"""Curves between named models, brought to one order and one grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landscape.core.errors import DataError
from landscape.importers.files import MAX_VALUES
from landscape.importers.names import check_name, natural_key

Array = NDArray[np.float64]
Metric = Literal["accuracy", "matthews"]

MAX_MODELS = 10_000
TOLERANCE = 1e-3
"""Nats: two records of one number that differ by more are reported."""


@dataclass(frozen=True)
class MeasuredCurve:
    """One curve as a source has it.

    Attributes:
        first: The model at position 0.
        second: The model at position 1.
        positions: (n_points,) in [0, 1], in any order.
        losses: (n_points,) nats.
        accuracies: (n_points,) of ``metric``, or None.
        metric: ``accuracy`` in [0, 1] or ``matthews`` in [-1, 1].
        distance: Euclidean, between the models' parameters; NaN where not said.
        dataset: The data set; "" where not said.
        where: The file, and the line where there is one.
    """

    first: str
    second: str
    positions: Sequence[float]
    losses: Sequence[float]
    accuracies: Sequence[float] | None = None
    metric: Metric = "accuracy"
    distance: float = float("nan")
    dataset: str = ""
    where: str = ""


@dataclass(frozen=True)
class PublishedCurves:
    """Curves of many pairs on one data set.

    Attributes:
        dataset: The data set's name; "" where the source does not say.
        models: (n_models) names, numbers in them in the order of numbers.
        pairs: (n_pairs, 2) model indices, first < second.
        positions: (n_points,) of all pairs, from 0 at a pair's first model to 1 at its second.
        losses: (n_pairs, n_points) nats, NaN where a pair lacks the point.
        accuracies: (n_pairs, n_points) of ``metric``, or None where no source has any.
        metric: ``accuracy`` or ``matthews``.
        model_losses: (n_models,) nats, of the first curve that ends in the model; NaN where none
            has that end.
        distances: (n_pairs,) Euclidean between parameters, NaN where not said.
        notes: What was found twice, does not agree, or is missing, a line each.
    """

    dataset: str
    models: tuple[str, ...]
    pairs: NDArray[np.intp]
    positions: Array
    losses: Array = field(repr=False)
    accuracies: Array | None = field(repr=False)
    metric: Metric
    model_losses: Array
    distances: Array
    notes: tuple[str, ...] = ()


def gather_curves(
    measured: Sequence[MeasuredCurve], *, tolerance: float = TOLERANCE
) -> PublishedCurves:
    """Bring curves to one order of models, one direction of pairs, and one grid.

    B-A is A-B backwards. Of two records of one point the first is kept, and a difference of more
    than ``tolerance`` is noted; a point that only the second has is taken from it. Values that are
    not finite count as missing.

    Args:
        measured: Curves on one data set.
        tolerance: Nats.

    Raises:
        DataError: No curves, curves of unlike lengths, positions outside [0, 1], several metrics,
            more than the memory takes.
    """
    curves = [curve for curve in measured if curve.first != curve.second]
    if not curves:
        raise DataError("There are no curves between two models.")
    notes = []
    if len(curves) < len(measured):
        notes.append(f"{len(measured) - len(curves)} curves from a model to itself left out")
    for curve in curves:
        _check(curve)
    metrics = {curve.metric for curve in curves if curve.accuracies is not None}
    if len(metrics) > 1:
        raise DataError(
            "The curves have different metrics.",
            where=curves[0].where,
            expected="one of accuracy and matthews",
            found=" and ".join(sorted(metrics)),
        )
    names = {name for curve in curves for name in (curve.first, curve.second)}
    models = tuple(sorted(names, key=natural_key))
    index = {name: i for i, name in enumerate(models)}
    grid: dict[float, float] = {0.0: 0.0, 1.0: 1.0}
    rows: dict[tuple[int, int], list[tuple[MeasuredCurve, list[float]]]] = {}
    for curve in curves:
        a, b = index[curve.first], index[curve.second]
        places = [t if a < b else 1 - t for t in map(float, curve.positions)]
        keys = [_key(t) for t in places]
        for key, t in zip(keys, places, strict=True):
            grid.setdefault(key, t)
        rows.setdefault((min(a, b), max(a, b)), []).append((curve, keys))
    kept = sorted(grid)
    if len(models) > MAX_MODELS or len(rows) * len(kept) > MAX_VALUES:
        raise DataError(
            "There are too many models, or the curves have too few points in common.",
            where=_short(curves[0].where),
            expected=f"up to {MAX_MODELS} models, and up to {MAX_VALUES} points of all pairs",
            found=f"{len(models)} models, {len(rows)} pairs, {len(kept)} positions",
        )
    column = {key: i for i, key in enumerate(kept)}
    pairs = np.array(sorted(rows), dtype=np.intp)
    losses = np.full((len(pairs), len(kept)), np.nan)
    accuracies, distances = losses.copy(), np.full(len(pairs), np.nan)
    for k, (a, b) in enumerate(pairs):
        records = rows[int(a), int(b)]
        pair = f"{models[a]} - {models[b]}"
        for values, of in ((losses[k], "losses"), (accuracies[k], "accuracies")):
            for curve, keys in records:
                given = getattr(curve, of)
                if given is not None:
                    notes += _fill(
                        values, [column[key] for key in keys], given, pair, of, curve, tolerance
                    )
        known = [c.distance for c, _ in records if np.isfinite(c.distance)]
        distances[k] = known[0] if known else np.nan
    if repeated := sum(len(records) - 1 for records in rows.values()):
        notes.append(f"{repeated} curves are of pairs that an earlier curve has")
    if missing := int(np.isnan(losses).sum()):
        notes.append(
            f"{missing} of {losses.size} points are missing, in "
            f"{int(np.isnan(losses).any(axis=1).sum())} of {len(pairs)} pairs"
        )
    ends, said = _ends(models, pairs, losses, tolerance)
    return PublishedCurves(
        dataset=curves[0].dataset,
        models=models,
        pairs=pairs,
        positions=np.array([grid[key] for key in kept]),
        losses=losses,
        accuracies=accuracies if metrics else None,
        metric=next(iter(metrics), "accuracy"),
        model_losses=ends,
        distances=distances,
        notes=(*notes, *said),
    )


def _key(t: float) -> float:
    """What positions are told apart by: 1 - t of one curve is the t of another."""
    return round(t, 9) + 0.0


def _check(curve: MeasuredCurve) -> None:
    for name in (curve.first, curve.second):
        check_name(name, curve.where)
    lengths = {len(curve.positions), len(curve.losses)}
    lengths |= set() if curve.accuracies is None else {len(curve.accuracies)}
    if len(lengths) > 1 or not len(curve.losses):
        raise DataError(
            f"The curve {curve.first} - {curve.second} has not one value a point.",
            where=curve.where,
            found=f"lengths {', '.join(map(str, sorted(lengths)))}",
        )
    outside = [t for t in curve.positions if not 0 <= t <= 1]
    if outside:
        raise DataError(
            f"The curve {curve.first} - {curve.second} has a position that is not on its line.",
            where=curve.where,
            expected="0 to 1",
            found=outside[0],
        )


def _fill(
    values: Array,
    columns: list[int],
    given: Sequence[float],
    pair: str,
    of: str,
    curve: MeasuredCurve,
    tolerance: float,
) -> list[str]:
    """Put a curve's values where nothing is yet; say where what is there differs."""
    largest = 0.0
    for column, raw in zip(columns, given, strict=True):
        value = float(raw)
        if not np.isfinite(value):
            continue
        if np.isnan(values[column]):
            values[column] = value
        else:
            largest = max(largest, abs(value - float(values[column])))
    if largest <= tolerance:
        return []
    unit = " nats" if of == "losses" else ""
    return [
        f"{pair}: the {of} in {_short(curve.where) or 'a later curve'} differ from earlier ones "
        f"by up to {largest:.4g}{unit}; the earlier are kept"
    ]


def _short(where: str) -> str:
    """Without the folder: what is noted goes into stores, and they go to others."""
    for sign in (", line ", ", ("):
        file, found, place = where.partition(sign)
        if found:
            return PurePath(file).name + found + place
    return PurePath(where).name


def _ends(
    models: tuple[str, ...], pairs: NDArray[np.intp], losses: Array, tolerance: float
) -> tuple[Array, list[str]]:
    """(n_models,) losses of the models themselves, and where their curves disagree."""
    found, notes = np.full(len(models), np.nan), []
    for model, name in enumerate(models):
        ends = np.concatenate([losses[pairs[:, side] == model, -side] for side in (0, 1)])
        ends = ends[np.isfinite(ends)]
        if len(ends):
            found[model] = ends[0]
        if len(ends) and np.ptp(ends) > tolerance:
            notes.append(
                f"{name}: the curves that end in it differ there by up to {np.ptp(ends):.4g} nats; "
                "the first is taken as its loss"
            )
    return found, notes
