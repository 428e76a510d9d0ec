"""Pickles of plain containers, numbers, text and arrays of numbers, read without running anything.

A pickle is a program for a small stack machine, two of whose instructions import a name and call
it. Here a name is only looked up in a short list of functions, written below, that check their
arguments and build plain values. Before that, every instruction is read once without being obeyed,
so that what would fill the memory or never end is refused.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
from collections.abc import Callable, Collection
from typing import IO, Any, NoReturn

import numpy as np

from landscape.core.errors import StoreError

MAX_INSTRUCTIONS = 5_000_000
_WORK_PER_INSTRUCTION = 20
_REFUSED = {"PERSID", "BINPERSID", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"}
_REFUSED |= {"NEXT_BUFFER", "READONLY_BUFFER"}
"""Instances of classes, and what lies outside the file."""
_INTEGERS = {"INT", "LONG", "LONG1", "LONG4"}
_PUT = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_GET = {"GET", "BINGET", "LONG_BINGET"}
_FACTORIES = ("bool", "dict", "float", "int", "list", "set", "str", "tuple")
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")


class _RefusedError(Exception):
    """What the pickle holds that is not read."""


def parse_pickle(
    data: bytes, where: object = None, *, max_instructions: int = MAX_INSTRUCTIONS
) -> Any:
    """Read a pickle that holds nothing but plain values.

    Args:
        data: The pickle.
        where: The file it is from.
        max_instructions: How many instructions it may have.

    Returns:
        None, bool, int of 64 bits, float, str, bytes, lists, tuples, sets and dicts of them
        (ordered and default ones come back as dicts), numpy scalars and arrays of bool, int, uint
        and float. Names by themselves come back as objects that do nothing.

    Raises:
        StoreError: Anything else in it; a name is refused by its name.
    """
    try:
        if check_instructions(data, max_instructions, refused=_REFUSED) != len(data) - 1:
            raise _RefusedError("something after the end of the pickle")
        return _Reader(data).load()
    except _RefusedError as refused:
        raise StoreError(
            "The pickle holds more than plain values, and is not read.",
            where=where,
            expected="dictionaries, lists, tuples, sets, numbers, text and arrays of numbers",
            found=refused,
            fix="write the values as CSV",
        ) from None
    except Exception as error:  # damaged instructions end in errors of every kind
        raise StoreError(
            "The pickle is damaged.", where=where, found=f"{type(error).__name__}: {error}"[:200]
        ) from None


def check_instructions(
    data: bytes | IO[bytes],
    max_instructions: int = MAX_INSTRUCTIONS,
    *,
    refused: Collection[str] = (),
    largest: int = 2**64,
) -> int:
    """Read every instruction without obeying it; refuse what would fill the memory or not end.

    A tuple as a key is hashed through all it holds, and one of two equal halves, of two equal
    halves and so on has few instructions but no end; and long bytes can be asked for again and
    again. So the stack is followed with one number for each value, the work that it stands for,
    doubled at each level of tuples so that none is too deep, and the sum of them is bounded.

    Args:
        data: The pickle; of a file, only its first pickle is read.
        max_instructions: How many it may have.
        refused: Names of instructions that it may not have.
        largest: What every integer must be below.

    Returns:
        Where its last instruction stands.

    Raises:
        Exception: Of one kind or another where it is refused or damaged.
    """
    stack: list[int | None] = []  # None: a mark
    memo: dict[int, int] = {}
    count = work = end = 0
    for opcode, argument, position in pickletools.genops(data):
        count, end, name = count + 1, position or 0, opcode.name
        if name in refused:
            raise _RefusedError(f"the instruction {name}")
        if count > max_instructions:
            raise _RefusedError(f"more than {max_instructions} instructions")
        if name in _INTEGERS and not -(2**63) <= int(argument or 0) < largest:
            raise _RefusedError(f"an integer that is not from -2^63 to {largest:.6g}")
        if name == "MARK":
            stack.append(None)
            continue
        if name in _PUT:
            slot = len(memo) if name == "MEMOIZE" else int(argument or 0)
            if not 0 <= slot <= count:
                raise _RefusedError(f"the memo's slot {slot} after {count} instructions")
            memo[slot] = _cost(stack[-1])
            continue
        before, results = opcode.stack_before, len(opcode.stack_after)
        popped: list[int] = []
        n_values = len(before)
        to_mark = pickletools.markobject in before
        if to_mark or (name == "POP" and stack[-1] is None):
            n_values = before.index(pickletools.markobject) if to_mark else 0
            while (cost := stack.pop()) is not None:
                popped.append(cost)
        for _ in range(n_values):
            popped.append(_cost(stack.pop()))
        if name in _GET:
            cost = memo[int(argument or 0)]
        elif "TUPLE" in name or name == "FROZENSET":
            cost = 1 + 2 * sum(popped)
        elif name in ("DUP", "BUILD"):
            cost = popped[-1]
        else:
            cost = 1 + (len(argument) // 8 if isinstance(argument, str | bytes) else 0)
        work += results * cost
        stack += [cost] * results
        if work > _WORK_PER_INSTRUCTION * MAX_INSTRUCTIONS:
            raise _RefusedError("a few values repeated without end")
    return end


def _cost(value: int | None) -> int:
    if value is None:
        raise ValueError("a mark stands where a value should")
    return value


class _Reader(pickle.Unpickler):
    """Looks names up in the list below, and nowhere else."""

    def __init__(self, data: bytes) -> None:
        # text of Python 2 that holds the bytes of an array is one character a byte
        super().__init__(io.BytesIO(data), encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in _ALLOWED:
            raise _RefusedError(f"the name {full[:100]}")
        return _ALLOWED[full]


class _Name:
    """What a name of the list stands for in the pickle: it can be called, and nothing else."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setstate__(self, state: object) -> NoReturn:
        raise _RefusedError("a change of a name")  # it would last for the next file


class _Dtype:
    """A number type, as ``numpy.dtype`` is pickled; numpy's own would believe any state."""

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or not _DTYPE.fullmatch(code):
            raise _RefusedError(f"the array type {code!r:.40}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        if state[2:5] != (None, None, None):
            raise _RefusedError("an array type with fields")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array that is filled by its state, as ``numpy.ndarray`` is pickled."""

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, by_columns, raw = state
        super().__setstate__((1, shape, _dtype(dtype), bool(by_columns), raw))  # type: ignore[arg-type]


def _dtype(value: object) -> np.dtype[Any]:
    if not isinstance(value, _Dtype):
        raise ValueError("an array without a type of numbers")
    return value.dtype


def _empty_array(*_: object) -> np.ndarray:
    return np.empty(0).view(_Array)


def _filled_array(raw: object, dtype: object, shape: Any, order: Any) -> np.ndarray:
    # protocol 5; copied, since the bytes are not to be written to
    return np.array(np.frombuffer(_bytes(raw), _dtype(dtype)).reshape(shape, order=order))


def _scalar(dtype: object, raw: object) -> Any:
    return np.frombuffer(_bytes(raw), _dtype(dtype))[0]


def _bytes(raw: object) -> bytes:
    if isinstance(raw, str):
        return raw.encode("latin1")
    if not isinstance(raw, bytes | bytearray):
        raise ValueError("an array without bytes")
    return bytes(raw)


def _dictionary(*factory: object) -> dict[Any, Any]:
    """An ordered or default dictionary; its entries follow in instructions of their own."""
    if any(value is not None and not isinstance(value, _Name) for value in factory):
        raise _RefusedError("a dictionary made in an unusual way")
    return {}


def _encoded(text: str, encoding: str) -> bytes:
    """Protocols before 3 have no bytes, and write them as text."""
    if encoding not in ("latin1", "latin-1"):
        raise _RefusedError(f"the encoding {encoding!r:.40}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


def _no_call(*_: object) -> NoReturn:
    raise _RefusedError("a call of a type")


_ALLOWED = {
    "numpy.ndarray": _Name(_no_call),
    "numpy.dtype": _Name(_Dtype),
    "collections.OrderedDict": _Name(_dictionary),
    "collections.defaultdict": _Name(_dictionary),
    "_codecs.encode": _Name(_encoded),
}
for _module in ("builtins", "__builtin__"):
    _ALLOWED[f"{_module}.bytes"] = _Name(_no_bytes)  # none, in protocols before 3
    _ALLOWED |= {f"{_module}.{kind}": _Name(_no_call) for kind in _FACTORIES}
for _module in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_module}.multiarray._reconstruct"] = _Name(_empty_array)
    _ALLOWED[f"{_module}.multiarray.scalar"] = _Name(_scalar)
    _ALLOWED[f"{_module}.numeric._frombuffer"] = _Name(_filled_array)
