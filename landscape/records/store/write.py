"""Filling a store: one process, a model or a pair at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import h5py
import numpy as np
from numpy.typing import ArrayLike

from landscape.core.errors import StoreError
from landscape.records.store.copy import copy_grown, copy_packed
from landscape.records.store.damage import COPY, refuse_damaged, refuse_damaged_structure
from landscape.records.store.disk import open_to_read, write_all, writing
from landscape.records.store.held import Held
from landscape.records.store.layout import FORMATS, check_encoding, exact_code, has_checksums
from landscape.records.store.lock import lock_file
from landscape.records.store.points import StoredPath, allocate_points, write_notes
from landscape.records.store.replace import make_file, partial_of, put_in_place
from landscape.records.store.slots import FREE, assigned, capacity, check_pairs
from landscape.records.store.structure import LEAST_BLOCK
from landscape.records.store.tables import (
    DISTANCES,
    NO_PLAN,
    Table,
    distances_checksum,
    is_packed,
    model_table,
    pair_table,
    point_table,
    put,
    put_row,
    seal_of,
)
from landscape.records.store.texts import write_texts
from landscape.records.store.upgrade import upgrade
from landscape.records.store.wellformed import check_layout
from landscape.tasks.examples import Examples

Outputs = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Losses (nats) and predictions (label indices), each (..., n_examples), by data set."""
Screened = Mapping[str, tuple[ArrayLike, ArrayLike]]
"""Mean losses in the fast format and largest differences to the exact ones (nats), by data set."""
P = ParamSpec("P")
T = TypeVar("T")


def _writes(
    method: Callable[Concatenate[StoreWriter, P], T],
) -> Callable[Concatenate[StoreWriter, P], T]:
    """What the operating system refuses is one ``StoreError``."""

    @wraps(method)
    def guarded(writer: StoreWriter, /, *args: P.args, **options: P.kwargs) -> T:
        with writing(writer.path):
            return method(writer, *args, **options)

    return guarded


class StoreWriter(Held):
    """The one process that writes a store; a store of an older format is brought up to this one.

    Rows are written in place, and by this class alone: HDF5 reads the file, and writes only copies
    that take its place. Every method raises a ``StoreError`` where the disk is full, read-only or
    fails; what was measured before stays.

    Raises:
        StoreError: The file cannot be opened for writing, its structure is damaged, or another
            process writes to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with writing(path):
            self._fd = _locked(path, path)
        try:
            found = refuse_damaged_structure(path)
            self._file = _open(path)
        except BaseException:
            os.close(self._fd)
            raise
        try:
            check_encoding(self._file, path)
            check_layout(self._file, path)
            self._exact = exact_code(self._file.attrs)
            if not has_checksums(self._file):
                self._replace(lambda file: None)
            else:
                refuse_damaged(path, (COPY,) if found is None else found)
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            self._file.close()
            with writing(self.path):
                os.close(fd)

    def _replace(self, change: Callable[[h5py.File], None]) -> None:
        """Put a changed copy in the file's place, at once."""

        def write(file: h5py.File) -> None:
            upgrade(file)
            change(file)

        partial = partial_of(self.path)
        with writing(self.path):
            make_file(partial, write, base=self.path)
            self._swap(partial)

    def _rewrite(self, copy: Callable[[h5py.File, h5py.File], None]) -> None:
        """The same with a file that is made anew, from this one."""
        partial = partial_of(self.path)
        block = max(self._file.userblock_size, LEAST_BLOCK)
        with writing(self.path):
            make_file(partial, lambda file: copy(self._file, file), block=block)
            self._swap(partial)

    def _swap(self, partial: Path) -> None:
        fd = _locked(partial, self.path)  # before any other process can find it
        try:
            put_in_place(partial, self.path)
        except BaseException:
            os.close(fd)
            raise
        old, self._fd = self._fd, fd
        self._file.close()
        os.close(old)
        self._file = _open(self.path)

    def _loosen(self, table: Table) -> None:
        """Rewrite a packed file, so that rows can be written in place."""
        if is_packed(self._file, table):
            self._grow(len(self._file["pair"]))

    def _grow(self, n_rows: int) -> None:
        def grow(old: h5py.File, new: h5py.File) -> None:
            copy_grown(old, new, n_rows)
            new.attrs["finished"] = "no"

        self._rewrite(grow)

    @_writes
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
        table = self._table()
        held = assigned(table)
        row_of = {tuple(table[row].tolist()): int(row) for row in np.flatnonzero(held)}
        new = [pair for pair in map(tuple, wanted.tolist()) if pair not in row_of]
        needed = int(held.sum()) + len(new)
        if needed > len(table):
            n_rows = capacity(len(table), needed, n_models)

            def grow(old: h5py.File, copy: h5py.File) -> None:
                copy_grown(old, copy, n_rows)
                copy.attrs["pairs"] = "active"
                copy.attrs["finished"] = "no"

            self._rewrite(grow)
            held = np.append(held, np.zeros(n_rows - len(held), dtype=bool))
        elif new:
            self._loosen(pair_table(self._file))
        free = np.flatnonzero(~held)[: len(new)].tolist()
        for name, value in (("models", None), ("seal", seal_of)):  # a slot is a pair's once sealed
            array = self._file[f"pairs/{name}"]
            for row, pair in zip(free, new, strict=True):
                put(self._fd, array, row, pair if value is None else value(0, pair))
        row_of |= dict(zip(new, free, strict=True))
        return np.array([row_of[tuple(pair)] for pair in wanted.tolist()], dtype=np.int64)

    @_writes
    def add_plan(self, plan: Mapping[str, Any]) -> int:
        """Note how numbers are computed, unless that is noted.

        Args:
            plan: As JSON can hold it.

        Returns:
            Its index, for ``write_model``, ``write_pair`` and ``write_points``.

        Raises:
            StoreError: There are 255 of them.
        """
        known = self.plans()
        own = json.loads(json.dumps(plan))
        if own in known:
            return known.index(own)
        if len(known) == NO_PLAN:
            raise StoreError(
                "There is no room for another plan.", where=self.path, found=f"{NO_PLAN} plans"
            )

        def add(file: h5py.File) -> None:
            file["plans"][()] = json.dumps([*known, own], indent=1)

        self._replace(add)
        return len(known)

    @_writes
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
            self._replace(add)

    @_writes
    def write_distances(self, distances: ArrayLike) -> None:
        """Store the Euclidean distances of all parameters.

        Args:
            distances: (n_models, n_models).

        Raises:
            StoreError: Another shape.
        """
        values = np.ascontiguousarray(distances, dtype=np.float64)
        n = len(self._file["checkpoints/name"])
        if values.shape != (n, n):
            raise StoreError(
                "The distances do not fit the models.",
                where=self.path,
                expected=f"({n}, {n})",
                found=values.shape,
            )
        crc = distances_checksum(values)
        known, own = self._file[DISTANCES], "checkpoints/distances_checksum"
        if known.chunks is None:  # all its bytes are there
            put(self._fd, self._file[own], 0, 0)  # until all are written there are none
            write_all(self._fd, values.astype(known.dtype), known.id.get_offset())
            put(self._fd, self._file[own], 0, crc)
            return

        def add(file: h5py.File) -> None:
            file[DISTANCES][...] = values
            file[own][()] = crc

        self._replace(add)

    @_writes
    def write_model(
        self,
        model: int,
        outputs: Outputs,
        screened: Screened | None = None,
        *,
        plan: int = NO_PLAN,
    ) -> None:
        """Store one model.

        Args:
            model: Its index.
            outputs: By data set, exact losses (n_examples,) in nats and predictions (n_examples,).
            screened: By data set, the mean loss in the fast format and the largest absolute
                difference of one example's loss between the formats, floats in nats.
            plan: How they were computed, an index from ``add_plan``.
        """
        self._loosen(model_table(self._file))
        values: dict[str, ArrayLike] = {"checkpoints/plan": plan}
        for name, (losses, predictions) in outputs.items():
            mean, difference = (screened or {}).get(name, (np.nan, np.nan))
            values |= {
                f"datasets/{name}/model_losses": losses,
                f"datasets/{name}/model_predictions": predictions,
                f"datasets/{name}/model_screened": mean,
                f"datasets/{name}/model_difference": difference,
            }
        put_row(self._fd, self._file, model_table(self._file), int(model), values)

    @_writes
    def write_pair(
        self,
        pair: int,
        outputs: Outputs,
        *,
        formats: ArrayLike | None = None,
        tolerance: float = 0.0,
        screened: Screened | None = None,
        plan: int = NO_PLAN,
    ) -> None:
        """Store a pair's inner points; its ends are the models', in the format of those.

        The status is written after the arrays: a pair that is marked is whole.

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
            plan: How they were computed, an index from ``add_plan``.

        Raises:
            StoreError: Formats of another shape, codes that are not known, or a free slot.
        """
        first, second = self._file["pairs/models"][pair]
        if min(first, second) < 0 or not self._file["pairs/seal"][pair]:
            raise StoreError(
                "The slot has not been given to a pair.",
                where=f"row {pair} of {self.path}",
                fix="call assign_pairs first",
            )
        codes = self._codes(formats)
        self._loosen(pair_table(self._file))
        missing = (codes[1:-1] == 0)[:, None]
        nothing = np.full(len(missing), np.nan)
        values: dict[str, ArrayLike] = {
            "pairs/formats": codes,
            "pairs/tolerance": tolerance,
            "pairs/plan": plan,
        }
        for name, (losses, predictions) in outputs.items():
            group = self._file["datasets"][name]
            means, differences = (screened or {}).get(name, (nothing, nothing))
            inner = {
                "losses": np.where(missing, np.nan, losses),
                "predictions": np.where(missing, 255, predictions),
                "screened": means,
                "difference": differences,
            }
            for kind, own in inner.items():
                ends = group[f"model_{kind}"]
                values[f"datasets/{name}/{kind}"] = np.concatenate(
                    [ends[first][None], own, ends[second][None]]
                )
        put_row(self._fd, self._file, pair_table(self._file), int(pair), values)

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

    @_writes
    def add_points(self, points: StoredPath) -> None:
        """Make room for a way or a surface, unless it is there; its losses are not written."""
        if points.name in self._file.get("points", {}):
            return

        def add(file: h5py.File) -> None:
            file.attrs["finished"] = "no"
            allocate_points(file, points)

        self._replace(add)

    @_writes
    def write_points(
        self, name: str, indices: Sequence[int], outputs: Outputs, *, plan: int = NO_PLAN
    ) -> None:
        """Store points of a way or a surface; a point's status is written after its arrays.

        Args:
            name: Of the way or surface.
            indices: Which of its points.
            outputs: By data set, losses in nats and predictions, each (len(indices), n_examples).
            plan: How they were computed, an index from ``add_plan``.
        """
        self._loosen(point_table(self._file, name))
        table = point_table(self._file, name)
        for place, index in enumerate(indices):
            values: dict[str, ArrayLike] = {table.path("plan"): plan}
            for data, (losses, predictions) in outputs.items():
                values[f"{table.group}/losses/{data}"] = losses[place]
                values[f"{table.group}/predictions/{data}"] = predictions[place]
            put_row(self._fd, self._file, table, int(index), values)

    @_writes
    def write_notes(self, name: str, notes: Mapping[str, Any]) -> None:
        """Replace how a way or a surface was made."""
        self._replace(lambda file: write_notes(file, name, notes))

    @_writes
    def finish(self, config: dict[str, Any]) -> None:
        """Rewrite the file compressed, marked as finished, with the configuration as it is now."""

        def pack(old: h5py.File, new: h5py.File) -> None:
            copy_packed(old, new)
            new.attrs["finished"] = "yes"
            new["config"][()] = json.dumps(config, indent=1)

        self._rewrite(pack)
        self._close()


def _locked(path: Path, store: Path) -> int:
    """A file, open to write and held against other processes.

    Raises:
        StoreError: Another process holds it.
        OSError: It cannot be opened.
    """
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        lock_file(fd, store)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _open(path: Path) -> h5py.File:
    try:
        return open_to_read(path)
    except OSError as error:
        raise StoreError("The store cannot be read.", where=path, found=error) from None
