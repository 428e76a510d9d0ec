"""Where everything lies in the file, and an empty one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import h5py
import numpy as np
import pandas as pd

from landscape.core.errors import StoreError
from landscape.records.store.arrays import TEXT, allocate, make_scale, write_column
from landscape.records.store.disk import writing
from landscape.records.store.replace import make_file, partial_of, put_in_place
from landscape.records.store.slots import assigned, check_pairs
from landscape.records.store.structure import block_for
from landscape.records.store.tables import allocate_checksums
from landscape.records.store.texts import write_texts
from landscape.tasks.examples import Examples

ENCODING_VERSION = "0.5.0"
FORMATS = ("", "fp32", "tf32", "bf16", "fp64")
"""What a point's code in ``pairs/formats`` means; 0: it was not evaluated."""
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
    texts: bool = True,
    plans: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Lay out an empty store, all at once or not at all.

    Args:
        path: The file; it must not exist.
        config: The experiment, as JSON can hold it.
        attributes: Root attributes beside the encoding's; ``precision`` is a name in ``FORMATS``
            or ``auto``, ``pairs`` is ``all`` or ``active`` (by default where there are free slots).
        checkpoints: As in ``Results``.
        pairs: (n_rows, 2) model indices; a row (-1, -1) is a free slot, which
            ``StoreWriter.assign_pairs`` gives to a pair.
        positions: (n_points,) of the whole grid, from 0 to 1.
        datasets: Role and examples of each data set.
        texts: Whether the examples' texts are stored; who may not publish them says no.
        plans: How numbers will be computed, as JSON can hold it.

    Raises:
        StoreError: The attribute ``precision`` names no known number format, a pair is not one of
            two models, or the file cannot be written.
    """
    exact_code(attributes)
    rows = check_pairs(pairs, len(checkpoints))

    def write(file: h5py.File) -> None:
        write_frame(file, config, attributes, checkpoints, rows, positions)
        model, pair, point = file["model"], file["pair"], file["position"]
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
            if texts:
                write_texts(group, examples, config)
            allocate(group, "model_losses", (model, example), "f4", np.nan)
            allocate(group, "model_predictions", (model, example), "u1", 255)
            allocate(group, "losses", (pair, point, example), "f4", np.nan)
            allocate(group, "predictions", (pair, point, example), "u1", 255)
        allocate_formats(file)
        allocate_distances(file)
        allocate_checksums(file)
        file["plans"][()] = json.dumps(list(plans), indent=1)

    kept = [examples.texts for _, examples in datasets] if texts else []
    n_bytes = sum(len(text) for columns in kept for column in columns for text in column)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        make_file(partial_of(path), write, block=block_for(n_bytes))
        put_in_place(partial_of(path), path)


def write_frame(
    file: h5py.File,
    config: dict[str, Any],
    attributes: Mapping[str, str],
    checkpoints: pd.DataFrame,
    pairs: np.ndarray,
    positions: np.ndarray,
) -> None:
    """All that a store has beside its data sets; nothing is measured."""
    file.attrs["encoding-type"] = "landscape"
    file.attrs["encoding-version"] = ENCODING_VERSION
    file.attrs["finished"] = "no"
    file.attrs["pairs"] = "all" if assigned(pairs).all() else "active"
    for name, value in attributes.items():
        file.attrs[name] = str(value)
    file.create_dataset("config", data=json.dumps(config, indent=1), dtype=TEXT)
    model = make_scale(file, "model", checkpoints["name"].to_numpy(dtype=object))
    pair = make_scale(file, "pair", np.arange(len(pairs)))
    make_scale(file, "position", np.asarray(positions, dtype=np.float64))
    table = file.create_group("checkpoints")
    for column in CHECKPOINT_TEXT:
        write_column(table, column, checkpoints[column].to_numpy(object), model)
    for column in CHECKPOINT_NUMBERS:
        write_column(table, column, checkpoints[column].to_numpy(np.float64), model)
    allocate(table, "status", (model,), "u1", 0)
    end = make_scale(file, "end", np.arange(2))
    write_column(file.create_group("pairs"), "models", pairs.astype(np.int32), pair, end)
    allocate(file["pairs"], "status", (pair,), "u1", 0)


def allocate_distances(file: h5py.File) -> None:
    """Add the matrix of weight distances that formats before 0.4 have not."""
    table = file["checkpoints"]
    # a scale of its own: readers of named dimensions want each name once in an array
    other = make_scale(table, "other_model", file["model"].asstr()[()].astype(object))
    allocate(table, "distances", (file["model"], other), "f8", np.nan)


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
    """Refuse what is no store, or one of a newer or unknown format.

    Raises:
        StoreError: It is.
    """
    if file.attrs.get("encoding-type") != "landscape":
        raise StoreError("The file is not a landscape store.", where=path)
    version = str(file.attrs.get("encoding-version", "none"))
    if not re.fullmatch(r"\d{1,6}\.\d{1,6}(\.\w{1,20})?", version):
        raise StoreError(
            "The store does not say of which format it is.",
            where=f"attribute 'encoding-version' of {path}",
            expected="MAJOR.MINOR.PATCH",
            found=version[:60],
        )
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


def has_checksums(file: h5py.File) -> bool:
    """Whether a file is of format 0.5 or later."""
    return _numbers(str(file.attrs["encoding-version"])) >= (0, 5)


def _numbers(version: str) -> tuple[int, ...]:
    """Major and minor: a patch of the format is read by any reader of its minor."""
    return tuple(int(part) for part in version.split(".")[:2])
