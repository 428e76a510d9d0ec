"""Files that are no store, or a damaged one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from landscape.core.errors import StoreError
from landscape.importers import import_published
from landscape.records import read_store
from tests.malformed.inputs import Inputs
from tests.malformed.test_published import CURVES

Refused = Callable[..., None]
SIGNATURE = b"\x89HDF\r\n\x1a\n"
FILES: dict[str, Callable[[bytes], bytes]] = {
    "text": lambda good: b"hello\n" * 1000,
    "empty": lambda good: b"",
    "a signature alone": lambda good: SIGNATURE,
    "a signature and noise": lambda good: SIGNATURE + good[-5000:],
    "a zip archive": lambda good: b"PK\3\4" + good[4:],
    **{
        f"cut at {part}%": lambda good, p=part: good[: len(good) * p // 100] for part in (5, 50, 95)
    },
    "the last kilobyte missing": lambda good: good[:-1024],
    "zeros in the middle": lambda good: good[:2000] + bytes(4000) + good[6000:],
    "its end as other numbers": lambda good: good[:-2000] + bytes(b ^ 1 for b in good[-2000:]),
}


@pytest.fixture
def store(inputs: Inputs) -> Path:
    """Of curves that were imported."""
    curves = inputs.write("x.csv", CURVES.replace("a,b,", "model-a,model-b,"))
    path = inputs.root / "in" / "store.h5"
    import_published(curves, out=path, dataset="dev")
    return path


@pytest.mark.parametrize("change", FILES.values(), ids=FILES)
def test_files(change: Callable[[bytes], bytes], store: Path, refused: Refused) -> None:
    changed = change(store.read_bytes())
    assert changed != store.read_bytes()
    store.write_bytes(changed)
    refused("inspect", store, naming="store.h5")


def test_a_folder(inputs: Inputs, refused: Refused) -> None:
    (inputs.write("x", "").with_name("store.h5")).mkdir()
    refused("inspect", "store.h5", naming="store.h5")


def _values(file: h5py.File) -> list[h5py.Dataset]:
    found: list[h5py.Dataset] = []
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    return sorted(found, key=lambda item: -item.size)


def _another_shape(file: h5py.File) -> None:
    name, values = _values(file)[0].name, _values(file)[0][...]
    del file[name]
    file[name] = values[..., :-1]


def _huge(file: h5py.File) -> None:
    """2^40 numbers that take no room."""
    name = _values(file)[0].name
    del file[name]
    file.create_dataset(name, (2**20, 2**20), "f4", chunks=(1024, 1024), compression=1)


def _link(target: Callable[[h5py.File, str], Any]) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        name = _values(file)[0].name
        del file[name]
        file[name] = target(file, name)

    return edit


def _without(kind: type) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        del file[next(name for name, item in file.items() if isinstance(item, kind))]

    return edit


EDITS: dict[str, Callable[[h5py.File], Any]] = {
    "another HDF5 file": lambda file: (file.clear(), file.attrs.clear()),
    "nothing but the mark of a store": lambda file: file.clear(),
    "a newer format": lambda file: file.attrs.modify("encoding-version", "99.0"),
    "a format that is no number": lambda file: file.attrs.modify("encoding-version", "new"),
    "a format of 5,000 digits": lambda file: file.attrs.modify("encoding-version", "9" * 5000),
    "a format that is a list": lambda file: file.attrs.create("encoding-version", [1.0]),
    "without a group": _without(h5py.Group),
    "without an array": _without(h5py.Dataset),
    "an array of another shape": _another_shape,
    "2^40 numbers that take no room": _huge,
    "an external link": _link(lambda file, name: h5py.ExternalLink("../secret.txt", name)),
    "a soft link to nothing": _link(lambda file, name: h5py.SoftLink("/nowhere")),
    "a soft link to itself": _link(lambda file, name: h5py.SoftLink(name)),
    "a group for an array": _link(lambda file, name: file.create_group("new")),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_edits(edit: Callable[[h5py.File], Any], store: Path, refused: Refused) -> None:
    with h5py.File(store, "r+") as file:
        edit(file)
    refused("inspect", store, naming="store.h5")


def test_no_flipped_bit_is_read_as_other_numbers(store: Path) -> None:
    """Each is refused, or changes nothing that is read."""
    good, rng = store.read_bytes(), np.random.default_rng(0)
    sound = repr(read_store(store))
    refusals = 0
    for place in rng.integers(8 * len(good), size=100):
        changed = bytearray(good)
        changed[place // 8] ^= 1 << place % 8
        store.write_bytes(changed)
        try:
            values = repr(read_store(store))
        except StoreError:
            refusals += 1
        else:
            assert values == sound, place
    assert refusals > 5
