"""What is damaged in a store, by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from landscape.core.errors import StoreError
from landscape.records.store.slots import FREE, assigned
from landscape.records.store.structure import find_directory, has_copies, is_sound, is_whole
from landscape.records.store.tables import (
    DISTANCES,
    MEASURED,
    Table,
    checksum,
    distances_checksum,
    read_rows,
    seal_of,
)

STRUCTURE = "its structure, names, texts or labels"
COPY = "a copy of its structure"
_NAMED = 8  # of many


class State(IntEnum):
    """What a row is."""

    FREE = 0
    """A slot that no pair has."""
    OPEN = 1
    """To be measured."""
    SOUND = 2
    """Measured, and as it was written."""
    BAD_VALUES = 3
    """Marked as measured, but not as it was written."""
    BAD_ENTRY = 4
    """Its status, its seal or its pair of models is not what was written."""


@dataclass(frozen=True)
class Entries:
    """What stands beside a table's rows.

    Attributes:
        status: (n_rows,) uint8.
        seals: (n_rows,) uint32.
        sums: (n_rows,) uint32.
        models: (n_rows, 2) of the pair table.
        slots: Whether rows of it may be free.
    """

    status: NDArray[np.uint8]
    seals: NDArray[np.uint32]
    sums: NDArray[np.uint32]
    models: NDArray[np.int32] | None = None
    slots: bool = False

    def own(self, row: int) -> NDArray[np.int32] | None:
        """A pair's models."""
        return None if self.models is None else self.models[row]


def read_entries(file: h5py.File, table: Table) -> Entries:
    """The seals first: a row that a writer finishes meanwhile has still the older one."""
    seals = file[table.path("seal")][:]
    status = file[table.path("status")][:]
    models = file["pairs/models"][:] if table.of_pairs else None
    slots = file.attrs.get("pairs", "all") == "active"
    return Entries(status, seals, file[table.path("checksum")][:], models, slots)


def entry_states(entries: Entries) -> NDArray[np.uint8]:
    """(n_rows,) states as the seals have it: what is marked as measured counts as sound."""
    n = len(entries.status)
    states = np.full(n, State.OPEN, dtype=np.uint8)
    held = np.ones(n, dtype=bool) if entries.models is None else assigned(entries.models)
    for row in range(n):
        status, seal = int(entries.status[row]), int(entries.seals[row])
        if entries.models is not None and seal == 0:  # also where half of it has been given
            first, second = entries.models[row]
            free = entries.slots and status == 0 and (first < second or not held[row])
            free = (free or first == second == FREE) and entries.sums[row] == 0
            states[row] = State.FREE if free else State.BAD_ENTRY
            continue
        known = held[row] and status in (0, MEASURED)
        before = known and seal == seal_of(0, entries.own(row))
        after = known and status == MEASURED and seal == seal_of(MEASURED, entries.own(row))
        if not (before or after):
            states[row] = State.BAD_ENTRY
        elif status == MEASURED:
            states[row] = State.SOUND
    return states


def judge(entries: Entries, content: Callable[[int], int | None]) -> NDArray[np.uint8]:
    """(n_rows,) states.

    Args:
        entries: Of the table.
        content: The checksum of what is stored for a row, None where it cannot be read.
    """
    states = entry_states(entries)
    for row in np.flatnonzero(states == State.SOUND).tolist():
        if content(row) != entries.sums[row]:
            states[row] = State.BAD_VALUES
    return states


def judge_file(file: h5py.File, table: Table) -> tuple[Entries, NDArray[np.uint8]]:
    """The same of an open file, with few rows in memory."""
    entries = read_entries(file, table)
    rows = np.flatnonzero(entry_states(entries) == State.SOUND)
    sums = dict(row_checksums(file, table, rows))
    return entries, judge(entries, sums.get)


def row_checksums(
    file: h5py.File, table: Table, rows: NDArray[np.integer]
) -> Iterator[tuple[int, int | None]]:
    """The checksum of what is stored for each of these rows, None where it cannot be read."""
    try:
        for row, parts in read_rows(file, table.arrays, rows):
            yield row, checksum(parts)
            rows = rows[1:]
    except OSError:  # some row in what was read at once
        for row in rows.tolist():
            yield row, _one(file, table, row)


def _one(file: h5py.File, table: Table, row: int) -> int | None:
    try:
        ((_, parts),) = read_rows(file, table.arrays, np.array([row]))
    except OSError:
        return None
    return checksum(parts)


def distances_are_sound(file: h5py.File) -> bool:
    """Whether the weight distances are those that were written, or none."""
    expected = int(file["checkpoints/distances_checksum"][()])
    try:
        return expected in (0, distances_checksum(file[DISTANCES][:]))
    except OSError:
        return False


def structure_damage(path: Path) -> tuple[str, ...] | None:
    """What is wrong with all but the rows, found without HDF5; None for older formats.

    The last line may be that of the copy alone: then the structure can be read.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        directory, twice = find_directory(fd)
        if directory is None:
            return None
        found = []
        if not is_whole(fd, directory):
            found.append(f"its end: {os.fstat(fd).st_size} of {directory.size} bytes are there")
        elif not is_sound(fd, directory):
            found.append(STRUCTURE)
        if not (twice and has_copies(fd, directory)):
            found.append(COPY)
        return tuple(found)
    finally:
        os.close(fd)


def row_damage(
    table: Table, states: NDArray[np.uint8], models: Sequence[str], pairs: np.ndarray | None
) -> list[str]:
    """A line a row that is damaged.

    Args:
        table: The table.
        states: (n_rows,).
        models: The models' names.
        pairs: (n_rows, 2) of the pair table.
    """
    lines = []
    for row in np.flatnonzero(states >= State.BAD_VALUES).tolist():
        if pairs is not None:
            good = states[row] == State.BAD_VALUES
            pair = " - ".join(models[k] for k in pairs[row]) if good else f"in row {row}"
            lines.append(f"pair {pair}")
        elif table.group == "checkpoints":
            lines.append(f"model {models[row]}")
        else:
            lines.append(f"point {row} of {table.group.removeprefix('points/')}")
    return lines


def refuse_damaged(path: Path, lines: Iterable[str]) -> None:
    """Say what is damaged.

    Raises:
        StoreError: Something is.
    """
    found = list(lines)
    if found:
        more = [f"and {len(found) - _NAMED} more"] if len(found) > _NAMED else []
        raise StoreError(
            "The store is damaged.",
            where=path,
            found="; ".join([*found[:_NAMED], *more]),
            fix=f"landscape repair {path}",
        )


def refuse_damaged_structure(path: Path) -> tuple[str, ...] | None:
    """Refuse a file that HDF5 should not be made to read.

    Returns:
        The damage of the copy, if it has some; None for older formats.

    Raises:
        StoreError: The structure is damaged.
    """
    found = structure_damage(path)
    if found and found != (COPY,):
        refuse_damaged(path, found)
    return found
