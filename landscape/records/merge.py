"""``landscape merge``: stores of one experiment, made in shards or on several machines, as one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

import h5py
import numpy as np

from landscape.core.errors import StoreError
from landscape.records.store import StoreWriter
from landscape.records.store.copy import copy_packed
from landscape.records.store.damage import (
    COPY,
    State,
    distances_are_sound,
    entry_states,
    read_entries,
    refuse_damaged,
    refuse_damaged_structure,
    row_damage,
)
from landscape.records.store.disk import open_to_read, writing
from landscape.records.store.layout import check_encoding, has_checksums
from landscape.records.store.lock import lock_store
from landscape.records.store.replace import make_file, partial_of, put_in_place
from landscape.records.store.same import refuse_unlike
from landscape.records.store.structure import LEAST_BLOCK
from landscape.records.store.tables import NO_PLAN, plans_of, tables
from landscape.records.store.unite import Source, Sum, unite
from landscape.records.store.wellformed import check_layout


@dataclass(frozen=True)
class Merged:
    """What several stores hold together.

    Attributes:
        path: The new store.
        models: How many models it lists.
        pairs: How many pairs of them it lists.
        measured: How many of the pairs are measured.
        twice: How many pairs, models and points were measured in more than one store.
        difference: The largest difference of one example's loss between two of these, in nats.
        finished: Whether nothing is left to measure.
    """

    path: Path
    models: int
    pairs: int
    measured: int
    twice: int
    difference: float
    finished: bool


def merge(stores: Sequence[Path], out: Path) -> Merged:
    """Unite what several stores of one experiment have measured.

    All list the same checkpoints in the same order; each may have measured some of the models,
    pairs, ways and surfaces. What two of them have measured is taken from the first, and must agree
    but for rounding. The new store is gone on with like any other; where nothing is left to
    measure it is finished.

    Args:
        stores: Of this format or older ones; they are not changed.
        out: The new store, which must not exist.

    Raises:
        StoreError: Stores that are damaged, of other experiments or that contradict each other; or
            the new one exists or cannot be written.
    """
    out = Path(out)
    if not stores:
        raise StoreError("There is nothing to merge.", expected="at least one store")
    with lock_store(out), writing(out), ExitStack() as stack:
        if out.exists():
            raise StoreError(
                "The store to write exists.", where=out, fix="remove it, or give another --out"
            )
        plans: list[dict[str, Any]] = []
        sources: list[Source] = []
        for number, path in enumerate(map(Path, stores)):
            file = _opened(path, out.with_name(f".{out.name}.old-{number}"), stack)
            if sources:
                refuse_unlike(sources[0].file, file, (sources[0].path, path))
            sources.append(Source(path, file, _united(plans, plans_of(file), path)))
        loose = out.with_name(f".{out.name}.loose")
        stack.callback(_remove, loose)
        block = max(LEAST_BLOCK, sources[0].file.userblock_size)
        sums: list[Sum] = []
        make_file(loose, lambda file: sums.append(unite(file, sources, plans)), block=block)
        n_models = len(sources[0].file["model"])
        found = sums[0]
        if found.whole:
            with open_to_read(loose) as file:
                make_file(partial_of(out), lambda new: copy_packed(file, new), block=block)
            loose = partial_of(out)
        put_in_place(loose, out)
    return Merged(
        out, n_models, found.pairs, found.measured, found.twice, found.difference, found.whole
    )


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _opened(path: Path, copy: Path, stack: ExitStack) -> h5py.File:
    """A store to read, of an older format a copy that is brought up to this one.

    Raises:
        StoreError: No store, or one that is damaged, as far as that shows without its rows.
    """
    if not path.is_file():
        raise StoreError("There is no store.", where=path.absolute())
    found = refuse_damaged_structure(path)
    try:
        file = stack.enter_context(open_to_read(path))
    except OSError as error:
        raise StoreError("The store cannot be read.", where=path, found=error) from None
    check_encoding(file, path)
    check_layout(file, path)
    if not has_checksums(file):
        stack.callback(_remove, copy)
        copyfile(path, copy)
        with StoreWriter(copy):
            pass
        return stack.enter_context(open_to_read(copy))
    refuse_damaged(path, (COPY,) if found is None else found)
    names = file["model"].asstr()[()]
    for table in tables(file):
        entries = read_entries(file, table)
        states = entry_states(entries)
        bad = np.where(states == State.BAD_ENTRY, states, State.OPEN).astype(np.uint8)
        refuse_damaged(path, row_damage(table, bad, names, entries.models))
    refuse_damaged(path, () if distances_are_sound(file) else ("the weight distances",))
    return file


def _united(plans: list[dict[str, Any]], own: list[dict[str, Any]], path: Path) -> dict[int, int]:
    """Where a store's plans stand among all; new ones are added."""
    plans += [plan for plan in own if plan not in plans]
    if len(plans) > NO_PLAN:
        raise StoreError(
            "The stores were computed in too many ways.",
            where=path,
            expected=f"at most {NO_PLAN} plans",
            found=f"{len(plans)} plans so far",
        )
    return {number: plans.index(plan) for number, plan in enumerate(own)}
