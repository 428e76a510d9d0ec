"""One file from the rows of several stores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from landscape.core.errors import StoreError
from landscape.records.store.copy import copy_grown
from landscape.records.store.damage import (
    State,
    entry_states,
    read_entries,
    refuse_damaged,
    row_checksums,
)
from landscape.records.store.damage import row_damage as damage_lines
from landscape.records.store.points import allocate_points, read_points
from landscape.records.store.rows import load_rows
from landscape.records.store.slots import FREE, assigned
from landscape.records.store.tables import (
    DISTANCES,
    MEASURED,
    NO_PLAN,
    Table,
    checksum,
    model_table,
    pair_table,
    point_table,
    read_rows,
    seals_of,
    tables,
)
from landscape.records.store.texts import copy_texts

TOLERANCE = 1e-3
"""Nats by which two measurements of one example's loss may differ: rounding of other machines."""
_ENDS = ("losses", "predictions", "screened", "difference")


@dataclass(frozen=True)
class Source:
    """A store of which rows are taken.

    Attributes:
        path: The store.
        file: The same, or a copy of this format.
        plans: From its plans to those of the new file.
    """

    path: Path
    file: h5py.File
    plans: dict[int, int]


@dataclass
class Sum:
    """What was taken.

    Attributes:
        pairs: How many pairs are listed.
        measured: How many of them are measured.
        twice: How many rows were measured in more than one store.
        difference: The largest difference of one example's loss between two of these, nats.
        whole: Whether every row is measured.
    """

    pairs: int
    measured: int = 0
    twice: int = 0
    difference: float = 0.0
    whole: bool = True


def unite(file: h5py.File, sources: Sequence[Source], plans: list[dict[str, Any]]) -> Sum:
    """Fill an empty file, a few rows in memory at a time.

    Args:
        file: The file.
        sources: Stores that were found to be of one experiment; of what several have measured the
            first one's rows are taken.
        plans: Of all of them.

    Raises:
        StoreError: A row that is damaged, or that two stores contradict each other on.
        OSError: The disk is full, or fails.
    """
    first = sources[0].file
    active = any(source.file.attrs.get("pairs", "all") == "active" for source in sources)
    pairs = _pairs(sources, active)
    nothing = {group: np.zeros(0, dtype=bool) for group in _groups(first)}
    copy_grown(first, file, len(pairs), nothing)
    file["plans"][()] = json.dumps(plans, indent=1)
    for source in sources[1:]:
        _add_missing(source.file, file)
    known = _copy_distances(sources, file)
    row_of = {tuple(pair): row for row, pair in enumerate(pairs.tolist())}
    earlier = [float(s.file.attrs.get("merge-difference", 0)) for s in sources]
    found = Sum(int(assigned(pairs).sum()), difference=max(earlier))
    ways = [point_table(file, name) for name in file.get("points", {})]
    for table in (model_table(file), pair_table(file), *ways):
        target = _Target(file, table, pairs if table.of_pairs else None)
        for source in sources:
            if table.group in source.file:
                target.take(source, row_of)
        measured = target.enter()
        if table.of_pairs:
            found.measured = measured
        found.twice += target.twice
        found.difference = max(found.difference, target.difference)
        found.whole &= None not in target.origin
    n = len(file["model"])
    found.whole &= known and not active and len(pairs) == n * (n - 1) // 2
    file.attrs["pairs"] = "active" if active else "all"
    file.attrs["finished"] = "yes" if found.whole else "no"
    file.attrs["merged-stores"] = str(len(sources))
    file.attrs["merge-difference"] = f"{found.difference:.9g}"
    return found


def _groups(file: h5py.File) -> list[str]:
    """What ``copy_grown`` leaves empty."""
    return [*(table.group for table in tables(file)), DISTANCES]


def _pairs(sources: Sequence[Source], active: bool) -> NDArray[np.int32]:
    """(n_rows, 2) of all stores, as one run would have them.

    All pairs in their order; those of runs that choose in the order in which they were chosen, with
    as many free slots as the largest of the stores has room for.
    """
    found: dict[tuple[int, ...], None] = {}
    n_rows = 0
    for source in sources:
        models = source.file["pairs/models"][:]
        held = assigned(models) & (source.file["pairs/seal"][:] != 0)
        found |= dict.fromkeys(map(tuple, models[held].tolist()))
        n_rows = max(n_rows, len(models))
    rows = np.array(list(found) if active else sorted(found), dtype=np.int32).reshape(-1, 2)
    if active and len(rows) < n_rows:
        rows = np.vstack([rows, np.full((n_rows - len(rows), 2), FREE, dtype=np.int32)])
    return rows


def _add_missing(source: h5py.File, file: h5py.File) -> None:
    """Texts, ways and surfaces that the new file lacks; nothing of these counts as measured."""
    for name, group in source["datasets"].items():
        if "texts" in group and "texts" not in file["datasets"][name]:
            copy_texts(group, file["datasets"][name])
    for name in source.get("points", {}):
        if name not in file.get("points", {}):
            rows = load_rows(source, point_table(source, name), (), verify=False)
            allocate_points(file, read_points(source, name, rows))


def _copy_distances(sources: Sequence[Source], file: h5py.File) -> bool:
    """The first that are known; whether there are any, or need be."""
    own = "checkpoints/distances_checksum"
    file[own][()] = 0
    for source in sources:
        if source.file[own][()] and np.isfinite(np.trace(source.file[DISTANCES][:])):
            file[DISTANCES][...] = source.file[DISTANCES][:]
            file[own][()] = source.file[own][()]
            return True
    sets = file["datasets"].values()
    return all(group.attrs.get("aggregated", "no") == "yes" for group in sets)


class _Target:
    """A table of the new file, filled from one store after the other."""

    def __init__(self, file: h5py.File, table: Table, models: NDArray[np.int32] | None) -> None:
        self.file, self.table, self.models = file, table, models
        n = len(file[table.path("status")])
        self.origin: list[Path | None] = [None] * n
        self.sums = np.zeros(n, dtype=np.uint32)
        self.twice, self.difference = 0, 0.0

    def take(self, source: Source, row_of: dict[tuple[int, ...], int]) -> None:
        """Copy the rows that a store has measured and no earlier one has; compare the others."""
        plan = self.table.path("plan")
        for own, values in _sound_rows(source, self.table):
            row = row_of[tuple(values["pairs/models"].tolist())] if self.table.of_pairs else own
            if self.origin[row] is not None:
                self.twice += 1
                self.difference = max(self.difference, self._apart(row, values, source.path))
                continue
            self.origin[row] = source.path
            values[plan] = np.uint8(source.plans.get(int(values[plan]), NO_PLAN))
            if self.models is not None:
                _put_ends(self.file, values, self.models[row])
            for path in self.table.arrays:
                self.file[path][row] = values[path]
            self.sums[row] = checksum(values[path] for path in self.table.arrays)

    def _apart(self, row: int, values: dict[str, np.ndarray], other: Path) -> float:
        """The largest difference of one example's loss, nats, where both have one format."""
        largest = 0.0
        for path in self.table.arrays:
            if not _holds_losses(path):
                continue
            one, two = self.file[path][row], values[path]
            if self.table.of_pairs:
                formats = values["pairs/formats"]
                same = (formats == self.file["pairs/formats"][row]) & (formats > 0)
                one, two = one[same], two[same]
            equal = (one == two) | (np.isnan(one) & np.isnan(two))
            with np.errstate(invalid="ignore"):
                apart = np.where(equal, 0.0, np.abs(one.astype(np.float64) - two))
            worst = float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))
            if worst > TOLERANCE:
                raise StoreError(
                    "Two stores do not agree on what both have measured.",
                    where=f"{self._name(row)}, {path}: {self.origin[row]} and {other}",
                    expected=f"losses that differ by rounding, at most {TOLERANCE:g} nats",
                    found=f"{worst:.3g} nats",
                    fix="merge stores of the same checkpoints, data and software",
                )
            largest = max(largest, worst)
        return largest

    def _name(self, row: int) -> str:
        states = np.zeros(len(self.origin), dtype=np.uint8)
        states[row] = State.BAD_VALUES
        return damage_lines(self.table, states, self.file["model"].asstr()[()], self.models)[0]

    def enter(self) -> int:
        """Mark what was filled as measured, and count it."""
        done = np.array([origin is not None for origin in self.origin], dtype=bool)
        file, table = self.file, self.table
        if self.models is not None:
            file["pairs/models"][...] = self.models
        file[table.path("checksum")][...] = self.sums
        file[table.path("status")][...] = np.where(done, MEASURED, 0)
        file[table.path("seal")][...] = seals_of(done, self.models)
        return int(done.sum())


def _holds_losses(path: str) -> bool:
    parts = path.split("/", 2)
    kind = path.rsplit("/", 2)[1] if parts[0] == "points" else path.rsplit("/", 1)[1]
    return kind in ("losses", "model_losses")


def _sound_rows(source: Source, table: Table) -> Iterator[tuple[int, dict[str, Any]]]:
    """What a store has measured, by path.

    Raises:
        StoreError: A row that is damaged.
    """
    file = source.file
    entries = read_entries(file, table)
    states = entry_states(entries)
    rows = np.flatnonzero(states == State.SOUND)
    own = next(each for each in tables(file) if each.group == table.group)
    bad = np.zeros_like(states)
    try:
        for row, parts in read_rows(file, own.arrays, rows):
            if checksum(parts) != entries.sums[row]:
                bad[row] = State.BAD_VALUES
            elif not bad.any():
                yield row, dict(zip(own.arrays, parts, strict=True))
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        for row, crc in row_checksums(file, own, rows):
            bad[row] = State.SOUND if crc == entries.sums[row] else State.BAD_VALUES
    refuse_damaged(source.path, damage_lines(table, bad, file["model"].asstr()[()], entries.models))


def _put_ends(file: h5py.File, values: dict[str, Any], models: NDArray[np.int32]) -> None:
    """A pair's first and last points are its models' own rows."""
    status = file["checkpoints/status"]
    for name, group in file["datasets"].items():
        if group.attrs.get("aggregated", "no") == "yes":
            continue
        for place, model in ((0, models[0]), (-1, models[1])):
            if status[model] != MEASURED:
                continue
            for kind in _ENDS:
                own = values[f"datasets/{name}/{kind}"].copy()
                own[place] = group[f"model_{kind}"][model]
                values[f"datasets/{name}/{kind}"] = own
