"""A store into memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import h5py
import numpy as np
import pandas as pd

from landscape.errors import StoreError
from landscape.store.contents import Contents, StoredDataset, largest
from landscape.store.layout import (
    CHECKPOINT_NUMBERS,
    CHECKPOINT_TEXT,
    MEASURED,
    check_encoding,
    exact_code,
    has_formats,
)
from landscape.store.points import read_points
from landscape.store.slots import assigned
from landscape.store.texts import read_texts

__all__ = ["Contents", "StoredDataset", "largest", "read_store"]


def read_store(path: str | Path) -> Contents:
    """Read a store, finished or not, even while a run writes to it.

    Args:
        path: The file, of this format or an older one.

    Returns:
        What it holds; what an older format does not say is filled in as its specification has it.

    Raises:
        StoreError: No file, not a store, damaged, or of a newer format.
    """
    path = Path(path)
    if not path.is_file():
        raise StoreError("There is no store.", where=path.absolute())
    try:
        with _open_to_read(path) as file:
            check_encoding(file, path)
            return _read(path, file)
    except StoreError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise StoreError("The store cannot be read.", where=path, found=error) from None


def _open_to_read(path: Path) -> h5py.File:
    """Without a lock, so that a run that writes is no obstacle."""
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        return h5py.File(path, "r")  # this process has it open already


def _text(dataset: h5py.Dataset) -> np.ndarray:
    return dataset.asstr()[()]


def _metric(group: h5py.Group) -> Literal["accuracy", "matthews"]:
    return "matthews" if group.attrs["metric"] == "matthews" else "accuracy"


def _read(path: Path, file: h5py.File) -> Contents:
    table = {name: _text(file["checkpoints"][name]) for name in CHECKPOINT_TEXT}
    table |= {name: file["checkpoints"][name][()] for name in CHECKPOINT_NUMBERS}
    checkpoints = pd.DataFrame(table)
    models = tuple(checkpoints["name"])
    # the status first: a pair that a writer finishes meanwhile counts as not measured
    status, model_status = file["pairs/status"][()], file["checkpoints/status"][()]
    pairs = file["pairs/models"][()]
    rows = np.flatnonzero(assigned(pairs))
    pairs, status = pairs[rows], status[rows]
    positions = file["position"][()]
    if has_formats(file):
        formats = _rows(file["pairs/formats"], rows)
        tolerance = _rows(file["pairs/tolerance"], rows)
    else:
        code = exact_code(file.attrs)
        formats = np.full((len(status), len(positions)), code, dtype=np.uint8)
        tolerance = np.zeros(len(status))
    # a killed writer may have left half a pair behind
    formats[status != MEASURED] = 0
    tolerance[status != MEASURED] = np.nan
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
            predictions=_rows(group["predictions"], rows),
            model_predictions=group["model_predictions"][()],
            losses=_measured(group["losses"], status, rows),
            model_losses=_measured(group["model_losses"], model_status),
            aggregated=str(group.attrs.get("aggregated", "no")) == "yes",
            **_screened(file, group, status, model_status, rows),
            **_accuracies(group, status, model_status, rows),
        )
    scores = file.get("scores", {})
    return Contents(
        path=path,
        attributes=dict(file.attrs),
        config=json.loads(file["config"].asstr()[()]),
        models=models,
        checkpoints=checkpoints,
        pairs=pairs,
        status=status,
        model_status=model_status,
        positions=positions,
        formats=formats,
        tolerance=tolerance,
        datasets=dict(sorted(sets.items(), key=lambda item: item[1].role != "in_domain")),
        points=read_points(file),
        distances=read_distances(file),
        chosen="active" if file.attrs.get("pairs", "all") == "active" else "all",
        given_scores=pd.DataFrame(
            {unquote(name): values[()] for name, values in scores.items()},
            index=pd.Index(models, name="model"),
        ),
        score_roles={unquote(name): str(values.attrs["role"]) for name, values in scores.items()},
    )


def read_distances(file: h5py.File) -> np.ndarray:
    """(n_models, n_models) weight distances, NaN where unknown."""
    n = len(file["checkpoints/name"])
    known = file["checkpoints"].get("distances")
    return np.full((n, n), np.nan) if known is None else known[()]


def _screened(
    file: h5py.File,
    group: h5py.Group,
    status: np.ndarray,
    model_status: np.ndarray,
    rows: np.ndarray,
) -> dict[str, np.ndarray]:
    kinds: dict[str, Any] = {"screened": np.float64, "difference": np.float32}
    found = {}
    for kind, dtype in kinds.items():
        if has_formats(file):
            found[kind] = _measured(group[kind], status, rows)
            found[f"model_{kind}"] = _measured(group[f"model_{kind}"], model_status)
        else:
            shape = len(status), file["position"].shape[0]
            found[kind] = np.full(shape, np.nan, dtype)
            found[f"model_{kind}"] = np.full(len(model_status), np.nan, dtype)
    return found


def _accuracies(
    group: h5py.Group, status: np.ndarray, model_status: np.ndarray, rows: np.ndarray
) -> dict[str, np.ndarray]:
    """What is stored of them; the rest is NaN."""
    found = {}
    if "accuracies" in group:
        found["accuracies"] = _measured(group["accuracies"], status, rows)
    if "model_accuracies" in group:
        found["model_accuracies"] = _measured(group["model_accuracies"], model_status)
    return found


def _measured(
    dataset: h5py.Dataset, status: np.ndarray, rows: np.ndarray | None = None
) -> np.ndarray:
    """An array whose rows are NaN where the status does not vouch for them."""
    values = dataset[()] if rows is None else _rows(dataset, rows)
    values[status != MEASURED] = np.nan
    return values


def _rows(dataset: h5py.Dataset, rows: np.ndarray) -> np.ndarray:
    """These rows, ascending; no other is read, for the table of a long run may be mostly free."""
    if len(rows) == len(dataset):
        return dataset[()]
    values = np.empty((len(rows), *dataset.shape[1:]), dataset.dtype)
    place = 0
    for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
        if len(run):
            values[place : place + len(run)] = dataset[run[0] : run[-1] + 1]
            place += len(run)
    return values
