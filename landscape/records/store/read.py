"""An HDF5 file as ``Results``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import h5py
import numpy as np
import pandas as pd

from landscape.core.errors import StoreError
from landscape.records.results import DatasetFrame, Measured, Results, StoredPath
from landscape.records.store.content_hash import ATTRIBUTE, check_sizes, content_sha256
from landscape.records.store.write import (
    CHECKPOINT_NUMBERS,
    CHECKPOINT_TEXT,
    ENCODING_VERSION,
    RECIPE,
)
from landscape.records.table import LOSS, assemble

_BROKEN = (OSError, KeyError, ValueError, RuntimeError, TypeError, IndexError, AttributeError)


def read_store(path: str | Path) -> Results:
    """Read a store, or what the records of a run's folder hold so far.

    Raises:
        StoreError: No file, not a store, damaged, or of another format.
    """
    path = Path(path)
    if path.is_dir():
        from landscape.records.collect import collect
        from landscape.records.folder import RunFolder

        return collect(RunFolder(path))
    if not path.is_file():
        raise StoreError("There is no store.", where=path.absolute())
    try:
        with h5py.File(path, "r") as file:
            _check_encoding(file, path)
            check_sizes(file)
            if _text(file.attrs[ATTRIBUTE]) != content_sha256(file):
                raise _damaged(path, "content that does not fit its SHA-256")
            return _read(file, path)
    except StoreError:
        raise
    except _BROKEN as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, found: object) -> StoreError:
    return StoreError(
        "The store is damaged, or no store.",
        where=path,
        found=found,
        fix=f"landscape repair {path.parent} writes it anew from the run's records",
    )


def _check_encoding(file: h5py.File, path: Path) -> None:
    if _text(file.attrs.get("encoding-type", b"")) != "landscape":
        raise StoreError("The file is not a landscape store.", where=path)
    version = _text(file.attrs.get("encoding-version", b"none"))
    if version.split(".")[0] != ENCODING_VERSION.split(".")[0]:
        raise StoreError(
            "The store is of another format.",
            where=path,
            expected=f"encoding-version {ENCODING_VERSION}",
            found=version[:60],
            fix="read it with the version of landscape-basins that wrote it",
        )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _values(dataset: h5py.Dataset) -> np.ndarray:
    return dataset.asstr()[()] if dataset.dtype.kind == "S" else dataset[()]


def _json(dataset: h5py.Dataset) -> Any:
    return json.loads(_text(dataset[()]))


def _read(file: h5py.File, path: Path) -> Results:
    table = {name: _values(file["checkpoints"][name]) for name in CHECKPOINT_TEXT}
    table |= {name: file["checkpoints"][name][()] for name in CHECKPOINT_NUMBERS}
    if RECIPE in file["checkpoints"]:
        texts = _values(file["checkpoints"][RECIPE])
        table[RECIPE] = np.array([dict(json.loads(text)) for text in texts], dtype=object)
    models = list(table["name"])
    scores = {unquote(name): values for name, values in file["scores"].items()}
    measured = {name: _measured(group) for name, group in file["indicators"].items()}
    gaps = file.get("checkpoints/given_gaps")
    attributes = {name: _text(value) for name, value in file.attrs.items()}
    frame = {
        "path": path,
        "attributes": attributes,
        "config": _json(file["config"]),
        "checkpoints": pd.DataFrame(table),
        "pairs": file["pairs/models"][()],
        "status": file["pairs/status"][()],
        "tolerance": file["pairs/tolerance"][()],
        "positions": file["position"][()],
        "distances": file["checkpoints/distances"][()],
        "given_gaps": None if gaps is None else gaps[()],
        "chosen": attributes["pairs"],
        "given_scores": pd.DataFrame(
            {name: values[()] for name, values in scores.items()},
            index=pd.Index(models, name="model"),
        ),
        "score_roles": {name: _text(values.attrs["role"]) for name, values in scores.items()},
        "plans": _json(file["plans"]),
        "indicators": {name: rows for name, rows in measured.items() if name != LOSS},
    }
    datasets = {name: _dataset(name, group) for name, group in file["datasets"].items()}
    paths = {name: _path(name, group) for name, group in file["paths"].items()}
    return assemble(frame, datasets, paths, measured[LOSS])


def _dataset(name: str, group: h5py.Group) -> DatasetFrame:
    def table(kind: str) -> dict[str, np.ndarray]:
        return {unquote(column): _values(values) for column, values in group[kind].items()}

    return DatasetFrame(
        name=name,
        role=_text(group.attrs["role"]),
        metric=_text(group.attrs["metric"]),  # type: ignore[arg-type]
        label_names=tuple(map(_text, group.attrs["label-names"])),
        labels=group["labels"][()],
        groups=table("groups"),
        content_hash=_text(group.attrs["content-hash"]),
        texts=table("texts"),
        aggregated=_text(group.attrs["aggregated"]) == "yes",
    )


def _path(name: str, group: h5py.Group) -> StoredPath:
    return StoredPath(
        name=name,
        kind=_text(group.attrs["kind"]),
        models=tuple(map(_text, group.attrs["models"])),
        marks=group["marks"][()],
        positions=group["positions"][()],
        shape=tuple(map(int, group.attrs["shape"])),
        lengths=group["lengths"][()],
        notes=_json(group["notes"]),
    )


def _measured(group: h5py.Group) -> Measured:
    rows = {name: group[name][()] for name in ("path", "point", "plan")}
    arrays: dict[str, np.ndarray] = {}
    dims: dict[str, tuple[str, ...]] = {}
    units: dict[str, str] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if not isinstance(item, h5py.Dataset) or item.is_scale or name in rows:
            return
        arrays[name] = item[()]
        dims[name] = tuple(axis[0].name.rpartition("/")[2] for axis in list(item.dims)[1:])
        if "units" in item.attrs:
            units[name] = _text(item.attrs["units"])

    group.visititems(visit)
    return Measured(**rows, arrays=arrays, dims=dims, units=units)
