"""Whether stores are of one experiment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from landscape.core.errors import StoreError
from landscape.records.store.compare import differences, measured_part
from landscape.records.store.layout import exact_code

_COLUMNS = ("name", "ref", "sha256", "labels")


def refuse_unlike(first: h5py.File, other: h5py.File, paths: tuple[Path, Path]) -> None:
    """Refuse two stores whose numbers do not belong together.

    Args:
        first: A store.
        other: Another one.
        paths: Of both, for the error.

    Raises:
        StoreError: Other configurations of what was measured, checkpoints, data sets, positions,
            number formats or scores; it names the first difference.
    """
    for facts in (_config, _numbers, _checkpoints, _datasets, _scores):
        found = differences(facts(first), facts(other))
        if found:
            raise _unlike(paths, found[0])
    one, two = first["position"][:], other["position"][:]
    if not np.array_equal(one, two):
        raise _unlike(paths, f"positions: {one} -> {two}")
    known = other.get("points", {})
    for name in (name for name in first.get("points", {}) if name in known):
        for what, value in _points(first, name).items():
            found_value = _points(other, name)[what]
            if not np.array_equal(value, found_value):
                raise _unlike(paths, f"{what} of '{name}': {value} -> {found_value}")


def _unlike(paths: tuple[Path, Path], found: str) -> StoreError:
    return StoreError(
        "The stores are not of one experiment.",
        where=f"{paths[0]} and {paths[1]}",
        found=found,
        fix="merge stores of one configuration, its checkpoints and its data",
    )


def _config(file: h5py.File) -> dict[str, Any]:
    found = measured_part(json.loads(file["config"].asstr()[()]))
    return {**found, "number format": exact_code(file.attrs)}


def _numbers(file: h5py.File) -> dict[str, Any]:
    return {
        "number of checkpoints": len(file["model"]),
        "data sets": ", ".join(file["datasets"]),
    }


def _checkpoints(file: h5py.File) -> dict[str, Any]:
    table = file["checkpoints"]
    columns = {name: table[name].asstr()[()] for name in _COLUMNS}
    found: dict[str, Any] = {}
    for name, values in columns.items():
        found |= {f"{name} of checkpoint {row}": str(own) for row, own in enumerate(values)}
    return found


def _datasets(file: h5py.File) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, group in file["datasets"].items():
        notes = {key: str(group.attrs.get(key, "no")) for key in ("role", "metric", "aggregated")}
        notes["examples"] = str(group.attrs["content-hash"])
        notes["number of examples"] = str(len(group["example"]))
        notes["label names"] = ", ".join(map(str, group.attrs["label-names"]))
        notes["accuracies"] = str("accuracies" in group)
        found |= {f"{key} of data set '{name}'": value for key, value in notes.items()}
    return found


def _scores(file: h5py.File) -> dict[str, Any]:
    return {
        f"score '{name}'": f"{values.attrs['role']}, {values[()]}"
        for name, values in file.get("scores", {}).items()
    }


def _points(file: h5py.File, name: str) -> dict[str, Any]:
    group = file["points"][name]
    notes = {key: group.attrs[key] for key in ("kind", "models", "shape")}
    return {**notes, **{key: group[key][()] for key in ("positions", "marks")}}
