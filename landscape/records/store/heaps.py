"""Heaps of texts in a file, which HDF5 does not check: in a damaged one it can read for ever.

The layout is that of "Global Heap", III.E of the HDF5 file format specification, version 3.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

_HEAD = struct.Struct("<8sQ")  # a signature, bytes of the heap
_MAGIC = b"GCOL\x01\0\0\0"
_OBJECT = struct.Struct("<HH4xQ")  # number (0: free space), references, bytes
_PIECE = 1 << 22


def refuse_endless(path: Path) -> None:
    """Refuse a file that HDF5 would not come to an end with.

    Raises:
        OSError: The parts of a heap do not fit into it.
    """
    if not path.is_file():
        return
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        for place in _heaps(fd, size):
            head = os.pread(fd, _HEAD.size, place)
            if len(head) < _HEAD.size:
                return
            length = _HEAD.unpack(head)[1]
            if place + length <= size and not _fits(os.pread(fd, length, place)):
                raise OSError(f"a heap of texts at byte {place} is damaged")
    finally:
        os.close(fd)


def _heaps(fd: int, size: int) -> Iterator[int]:
    """Where heaps begin. Not by a map of the file: of a hole, on a full disk, it is a bus error."""
    for start in range(0, size, _PIECE):
        piece = os.pread(fd, _PIECE + len(_MAGIC) - 1, start)
        place = piece.find(_MAGIC)
        while place >= 0:
            yield start + place
            place = piece.find(_MAGIC, place + 1)


def _fits(heap: bytes) -> bool:
    """Whether object follows object until the end; what is too short for one is free too."""
    place = _HEAD.size
    while place + _OBJECT.size <= len(heap):
        number, _, size = _OBJECT.unpack_from(heap, place)
        needed = _OBJECT.size + -(-size // 8) * 8 if number else size
        if needed < _OBJECT.size:
            return False
        place += needed
    return place <= len(heap)
