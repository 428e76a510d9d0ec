"""A record: whole or not at all, the same bytes for the same content, no other numbers."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from landscape.core.errors import StoreError
from landscape.records.record import Record, read_record, write_record
from tests.runs import differences

ROOT = Path(__file__).parents[2]
PATH = Path("records/pairs/0000-0001.loss.npz")


def make(seed: int = 0, n: int = 3) -> Record:
    rng = np.random.default_rng(seed)
    return Record(
        ("pairs/0000-0001",),
        "loss",
        np.zeros(n, np.int32),
        np.arange(1, n + 1, dtype=np.int32),
        {
            "dev/losses": rng.random((n, 4)).astype(np.float32),
            "dev/predictions": rng.integers(0, 2, (n, 4)).astype(np.uint8),
            "format": np.ones(n, np.uint8),
        },
        {"dev/losses": ("example",), "dev/predictions": ("example",), "format": ()},
        {"dev/losses": "nats"},
        "ab12",
        {"tolerance": [0.25]},
    )


dtypes = st.sampled_from(["u1", "i4", "i8", "f4", "f8", "?", "U5"])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@settings(max_examples=25)
@given(
    values=st.lists(
        dtypes.flatmap(lambda d: st_np.arrays(d, st_np.array_shapes(min_dims=1, max_side=4))),
        max_size=4,
    ),
    notes=st.dictionaries(texts, st.one_of(texts, st.integers(), st.lists(st.floats(0, 1)))),
    unit=texts,
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    values: list[np.ndarray],
    notes: dict[str, object],
    unit: str,
) -> None:
    path = tmp_path_factory.mktemp("record") / "x.npz"
    arrays = {f"set {k}/é": array for k, array in enumerate(values)}
    dims = dict.fromkeys(arrays, ("example",))
    units = dict.fromkeys(arrays, unit)
    rows = np.arange(3, dtype=np.int32)
    record = Record(("models/0000", unit), "toy", rows, rows, arrays, dims, units, "p", notes)
    write_record(path, record)
    assert not differences(read_record(path), record)
    content = path.read_bytes()
    write_record(path, record)
    assert path.read_bytes() == content


def test_a_changed_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    record, path = make(), tmp_path / PATH.name
    write_record(path, record)
    good, refused = path.read_bytes(), 0
    for place in range(0, len(good), 3):
        bad = bytearray(good)
        bad[place] ^= 1 << place % 8
        path.write_bytes(bytes(bad))
        try:
            assert not differences(read_record(path), record)
        except StoreError:
            refused += 1
    assert refused > len(good) / 6


def test_what_is_damaged_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / PATH
    path.parent.mkdir(parents=True)
    write_record(path, make())
    whole = path.read_bytes()
    for content in (b"", b"text", whole[:-30], whole[:40]):
        path.write_bytes(content)
        with pytest.raises(StoreError) as error:
            read_record(path)
        assert f"where: {path}" in str(error.value)
        assert f"landscape repair {tmp_path}" in str(error.value)
    np.savez(path, notes=np.frombuffer(json.dumps({}).encode(), np.uint8))
    with pytest.raises(StoreError, match=r"no record(?s:.*)found"):
        read_record(path)
    with pytest.raises(StoreError, match="where"):
        read_record(tmp_path / "absent.npz")


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / PATH.name
    write_record(path, make())

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=PATH.name):
        write_record(path, make(seed=1))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert not differences(read_record(path), make())
