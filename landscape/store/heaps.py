"""Heaps of texts in a file, which HDF5 does not check: in a damaged one it can read for ever.

The layout is that of "Global Heap", III.E of the HDF5 file format specification, version 3.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

_MAGIC = b"GCOL\x01\0\0\0"
_OBJECT = struct.Struct("<HH4xQ")  # number (0: free space), references, bytes


def refuse_endless(path: Path) -> None:
    """Refuse a file that HDF5 would not come to an end with.

    Raises:
        OSError: The parts of a heap do not fit into it.
    """
    if not path.is_file() or not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        place = view.find(_MAGIC)
        while place >= 0:
            after = place + len(_MAGIC)
            if len(view) < after + 8:
                return
            end = place + int.from_bytes(view[after : after + 8], "little")
            if end <= len(view) and not _fits(view, after + 8, end):
                raise OSError(f"a heap of texts at byte {place} is damaged")
            place = view.find(_MAGIC, after)


def _fits(view: mmap.mmap, place: int, end: int) -> bool:
    """Whether object follows object until the end; what is too short for one is free too."""
    while place + _OBJECT.size <= end:
        number, _, size = _OBJECT.unpack_from(view, place)
        needed = _OBJECT.size + -(-size // 8) * 8 if number else size
        if needed < _OBJECT.size:
            return False
        place += needed
    return place <= end
