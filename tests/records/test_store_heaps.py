"""Heaps of texts that HDF5 would read for ever are refused before it sees them."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import h5py
import pytest
from hypothesis import given
from hypothesis import strategies as st
from landscape.records.store.heaps import refuse_endless

from landscape.core.errors import StoreError
from landscape.records import heaps, read_store

OBJECT = st.tuples(st.integers(1, 65535), st.integers(0, 40))


def endless(good: bytes) -> bytes:
    """Free space in heaps of texts has no size: HDF5 would look at it for ever."""
    made = bytearray(good)
    for heap in re.finditer(rb"GCOL\x01", good):
        place, end = (
            heap.start() + 16,
            heap.start() + struct.unpack_from("<Q", good, heap.end() + 3)[0],
        )
        while place + 16 <= end:
            number, size = struct.unpack_from("<H6xQ", good, place)
            if not number:
                made[place + 8 : place + 16] = bytes(8)
                break
            place += 16 + -(-size // 8) * 8
    assert made != good
    return bytes(made)


def heap(objects: list[tuple[int, int]], free: int | None) -> bytes:
    """A heap of 4096 bytes; its free space says that it has so many."""
    body = b"".join(
        struct.pack("<HH4xQ", number, 1, size) + b"x" * (-(-size // 8) * 8)
        for number, size in objects
    )
    rest = 4096 - 16 - len(body)
    body += struct.pack("<HH4xQ", 0, 0, rest if free is None else free) + bytes(rest - 16)
    return b"GCOL\x01\0\0\0" + struct.pack("<Q", 4096) + body


def is_refused(path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    try:
        refuse_endless(path)
    except OSError:
        return True
    return False


@given(st.lists(OBJECT, max_size=40), st.binary(max_size=30))
def test_only_free_space_without_a_size_is_endless(
    tmp_path_factory: pytest.TempPathFactory, objects: list[tuple[int, int]], before: bytes
) -> None:
    path = tmp_path_factory.mktemp("heap") / "file"
    assert not is_refused(path, before + heap(objects, None))
    for free in range(16):
        assert is_refused(path, before + heap(objects, None) + heap(objects, free) + before)
    assert is_refused(path, before + heap(objects, 2**63))


def test_what_hdf5_makes_is_no_such_file(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        for k in range(50):
            file.attrs[f"a{k}"] = "GCOL" * k
        file["texts"] = ["x" * k for k in range(3000)]
        del file.attrs["a7"]
        file.attrs["a9"] = "y"
    assert path.read_bytes().count(b"GCOL\x01\0\0\0") > 5
    refuse_endless(path)
    assert not is_refused(tmp_path / "empty", b"")
    assert not is_refused(tmp_path / "cut", b"GCOL\x01\0\0\0\1")


@pytest.mark.parametrize("before", [0, 5, 9, 20, 4096])
def test_one_across_the_pieces_that_are_read_is_found(
    tmp_path: Path, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heaps, "_PIECE", 13)
    assert is_refused(tmp_path / "file", bytes(before) + heap([(1, 8)], 0))
    assert not is_refused(tmp_path / "file", bytes(before) + heap([(1, 8)], None))


def test_a_store_with_one_is_refused(tmp_path: Path) -> None:
    good = (Path(__file__).parents[1] / "data" / "store-0.4.0.h5").read_bytes()
    (tmp_path / "store.h5").write_bytes(endless(good))
    with pytest.raises(StoreError, match=r"(?s)cannot be read.*a heap of texts at byte \d+"):
        read_store(tmp_path / "store.h5")
