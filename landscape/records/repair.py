"""``landscape repair``: what flipped bytes and failing disks have left of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from landscape.core.errors import StoreError
from landscape.records.collect import collect
from landscape.records.folder import RunFolder
from landscape.records.lock import lock_run
from landscape.records.record import read_arrays
from landscape.records.store import read_store, write_store
from landscape.records.writing import writing


def repair(path: Path) -> tuple[Path, ...]:
    """Delete what does not fit its checksum, and write the store from the other records.

    What was deleted, and is returned, is measured again by the command that made the run. ``path``
    is its folder, or the store in it.
    """
    folder = RunFolder(path)
    if not folder.exists():
        if path.is_file():
            read_store(path)  # says what is wrong with it
        raise StoreError(
            "There are no records to repair a run from.",
            where=path,
            expected=f"run.json and records/ in {folder.path}",
            fix="copy the store from elsewhere, or measure again with another 'out'",
        )
    with lock_run(folder.path):
        folder.manifest()
        files = sorted(folder.records.rglob("*.npz"))
        damaged = [file for file in files if not _is_sound(read_arrays, file)]
        store_is_sound = _is_sound(read_store, folder.store)
        with writing(folder.path):
            for file in damaged:
                file.unlink()
        texts = folder.records / "examples"
        if not store_is_sound or damaged:
            if any(file.parent == texts for file in damaged):
                folder.store.unlink(missing_ok=True)  # the run writes them, and it, anew
            else:
                write_store(collect(folder), folder.store, finished=False)
    return (*damaged, *([] if store_is_sound else [folder.store]))


def _is_sound(read: Callable[[Path], object], file: Path) -> bool:
    try:
        read(file)
    except StoreError:
        return False
    return True
