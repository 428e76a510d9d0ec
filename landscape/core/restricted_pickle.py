"""Pickles of plain containers, numbers, text and arrays of numbers, read without running anything.

A pickle is a program for a small stack machine, two of whose instructions import a name and call
it. Here a name is only looked up in the short list below, of functions that build plain values.
Before that, every instruction is read once without being obeyed, so that what would fill the memory
or never end is refused.
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
_MAX_WORK = 20 * MAX_INSTRUCTIONS
_REFUSED = {"PERSID", "BINPERSID", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"}
_REFUSED |= {"NEXT_BUFFER", "READONLY_BUFFER"}
"""Instances of classes, and what lies outside the file."""
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")


def parse_pickle(data: bytes, where: object = None) -> Any:
    """Read a pickle that holds nothing but plain values.

    Args:
        data: The pickle, as Python 3 writes it by protocol 3 or 4.
        where: The file it is from.

    Returns:
        None, bool, int of 64 bits, float, str, bytes, lists, tuples, sets and dicts of them, numpy
        scalars and arrays of bool, int, uint and float.

    Raises:
        StoreError: Anything else in it; a name is refused by its name.
    """
    try:
        if check_instructions(data, refused=_REFUSED) != len(data) - 1:
            raise ValueError("something after the end of the pickle")
        return _Reader(io.BytesIO(data)).load()
    except Exception as error:  # damaged instructions end in errors of every kind
        raise StoreError(
            "The pickle is damaged, or holds more than plain values.",
            where=where,
            expected="dictionaries, lists, tuples, sets, numbers, text and arrays of numbers",
            found=f"{type(error).__name__}: {error}"[:200],
            fix="write the values as CSV",
        ) from None


def check_instructions(
    data: bytes | IO[bytes], *, refused: Collection[str] = (), largest: int = 2**64
) -> int:
    """Read every instruction without obeying it; refuse what would fill the memory or not end.

    A tuple as a key is hashed through all it holds, and one of two equal halves, of two equal
    halves and so on has few instructions but no end; and long bytes can be asked for again and
    again. So the stack is followed with one number for each value, the work that it stands for,
    doubled at each level of tuples so that none is too deep, and the sum of them is bounded.

    Args:
        data: The pickle; of a file, only its first pickle is read.
        refused: Names of instructions that it may not have.
        largest: What every integer must be below.

    Returns:
        Where its last instruction stands.

    Raises:
        Exception: Of one kind or another where it is refused or damaged.
    """
    stack: list[Any] = []  # numbers; None is a mark, with which no arithmetic can go on
    memo: dict[int, Any] = {}
    count = work = end = 0
    argument: Any
    for opcode, argument, position in pickletools.genops(data):
        count, end, name = count + 1, position or 0, opcode.name
        if name in refused:
            raise ValueError(f"the instruction {name}")
        if count > MAX_INSTRUCTIONS:
            raise ValueError(f"more than {MAX_INSTRUCTIONS} instructions")
        if name in ("INT", "LONG", "LONG1", "LONG4") and not -(2**63) <= argument < largest:
            raise ValueError(f"an integer that is not from -2^63 to {largest:.6g}")
        if name == "MARK":
            stack.append(None)
            continue
        if name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            slot = len(memo) if name == "MEMOIZE" else argument
            if not 0 <= slot <= count:
                raise ValueError(f"the memo's slot {slot} after {count} instructions")
            memo[slot] = stack[-1]
            continue
        before, results = opcode.stack_before, len(opcode.stack_after)
        popped = []
        to_mark = pickletools.markobject in before
        if to_mark or (name == "POP" and stack[-1] is None):
            before = before[: before.index(pickletools.markobject)] if to_mark else []
            while (value := stack.pop()) is not None:
                popped.append(value)
        popped += [stack.pop() for _ in before]
        if name in ("GET", "BINGET", "LONG_BINGET"):
            cost = memo[argument]
        elif "TUPLE" in name or name == "FROZENSET":
            cost = 1 + 2 * sum(popped)
        elif name in ("DUP", "BUILD"):
            cost = popped[-1]
        else:
            cost = 1 + (len(argument) // 8 if isinstance(argument, str | bytes) else 0)
        work += results * cost
        stack += [cost] * results
        if work > _MAX_WORK:
            raise ValueError("a few values repeated without end")
    return end


class _Reader(pickle.Unpickler):
    """Looks names up in the list below, and nowhere else."""

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}".replace("numpy.core.", "numpy._core.")
        if full not in _ALLOWED:
            raise ValueError(f"the name {full[:100]}")
        return _ALLOWED[full]


class _Name:
    """What a name of the list stands for in the pickle: it can be called, and nothing else."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setstate__(self, state: object) -> NoReturn:
        raise ValueError("a change of a name")  # it would last for the next file


class _Dtype:
    """A number type, as ``numpy.dtype`` is pickled; numpy's own would believe any state."""

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or not _DTYPE.fullmatch(code):
            raise ValueError(f"the array type {code!r:.40}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        if state[2:5] != (None, None, None):
            raise ValueError("an array type with fields")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array that is filled by its state, as ``numpy.ndarray`` is pickled."""

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, by_columns, raw = state
        super().__setstate__((1, shape, dtype.dtype, by_columns, raw))


def _empty_array(*_: object) -> _Array:
    return np.empty(0).view(_Array)


def _scalar(dtype: Any, raw: Any) -> Any:
    return np.frombuffer(raw, dtype.dtype)[0]


_ALLOWED = {
    "numpy.ndarray": None,  # only named
    "numpy.dtype": _Name(_Dtype),
    "numpy._core.multiarray._reconstruct": _Name(_empty_array),
    "numpy._core.multiarray.scalar": _Name(_scalar),
}
