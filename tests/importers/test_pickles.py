from __future__ import annotations

import collections
import contextlib
import os
import pickle
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landscape.core.errors import LandscapeError, StoreError
from landscape.core.restricted_pickle import parse_pickle


class Payload:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


class Plain:
    pass


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def payloads(mark: Path) -> dict[str, bytes]:
    """Programs that make a file when plain pickle obeys them."""
    command = f"touch {mark}"
    code = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    system = b"cposix\nsystem\n" + text(command)
    return {
        "posix.system": pickle.dumps({("a", "b"): [1.0, Payload(os.system, command)]}),
        "builtins.eval": pickle.dumps([Payload(eval, code)]),
        # a name with a dot reaches through a module that is allowed
        "numpy._core.multiarray._reconstruct.__globals__": b"\x80\x04"
        + text("numpy._core.multiarray")
        + text("_reconstruct.__globals__")
        + b"\x930"
        + system
        + b"\x85R.",
        "functools.partial": b"cfunctools\npartial\n" + system + b"\x86R)R.",
        "the instruction INST": b"(" + text(command) + b"iposix\nsystem\n.",
        "the instruction OBJ": b"(cposix\nsystem\n" + text(command) + b"o.",
        "pathlib": pickle.dumps(Payload(Path.touch, mark)),
    }


@pytest.mark.parametrize("name", payloads(Path("mark")))
def test_programs_are_not_run(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(StoreError) as caught:
        parse_pickle(payloads(mark)[name], "values.pkl")
    assert not mark.exists()
    assert name in str(caught.value.parts["found"])
    assert caught.value.parts["where"] == "values.pkl"
    if "__globals__" not in name:  # which only reaches for what it would need
        pickle.loads(payloads(mark)[name])
        assert mark.exists()


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"Pmodel-7\n.", "the instruction PERSID"),
        (b"\x80\x02X\x01\x00\x00\x00aQ.", "the instruction BINPERSID"),
        (b"\x80\x02\x82\x01.", "the instruction EXT1"),
        (b"\x80\x05\x97.", "the instruction NEXT_BUFFER"),
        (pickle.dumps(Plain()), "the instruction NEWOBJ"),
        (pickle.dumps(Plain(), protocol=0), "the name copy_reg._reconstructor"),
        (pickle.dumps(np.array([None], dtype=object)), "the array type 'O"),
        (pickle.dumps(np.array([(1, 2.0)], dtype="i4,f8")), "the array type 'V"),
        (pickle.dumps(np.array(["2020-01-01"], dtype="M8[D]")), "the array type 'M8"),
        (pickle.dumps(np.ma.masked_array([1.0])), "numpy.ma"),
        (pickle.dumps(collections.defaultdict(Plain)), "collections.defaultdict"),
        (pickle.dumps(1 + 2j), "the name builtins.complex"),
        # the state of a name would change it for the next file
        (b"\x80\x02cnumpy\ndtype\n}b.", "a change of a name"),
        (b"\x80\x02cnumpy\ndtype\n" + text("f8") + b"\x85R(K\x03NK\x01NNtb.", "fields"),
        (pickle.dumps([1]) + b"anything", "after the end"),
        (pickle.dumps(2**70), "an integer"),
        (pickle.dumps([[]] * 200), "more than 200 instructions"),
    ],
)
def test_what_is_not_plain_is_refused(
    data: bytes, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landscape.core.restricted_pickle.MAX_INSTRUCTIONS", 200)
    with pytest.raises(StoreError) as caught:
        parse_pickle(data, "values.pkl")
    assert found in str(caught.value)


def laughs(end: bytes, level: bytes, n: int = 60) -> bytes:
    """A value of two of a value of two of ..."""
    program = b"\x80\x04K\x01q\x000"
    for k in range(n):
        program += level % (bytes([k]), bytes([k])) + b"q" + bytes([k + 1]) + b"0"
    return program + b"h" + bytes([n]) + end


def array_of(shape: tuple[int, ...], raw: bytes) -> bytes:
    dtype = b"cnumpy\ndtype\n" + text("f8") + b"\x85R(K\x03" + text("<") + b"NNNJ\xff\xff\xff\xff"
    dtype += b"J\xff\xff\xff\xffK\x00tb"
    parts = b"".join(pickle.dumps(n, protocol=2)[2:-1] for n in shape)
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    state = b"(K\x01(" + parts + b"t" + dtype + b"\x89"
    return b"\x80\x02" + made + state + b"U" + bytes([len(raw)]) + raw + b"tb."


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x80\x02\x8b\xff\xff\xff\x7f.", "damaged"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"a.", "damaged"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**63 + 9) + b"a.", "damaged"),
        (b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"a.", "damaged"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"a.", "damaged"),
        (b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.", "damaged"),
        (b"\x80\x02Nr\xff\xff\xff\x7f.", "the memo's slot 2147483647"),
        (b"Np99999999999999999999\n.", "the memo's slot"),
        (laughs(b".", b"h%bh%b\x86"), "repeated without end"),
        (b"\x80\x04}" + laughs(b"Ns.", b"h%bh%b\x86")[2:], "repeated without end"),
        (b"\x80\x02" + b"N" + b"\x85" * 200 + b".", "repeated without end"),
        (b"\x80\x02(N" + b"2\x86" * 200 + b".", "repeated without end"),
        (b"\x80\x02" + text("a" * 10_000) + b"2" * 100_000 + b".", "repeated without end"),
        (array_of((2**30, 2**30), b"\0" * 8), "damaged"),
        (array_of((3,), b"\0" * 8), "damaged"),
        (array_of((-1,), b""), "damaged"),
        (array_of((1,) * 80, b"\0" * 8), "damaged"),
        (b"\x80\x02N.", ""),
    ],
)
def test_bombs_are_bounded(data: bytes, said: str) -> None:
    tracemalloc.start()
    try:
        if said:
            with pytest.raises(StoreError, match=said):
                parse_pickle(data, "bomb.pkl")
        else:
            assert parse_pickle(data) is None
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


numbers = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False)
leaves = numbers | st.text(max_size=5) | st.binary(max_size=5)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(leaves | st.tuples(leaves, leaves), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(values, st.integers(3, 5))
def test_plain_values_come_back(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol=protocol)
    found = parse_pickle(data)
    assert repr(found) == repr(pickle.loads(data))


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize(
    "kind", ["?", "i1", "u1", "<i2", ">i2", "u4", "i8", "<f2", "<f4", ">f4", "f8", ">u8"]
)
def test_arrays_come_back(protocol: int, kind: str) -> None:
    whole = (np.arange(24).reshape(2, 3, 4) % 5).astype(kind)
    for array in (whole, whole[:, 1:2], np.asfortranarray(whole), whole[:0], whole[0, 0, 0]):
        found = parse_pickle(pickle.dumps(array, protocol=protocol))
        np.testing.assert_array_equal(found, array)
        assert found.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
        assert isinstance(found, type(array))


def test_sets_come_back() -> None:
    sets = ({1, 2}, frozenset("ab"))
    assert parse_pickle(pickle.dumps(sets)) == sets


@given(st.binary(max_size=60))
def test_random_bytes_end_in_one_kind_of_error(data: bytes) -> None:
    for start in (b"", b"\x80\x02", b"\x80\x04\x95"):
        with contextlib.suppress(LandscapeError):
            parse_pickle(start + data)


SEED = {("7", "22"): ([[0, 0.5, np.float64(0.8)], [1, 0.25, np.float64(0.9)]], 1.5), "a": {1: ()}}


@given(st.data(), st.integers(0, 5))
def test_damaged_pickles_end_in_one_kind_of_error(data: st.DataObject, protocol: int) -> None:
    whole = bytearray(pickle.dumps([SEED, np.arange(3.0)], protocol))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    for broken in (bytes(whole), bytes(whole[:cut])):
        with contextlib.suppress(LandscapeError):
            parse_pickle(broken)
