"""Whether a store holds what the uninterrupted run's holds, array by array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landscape.records import MEASURED, Results, StoredPath, read_store

_OF_FILES = ("ref", "fingerprint")  # of checkpoints that were put back
_CHANGING = ("created",)
ROUNDING = 1e-5  # nats, between numbers of batches of other sizes
_OF_PAIRS = ("losses", "predictions", "screened", "difference")


@dataclass(frozen=True)
class Comparison:
    """What a store holds of a reference.

    Attributes:
        differences: Names of what is not the same.
        measured: The rows that are measured, as ``pair 0 3``, ``model 2`` and ``bezier 4``.
    """

    differences: list[str]
    measured: set[str]


def compare(
    store: Path | Results, reference: Results, *, whole: bool, loose: bool = False
) -> Comparison:
    """Compare a store with the one of an uninterrupted run.

    Args:
        store: The store.
        reference: Of the same experiment, finished.
        whole: Whether everything must be there; else what is there must be right.
        loose: Whether rows may differ by rounding whose plan says ``halved``, and points, which
            have no plan of their own.
    """
    own = read_store(store) if isinstance(store, Path) else store
    found = list(_frame(own, reference, whole))
    measured: set[str] = set()
    for model in np.flatnonzero(own.model_status == MEASURED).tolist():
        measured.add(f"model {model}")
        eased = loose and _halved(own, own.model_plan[model])
        found += _row(own, reference, "model_", model, model, f"model {model}", eased)
        found += _plan(own, reference, "model_plan", model, model, eased)
    place = {tuple(pair): row for row, pair in enumerate(reference.pairs.tolist())}
    for row in np.flatnonzero(own.status == MEASURED).tolist():
        name = "pair {} {}".format(*own.pairs[row])
        measured.add(name)
        there = place.get(tuple(own.pairs[row].tolist()))
        if there is None:
            found.append(f"{name} is not one of the reference's")
            continue
        ends = own.model_plan[own.pairs[row]]  # a pair's first and last losses are its models'
        eased = loose and any(_halved(own, plan) for plan in (own.plan[row], *ends))
        found += _row(own, reference, "", row, there, name, eased)
        for array in ("formats", "tolerance"):
            if not _same(getattr(own, array)[row], getattr(reference, array)[there], eased):
                found.append(f"{array} of {name}")
        found += _plan(own, reference, "plan", row, there, eased)
    for name, points in own.points.items():
        found += _points(points, reference.points.get(name), measured, loose)
    if whole:
        found += [f"{name} is missing" for name in sorted(rows_of(reference) - measured)]
    return Comparison(sorted(set(found)), measured)


def rows_of(results: Results) -> set[str]:
    """The names of the rows that are measured."""
    found = {f"model {m}" for m in np.flatnonzero(results.model_status == MEASURED)}
    rows = results.pairs[results.status == MEASURED]
    found |= {f"pair {first} {second}" for first, second in rows.tolist()}
    for name, points in results.points.items():
        found |= {f"{name} {k}" for k in np.flatnonzero(points.status == MEASURED)}
    return found


def _frame(own: Results, reference: Results, whole: bool) -> Iterator[str]:
    """What is not a row."""
    wanted = {k: v for k, v in reference.attributes.items() if k not in _CHANGING}
    found = {k: v for k, v in own.attributes.items() if k not in _CHANGING}
    if not whole:
        wanted["finished"] = found.get("finished")
    names = [k for k in sorted(wanted.keys() | found.keys()) if wanted.get(k) != found.get(k)]
    yield from (f"attribute {name}" for name in names)
    for name in ("config", "models", "chosen", "score_roles"):
        if getattr(own, name) != getattr(reference, name):
            yield name
    table = [c for c in reference.checkpoints.columns if c not in _OF_FILES]
    if not own.checkpoints[table].equals(reference.checkpoints[table]):
        yield "checkpoints"
    if not _same(own.positions, reference.positions):
        yield "positions"
    unknown = not whole and np.isnan(own.distances).all()
    if not unknown and not _same(own.distances, reference.distances):
        yield "distances"
    if whole and not (_same(own.pairs, reference.pairs) and _same(own.status, reference.status)):
        yield "the table of pairs"
    if list(own.datasets) != list(reference.datasets):
        yield "data sets"
    for name, data in own.datasets.items():
        wanted_set = reference.datasets[name]
        groups: tuple[Mapping[str, Any], ...] = (data.groups, wanted_set.groups)
        texts: tuple[Mapping[str, Any], ...] = (data.texts, wanted_set.texts)
        for one, other in (groups, texts):
            if list(one) != list(other) or not all(_same(one[k], other[k]) for k in one):
                yield f"texts or groups of {name}"
        if not _same(data.labels, wanted_set.labels) or data.role != wanted_set.role:
            yield f"labels of {name}"
    if whole and list(own.points) != list(reference.points):
        yield "ways and surfaces"


def _row(
    own: Results, reference: Results, kind: str, row: int, there: int, name: str, eased: bool
) -> list[str]:
    found = []
    for data, values in own.datasets.items():
        for array in _OF_PAIRS:
            if eased and array == "predictions":
                continue  # of a tie
            one = getattr(values, f"{kind}{array}")[row]
            other = getattr(reference.datasets[data], f"{kind}{array}")[there]
            if not _same(one, other, eased):
                found.append(f"{array} of {name} on {data}")
    return found


def _points(
    own: StoredPath, reference: StoredPath | None, measured: set[str], loose: bool
) -> list[str]:
    if reference is None:
        return [f"{own.name} is not one of the reference's"]
    found = []
    for array in ("positions", "marks", "lengths"):
        if not _same(getattr(own, array), getattr(reference, array), loose):
            found.append(f"{array} of {own.name}")
    if not loose and own.notes != reference.notes:
        found.append(f"notes of {own.name}")
    for point in np.flatnonzero(own.status == MEASURED).tolist():
        measured.add(f"{own.name} {point}")
        for data, losses in own.losses.items():
            same = _same(losses[point], reference.losses[data][point], loose)
            there = reference.predictions[data][point]
            if not same or not (loose or _same(own.predictions[data][point], there)):
                found.append(f"{own.name} {point} on {data}")
    return found


def _halved(results: Results, plan: int) -> bool:
    return int(plan) < len(results.plans) and bool(results.plans[int(plan)].get("halved"))


def _plan(
    own: Results, reference: Results, name: str, row: int, there: int, eased: bool
) -> list[str]:
    plans = []
    for results, place in ((own, row), (reference, there)):
        index = int(getattr(results, name)[place])
        plan = results.plans[index] if index < len(results.plans) else None
        plans.append({k: v for k, v in (plan or {}).items() if not (eased and k == "halved")})
    return [] if plans[0] == plans[1] else [f"{name} of row {row}"]


def _same(one: Any, other: Any, eased: bool = False) -> bool:
    first, second = np.asarray(one), np.asarray(other)
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    if eased and first.dtype.kind == "f":
        return np.allclose(first, second, rtol=ROUNDING, atol=ROUNDING, equal_nan=True)
    return np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
