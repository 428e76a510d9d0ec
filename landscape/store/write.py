"""Filling a store: one process, a model or a pair at a time."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike

from landscape.errors import StoreError
from landscape.store.layout import (
    ENCODING_VERSION,
    FORMATS,
    MEASURED,
    TEXT,
    allocate_formats,
    check_encoding,
    exact_code,
    has_formats,
)
from landscape.store.points import (
    StoredPoints,
    allocate_points,
    read_points,
    write_notes,
    write_points,
)

_CHUNK = 1 << 15  # bytes; rows shorter than this share a chunk

Outputs = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Losses (nats) and predictions (label indices), each (..., n_examples), by data set."""
Screened = Mapping[str, tuple[ArrayLike, ArrayLike]]
"""Mean losses in the fast format and largest differences to the exact ones (nats), by data set."""


class StoreWriter:
    """The one process that writes a store; a store of an older format is brought up to this one.

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
        check_encoding(self._file, path)
        self._exact = exact_code(self._file.attrs)
        if not has_formats(self._file):
            self._file = _replaced(self._file, path, lambda file: _upgrade(file, self._exact))

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

    def model_losses(self, dataset: str) -> np.ndarray:
        """(n_models, n_examples) float32 nats, NaN where a model is not measured."""
        return self._file["datasets"][dataset]["model_losses"][:]

    def curves(self, dataset: str, pairs: Sequence[int]) -> np.ndarray:
        """(len(pairs), n_points) float64 mean losses of these pairs in nats, NaN where missing."""
        losses = self._file["datasets"][dataset]["losses"]
        means = [losses[pair].mean(axis=1, dtype=np.float64) for pair in pairs]
        return np.array(means).reshape(-1, losses.shape[1])

    def screening_error(self, dataset: str) -> float:
        """The largest difference of a mean loss between the formats, nats; NaN where none is."""
        group = self._file["datasets"][dataset]
        done = np.flatnonzero(self._file["pairs/status"][:] == MEASURED)
        differences = [
            group["model_screened"][:] - group["model_losses"][:].mean(axis=1, dtype=np.float64)
        ]
        for pair in done:
            twice = np.isfinite(group["difference"][pair])
            exact = group["losses"][pair][twice].mean(axis=1, dtype=np.float64)
            differences.append(group["screened"][pair][twice] - exact)
        found = np.abs(np.concatenate(differences))
        found = found[np.isfinite(found)]
        return float(found.max()) if len(found) else np.nan

    def models_to_measure(self) -> np.ndarray:
        """Indices of models that have no losses yet."""
        return np.flatnonzero(self._file["checkpoints/status"][:] != MEASURED)

    def pairs_to_measure(self) -> np.ndarray:
        """Indices of pairs that have no losses yet."""
        return np.flatnonzero(self._file["pairs/status"][:] != MEASURED)

    def write_model(self, model: int, outputs: Outputs, screened: Screened | None = None) -> None:
        """Store one model.

        Args:
            model: Its index.
            outputs: By data set, exact losses (n_examples,) in nats and predictions (n_examples,).
            screened: By data set, the mean loss in the fast format and the largest absolute
                difference of one example's loss between the formats, floats in nats.
        """
        for name, (losses, predictions) in outputs.items():
            group = self._file["datasets"][name]
            group["model_losses"][model] = losses
            group["model_predictions"][model] = predictions
            mean, difference = (screened or {}).get(name, (np.nan, np.nan))
            group["model_screened"][model] = mean
            group["model_difference"][model] = difference
        self._file.flush()
        self._file["checkpoints/status"][model] = MEASURED
        self._file.flush()

    def write_pair(
        self,
        pair: int,
        outputs: Outputs,
        *,
        formats: ArrayLike | None = None,
        tolerance: float = 0.0,
        screened: Screened | None = None,
    ) -> None:
        """Store a pair's inner points; its ends are the models', in the format of those.

        The status is written after the arrays have been flushed: a pair that is marked is whole.

        Args:
            pair: Its index.
            outputs: By data set, losses in nats and predictions, each (n_points - 2, n_examples):
                the exact ones where a point has them, else the screened ones. What stands at
                points that were not evaluated is not kept.
            formats: (n_points - 2,) codes in ``FORMATS``, 0 where not evaluated; by default every
                point has the format of the attribute ``precision``.
            tolerance: At most by this many nats the gap on the whole grid exceeds the gap on the
                exact points.
            screened: By data set, the mean losses in the fast format and the largest absolute
                differences of one example's loss between the formats, each (n_points - 2,) in
                nats, NaN where a point has none.

        Raises:
            StoreError: Formats of another shape, or codes that are not known.
        """
        first, second = self._file["pairs/models"][pair]
        codes = self._codes(formats)
        missing = (codes[1:-1] == 0)[:, None]
        nothing = np.full(len(missing), np.nan)
        for name, (losses, predictions) in outputs.items():
            group = self._file["datasets"][name]
            means, differences = (screened or {}).get(name, (nothing, nothing))
            inner = {
                "losses": np.where(missing, np.nan, losses),
                "predictions": np.where(missing, 255, predictions),
                "screened": means,
                "difference": differences,
            }
            for kind, values in inner.items():
                ends = group[f"model_{kind}"]
                group[kind][pair] = np.concatenate([ends[first][None], values, ends[second][None]])
        self._file["pairs/formats"][pair] = codes
        self._file["pairs/tolerance"][pair] = tolerance
        self._file.flush()
        self._file["pairs/status"][pair] = MEASURED
        self._file.flush()

    def _codes(self, formats: ArrayLike | None) -> np.ndarray:
        """(n_points,) codes, the ends' among them."""
        codes = np.full(self._file["position"].shape, self._exact, dtype=np.uint8)
        if formats is not None:
            inner = np.asarray(formats)
            if inner.shape != codes[1:-1].shape or not np.isin(inner, range(len(FORMATS))).all():
                raise StoreError(
                    "The formats do not fit the pair's inner points.",
                    where=self.path,
                    expected=f"({len(codes) - 2},) codes from 0 to {len(FORMATS) - 1}",
                    found=f"shape {inner.shape}, {np.unique(inner)}",
                )
            codes[1:-1] = inner
        return codes

    def add_points(self, points: StoredPoints) -> None:
        """Make room for a way or a surface, unless it is there; its losses are not written."""
        if points.name in read_points(self._file):
            return

        def add(file: h5py.File) -> None:
            file.attrs["finished"] = "no"
            allocate_points(file, points)

        self._file = _replaced(self._file, self.path, add)

    def points(self, name: str) -> StoredPoints | None:
        """A way or a surface as far as it is measured, or None where there is none."""
        return read_points(self._file).get(name)

    def write_points(self, name: str, indices: Sequence[int], outputs: Outputs) -> None:
        """Store points of a way or a surface; the status is written after the arrays are flushed.

        Args:
            name: Of the way or surface.
            indices: Which of its points.
            outputs: By data set, losses in nats and predictions, each (len(indices), n_examples).
        """
        write_points(self._file, name, indices, outputs)

    def write_notes(self, name: str, notes: Mapping[str, Any]) -> None:
        """Replace how a way or a surface was made."""
        self._file = _replaced(self._file, self.path, lambda file: write_notes(file, name, notes))

    def finish(self, config: dict[str, Any]) -> None:
        """Rewrite the file compressed, marked as finished, with the configuration as it is now."""
        partial = self.path.with_name(f".{self.path.name}.partial")
        with h5py.File(partial, "w") as packed:
            _copy(self._file, packed)
            packed.attrs["finished"] = "yes"
            packed["config"][()] = json.dumps(config, indent=1)
        self._file.close()
        os.replace(partial, self.path)


def _replaced(old: h5py.File, path: Path, change: Callable[[h5py.File], None]) -> h5py.File:
    """Put a changed copy in the place of a file, at once, and return it open.

    Whatever changes the structure of a file goes this way: a writer killed in the middle of it
    leaves the old file.
    """
    old.flush()
    partial = path.with_name(f".{path.name}.partial")
    shutil.copyfile(path, partial)
    file = h5py.File(partial, "r+")
    change(file)
    file.attrs["encoding-version"] = ENCODING_VERSION
    file.flush()
    os.replace(partial, path)
    old.close()
    return file


def _upgrade(file: h5py.File, code: int) -> None:
    """What format 0.1 has not."""
    allocate_formats(file)
    measured = file["pairs/status"][:] == MEASURED
    formats = file["pairs/formats"]
    formats[...] = np.broadcast_to(np.where(measured, code, 0)[:, None], formats.shape)
    file["pairs/tolerance"][...] = np.where(measured, 0.0, np.nan)


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
            dtype = TEXT if item.dtype == object else item.dtype
            copy = target.create_dataset(name, data=item[()], dtype=dtype)
        else:
            rows = _CHUNK * item.shape[0] // max(item.nbytes, 1)
            copy = target.create_dataset(
                name,
                item.shape,
                item.dtype,
                chunks=(min(max(rows, 1), item.shape[0]), *item.shape[1:]),
                compression="gzip",
                shuffle=True,
            )
            for row in range(item.shape[0]):
                copy[row] = item[row]
        if item.is_scale:
            copy.make_scale(name)
        else:
            copies.append((item, copy))
