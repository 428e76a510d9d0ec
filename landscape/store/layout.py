"""Where everything lies in the file, and an empty one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import h5py
import numpy as np
import pandas as pd

from landscape.errors import StoreError
from landscape.tasks.examples import Examples

ENCODING_VERSION = "0.3.0"
MEASURED = 1
FORMATS = ("", "fp32", "tf32", "bf16", "fp64")
"""What a point's code in ``pairs/formats`` means; 0: it was not evaluated."""
TEXT = h5py.string_dtype()
CHECKPOINT_TEXT = ("name", "ref", "sha256", "labels", "revision", "fingerprint")
CHECKPOINT_NUMBERS = ("seed", "step")


def create_store(
    path: Path,
    *,
    config: dict[str, Any],
    attributes: Mapping[str, str],
    checkpoints: pd.DataFrame,
    pairs: np.ndarray,
    positions: np.ndarray,
    datasets: Sequence[tuple[str, Examples]],
) -> None:
    """Lay out an empty store, all at once or not at all.

    Args:
        path: The file; it must not exist.
        config: The experiment, as JSON can hold it.
        attributes: Root attributes beside the encoding's; ``precision`` is a name in ``FORMATS``
            or ``auto``.
        checkpoints: As in ``Contents``.
        pairs: (n_pairs, 2) model indices.
        positions: (n_points,) of the whole grid, from 0 to 1.
        datasets: Role and examples of each data set.

    Raises:
        StoreError: The attribute ``precision`` names no known number format.
    """
    exact_code(attributes)
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(partial, "w") as file:
        file.attrs["encoding-type"] = "landscape"
        file.attrs["encoding-version"] = ENCODING_VERSION
        file.attrs["finished"] = "no"
        for name, value in attributes.items():
            file.attrs[name] = str(value)
        file.create_dataset("config", data=json.dumps(config, indent=1), dtype=TEXT)
        model = make_scale(file, "model", checkpoints["name"].to_numpy(dtype=object))
        pair = make_scale(file, "pair", np.arange(len(pairs)))
        point = make_scale(file, "position", np.asarray(positions, dtype=np.float64))
        table = file.create_group("checkpoints")
        for column in CHECKPOINT_TEXT:
            write_column(table, column, checkpoints[column].to_numpy(object), model)
        for column in CHECKPOINT_NUMBERS:
            write_column(table, column, checkpoints[column].to_numpy(np.float64), model)
        allocate(table, "status", (model,), "u1", 0)
        end = make_scale(file, "end", np.arange(2))
        write_column(file.create_group("pairs"), "models", np.asarray(pairs, np.int32), pair, end)
        allocate(file["pairs"], "status", (pair,), "u1", 0)
        sets = file.create_group("datasets", track_order=True)
        for role, examples in datasets:
            group = sets.create_group(examples.name)
            group.attrs["role"] = role
            group.attrs["metric"] = examples.metric
            group.attrs["content-hash"] = examples.content_hash()
            group.attrs["label-names"] = list(examples.label_names)
            example = make_scale(group, "example", np.arange(len(examples)))
            write_column(group, "labels", examples.labels.astype(np.uint8), example)
            cuts = group.create_group("groups", track_order=True)
            for name, values in examples.groups.items():
                write_column(cuts, quote(name, safe=" "), values.astype(object), example)
            allocate(group, "model_losses", (model, example), "f4", np.nan)
            allocate(group, "model_predictions", (model, example), "u1", 255)
            allocate(group, "losses", (pair, point, example), "f4", np.nan)
            allocate(group, "predictions", (pair, point, example), "u1", 255)
        allocate_formats(file)
    os.replace(partial, path)


def allocate_formats(file: h5py.File) -> None:
    """Add what format 0.2 has and 0.1 has not."""
    model, pair, point = file["model"], file["pair"], file["position"]
    allocate(file["pairs"], "formats", (pair, point), "u1", 0)
    allocate(file["pairs"], "tolerance", (pair,), "f8", np.nan)
    for group in file["datasets"].values():
        allocate(group, "screened", (pair, point), "f8", np.nan)
        allocate(group, "difference", (pair, point), "f4", np.nan)
        allocate(group, "model_screened", (model,), "f8", np.nan)
        allocate(group, "model_difference", (model,), "f4", np.nan)


def make_scale(group: h5py.Group, name: str, values: np.ndarray) -> h5py.Dataset:
    """A dimension scale."""
    dtype = TEXT if values.dtype == object else None
    dataset = group.create_dataset(name, data=values, dtype=dtype)
    dataset.make_scale(name)
    return dataset


def write_column(group: h5py.Group, name: str, values: np.ndarray, *scales: h5py.Dataset) -> None:
    """An array that is known already, with its scales."""
    dtype = TEXT if values.dtype == object else None
    dataset = group.create_dataset(name, data=values, dtype=dtype)
    for axis, scale in zip(dataset.dims, scales, strict=True):
        axis.attach_scale(scale)


def allocate(
    group: h5py.Group, name: str, scales: tuple[h5py.Dataset, ...], dtype: str, fill: float
) -> None:
    """An array with all its bytes in the file now, so that writing to it moves nothing."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_value(np.array(fill, dtype=dtype))
    properties.set_obj_track_times(False)
    space = h5py.h5s.create_simple(tuple(scale.shape[0] for scale in scales))
    kind = h5py.h5t.py_create(np.dtype(dtype))
    h5py.h5d.create(group.id, name.encode(), kind, space, dcpl=properties)
    for axis, scale in zip(group[name].dims, scales, strict=True):
        axis.attach_scale(scale)


def exact_code(attributes: Mapping[str, Any]) -> int:
    """The code in ``FORMATS`` of a run's exact numbers: its precision, fp32 for ``auto``.

    Raises:
        StoreError: The precision is no known number format.
    """
    precision = str(attributes.get("precision", "auto"))
    name = "fp32" if precision == "auto" else precision
    if name not in FORMATS[1:]:
        raise StoreError(
            "The store's precision is not known.",
            where="attribute 'precision'",
            expected=", ".join(("auto", *FORMATS[1:])),
            found=precision,
        )
    return FORMATS.index(name)


def check_encoding(file: h5py.File, path: Path) -> None:
    """Refuse what is no store, or one of a newer format.

    Raises:
        StoreError: It is.
    """
    if file.attrs.get("encoding-type") != "landscape":
        raise StoreError("The file is not a landscape store.", where=path)
    version = str(file.attrs["encoding-version"])
    if _numbers(version) > _numbers(ENCODING_VERSION):
        raise StoreError(
            "The store was written by a newer version.",
            where=path,
            expected=f"encoding-version up to {ENCODING_VERSION}",
            found=version,
            fix="pip install --upgrade landscape-basins",
        )


def has_formats(file: h5py.File) -> bool:
    """Whether a file is of format 0.2 or later."""
    return _numbers(str(file.attrs["encoding-version"])) >= (0, 2)


def _numbers(version: str) -> tuple[int, ...]:
    """Major and minor: a patch of the format is read by any reader of its minor."""
    return tuple(int(part) for part in version.split(".")[:2])
