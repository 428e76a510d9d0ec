"""``landscape repair``: what flipped bytes, cut files and failing disks have left of a store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile

import h5py
import numpy as np

from landscape.core.errors import StoreError
from landscape.records.store.copy import copy_grown
from landscape.records.store.damage import COPY, distances_are_sound, structure_damage
from landscape.records.store.disk import open_to_read, writing
from landscape.records.store.layout import check_encoding, has_checksums
from landscape.records.store.lock import lock_file, lock_store
from landscape.records.store.mend import enter, sealed_verdict, unsealed_verdict
from landscape.records.store.replace import make_file, partial_of, put_in_place
from landscape.records.store.structure import (
    LEAST_BLOCK,
    find_directory,
    restore,
)
from landscape.records.store.tables import DISTANCES, tables
from landscape.records.store.upgrade import upgrade
from landscape.records.store.wellformed import check_layout


@dataclass(frozen=True)
class Repair:
    """What was wrong with a store.

    Attributes:
        path: The store, sound now.
        damaged: What was damaged, a line each; nothing of a sound store, which is not changed.
        pairs: How many pairs are measured still.
        lost: How many of the damaged pairs, models and points are not measured now.
        original: The damaged file, kept; None where nothing was damaged.
    """

    path: Path
    damaged: tuple[str, ...] = field(repr=False)
    pairs: int
    lost: int
    original: Path | None


def repair(path: Path) -> Repair:
    """Mend a store: everything that is sound stays, what is not is to be measured again.

    Structure, names, texts and labels are restored from their copies. A row that is not as it was
    written becomes one that is not measured; of a format before 0.5, which has neither copies nor
    checksums, only a row that does not decompress. The mended file takes the store's place at once,
    and the damaged one is kept beside it as ``NAME.damaged``.

    Args:
        path: The store, which no run may be writing to.

    Raises:
        StoreError: No store, one that is being written to, or one that cannot be mended; the file
            is not changed.
    """
    path = Path(path)
    if not path.is_file():
        raise StoreError("There is no store.", where=path.absolute())
    with lock_store(path), writing(path), _held(path):
        restored = path.with_name(f".{path.name}.restored")
        try:
            return _repair(path, restored)
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, OSError) and (isinstance(error, StoreError) or error.errno):
                raise
            raise _beyond(path, error) from None  # HDF5 cannot make anything of it
        finally:
            with suppress(OSError):
                restored.unlink(missing_ok=True)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        lock_file(fd, path)
        yield
    finally:
        os.close(fd)


def _repair(path: Path, restored: Path) -> Repair:
    found, readable = structure_damage(path) or (), path
    if found and found != (COPY,):
        _restore(path, restored)
        readable = restored
    with _opened(readable, path) as file:
        check_encoding(file, path)
        check_layout(file, path)
        sealed = has_checksums(file)
        if sealed and structure_damage(readable) is None:
            raise _beyond(path, "both directories of the copies of its structure")
        verdicts = [
            sealed_verdict(file, table) if sealed else unsealed_verdict(file, table)
            for table in tables(file)
        ]
        distances = not sealed or distances_are_sound(file)
        lines = [*found, *(line for verdict in verdicts for line in verdict.lines)]
        if not distances:
            lines.append("the weight distances")
        n_pairs = sum(int(v.kept.sum()) for v in verdicts if v.table.of_pairs)
        n_lost = sum(verdict.lost for verdict in verdicts)
        if not lines:
            return Repair(path, (), n_pairs, 0, None)
        partial = partial_of(path)
        if lines == [*found]:  # all rows are sound
            make_file(partial, upgrade, base=readable)
        else:

            def write(copy: h5py.File) -> None:
                kept = {verdict.table.group: verdict.kept for verdict in verdicts}
                if not distances:
                    kept[DISTANCES] = np.zeros(len(file["model"]), dtype=bool)
                copy_grown(file, copy, len(file["pair"]), kept)
                for verdict in verdicts:
                    enter(copy, verdict, sealed)
                upgrade(copy)
                if not distances:
                    copy["checkpoints/distances_checksum"][()] = 0
                copy.attrs["finished"] = "no"

            make_file(partial, write, block=max(file.userblock_size, LEAST_BLOCK))
    return Repair(path, tuple(lines), n_pairs, n_lost, _keep(path, partial))


def _restore(path: Path, restored: Path) -> None:
    """Mend the structure, in a copy."""
    copyfile(path, restored)
    fd = os.open(restored, os.O_RDWR | os.O_CLOEXEC)
    try:
        directory, _ = find_directory(fd)
        if directory is None or not restore(fd, directory):
            raise _beyond(path, "its structure, in one place with both copies of it")
    finally:
        os.close(fd)


def _opened(readable: Path, path: Path) -> h5py.File:
    try:
        return open_to_read(readable)
    except OSError as error:
        raise _beyond(path, error) from None


def _beyond(path: Path, found: object) -> StoreError:
    return StoreError(
        "The store is damaged beyond what can be mended; it is left as it is.",
        where=path,
        found=found,
        fix="restore it from elsewhere, or measure it again with another 'out'",
    )


def _keep(path: Path, partial: Path) -> Path:
    """Put the mended file in the place of the damaged one, which gets another name."""
    number, kept = 1, path.with_name(f"{path.name}.damaged")
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.name}.damaged-{number}")
    try:
        os.link(path, kept)  # so that there is a store at any moment
    except OSError:  # no links on this file system
        os.rename(path, kept)
    put_in_place(partial, path)
    return kept
