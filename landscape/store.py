"""The HDF5 file: one writer, resumable at any moment, self-describing.

While a run goes on, every array lies contiguous and fully allocated, so that writing a pair
changes bytes in place and no structure of the file: a writer killed at any moment leaves a file
that reads. A finished file is rewritten compressed and put in place by ``os.replace``. The layout
is specified in store.md beside this file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from urllib.parse import quote, unquote

import h5py
import numpy as np
import pandas as pd

from landscape.errors import StoreError
from landscape.tasks.examples import Examples

ENCODING_VERSION = "0.1.0"
MEASURED = 1
_TEXT = h5py.string_dtype()
_CHECKPOINT_TEXT = ("name", "ref", "sha256", "labels", "revision", "fingerprint")
_CHECKPOINT_NUMBERS = ("seed", "step")


@dataclass(frozen=True)
class StoredDataset:
    """One data set's examples and everything measured on them.

    Attributes:
        role: ``in_domain`` or ``challenge``.
        metric: ``accuracy`` or ``matthews``.
        labels: (n_examples,) indices into ``label_names``.
        groups: From a grouping to (n_examples,) group names.
        losses: (n_pairs, n_points, n_examples) float32 nats, NaN where not measured.
        predictions: (n_pairs, n_points, n_examples) uint8, meaningless where losses are NaN.
        model_losses: (n_models, n_examples).
        model_predictions: (n_models, n_examples).
    """

    name: str
    role: str
    metric: Literal["accuracy", "matthews"]
    label_names: tuple[str, ...]
    labels: np.ndarray
    groups: dict[str, np.ndarray]
    content_hash: str
    losses: np.ndarray = field(repr=False)
    predictions: np.ndarray = field(repr=False)
    model_losses: np.ndarray = field(repr=False)
    model_predictions: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Contents:
    """A store, read whole.

    Attributes:
        attributes: Versions, device, precision, machine, ``finished``.
        config: The experiment.
        models: (n_models) short unique names.
        checkpoints: A row a model: name, ref, sha256, labels, revision, fingerprint, seed, step.
        pairs: (n_pairs, 2) model indices, first < second.
        status: (n_pairs,) 1 where measured.
        model_status: (n_models,) 1 where measured.
        positions: (n_points,) of the line, from 0 at the first model to 1 at the second.
        datasets: By name, in-domain sets first.
    """

    path: Path
    attributes: dict[str, Any]
    config: dict[str, Any]
    models: tuple[str, ...]
    checkpoints: pd.DataFrame
    pairs: np.ndarray
    status: np.ndarray
    model_status: np.ndarray
    positions: np.ndarray
    datasets: dict[str, StoredDataset]


Outputs = Mapping[str, tuple[np.ndarray, np.ndarray]]


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
        attributes: Root attributes beside the encoding's.
        checkpoints: As in ``Contents``.
        pairs: (n_pairs, 2) model indices.
        positions: (n_points,).
        datasets: Role and examples of each data set.
    """
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(partial, "w") as file:
        file.attrs["encoding-type"] = "landscape"
        file.attrs["encoding-version"] = ENCODING_VERSION
        file.attrs["finished"] = "no"
        for name, value in attributes.items():
            file.attrs[name] = str(value)
        file.create_dataset("config", data=json.dumps(config, indent=1), dtype=_TEXT)
        model = _scale(file, "model", checkpoints["name"].to_numpy(dtype=object))
        pair = _scale(file, "pair", np.arange(len(pairs)))
        point = _scale(file, "position", np.asarray(positions, dtype=np.float64))
        table = file.create_group("checkpoints")
        for column in _CHECKPOINT_TEXT:
            _column(table, column, checkpoints[column].to_numpy(object), model)
        for column in _CHECKPOINT_NUMBERS:
            _column(table, column, checkpoints[column].to_numpy(np.float64), model)
        _allocate(table, "status", (model,), "u1", 0)
        end = _scale(file, "end", np.arange(2))
        _column(file.create_group("pairs"), "models", np.asarray(pairs, np.int32), pair, end)
        _allocate(file["pairs"], "status", (pair,), "u1", 0)
        sets = file.create_group("datasets", track_order=True)
        for role, examples in datasets:
            group = sets.create_group(examples.name)
            group.attrs["role"] = role
            group.attrs["metric"] = examples.metric
            group.attrs["content-hash"] = examples.content_hash()
            group.attrs["label-names"] = list(examples.label_names)
            example = _scale(group, "example", np.arange(len(examples)))
            _column(group, "labels", examples.labels.astype(np.uint8), example)
            cuts = group.create_group("groups", track_order=True)
            for name, values in examples.groups.items():
                _column(cuts, quote(name, safe=" "), values.astype(object), example)
            _allocate(group, "model_losses", (model, example), "f4", np.nan)
            _allocate(group, "model_predictions", (model, example), "u1", 255)
            _allocate(group, "losses", (pair, point, example), "f4", np.nan)
            _allocate(group, "predictions", (pair, point, example), "u1", 255)
    os.replace(partial, path)


def _scale(group: h5py.Group, name: str, values: np.ndarray) -> h5py.Dataset:
    dtype = _TEXT if values.dtype == object else None
    dataset = group.create_dataset(name, data=values, dtype=dtype)
    dataset.make_scale(name)
    return dataset


def _column(group: h5py.Group, name: str, values: np.ndarray, *scales: h5py.Dataset) -> None:
    dtype = _TEXT if values.dtype == object else None
    dataset = group.create_dataset(name, data=values, dtype=dtype)
    for axis, scale in zip(dataset.dims, scales, strict=True):
        axis.attach_scale(scale)


def _allocate(
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


class StoreWriter:
    """The one process that writes a store.

    Raises:
        StoreError: The file cannot be opened for writing, or another process writes to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = h5py.File(path, "r+")
        except BlockingIOError:
            raise StoreError(
                "Another process is writing to the store.",
                where=path,
                fix="wait for it, or give this run another 'out'",
            ) from None
        except OSError as error:
            raise StoreError("The store cannot be written.", where=path, found=error) from None
        _check_encoding(self._file, path)

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def pairs(self) -> np.ndarray:
        """(n_pairs, 2) model indices."""
        return self._file["pairs/models"][:]

    def model_predictions(self, dataset: str) -> np.ndarray:
        """(n_models, n_examples) label indices."""
        return self._file["datasets"][dataset]["model_predictions"][:]

    def models_to_measure(self) -> np.ndarray:
        """Indices of models that have no losses yet."""
        return np.flatnonzero(self._file["checkpoints/status"][:] != MEASURED)

    def pairs_to_measure(self) -> np.ndarray:
        """Indices of pairs that have no losses yet."""
        return np.flatnonzero(self._file["pairs/status"][:] != MEASURED)

    def write_model(self, model: int, outputs: Outputs) -> None:
        """Store one model's losses and predictions, each (n_examples,), by data set."""
        for name, (losses, predictions) in outputs.items():
            group = self._file["datasets"][name]
            group["model_losses"][model] = losses
            group["model_predictions"][model] = predictions
        self._file.flush()
        self._file["checkpoints/status"][model] = MEASURED
        self._file.flush()

    def write_pair(self, pair: int, outputs: Outputs) -> None:
        """Store a pair's inner points, each (n_points - 2, n_examples); its ends are the models'.

        The status is written after the arrays have been flushed: a pair that is marked is whole.
        """
        first, second = self._file["pairs/models"][pair]
        for name, (losses, predictions) in outputs.items():
            group = self._file["datasets"][name]
            for kind, inner in (("losses", losses), ("predictions", predictions)):
                ends = group[f"model_{kind}"]
                group[kind][pair] = np.concatenate([ends[first][None], inner, ends[second][None]])
        self._file.flush()
        self._file["pairs/status"][pair] = MEASURED
        self._file.flush()

    def finish(self, config: dict[str, Any]) -> None:
        """Rewrite the file compressed, marked as finished, with the configuration as it is now."""
        partial = self.path.with_name(f".{self.path.name}.partial")
        with h5py.File(partial, "w") as packed:
            _copy(self._file, packed)
            packed.attrs["finished"] = "yes"
            packed["config"][()] = json.dumps(config, indent=1)
        self._file.close()
        os.replace(partial, self.path)


def _copy(source: h5py.File, target: h5py.File) -> None:
    """Copy everything, arrays of more than one axis chunked by row and compressed."""
    copies: list[tuple[h5py.Dataset, h5py.Dataset]] = []
    _copy_group(source, target, copies)
    for original, copy in copies:
        for axis, dimension in enumerate(original.dims):
            for scale in dimension.values():
                copy.dims[axis].attach_scale(target[scale.name])


def _copy_group(
    source: h5py.Group, target: h5py.Group, copies: list[tuple[h5py.Dataset, h5py.Dataset]]
) -> None:
    for name, value in source.attrs.items():
        target.attrs[name] = value
    for name, item in source.items():  # in the order of creation, where it is tracked
        if isinstance(item, h5py.Group):
            _copy_group(item, target.create_group(name, track_order=True), copies)
            continue
        if item.ndim < 2:
            dtype = _TEXT if item.dtype == object else item.dtype
            copy = target.create_dataset(name, data=item[()], dtype=dtype)
        else:
            copy = target.create_dataset(
                name,
                item.shape,
                item.dtype,
                chunks=(1, *item.shape[1:]),
                compression="gzip",
                shuffle=True,
            )
            for row in range(item.shape[0]):
                copy[row] = item[row]
        if item.is_scale:
            copy.make_scale(name)
        else:
            copies.append((item, copy))


def read_store(path: str | Path) -> Contents:
    """Read a store, finished or not, even while a run writes to it.

    Raises:
        StoreError: No file, not a store, damaged, or of a newer format.
    """
    path = Path(path)
    if not path.is_file():
        raise StoreError("There is no store.", where=path.absolute())
    try:
        with _open_to_read(path) as file:
            _check_encoding(file, path)
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


def _check_encoding(file: h5py.File, path: Path) -> None:
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


def _numbers(version: str) -> tuple[int, ...]:
    """Major and minor: a patch of the format is read by any reader of its minor."""
    return tuple(int(part) for part in version.split(".")[:2])


def _text(dataset: h5py.Dataset) -> np.ndarray:
    return dataset.asstr()[()]


def _metric(group: h5py.Group) -> Literal["accuracy", "matthews"]:
    return "matthews" if group.attrs["metric"] == "matthews" else "accuracy"


def _read(path: Path, file: h5py.File) -> Contents:
    table = {name: _text(file["checkpoints"][name]) for name in _CHECKPOINT_TEXT}
    table |= {name: file["checkpoints"][name][()] for name in _CHECKPOINT_NUMBERS}
    checkpoints = pd.DataFrame(table)
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
            losses=group["losses"][()],
            predictions=group["predictions"][()],
            model_losses=group["model_losses"][()],
            model_predictions=group["model_predictions"][()],
        )
    return Contents(
        path=path,
        attributes=dict(file.attrs),
        config=json.loads(file["config"].asstr()[()]),
        models=tuple(checkpoints["name"]),
        checkpoints=checkpoints,
        pairs=file["pairs/models"][()],
        status=file["pairs/status"][()],
        model_status=file["checkpoints/status"][()],
        positions=file["position"][()],
        datasets=dict(sorted(sets.items(), key=lambda item: item[1].role != "in_domain")),
    )
