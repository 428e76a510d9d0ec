"""The rows of a table in memory, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from landscape.records.store.damage import Entries, judge, read_entries, row_damage
from landscape.records.store.slots import assigned
from landscape.records.store.tables import MEASURED, Table, checksum, fill_of


@dataclass(frozen=True)
class Rows:
    """What a table holds.

    Attributes:
        status: (n_rows,) uint8; free slots are left out here and below.
        arrays: By path, (n_rows, ...); where a row is not measured, what stands for that.
        damage: A line for each row that is not as it was written.
    """

    status: NDArray[np.uint8]
    arrays: dict[str, np.ndarray]
    damage: list[str]

    def __getitem__(self, path: str) -> np.ndarray:
        return self.arrays[path]

    def get(self, path: str) -> Any:
        """An array, or None where an older format has none."""
        return self.arrays.get(path)


def load_rows(file: h5py.File, table: Table, names: Sequence[str], verify: bool) -> Rows:
    """Read a table.

    Args:
        file: A store.
        table: One of its tables.
        names: Of the models.
        verify: Whether to look for damage; a store of an older format has nothing to go by.

    Raises:
        OSError: Something cannot be read, and damage is not looked for.
    """
    sealed = table.path("seal") in file
    if sealed:
        entries = read_entries(file, table)
    else:
        status = file[table.path("status")][:]
        models = file["pairs/models"][:] if table.of_pairs else None
        entries = Entries(status, np.ones_like(status, np.uint32), np.zeros(0, np.uint32), models)
    held = np.ones(len(entries.status), dtype=bool)
    if entries.models is not None:  # a row that a killed writer has half given to a pair is free
        held = assigned(entries.models) & (entries.seals != 0)
    rows = np.flatnonzero(held)
    readable = np.ones(len(rows), dtype=bool)
    arrays = {}
    for path in table.arrays:
        try:
            arrays[path] = _rows(file[path], rows)
        except OSError:
            if not (verify and sealed):
                raise
            arrays[path], good = _readable(file[path], rows)
            readable &= good
    damage: list[str] = []
    if verify and sealed:
        place = np.cumsum(held) - 1

        def content(row: int) -> int | None:
            own = int(place[row])
            if not readable[own]:
                return None
            return checksum(arrays[path][own] for path in table.arrays)

        damage = row_damage(table, judge(entries, content), names, entries.models)
    status = entries.status[rows]
    for path, values in arrays.items():
        if path != "pairs/models":
            values[status != MEASURED] = fill_of(path, values.dtype)
    return Rows(status, arrays, damage)


def _rows(array: h5py.Dataset, rows: NDArray[np.integer]) -> np.ndarray:
    """These rows, ascending; no other is read, for the table of a long run may be mostly free."""
    if len(rows) == len(array):
        return array[()]
    values = np.empty((len(rows), *array.shape[1:]), array.dtype)
    place = 0
    for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
        if len(run):
            values[place : place + len(run)] = array[run[0] : run[-1] + 1]
            place += len(run)
    return values


def _readable(
    array: h5py.Dataset, rows: NDArray[np.integer]
) -> tuple[np.ndarray, NDArray[np.bool_]]:
    """The same with zeros in rows that do not decompress, and which do."""
    values = np.zeros((len(rows), *array.shape[1:]), array.dtype)
    good = np.ones(len(rows), dtype=bool)
    for place, row in enumerate(rows.tolist()):
        try:
            values[place] = array[row]
        except OSError:
            good[place] = False
    return values, good
