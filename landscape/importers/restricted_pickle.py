"""Pickles of plain containers, numbers, text and arrays of numbers, read without running anything.

A pickle is a program for a small stack machine, two of whose instructions import a name and call
it. Here a name is only looked up in the short list below, of functions that build plain values.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from landscape.core.errors import StoreError

_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")


def parse_pickle(data: bytes, where: object = None) -> Any:
    """Read a pickle of plain values, as Python 3 writes it by protocol 3 or 4.

    Returns:
        None, bool, int, float, str, bytes, lists, tuples, sets and dicts of them, numpy
        scalars and arrays of bool, int, uint and float.

    Raises:
        StoreError: Anything else in it; a name is refused by its name.
    """
    try:
        return _Reader(io.BytesIO(data)).load()
    except Exception as error:  # damaged instructions end in errors of every kind
        raise StoreError(
            "The pickle is damaged, or holds more than plain values.",
            where=where,
            expected="dictionaries, lists, tuples, sets, numbers, text and arrays of numbers",
            found=f"{type(error).__name__}: {error}"[:200],
            fix="write the values as CSV",
        ) from None


class _Reader(pickle._Unpickler):
    """Looks names up in the list below; Python's own, whose memo is what is put into it."""

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
