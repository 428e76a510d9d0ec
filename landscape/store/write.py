"""Filling a store: one process, a model or a pair at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike

from landscape.errors import StoreError
from landscape.store.copy import copy_grown, copy_packed
from landscape.store.layout import (
    FORMATS,
    MEASURED,
    allocate_distances,
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
from landscape.store.read import read_distances
from landscape.store.replace import replaced, rewritten
from landscape.store.slots import FREE, assigned, capacity, check_pairs
from landscape.store.texts import write_texts
from landscape.tasks.examples import Examples

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
            self._file = replaced(self._file, path, lambda file: _upgrade(file, self._exact))

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
        """(n_rows, 2) model indices; rows are the pairs' indices in all other functions.

        Free slots after the last pair are left out; one between pairs is (-1, -1).
        """
        models = self._file["pairs/models"][:]
        models[~assigned(models)] = FREE
        return models[: np.flatnonzero([True, *assigned(models)])[-1]]

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

    def pair_losses(self, dataset: str, rows: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Losses (n_rows, n_points, n_examples) float32 nats of these rows of the pair table.

        And which of their points are exact, (n_rows, n_points) bool.
        """
        places = [int(row) for row in np.atleast_1d(np.asarray(rows))]
        losses = self._file["datasets"][dataset]["losses"]
        formats = self._file["pairs/formats"][:][places]
        full = {FORMATS.index("fp32"), FORMATS.index("fp64"), self._exact}
        return np.array([losses[row] for row in places]), np.isin(formats, list(full))

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
        """Indices of pairs that have no losses yet; free slots are no pairs."""
        held = assigned(self._file["pairs/models"][:])
        return np.flatnonzero(held & (self._file["pairs/status"][:] != MEASURED))

    def assign_pairs(self, models: ArrayLike) -> np.ndarray:
        """Give free slots to pairs, in order; they are in the file before this returns.

        A table that is too small grows to twice its rows, or to as many as are needed.

        Args:
            models: (n_pairs, 2) model indices, first < second.

        Returns:
            (n_pairs,) the pairs' indices; a pair that is in the table keeps its own.

        Raises:
            StoreError: Not pairs of two models in ascending order, or one pair twice.
        """
        n_models = len(self._file["checkpoints/name"])
        wanted = check_pairs(models, n_models)
        if not assigned(wanted).all():
            raise StoreError(
                "A free slot cannot be given to no pair.",
                where=self.path,
                expected="pairs of two models",
                found=f"({FREE}, {FREE})",
            )
        table = self._file["pairs/models"][:]
        held = assigned(table)
        row_of = {tuple(table[row].tolist()): int(row) for row in np.flatnonzero(held)}
        new = [pair for pair in map(tuple, wanted.tolist()) if pair not in row_of]
        needed = int(held.sum()) + len(new)
        if needed > len(table):
            self._grow(capacity(len(table), needed, n_models))
            held = np.append(held, np.zeros(len(self._file["pair"]) - len(held), dtype=bool))
        for row, pair in zip(np.flatnonzero(~held), new, strict=False):
            self._file["pairs/models"][row] = pair
            row_of[pair] = int(row)
        self._file.flush()
        return np.array([row_of[tuple(pair)] for pair in wanted.tolist()], dtype=np.int64)

    def _grow(self, n_rows: int) -> None:
        def grow(old: h5py.File, new: h5py.File) -> None:
            copy_grown(old, new, n_rows)
            new.attrs["pairs"] = "active"
            new.attrs["finished"] = "no"

        self._file = rewritten(self._file, self.path, grow)

    def add_texts(self, datasets: Sequence[tuple[str, Examples]]) -> None:
        """Add the texts of examples to data sets that lack them.

        Args:
            datasets: Role and examples of each data set, as ``create_store`` takes them; those
                that the store does not hold are passed over.

        Raises:
            StoreError: Other examples than those that were measured.
        """
        held = self._file["datasets"]
        given = [data for _, data in datasets if data.name in held]
        lacking = [data for data in given if "texts" not in held[data.name]]
        for data in lacking:
            if data.content_hash() != held[data.name].attrs["content-hash"]:
                raise StoreError(
                    "The examples are not those that were measured.",
                    where=f"data set '{data.name}' of {self.path}",
                    expected=f"content hash {held[data.name].attrs['content-hash']}",
                    found=data.content_hash(),
                )

        def add(file: h5py.File) -> None:
            config = json.loads(file["config"].asstr()[()])
            for data in lacking:
                write_texts(file["datasets"][data.name], data, config)

        if lacking:
            self._file = replaced(self._file, self.path, add)

    def distances(self) -> np.ndarray:
        """(n_models, n_models) weight distances, NaN where unknown."""
        return read_distances(self._file)

    def write_distances(self, distances: ArrayLike) -> None:
        """Store the Euclidean distances of all parameters.

        Args:
            distances: (n_models, n_models).

        Raises:
            StoreError: Another shape.
        """
        values = np.asarray(distances, dtype=np.float64)
        n = len(self._file["checkpoints/name"])
        if values.shape != (n, n):
            raise StoreError(
                "The distances do not fit the models.",
                where=self.path,
                expected=f"({n}, {n})",
                found=values.shape,
            )
        known = self._file["checkpoints"].get("distances")
        if known is not None and known.chunks is None:  # all its bytes are there
            known[...] = values
            self._file.flush()
            return

        def add(file: h5py.File) -> None:
            if "distances" not in file["checkpoints"]:
                allocate_distances(file)
            file["checkpoints/distances"][...] = values

        self._file = replaced(self._file, self.path, add)

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
            StoreError: Formats of another shape, codes that are not known, or a free slot.
        """
        first, second = self._file["pairs/models"][pair]
        if min(first, second) < 0:
            raise StoreError(
                "The slot has not been given to a pair.",
                where=f"row {pair} of {self.path}",
                fix="call assign_pairs first",
            )
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

        self._file = replaced(self._file, self.path, add)

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
        self._file = replaced(self._file, self.path, lambda file: write_notes(file, name, notes))

    def finish(self, config: dict[str, Any]) -> None:
        """Rewrite the file compressed, marked as finished, with the configuration as it is now."""

        def pack(old: h5py.File, new: h5py.File) -> None:
            copy_packed(old, new)
            new.attrs["finished"] = "yes"
            new["config"][()] = json.dumps(config, indent=1)

        rewritten(self._file, self.path, pack).close()


def _upgrade(file: h5py.File, code: int) -> None:
    """What format 0.1 has not."""
    allocate_formats(file)
    measured = file["pairs/status"][:] == MEASURED
    formats = file["pairs/formats"]
    formats[...] = np.broadcast_to(np.where(measured, code, 0)[:, None], formats.shape)
    file["pairs/tolerance"][...] = np.where(measured, 0.0, np.nan)
