"""Stores cut short and with flipped bytes, and which rows the bytes belonged to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import numpy as np


def cut(path: Path, rng: np.random.Generator) -> np.ndarray:
    """Cut a file at a random length; the places (n,) of the bytes that are gone."""
    size = path.stat().st_size
    length = int(rng.integers(0, size))
    with path.open("r+b") as file:
        file.truncate(length)
    return np.arange(length, size)


def flip(path: Path, rng: np.random.Generator, among: np.ndarray | None = None) -> np.ndarray:
    """Change 1 to 100 random bytes, of all or of those at some places; their places (n,)."""
    content = bytearray(path.read_bytes())
    n = int(np.ceil(100 ** rng.random()))
    places = np.sort(rng.choice(len(content) if among is None else among, size=n, replace=False))
    for place in places.tolist():
        content[place] ^= int(rng.integers(1, 256))
    with path.open("r+b") as file:  # the same file, as a failing disk would
        file.write(content)
    return places


def touched(path: Path, places: np.ndarray) -> set[str]:
    """Rows with a byte at some of these places, as ``compare.Comparison`` names them.

    Args:
        path: The sound store, before it was damaged.
        places: (n,) of bytes, ascending.
    """
    found = set()
    with h5py.File(path, "r", locking=False) as file:
        pairs = file["pairs/models"][:].tolist()
        for array, name in _arrays(file):
            for rows, start, length in _spans(array):
                first, last = np.searchsorted(places, [start, start + length])
                if first == last:
                    continue
                whole = rows if len(rows) == 1 else _within(rows, start, length, places, array)
                found |= {name.format(row, *_pair(pairs, row, name)) for row in whole}
    return found


def _pair(pairs: list[list[int]], row: int, name: str) -> list[int]:
    return pairs[row] if name.startswith("pair") else []


def _arrays(file: h5py.File) -> Iterator[tuple[h5py.Dataset, str]]:
    """Arrays whose rows are measured one by one, and how these are called."""
    beside = ("status", "checksum", "seal", "plan")
    for name in beside:
        yield file["checkpoints"][name], "model {0}"
    for name in (*beside, "models", "formats", "tolerance"):
        yield file["pairs"][name], "pair {1} {2}"
    for group in file["datasets"].values():
        for name in ("losses", "predictions", "screened", "difference"):
            yield group[f"model_{name}"], "model {0}"
            yield group[name], "pair {1} {2}"
    for way, group in file.get("points", {}).items():
        for name in beside:
            yield group[name], f"{way} {{0}}"
        for kind in ("losses", "predictions"):
            for array in group[kind].values():
                yield array, f"{way} {{0}}"


def _spans(array: h5py.Dataset) -> Iterator[tuple[range, int, int]]:
    """Rows, first byte and length of each contiguous part of an array."""
    if array.chunks is None:
        offset = array.id.get_offset()
        if offset is not None:
            yield range(len(array)), offset, array.id.get_storage_size()
        return
    for number in range(array.id.get_num_chunks()):
        chunk = array.id.get_chunk_info(number)
        first = chunk.chunk_offset[0]
        # of a compressed chunk every byte is every row's
        for row in range(first, min(first + array.chunks[0], len(array))):
            yield range(row, row + 1), chunk.byte_offset, chunk.size


def _within(
    rows: range, start: int, length: int, places: np.ndarray, array: h5py.Dataset
) -> Iterable[int]:
    """Which rows of a contiguous array, by their bytes."""
    inside = places[(places >= start) & (places < start + length)]
    return np.unique((inside - start) // (length // len(array))).tolist()
