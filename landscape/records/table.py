"""One table of evaluated points: from rows, a point each, to the arrays of ``Results``, and back.

A pair's ends are its models: they have rows of their own only where an import says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from landscape.records.results import (
    MEASURED,
    NO_PLAN,
    DatasetFrame,
    Measured,
    Results,
    StoredDataset,
    StoredPath,
    exact_code,
)

LOSS = "loss"
_KINDS = {  # of a data set's arrays: number type, and what stands where nothing is known
    "losses": (np.float32, np.nan),
    "predictions": (np.uint8, 255),
    "screened": (np.float64, np.nan),
    "difference": (np.float32, np.nan),
    "accuracies": (np.float32, np.nan),
}
_PER_EXAMPLE = ("losses", "predictions")
_UNITS = {"losses": "nats", "screened": "nats", "difference": "nats", "accuracies": "1"}


def assemble(
    frame: Mapping[str, Any],
    datasets: Mapping[str, DatasetFrame],
    paths: Mapping[str, StoredPath],
    losses: Measured,
) -> Results:
    """Results from one table of losses, its arrays as ``flatten`` makes them.

    ``frame`` has the fields of ``Results`` that are not measured, with ``pairs``, ``status`` and
    ``tolerance``; models are those of ``checkpoints``. Of ``paths`` nothing is evaluated.
    """
    pairs, n_points = frame["pairs"], len(frame["positions"])
    n_models, n_pairs = len(frame["checkpoints"]), len(pairs)
    of_model = losses.path < n_models
    of_pair = ~of_model & (losses.path < n_models + n_pairs)
    model, pair = losses.path[of_model], losses.path[of_pair] - n_models
    place = (pair, losses.point[of_pair])
    measured = frame["status"] == MEASURED
    ends = np.arange(n_points)[[0, -1]]
    model_status = np.zeros(n_models, np.uint8)
    model_status[model] = MEASURED
    formats = np.zeros((n_pairs, n_points), np.uint8)
    for end, column in zip(ends, pairs.T, strict=True):
        is_model = measured & (model_status[column] == MEASURED)  # not where only a gap is given
        formats[is_model, end] = exact_code(frame["attributes"])
    formats[place] = losses.arrays["format"][of_pair]
    plan, model_plan = (np.full(n, NO_PLAN, np.uint8) for n in (n_pairs, n_models))
    plan[pair], model_plan[model] = losses.plan[of_pair], losses.plan[of_model]
    sets = {}
    for name, data in datasets.items():
        arrays: dict[str, Any] = {}
        for kind, (dtype, nothing) in _KINDS.items():
            values = losses.arrays.get(f"{name}/{kind}")
            if values is None:
                continue
            rest = values.shape[1:]
            of_models = np.full((n_models, *rest), nothing, dtype)
            of_models[model] = values[of_model]
            cube = np.full((n_pairs, n_points, *rest), nothing, dtype)
            for end, column in zip(ends, pairs.T, strict=True):
                cube[measured, end] = of_models[column[measured]]
            cube[place] = values[of_pair]
            arrays |= {kind: cube, f"model_{kind}": of_models}
        sets[name] = StoredDataset(**vars(data), **arrays)
    named = {
        name: _with_points(path, losses, n_models + n_pairs + index, datasets)
        for index, (name, path) in enumerate(paths.items())
    }
    return Results(
        **frame,
        models=tuple(map(str, frame["checkpoints"]["name"])),
        model_status=model_status,
        formats=formats,
        plan=plan,
        model_plan=model_plan,
        datasets=dict(sorted(sets.items(), key=lambda item: item[1].role != "in_domain")),
        points=named,
    )


def _with_points(
    path: StoredPath, losses: Measured, number: int, datasets: Mapping[str, DatasetFrame]
) -> StoredPath:
    rows = losses.path == number
    point, n = losses.point[rows], len(path.positions)
    status, plan = np.zeros(n, np.uint8), np.full(n, NO_PLAN, np.uint8)
    status[point], plan[point] = MEASURED, losses.plan[rows]
    values: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in _PER_EXAMPLE}
    for kind, by_set in values.items():
        dtype, nothing = _KINDS[kind]
        for name, data in datasets.items():
            by_set[name] = np.full((n, len(data.labels)), nothing, dtype)
            by_set[name][point] = losses.arrays[f"{name}/{kind}"][rows]
    return replace(
        path,
        status=status,
        plan=plan,
        losses=values["losses"],
        predictions=values["predictions"],
    )


def flatten(results: Results) -> Measured:
    """The losses of results as one table, a row a point, in the order of the paths."""
    n_models, n_pairs = len(results.models), len(results.pairs)
    models = np.flatnonzero(results.model_status == MEASURED)
    stored = results.evaluated & (results.status == MEASURED)[:, None]
    for end, column in zip((0, -1), results.pairs.T, strict=True):
        stored[:, end] &= ~_as_models(results, end, column)
    pair, inner = np.nonzero(stored)
    named = [(i, np.flatnonzero(p.evaluated)) for i, p in enumerate(results.points.values())]
    first = n_models + n_pairs
    path = np.concatenate(
        [models, n_models + pair, *(np.full(len(at), first + i) for i, at in named)]
    )
    point = np.concatenate([np.zeros(len(models), int), inner, *(at for _, at in named)])
    plan = np.concatenate(
        [
            results.model_plan[models],
            results.plan[pair],
            *(p.plan[p.evaluated] for p in results.points.values()),
        ]
    )
    exact = exact_code(results.attributes)
    n_named = sum(len(at) for _, at in named)
    codes = np.concatenate(
        [np.full(len(models), exact), results.formats[pair, inner], np.full(n_named, exact)]
    )
    arrays: dict[str, np.ndarray] = {"format": codes.astype(np.uint8)}
    dims: dict[str, tuple[str, ...]] = {"format": ()}
    units: dict[str, str] = {}
    for name, data in results.datasets.items():
        for kind, (dtype, nothing) in _KINDS.items():
            of_models, cube = getattr(data, f"model_{kind}"), getattr(data, kind)
            if kind == "accuracies" and not data.aggregated:
                continue
            parts = [of_models[models], cube[pair, inner]]
            for p in results.points.values():
                rows = p.evaluated
                by_set = getattr(p, kind) if kind in _PER_EXAMPLE else {}
                parts.append(by_set[name][rows] if by_set else np.full(rows.sum(), nothing, dtype))
            key = f"{name}/{kind}"
            arrays[key] = np.concatenate(parts).astype(dtype)
            dims[key] = ("example",) if kind in _PER_EXAMPLE else ()
            if kind in _UNITS:
                units[key] = _UNITS[kind]
    return Measured(path.astype(np.int32), point.astype(np.int32), plan, arrays, dims, units)


def _as_models(results: Results, end: int, column: np.ndarray) -> np.ndarray:
    """(n_pairs,) whether an end of each pair has what its model has."""
    same = results.formats[:, end] == exact_code(results.attributes)
    for data in results.datasets.values():
        for kind in _KINDS:
            of_models, cube = getattr(data, f"model_{kind}"), getattr(data, kind)
            for row in np.flatnonzero(same):  # not all examples of all pairs at once
                same[row] = np.array_equal(
                    cube[row, end], of_models[column[row]], equal_nan=kind != "predictions"
                )
    return np.asarray(same)
