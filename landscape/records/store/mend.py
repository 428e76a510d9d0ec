"""Which rows of a damaged store are kept, and what is to stand beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import h5py
import numpy as np
from numpy.typing import NDArray

from landscape.records.store.damage import (
    Entries,
    State,
    judge_file,
    row_checksums,
    row_damage,
)
from landscape.records.store.slots import FREE, assigned
from landscape.records.store.tables import MEASURED, Table, checksum, read_rows, seal_of, seals_of

_MOST_MODELS = 2000
"""With more of them, not every pair is tried in the place of one that is not known any more."""


@dataclass(frozen=True)
class Verdict:
    """What a damaged table is mended to.

    Attributes:
        table: The table.
        kept: (n_rows,) the rows that are sound, with their models.
        sums: (n_rows,) uint32 checksums of these; none of an older format.
        models: (n_rows, 2) of the pair table.
        lines: What was damaged, a line a row.
        lost: How many of the damaged rows are not kept.
    """

    table: Table
    kept: NDArray[np.bool_]
    sums: NDArray[np.uint32] | None
    models: NDArray[np.int32] | None
    lines: list[str]
    lost: int


def sealed_verdict(file: h5py.File, table: Table) -> Verdict:
    """Of a file that has checksums."""
    entries, states = judge_file(file, table)
    kept, models = states == State.SOUND, entries.models
    bad = np.flatnonzero(states == State.BAD_ENTRY)
    if table.of_pairs and len(bad):
        models = _mended_pairs(file, table, entries, states, kept)
    else:
        for row, crc in row_checksums(file, table, bad):
            kept[row] = crc == entries.sums[row]  # then its status or its seal was damaged
    names = list(file["model"].asstr()[()])
    if models is not None:
        known = (states == State.BAD_ENTRY) & assigned(models)
        states = np.where(known, State.BAD_VALUES, states).astype(np.uint8)
    lines = row_damage(table, states, names, models)
    damaged = states >= State.BAD_VALUES
    return Verdict(table, kept, entries.sums, models, lines, int((damaged & ~kept).sum()))


def _mended_pairs(
    file: h5py.File,
    table: Table,
    entries: Entries,
    states: NDArray[np.uint8],
    kept: NDArray[np.bool_],
) -> NDArray[np.int32]:
    """The pairs, those that are not known any more found by their seals; ``kept`` is updated."""
    assert entries.models is not None
    models = entries.models.copy()
    n_models = len(file["model"])
    models[states == State.FREE] = FREE
    good = (states != State.BAD_ENTRY) & assigned(models)
    known = set(map(tuple, models[good].tolist()))
    open_rows = []
    for row in np.flatnonzero(states == State.BAD_ENTRY).tolist():
        first, second = models[row].tolist()
        is_pair = 0 <= first < second < n_models and (first, second) not in known
        if is_pair and _crc(file, table, row, models[row]) == entries.sums[row]:
            kept[row] = True
            known.add((first, second))
        else:
            open_rows.append((row, is_pair))
    for row, is_pair in open_rows:
        seal = int(entries.seals[row])
        for pair in _candidates(models[row].tolist(), n_models, known):
            if seal in (seal_of(0, pair), seal_of(MEASURED, pair)):
                models[row] = pair
                kept[row] = _crc(file, table, row, models[row]) == entries.sums[row]
                break
        else:
            if not is_pair or tuple(models[row].tolist()) in known:
                models[row] = FREE
        known.add(tuple(models[row].tolist()))
    if file.attrs.get("pairs", "all") != "active" and n_models <= _MOST_MODELS:
        rows = [row for row, _ in open_rows if models[row, 0] < 0]
        absent = (p for p in combinations(range(n_models), 2) if p not in known)
        for row, pair in zip(rows, absent, strict=False):
            models[row] = pair
    return models


def _candidates(
    stored: list[int], n_models: int, known: set[tuple[int, ...]]
) -> Iterable[tuple[int, int]]:
    """Pairs that may have stood in a row; where there are many, with one of the two it has now."""
    pairs: Iterable[tuple[int, int]] = combinations(range(n_models), 2)
    if n_models > _MOST_MODELS:
        first, second = stored
        others = [(first, k) for k in range(first + 1, n_models)] if first >= 0 else []
        pairs = [*others, *((k, second) for k in range(min(second, n_models)))]
    return (pair for pair in pairs if pair not in known)


def _crc(file: h5py.File, table: Table, row: int, models: NDArray[np.int32]) -> int | None:
    """The checksum of a row as if it were of these models."""
    try:
        ((_, parts),) = read_rows(file, table.arrays, np.array([row]))
    except OSError:
        return None
    place = table.arrays.index("pairs/models")
    return checksum([*parts[:place], models, *parts[place + 1 :]])


def unsealed_verdict(file: h5py.File, table: Table) -> Verdict:
    """Of a file of an older format, which has no checksums: the rows that HDF5 can read."""
    measured = file[table.path("status")][:] == MEASURED
    models = file["pairs/models"][:] if table.of_pairs else None
    if models is not None:
        measured &= assigned(models)
    kept = measured.copy()
    for row, crc in row_checksums(file, table, np.flatnonzero(measured)):
        kept[row] = crc is not None
    states = np.where(measured & ~kept, State.BAD_VALUES, State.OPEN).astype(np.uint8)
    lines = row_damage(table, states, list(file["model"].asstr()[()]), models)
    return Verdict(table, kept, None, models, lines, len(lines))


def enter(copy: h5py.File, verdict: Verdict, sealed: bool) -> None:
    """Write what stands beside the rows that were copied.

    Args:
        copy: A copy of the store with the kept rows alone.
        verdict: Which they are.
        sealed: Whether the store has checksums.
    """
    table, kept = verdict.table, verdict.kept
    copy[table.path("status")][...] = np.where(kept, MEASURED, 0)
    if verdict.models is not None:
        copy["pairs/models"][...] = verdict.models
    if not sealed or verdict.sums is None:
        return
    copy[table.path("checksum")][...] = np.where(kept, verdict.sums, 0)
    copy[table.path("seal")][...] = seals_of(kept, verdict.models)
