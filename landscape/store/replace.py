"""A changed file in the place of a store, at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py

from landscape.store.layout import ENCODING_VERSION


def replaced(old: h5py.File, path: Path, change: Callable[[h5py.File], None]) -> h5py.File:
    """Put a changed copy in the place of a file, at once, and return it open.

    Whatever changes the structure of a file goes this way: a writer killed in the middle of it
    leaves the old file.
    """
    old.flush()
    partial = _partial(path)
    shutil.copyfile(path, partial)
    file = h5py.File(partial, "r+")
    change(file)
    return _in_place(old, file, path)


def rewritten(
    old: h5py.File, path: Path, write: Callable[[h5py.File, h5py.File], None]
) -> h5py.File:
    """The same with a file that is written anew, from the old one."""
    file = h5py.File(_partial(path), "w")
    write(old, file)
    return _in_place(old, file, path)


def _in_place(old: h5py.File, new: h5py.File, path: Path) -> h5py.File:
    new.attrs["encoding-version"] = ENCODING_VERSION
    new.flush()
    os.replace(_partial(path), path)
    old.close()
    return new


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")
