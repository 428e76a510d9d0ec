"""From the records of a run to ``Results``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from landscape.records.folder import RunFolder, indices, model_name
from landscape.records.record import MODEL, PAIR, PATH, Record, read_arrays
from landscape.records.results import MEASURED, DatasetFrame, Measured, Results
from landscape.records.table import LOSS, assemble


def collect(folder: RunFolder) -> Results:
    """All that the records of a run hold, finished or not."""
    manifest = folder.manifest()
    plans = folder.plans()
    order = [manifest.plan, *sorted(plans.keys() - {manifest.plan})]
    pair_records = list(folder.read(PAIR))
    measured = sorted([*indices(name)] for record in pair_records for name in record.paths)
    active = manifest.pairs is None
    pairs = np.array(measured if active else manifest.pairs, dtype=np.int32).reshape(-1, 2)
    paths = folder.paths()
    n_models = len(manifest.checkpoints)
    ids = {f"{MODEL}/{model_name(i)}": i for i in range(n_models)}
    row_of = {tuple(pair): row for row, pair in enumerate(pairs.tolist())}
    status = np.zeros(len(pairs), dtype=np.uint8)
    tolerance = np.full(len(pairs), np.nan)
    for record in pair_records:
        for name, reached in zip(record.paths, record.notes["tolerance"], strict=True):
            row = row_of[indices(name)]
            ids[name] = n_models + row
            status[row], tolerance[row] = MEASURED, reached
    ids |= {f"{PATH}/{name}": n_models + len(pairs) + k for k, name in enumerate(paths)}
    datasets = {name: _frame(folder, name) for name in manifest.datasets}
    tables = {}
    for indicator in folder.indicators():
        records = pair_records if indicator == LOSS else list(folder.read(PAIR, indicator))
        records = [
            *folder.read(MODEL, indicator),
            *records,
            *(r for name in paths for r in folder.read(f"{PATH}/{name}", indicator)),
        ]
        tables[indicator] = _stacked(records, ids, order)
    n_examples = {name: len(data.labels) for name, data in datasets.items()}
    losses = tables.pop(LOSS, None) or _no_losses(n_examples)
    frame: dict[str, Any] = {
        "path": folder.store,
        "attributes": {**manifest.attributes, "pairs": "active" if active else "all"},
        "config": manifest.config,
        "checkpoints": pd.DataFrame(manifest.checkpoints).astype({"seed": float, "step": float}),
        "pairs": pairs,
        "status": status,
        "tolerance": tolerance,
        "positions": np.array(manifest.positions),
        "chosen": "active" if active else "all",
        "plans": [plans[name] for name in order],
        "indicators": tables,
        "distances": folder.distances(),
    }
    return assemble(frame, datasets, paths, losses)


def done_pairs(folder: RunFolder, indicators: Sequence[str] = (LOSS,)) -> set[tuple[int, ...]]:
    """The pairs that have records of all these indicators."""
    done: set[tuple[int, ...]] = set()
    for name in folder.names(PAIR, indicators):
        is_tile = name.startswith("tile-")
        paths = folder.record(f"{PAIR}/{name}").paths if is_tile else (name,)
        done |= set(map(indices, paths))
    return done


def _stacked(records: Sequence[Record], ids: dict[str, int], plans: list[str]) -> Measured | None:
    """One table, in the order of the paths, of all records whose losses are there."""
    records = [record for record in records if len(record.point) and record.paths[0] in ids]
    if not records:
        return None
    number = [np.array([ids[name] for name in record.paths]) for record in records]
    path = np.concatenate([ids_of[r.path] for ids_of, r in zip(number, records, strict=True)])
    point = np.concatenate([record.point for record in records])
    plan = np.repeat([plans.index(r.plan) for r in records], [len(r.point) for r in records])
    order = np.lexsort((point, path))
    first = records[0]
    arrays = {
        name: np.concatenate([record.arrays[name] for record in records])[order]
        for name in first.arrays
    }
    return Measured(
        path[order].astype(np.int32),
        point[order].astype(np.int32),
        plan[order].astype(np.uint8),
        arrays,
        dict(first.dims),
        dict(first.units),
    )


def _no_losses(n_examples: dict[str, int]) -> Measured:
    """The table of a run that has measured nothing yet."""
    arrays: dict[str, np.ndarray] = {"format": np.zeros(0, np.uint8)}
    for name, n in n_examples.items():
        arrays |= {f"{name}/{kind}": np.zeros((0, n)) for kind in ("losses", "predictions")}
        arrays |= {f"{name}/{kind}": np.zeros(0) for kind in ("screened", "difference")}
    nothing = np.zeros(0, np.int32)
    return Measured(nothing, nothing, np.zeros(0, np.uint8), arrays, {}, {})


def _frame(folder: RunFolder, name: str) -> DatasetFrame:
    arrays, notes = read_arrays(folder.records / "examples" / f"{name}.npz")

    def below(prefix: str) -> dict[str, np.ndarray]:
        columns = {k: v.astype(object) for k, v in arrays.items() if k.startswith(prefix)}
        return {key.removeprefix(prefix): values for key, values in columns.items()}

    return DatasetFrame(
        name=name,
        role=notes["role"],
        metric=notes["metric"],
        label_names=tuple(notes["label_names"]),
        labels=arrays["labels"],
        groups=below("groups/"),
        content_hash=notes["content_hash"],
        texts=below("texts/"),
    )
