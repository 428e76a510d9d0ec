"""A whole new file in the place of a store, at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shutil import copyfile

import h5py

from landscape.records.store.disk import guarded, open_to_read
from landscape.records.store.structure import LEAST_BLOCK, copy_with_block, protect


def partial_of(path: Path) -> Path:
    """Where a file is made before it takes its place."""
    return path.with_name(f".{path.name}.partial")


def make_file(
    path: Path,
    write: Callable[[h5py.File], None],
    *,
    base: Path | None = None,
    block: int = LEAST_BLOCK,
) -> None:
    """Make a file whole, with the copy of its structure, or not at all.

    Whatever changes the structure of a store goes this way: a writer killed in the middle of it
    leaves the old file.

    Args:
        path: The file; one that is there is lost.
        write: Fills it, or changes the copy.
        base: A store to begin with a copy of.
        block: Bytes of the user block, if there is no base.

    Raises:
        OSError: The disk is full, or fails.
    """
    try:
        if base is None:
            with guarded(path, "w", block) as file:
                write(file)
        else:
            _copy(base, path)
            with guarded(path, "r+") as file:
                write(file)
        protect(path)
    except BaseException:
        _remove(path)
        raise


def put_in_place(partial: Path, path: Path) -> None:
    """Let a file take the place of another, at once, or remove it.

    Raises:
        OSError: The folder cannot be written.
    """
    try:
        os.replace(partial, path)
    except BaseException:
        _remove(partial)
        raise


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _copy(base: Path, path: Path) -> None:
    with open_to_read(base) as file:
        block = file.userblock_size
    if block:
        copyfile(base, path)
    else:
        copy_with_block(base, path, LEAST_BLOCK, block)
