from __future__ import annotations

import collections
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landscape.core.errors import StoreError
from landscape.importers.restricted_pickle import parse_pickle


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
        "posix.system by INST": b"(" + text(command) + b"iposix\nsystem\n.",
        "posix.system by OBJ": b"(cposix\nsystem\n" + text(command) + b"o.",
        "pathlib": pickle.dumps(Payload(Path.touch, mark)),
    }


@pytest.mark.parametrize("name", payloads(Path("mark")))
def test_programs_are_not_run(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(StoreError) as caught:
        parse_pickle(payloads(mark)[name], "values.pkl")
    assert not mark.exists()
    assert name.split(" by ")[0] in str(caught.value.parts["found"])
    assert caught.value.parts["where"] == "values.pkl"
    if "__globals__" not in name:  # which only reaches for what it would need
        pickle.loads(payloads(mark)[name])
        assert mark.exists()


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\x80\x02X\x01\x00\x00\x00aQ.", "persistent id"),
        (b"\x80\x02\x82\x01.", "extension code"),
        (b"\x80\x05\x97.", "out-of-band"),
        (pickle.dumps(Plain()), "test_pickles.Plain"),
        (pickle.dumps(Plain(), protocol=0), "the name copy_reg._reconstructor"),
        (pickle.dumps(np.array([None], dtype=object)), "the array type 'O"),
        (pickle.dumps(np.array([(1, 2.0)], dtype="i4,f8")), "the array type 'V"),
        (pickle.dumps(collections.defaultdict(Plain)), "collections.defaultdict"),
        (pickle.dumps(1 + 2j), "the name builtins.complex"),
        # the state of a name would change it for the next file
        (b"\x80\x02cnumpy\ndtype\n}b.", "a change of a name"),
        (b"\x80\x02cnumpy\ndtype\n" + text("f8") + b"\x85R(K\x03NK\x01NNtb.", "fields"),
    ],
)
def test_what_is_not_plain_is_refused(data: bytes, found: str) -> None:
    with pytest.raises(StoreError) as caught:
        parse_pickle(data, "values.pkl")
    assert found in str(caught.value)


@pytest.mark.parametrize("protocol", [3, 4])
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
