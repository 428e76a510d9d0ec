"""A store into memory."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import h5py
import numpy as np
import pandas as pd

from landscape.core.errors import StoreError
from landscape.records.results import Results, StoredDataset, largest
from landscape.records.store.damage import (
    COPY,
    distances_are_sound,
    refuse_damaged,
    refuse_damaged_structure,
)
from landscape.records.store.disk import open_to_read
from landscape.records.store.layout import (
    CHECKPOINT_NUMBERS,
    CHECKPOINT_TEXT,
    check_encoding,
    exact_code,
    has_checksums,
    has_formats,
)
from landscape.records.store.points import read_points
from landscape.records.store.rows import Rows, load_rows
from landscape.records.store.structure import looks_like_a_store
from landscape.records.store.tables import (
    DISTANCES,
    MEASURED,
    model_table,
    pair_table,
    plans_of,
    point_table,
)
from landscape.records.store.texts import read_texts
from landscape.records.store.wellformed import UNREADABLE, check_layout

__all__ = ["Results", "StoredDataset", "largest", "read_store"]

_TRIES = 5
_PAUSE = 0.02  # seconds


def read_store(path: str | Path, *, verify: bool = True) -> Results:
    """Read a store, finished or not, even while a run writes to it.

    Args:
        path: The file, of this format or an older one.
        verify: Whether everything is checked against its checksums, which stores of formats before
            0.5 do not have; who looks at a store again and again may leave it.

    Returns:
        What it holds; what an older format does not say is filled in as its specification has it.

    Raises:
        StoreError: No file, not a store, damaged, or of a newer format.
    """
    path = Path(path)
    if not path.is_file():
        raise StoreError("There is no store.", where=path.absolute())
    try:
        for _ in range(_TRIES):
            before = _stamp(path)
            contents, damage = _try(path, verify)
            if not damage or before == _stamp(path):
                break
            time.sleep(_PAUSE)  # a run was writing over a row; what it has written is sound
        refuse_damaged(path, damage)
        return contents
    except StoreError:
        raise
    except UNREADABLE as error:
        fix = f"landscape repair {path}" if looks_like_a_store(path) else None
        raise StoreError("The store cannot be read.", where=path, found=error, fix=fix) from None


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def _try(path: Path, verify: bool) -> tuple[Results, list[str]]:
    """What the store holds, and what of it is damaged."""
    found = refuse_damaged_structure(path) if verify else ()
    with open_to_read(path) as file:
        check_encoding(file, path)
        check_layout(file, path)
        if found is None and has_checksums(file):
            found = (COPY,)
        contents, lines = _read(path, file, verify and has_checksums(file))
        return contents, [*(found or ()), *lines]


def _text(dataset: h5py.Dataset) -> np.ndarray:
    return dataset.asstr()[()]


def _metric(group: h5py.Group) -> Literal["accuracy", "matthews"]:
    return "matthews" if group.attrs["metric"] == "matthews" else "accuracy"


def _read(path: Path, file: h5py.File, verify: bool) -> tuple[Results, list[str]]:
    table = {name: _text(file["checkpoints"][name]) for name in CHECKPOINT_TEXT}
    table |= {name: file["checkpoints"][name][()] for name in CHECKPOINT_NUMBERS}
    checkpoints = pd.DataFrame(table)
    models = tuple(checkpoints["name"])
    # what says that a row is whole first: a pair that a writer finishes meanwhile is not measured
    own = load_rows(file, model_table(file), models, verify)
    rows = load_rows(file, pair_table(file), models, verify)
    positions = file["position"][()]
    if has_formats(file):
        formats, tolerance = rows["pairs/formats"], rows["pairs/tolerance"]
    else:
        code = exact_code(file.attrs)
        formats = np.full((len(rows.status), len(positions)), code, dtype=np.uint8)
        formats[rows.status != MEASURED] = 0
        tolerance = np.where(rows.status == MEASURED, 0.0, np.nan)
    sets = {}
    for name, group in file["datasets"].items():
        sets[name] = StoredDataset(
            name=name,
            role=str(group.attrs["role"]),
            metric=_metric(group),
            label_names=tuple(map(str, group.attrs["label-names"])),
            labels=group["labels"][()],
            groups={unquote(cut): _text(values) for cut, values in group["groups"].items()},
            content_hash=str(group.attrs["content-hash"]),
            texts=read_texts(group),
            aggregated=str(group.attrs.get("aggregated", "no")) == "yes",
            **_of_set(name, rows, own, len(positions)),
        )
    points, lines = {}, [*own.damage, *rows.damage]
    for name in file.get("points", {}):
        values = load_rows(file, point_table(file, name), models, verify)
        points[name] = read_points(file, name, values)
        lines += values.damage
    distances, sound = read_distances(file), not verify or distances_are_sound(file)
    scores = file.get("scores", {})
    contents = Results(
        path=path,
        attributes=dict(file.attrs),
        config=json.loads(file["config"].asstr()[()]),
        models=models,
        checkpoints=checkpoints,
        pairs=rows["pairs/models"],
        status=rows.status,
        model_status=own.status,
        positions=positions,
        formats=formats,
        tolerance=tolerance,
        datasets=dict(sorted(sets.items(), key=lambda item: item[1].role != "in_domain")),
        points=points,
        distances=distances,
        chosen="active" if file.attrs.get("pairs", "all") == "active" else "all",
        given_scores=pd.DataFrame(
            {unquote(name): values[()] for name, values in scores.items()},
            index=pd.Index(models, name="model"),
        ),
        score_roles={unquote(name): str(values.attrs["role"]) for name, values in scores.items()},
        plans=plans_of(file),
        plan=rows.get("pairs/plan"),
        model_plan=own.get("checkpoints/plan"),
    )
    return contents, lines if sound else [*lines, "the weight distances"]


def _of_set(name: str, rows: Rows, own: Rows, n_points: int) -> dict[str, Any]:
    """Everything measured on a data set; what is not stored is NaN."""
    absent: dict[str, Any] = {"screened": np.float64, "difference": np.float32}
    found = {}
    for kind in ("losses", "predictions", "screened", "difference", "accuracies"):
        of_pairs = rows.get(f"datasets/{name}/{kind}")
        of_models = own.get(f"datasets/{name}/model_{kind}")
        if kind in absent and of_pairs is None:
            of_pairs = np.full((len(rows.status), n_points), np.nan, absent[kind])
            of_models = np.full(len(own.status), np.nan, absent[kind])
        if of_pairs is not None:
            found[kind] = of_pairs
        if of_models is not None:
            found[f"model_{kind}"] = of_models
    return found


def read_distances(file: h5py.File) -> np.ndarray:
    """(n_models, n_models) weight distances, NaN where unknown."""
    n = len(file["checkpoints/name"])
    known = file.get(DISTANCES)
    if known is None or (has_checksums(file) and not file["checkpoints/distances_checksum"][()]):
        return np.full((n, n), np.nan)  # also where a killed writer left half of them
    return known[()]
