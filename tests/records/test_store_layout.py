"""Stores that are not laid out as their format says: one error, and nothing outside is read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from landscape.core.errors import StoreError
from landscape.records import StoreWriter, read_store
from landscape.records.merge import merge
from landscape.records.repair import repair

OLD = Path(__file__).parents[1] / "data" / "store-0.4.0.h5"
LOSSES = "datasets/dev/losses"


def other(name: str, **content: Any) -> Callable[[h5py.File], None]:
    """Another array in the place of one."""

    def edit(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **content)

    return edit


def values(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        file[name][...] = change(file[name][...])

    return edit


def link(target: Any) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        del file[LOSSES]
        file[LOSSES] = target

    return edit


def virtual(file: h5py.File) -> None:
    shape = file[LOSSES].shape
    del file[LOSSES]
    layout = h5py.VirtualLayout(shape, dtype="f4")
    layout[...] = h5py.VirtualSource(str(OLD), LOSSES, shape=shape)
    file.create_virtual_dataset(LOSSES, layout)


def outside(file: h5py.File) -> None:
    del file["datasets/dev/labels"]
    there = [(str(OLD), 0, h5py.h5f.UNLIMITED)]
    file.create_dataset("datasets/dev/labels", shape=(20,), dtype="u1", external=there)


def attribute(name: str, value: Any) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        file.attrs[name] = value

    return edit


CASES: dict[str, Callable[[h5py.File], None]] = {
    rf"where: {LOSSES} (?s:.*)a link: ExternalLink": link(h5py.ExternalLink(str(OLD), LOSSES)),
    rf"where: {LOSSES} (?s:.*)a link: SoftLink": link(h5py.SoftLink("/position")),
    r"values in this file(?s:.*)in another one": virtual,
    r"labels of (?s:.*)values in this file": outside,
    r"where: pairs/models (?s:.*)to be there": lambda file: file.pop("pairs/models"),
    r"where: datasets/dev/losses (?s:.*)an array(?s:.*)a group": lambda file: [
        file.pop(LOSSES), file.create_group(LOSSES),
    ],
    r"shape \(3, 9, 20\)(?s:.*)shape \(1, 2, 20\)": other(LOSSES, data=np.zeros((1, 2, 20), "f4")),
    r"numbers of kind 'f'(?s:.*)int32": other(LOSSES, data=np.zeros((3, 9, 20), "i4")),
    r"where: checkpoints/name (?s:.*)text(?s:.*)int64": other("checkpoints/name", data=[1, 2, 3]),
    r"unique names": other("checkpoints/name", data=["a", "b", "a"]),
    r"the names of the checkpoints": other("checkpoints/name", data=["a", "b", "c"]),
    r"at most 2000 times its 0 bytes": other(
        "datasets/dev/labels", shape=(2**40,), dtype="u1", chunks=(2**16,)
    ),
    r"where: position (?s:.*)ascending from 0 to 1": values("position", lambda old: old[::-1]),
    r"two models a row(?s:.*)twice": values("pairs/models", lambda old: old[[0, 0, 1]]),
    r"two models a row(?s:.*)ascending": values("pairs/models", lambda old: old + 7),
    r"two models in each row(?s:.*)free slots": values("pairs/models", lambda old: old - 5),
    r"where: pairs/formats (?s:.*)below 5": values("pairs/formats", lambda old: old + 77),
    r"labels of (?s:.*)below 2(?s:.*)20": values("datasets/dev/labels", lambda old: old + 200),
    r"where: config (?s:.*)an object(?s:.*)list": other("config", data="[1]"),
    r"cannot be read(?s:.*)Expecting": other("config", data="{"),
    r"cannot be read(?s:.*)recursion": other("config", data="[" * 10**5),
    r"precision is not known": attribute("precision", "fp3"),
    r"of which format(?s:.*)found: new": attribute("encoding-version", "new"),
    r"of which format(?s:.*)found: 999": attribute("encoding-version", "9" * 5000),
    r"newer version": attribute("encoding-version", "9.0.0"),
    r"known role and metric(?s:.*)own, accuracy": lambda file: file["datasets/dev"].attrs.modify(
        "role", "own"
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", CASES)
def test_what_does_not_fit_is_named(tmp_path: Path, message: str) -> None:
    """By whoever opens the store; nothing is left beside it."""
    path = tmp_path / "store.h5"
    shutil.copyfile(OLD, path)
    with h5py.File(path, "r+") as file:
        CASES[message](file)
    before = path.read_bytes()
    for use in (read_store, StoreWriter, repair, lambda path: merge([path], tmp_path / "all.h5")):
        with pytest.raises(StoreError, match=message):
            use(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["store.h5"]
