"""``Results`` as an HDF5 file, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import h5py
import numpy as np

from landscape.core.files import replacing
from landscape.records.results import Measured, Results, StoredDataset, StoredPath
from landscape.records.store.content_hash import ATTRIBUTE, content_sha256
from landscape.records.table import LOSS, flatten
from landscape.records.writing import writing

ENCODING_VERSION = "1.0.0"
CHECKPOINT_TEXT = ("name", "ref", "sha256", "labels", "revision", "fingerprint")
CHECKPOINT_NUMBERS = ("seed", "step")
RECIPE = "recipe"
_CHUNK = 2**18  # bytes, about
_LIBVER = ("v110", "v110")  # its indices of chunks take a tenth of the room


def write_store(results: Results, path: str | Path, *, finished: bool = True) -> None:
    """Write a store; it takes the place of one that is there at once.

    Raises:
        StoreError: The file cannot be written.
    """
    path = Path(path)
    # in memory: HDF5 does not outlive a write that a disk refuses
    with h5py.File(
        "store", "w", driver="core", backing_store=False, track_order=True, libver=_LIBVER
    ) as file:
        _write(file, results, finished)
        file.attrs[ATTRIBUTE] = np.bytes_(content_sha256(file))
        file.flush()
        content = file.id.get_file_image()
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as target:
            target.write(content)


def _write(file: h5py.File, results: Results, finished: bool) -> None:
    attributes = {
        **results.attributes,
        "encoding-type": "landscape",
        "encoding-version": ENCODING_VERSION,
        "finished": "yes" if finished else "no",
        "pairs": results.chosen,
    }
    for name, value in sorted(attributes.items()):
        if name != ATTRIBUTE:
            file.attrs[name] = _text(str(value))
    _array(file, "config", json.dumps(results.config, indent=1))
    _array(file, "plans", json.dumps(results.plans, indent=1))
    model = _scale(file, "model", np.array(results.models))
    pair = _scale(file, "pair", np.arange(len(results.pairs)))
    _scale(file, "position", np.asarray(results.positions, dtype=np.float64))
    end = _scale(file, "end", np.arange(2))
    table = file.create_group("checkpoints")
    for column in CHECKPOINT_TEXT:
        _array(table, column, results.checkpoints[column].to_numpy(dtype=str), model)
    if RECIPE in results.checkpoints:
        texts = [json.dumps(recipe, sort_keys=True) for recipe in results.checkpoints[RECIPE]]
        _array(table, RECIPE, np.array(texts), model)
    for column in CHECKPOINT_NUMBERS:
        _array(table, column, results.checkpoints[column].to_numpy(np.float64), model)
    other = _scale(table, "other_model", np.array(results.models))
    _array(table, "distances", results.distances, model, other)
    if results.given_gaps is not None:
        _array(table, "given_gaps", results.given_gaps, model, other, units="nats")
    pairs = file.create_group("pairs")
    _array(pairs, "models", results.pairs.astype(np.int32), pair, end)
    _array(pairs, "status", results.status.astype(np.uint8), pair)
    _array(pairs, "tolerance", results.tolerance, pair, units="nats")
    sets = file.create_group("datasets", track_order=True)
    for data in results.datasets.values():
        _write_dataset(sets.create_group(data.name), data)
    scores = file.create_group("scores", track_order=True)
    for label, values in results.given_scores.items():
        score = str(label)
        column = _array(scores, quote(score, safe=" "), values.to_numpy(np.float64), model)
        column.attrs["role"] = _text(results.score_roles[score])
    paths = file.create_group("paths", track_order=True)
    for stored in results.points.values():
        _write_path(paths.create_group(stored.name), stored)
    measured = file.create_group("indicators", track_order=True)
    for name, rows in {LOSS: flatten(results), **results.indicators}.items():
        _write_measured(measured.create_group(name), rows)


def _write_dataset(group: h5py.Group, data: StoredDataset) -> None:
    group.attrs["role"] = _text(data.role)
    group.attrs["metric"] = _text(data.metric)
    group.attrs["content-hash"] = _text(data.content_hash)
    group.attrs["label-names"] = _texts(data.label_names)
    group.attrs["aggregated"] = _text("yes" if data.aggregated else "no")
    example = _scale(group, "example", np.arange(len(data.labels)))
    _array(group, "labels", data.labels.astype(np.uint8), example)
    for kind, columns in (("groups", data.groups), ("texts", data.texts)):
        table = group.create_group(kind, track_order=True)
        for name, values in columns.items():
            _array(table, quote(name, safe=" "), np.asarray(values, dtype=str), example)


def _write_path(group: h5py.Group, path: StoredPath) -> None:
    group.attrs["kind"] = _text(path.kind)
    group.attrs["models"] = _texts(path.models)
    group.attrs["shape"] = np.array(path.shape, dtype=np.int64)
    point = _scale(group, "point", np.arange(len(path.positions)))
    axis = _scale(group, "axis", np.arange(path.positions.shape[1]))
    mark = _scale(group, "mark", np.arange(len(path.marks)))
    _array(group, "positions", path.positions.astype(np.float64), point, axis)
    _array(group, "marks", path.marks.astype(np.float64), mark, axis)
    _array(group, "lengths", path.lengths.astype(np.float64), point)
    _array(group, "notes", json.dumps(path.notes))


def _write_measured(group: h5py.Group, rows: Measured) -> None:
    row = _scale(group, "row", np.arange(len(rows.path)))
    for name in ("path", "point", "plan"):
        _array(group, name, getattr(rows, name), row)
    for name, values in rows.arrays.items():
        folder, _, key = name.rpartition("/")
        place = group.require_group(folder) if folder else group
        scales = [row]
        for dim, size in zip(rows.dims.get(name, ()), values.shape[1:], strict=True):
            scales.append(place[dim] if dim in place else _scale(place, dim, np.arange(size)))
        _array(place, key, values, *scales, units=rows.units.get(name, ""))


def _scale(group: h5py.Group, name: str, values: np.ndarray) -> h5py.Dataset:
    dataset = _array(group, name, values)
    dataset.make_scale(name)
    return dataset


def _array(
    group: h5py.Group, name: str, values: Any, *scales: h5py.Dataset, units: str = ""
) -> h5py.Dataset:
    """An array with its named dimensions; compressed and with checksums where it has some size.

    Text has a fixed length: HDF5 then keeps all of it in the array, under the checksum.
    """
    array = np.asarray(values)
    dtype = array.dtype
    if dtype.kind == "U":
        array = np.asarray(np.char.encode(array, "utf-8"))
        dtype = h5py.string_dtype("utf-8", max(1, array.dtype.itemsize))
        array = array.astype(dtype)
    settings: Mapping[str, Any] = {}
    if array.ndim and array.size:
        row = max(1, array.nbytes // len(array))
        rows = min(len(array), max(1, _CHUNK // row))
        settings = {
            "chunks": (rows, *array.shape[1:]),
            "fletcher32": True,
            "shuffle": True,
            "compression": "gzip",
        }
    dataset = group.create_dataset(name, data=array, dtype=dtype, **settings)
    for axis, scale in zip(dataset.dims, scales, strict=False):
        axis.attach_scale(scale)
    if units:
        dataset.attrs["units"] = _text(units)
    return dataset


def _text(value: str) -> Any:
    return _texts([value])[0]


def _texts(values: Sequence[str]) -> np.ndarray:
    encoded = [value.encode() for value in values]
    n = max((len(text) for text in encoded), default=1)
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", max(1, n)))
