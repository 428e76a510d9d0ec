"""Pickles of plain containers, numbers, text and arrays of numbers, read without running anything.

A pickle is a program for a small stack machine, two of whose instructions import a name and call
it. Here a name is only ever looked up in a short list of stand-ins, written below, that check
their arguments and build plain values; nothing is imported, no class of the file's choice is made,
and numpy sees nothing but bytes of a checked length and a number type. Before that, every
instruction is read once without being obeyed, so that what would fill the memory is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from landscape.core.errors import StoreError
from landscape.core.files import MAX_BYTES, read_bytes

MAX_INSTRUCTIONS = 5_000_000
MAX_VALUES = 50_000_000  # after every shared value is counted as often as it stands somewhere
MAX_DEPTH = 100

_REFUSED = {
    "PERSID": "an object that lies outside the file",
    "BINPERSID": "an object that lies outside the file",
    "INST": "an instance of a class",
    "OBJ": "an instance of a class",
    "NEWOBJ": "an instance of a class",
    "NEWOBJ_EX": "an instance of a class",
    "EXT1": "a name from the extension registry",
    "EXT2": "a name from the extension registry",
    "EXT4": "a name from the extension registry",
    "NEXT_BUFFER": "a buffer that lies outside the file",
    "READONLY_BUFFER": "a buffer that lies outside the file",
}
_INTEGERS = ("INT", "LONG", "LONG1", "LONG4")
_PUT = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_GET = ("GET", "BINGET", "LONG_BINGET")
_TO_MARK = {"TUPLE": 1, "LIST": 1, "DICT": 1, "FROZENSET": 1, "POP_MARK": 0, "INST": 1, "OBJ": 1}
_TO_MARK |= {"APPENDS": 0, "SETITEMS": 0, "ADDITEMS": 0}  # what they add to stays
_TAKES = {"POP": (1, 0), "APPEND": (1, 0), "SETITEM": (2, 0), "REDUCE": (2, 1), "BUILD": (1, 0)}
_TAKES |= {"STACK_GLOBAL": (2, 1), "TUPLE1": (1, 1), "TUPLE2": (2, 1), "TUPLE3": (3, 1)}
_TAKES |= {"PROTO": (0, 0), "FRAME": (0, 0), "STOP": (1, 0)}
_TAKES |= {"BINPERSID": (1, 1), "NEWOBJ": (2, 1), "NEWOBJ_EX": (3, 1), "READONLY_BUFFER": (1, 1)}
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")


def read_pickle(
    path: str | Path, *, max_bytes: int = MAX_BYTES, max_instructions: int = MAX_INSTRUCTIONS
) -> Any:
    """Read a pickle that holds nothing but plain values.

    Args:
        path: The file.
        max_bytes: Of the file, and of all its arrays together.
        max_instructions: How many instructions the pickle may have.

    Returns:
        None, bool, int of 64 bits, float, str, bytes, and lists, tuples, sets and dicts of them
        (ordered and default ones come back as dicts), numpy scalars and arrays of bool, int, uint
        and float.

    Raises:
        DataError: No such file, or it is too large.
        StoreError: Anything else in it; a name is refused by its name.
    """
    path = Path(path)
    return parse_pickle(
        read_bytes(path, max_bytes), path, max_bytes=max_bytes, max_instructions=max_instructions
    )


def parse_pickle(
    data: bytes,
    where: object = None,
    *,
    max_bytes: int = MAX_BYTES,
    max_instructions: int = MAX_INSTRUCTIONS,
) -> Any:
    """As ``read_pickle``, of bytes in memory."""
    try:
        if follow(data, max_instructions) != len(data) - 1:
            raise _RefusedError("something after the end of the pickle")
        value = _Reader(data, max_bytes).load()
        return _Plain().value(value, 0)[0]
    except _RefusedError as refused:
        raise StoreError(
            "The pickle holds more than plain values, and is not read.",
            where=where,
            expected="dictionaries, lists, tuples, sets, numbers, text and arrays of numbers",
            found=refused,
            fix="write the values as CSV or JSON",
        ) from None
    except Exception as error:  # damaged instructions end in errors of every kind
        raise StoreError(
            "The pickle is damaged.", where=where, found=f"{type(error).__name__}: {error}"[:200]
        ) from None


class _RefusedError(Exception):
    """What the pickle holds that this reader does not take."""


def follow(
    data: bytes | IO[bytes],
    max_instructions: int,
    *,
    refused: Mapping[str, str] = _REFUSED,
    largest: int = 2**64,
) -> int:
    """Read every instruction without obeying it; refuse what is not plain, or would not end.

    A tuple as a key is hashed through all it holds, and one of two equal halves, of two equal
    halves and so on has few instructions but no end. So the stack is followed with two numbers for
    each value: how much hashing it would take, and how deep that goes.

    Args:
        data: The pickle; of a file, only its first pickle is read.
        max_instructions: How many it may have.
        refused: From instructions that it may not have to what they mean.
        largest: What every integer must be below.

    Returns:
        Where its last instruction stands.

    Raises:
        Exception: Of one kind or another where it is refused or damaged.
    """
    stack: list[tuple[int, int] | None] = []  # None: a mark
    memo: dict[int, tuple[int, int]] = {}
    hashed, count, end = 0, 0, 0
    for opcode, argument, position in pickletools.genops(data):
        count, end, name = count + 1, position or 0, opcode.name
        if name in refused:
            raise _RefusedError(f"{refused[name]} ({name})")
        if count > max_instructions:
            raise _RefusedError(f"more than {max_instructions} instructions")
        if name in _INTEGERS and not -(2**63) <= int(argument or 0) < largest:
            bits = "an integer of more than 64 bits"
            raise _RefusedError(bits if largest == 2**64 else f"the integer {argument:.6g}")
        if name == "MARK":
            stack.append(None)
            continue
        if name in _PUT:
            slot = len(memo) if name == "MEMOIZE" else _int(argument)
            if slot > count:
                raise _RefusedError(f"the memo's slot {slot} after {count} instructions")
            memo[slot] = _top(stack)
            continue
        taken: list[tuple[int, int] | None] = []
        made = 1
        if name in _GET or name == "DUP":
            result = memo[_int(argument)] if name in _GET else _top(stack)
        else:
            if name in _TO_MARK:
                made = _TO_MARK[name]
                while (item := stack.pop()) is not None:
                    taken.append(item)
            else:
                takes, made = _TAKES.get(name, (0, 1))
                for _ in range(takes):
                    taken.append(stack.pop())
            result = (1, 0)
            if "TUPLE" in name or name == "FROZENSET":
                inner = [item for item in taken if item is not None]
                result = (1 + sum(w for w, _ in inner), 1 + max((d for _, d in inner), default=0))
        if made:
            hashed += result[0]
            stack.append(result)
        if hashed > 10 * max_instructions or result[1] > MAX_DEPTH:
            raise _RefusedError("tuples that grow without end when they are compared")
    return end


def _top(stack: list[tuple[int, int] | None]) -> tuple[int, int]:
    top = stack[-1]
    if top is None:
        raise ValueError("a mark stands where a value should")
    return top


def _int(argument: object) -> int:
    if not isinstance(argument, int) or argument < 0:
        raise ValueError("a slot of the memo is no number")
    return argument


class _Reader(pickle.Unpickler):
    """Looks names up in the list below, and nowhere else."""

    def __init__(self, data: bytes, max_bytes: int) -> None:
        # text of Python 2 that holds the bytes of an array is one character a byte
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._left = max_bytes
        self._names: dict[str, _Name] = {}

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in _ALLOWED:
            raise _RefusedError(f"the name {full[:100]}")
        if full not in self._names:
            self._names[full] = _Name(full, _ALLOWED[full], self)
        return self._names[full]

    def persistent_load(self, pid: object) -> NoReturn:
        raise _RefusedError("an object that lies outside the file")

    def spend(self, n_bytes: int) -> None:
        self._left -= n_bytes
        if self._left < 0:
            raise _RefusedError("arrays that are larger together than a file may be")


class _Name:
    """What a name of the list stands for in the pickle: it can be called, and nothing else."""

    __slots__ = ("_make", "_reader", "full")

    def __init__(self, full: str, make: Callable[..., Any] | None, reader: _Reader) -> None:
        self.full, self._make, self._reader = full, make, reader

    def __call__(self, *arguments: Any) -> Any:
        if self._make is None:
            raise _RefusedError(f"a call of {self.full}")
        return self._make(self._reader, *arguments)

    def __setstate__(self, state: object) -> NoReturn:
        raise _RefusedError(f"a change of {self.full}")


class _Dtype:
    """A number type, as ``numpy.dtype`` is pickled."""

    __slots__ = ("code",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, code: object) -> None:
        if not isinstance(code, str) or not _DTYPE.fullmatch(code):
            raise _RefusedError(f"the array type {code!r:.40}")
        self.code = code

    def __setstate__(self, state: object) -> None:
        order = state[1] if isinstance(state, tuple) and 8 <= len(state) <= 9 else None
        if order not in ("<", ">", "|", "="):
            raise ValueError("the state of an array type cannot be read")
        assert isinstance(state, tuple)
        if state[2:5] != (None, None, None) or state[8:] not in ((), (None,)):
            raise _RefusedError("an array type with fields")
        self.code = order + self.code.lstrip("<>|=")

    def of(self, raw: object, n: int) -> np.ndarray:
        """The (n,) values that lie in these bytes; a view of them."""
        dtype = np.dtype(self.code)
        if isinstance(raw, str):
            raw = raw.encode("latin1")
        if not isinstance(raw, bytes | bytearray) or len(raw) != n * dtype.itemsize:
            raise ValueError("the bytes of an array are not as many as its shape says")
        return np.frombuffer(bytes(raw), dtype=dtype).astype(dtype.newbyteorder("="))


class _Array:
    """An array that is filled by its state, as ``numpy.ndarray`` is pickled."""

    __slots__ = ("_reader", "values")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self.values: np.ndarray | None = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise ValueError("the state of an array cannot be read")
        _, shape, dtype, by_columns, raw = state
        self.fill(raw, dtype, shape, "F" if by_columns else "C")

    def fill(self, raw: object, dtype: object, shape: object, order: object) -> None:
        if not isinstance(dtype, _Dtype) or not isinstance(shape, tuple) or len(shape) > 32:
            raise ValueError("an array without a type or a shape")
        if not all(type(n) is int and 0 <= n < 2**31 for n in shape) or order not in ("C", "F"):
            raise ValueError("the shape of an array cannot be read")
        n = math.prod(shape)
        self._reader.spend(n * np.dtype(dtype.code).itemsize + 1)
        values = dtype.of(raw, n)
        self.values = values.reshape(shape, order="F" if order == "F" else "C")


def _make_array(reader: _Reader, kind: object, shape: object, code: object) -> _Array:
    if not isinstance(kind, _Name) or not kind.full.endswith(".ndarray"):
        raise _RefusedError("an array of an unusual class")
    return _Array(reader)


def _make_filled(
    reader: _Reader, raw: object, dtype: object, shape: object, order: object
) -> _Array:
    made = _Array(reader)
    made.fill(raw, dtype, shape, order)
    return made


def _make_scalar(reader: _Reader, dtype: object, raw: object) -> Any:
    if not isinstance(dtype, _Dtype):
        raise ValueError("a number without a type")
    return dtype.of(raw, 1)[0]


def _make_dtype(reader: _Reader, code: object, *_: object) -> _Dtype:
    return _Dtype(code)


def _make_dict(reader: _Reader, *arguments: object) -> dict[Any, Any]:
    """An ordered or default dictionary; its entries follow in instructions of their own."""
    if len(arguments) > 1 or not all(
        a is None or (isinstance(a, _Name) and a.full in _FACTORIES) for a in arguments
    ):
        raise _RefusedError("a dictionary made in an unusual way")
    return {}


def _make_bytes(reader: _Reader, text: object, encoding: object) -> bytes:
    """Protocols before 3 have no bytes, and write them as text."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _RefusedError("a call of _codecs.encode for other than bytes")
    reader.spend(len(text) + 1)
    return text.encode("latin1")


def _make_no_bytes(reader: _Reader) -> bytes:
    """What protocols before 3 write for no bytes."""
    return b""


_FACTORIES = {
    f"{module}.{name}"
    for module in ("builtins", "__builtin__")
    for name in ("bool", "dict", "float", "int", "list", "set", "str", "tuple")
}
_ALLOWED: dict[str, Callable[..., Any] | None] = {
    "numpy.ndarray": None,
    "numpy.dtype": _make_dtype,
    "collections.OrderedDict": _make_dict,
    "collections.defaultdict": _make_dict,
    "_codecs.encode": _make_bytes,
    "builtins.bytes": _make_no_bytes,
    "__builtin__.bytes": _make_no_bytes,
    **dict.fromkeys(_FACTORIES),
}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_core}.multiarray._reconstruct"] = _make_array
    _ALLOWED[f"{_core}.multiarray.scalar"] = _make_scalar
    _ALLOWED[f"{_core}.numeric._frombuffer"] = _make_filled


class _Plain:
    """Turns stand-ins into what they stand for, and finds what is not plain."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[Any, int]] = {}
        self._open: set[int] = set()

    def value(self, value: Any, depth: int) -> tuple[Any, int]:
        """The plain value, and how many values it is when none is shared."""
        kind = type(value)
        if value is None or kind in (bool, int, float, str, bytes) or isinstance(value, np.generic):
            return value, 1
        key = id(value)
        if key in self._done:
            return self._done[key]
        if key in self._open or depth > MAX_DEPTH:
            raise _RefusedError("a container that holds itself, or is too deep")
        self._open.add(key)
        if kind is _Array and value.values is not None:
            found: tuple[Any, int] = value.values, 1
        elif kind is dict:
            keys, many = self._all(value.keys(), depth)
            items, more = self._all(value.values(), depth)
            found = dict(zip(keys, items, strict=True)), many + more + 1
        elif kind in (list, tuple, set, frozenset):
            items, many = self._all(value, depth)
            found = kind(items), many + 1
        else:
            raise _RefusedError(f"a value that is not plain ({kind.__name__.strip('_').lower()})")
        if found[1] > MAX_VALUES:
            raise _RefusedError("a few values repeated without end")
        self._open.discard(key)
        self._done[key] = found
        return found

    def _all(self, values: Any, depth: int) -> tuple[list[Any], int]:
        items, count = [], 0
        for value in values:
            plain, size = self.value(value, depth + 1)
            items.append(plain)
            count += size
        return items, count
