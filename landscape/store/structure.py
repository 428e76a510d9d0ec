"""All of a file but the rows that are measured, kept twice.

HDF5's own structure, texts, labels, names and the configuration are written once, with the file,
and never in place. A compressed copy of these bytes lies in the file's user block, before all else
that HDF5 knows of, so that they can be checked before HDF5 reads any of them, and mended.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from landscape.store.disk import guarded, open_to_read, write_all
from landscape.store.tables import DISTANCES, tables

MAGIC = b"\x89LANDSCAPE-COPY\n"
LEAST_BLOCK = 1 << 15
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HEAD = struct.Struct("<16sIIQQQQIIII")
_VERSION = 1
_PIECE = 1 << 20
_MOST_SPANS = 1 << 28  # bytes


@dataclass(frozen=True)
class Directory:
    """What the user block says; it stands at both of its ends.

    Attributes:
        block: Bytes of the user block.
        size: Bytes of the file.
        spans: (n_spans, 2) where measured rows lie: first byte and number of bytes.
        packed_spans: The same as it is stored.
        n_copy: Bytes of the compressed copy.
        structure_crc: Of all bytes outside of the spans and the block, one after the other.
        copy_crc: Of the compressed copy.
    """

    block: int
    size: int
    spans: NDArray[np.int64]
    packed_spans: bytes
    n_copy: int
    structure_crc: int
    copy_crc: int

    @property
    def place(self) -> int:
        """Where the copy begins."""
        return _HEAD.size + len(self.packed_spans)

    def head(self) -> bytes:
        """As it is stored."""
        fields = (MAGIC, _VERSION, 0, self.block, self.size, len(self.packed_spans), self.n_copy)
        crcs = self.structure_crc, self.copy_crc, zlib.crc32(self.packed_spans)
        head = _HEAD.pack(*fields, *crcs, 0)[:-4]
        return head + struct.pack("<I", zlib.crc32(head))

    def outside(self) -> Iterator[tuple[int, int]]:
        """First byte and end of each piece of the structure."""
        place = self.block
        for start, length in self.spans.tolist():
            if start > place:
                yield place, start
            place = start + length
        if self.size > place:
            yield place, self.size


def find_directory(fd: int) -> tuple[Directory | None, bool]:
    """The directory of an open file, and whether both of its places hold it.

    None where neither does: a file of a format before 0.5, no store, or one whose block is damaged.
    """
    start = os.pread(fd, _HEAD.size, 0)
    if start.startswith(_SIGNATURE):
        return None, False
    first = _parse(fd, start, 0)
    size = os.fstat(fd).st_size
    if first is not None:
        return first, _parse_end(fd, first.block) is not None
    block = 512
    while block <= size:
        last = _parse_end(fd, block)
        if last is not None and last.block == block:
            return last, False
        block *= 2
    return None, False


def looks_like_a_store(path: Path) -> bool:
    """Whether the file begins as a store does, of this format or an older one."""
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
    except OSError:
        return False
    return start == MAGIC or start.startswith(_SIGNATURE)


def _parse_end(fd: int, block: int) -> Directory | None:
    place = block - _HEAD.size
    return _parse(fd, os.pread(fd, _HEAD.size, place), place)


def _parse(fd: int, head: bytes, place: int) -> Directory | None:
    """The directory whose head stands at a place; its spans lie after it, or before at the end."""
    if len(head) < _HEAD.size or zlib.crc32(head[:-4]) != struct.unpack("<I", head[-4:])[0]:
        return None
    magic, version, _, block, size, n_spans, n_copy, crc, copy_crc, spans_crc, _ = _HEAD.unpack(
        head
    )
    if magic != MAGIC or version != _VERSION:
        return None
    packed = os.pread(fd, n_spans, place + _HEAD.size if place == 0 else place - n_spans)
    if zlib.crc32(packed) != spans_crc:
        return None
    steps = np.frombuffer(_unzip(packed, _MOST_SPANS), dtype="<i8").reshape(2, -1)
    spans = np.column_stack([np.cumsum(steps[0]), steps[1]]).astype(np.int64)
    return Directory(block, size, spans, packed, n_copy, crc, copy_crc)


def _unzip(data: bytes, most: int) -> bytes:
    """Not more than so many bytes, whatever a file claims."""
    return zlib.decompressobj().decompress(data, most)


def is_whole(fd: int, directory: Directory) -> bool:
    """Whether the file is as long as it was made."""
    return os.fstat(fd).st_size >= directory.size


def is_sound(fd: int, directory: Directory) -> bool:
    """Whether the structure is what it was made as."""
    crc = 0
    for start, end in directory.outside():
        for place in range(start, end, _PIECE):
            crc = zlib.crc32(os.pread(fd, min(_PIECE, end - place), place), crc)
    return crc == directory.structure_crc


def has_copy(fd: int, directory: Directory) -> bool:
    """Whether the copy is sound."""
    copy = os.pread(fd, directory.n_copy, directory.place)
    return zlib.crc32(copy) == directory.copy_crc


def restore(fd: int, directory: Directory) -> None:
    """Put the copy in the place of the structure; a file that was cut has its length again."""
    if os.fstat(fd).st_size < directory.size:
        os.ftruncate(fd, directory.size)
    n_bytes = sum(end - start for start, end in directory.outside())
    whole = _unzip(os.pread(fd, directory.n_copy, directory.place), n_bytes)
    done = 0
    for start, end in directory.outside():
        write_all(fd, whole[done : done + end - start], start)
        done += end - start


def protect(path: Path) -> None:
    """Write the user block of a file that is whole and closed.

    Raises:
        OSError: The disk is full, or fails.
    """
    while True:
        with open_to_read(path) as file:
            block, spans = file.userblock_size, _spans(file)
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            made = _made(fd, block, spans)
            if len(made) <= block:
                write_all(fd, made, 0)
                os.fsync(fd)
                return
        finally:
            os.close(fd)
        wider = path.with_name(f"{path.name}.wider")
        try:
            copy_with_block(path, wider, _power(len(made)), block)
            os.replace(wider, path)
        finally:
            wider.unlink(missing_ok=True)


def _made(fd: int, block: int, spans: NDArray[np.int64]) -> bytes:
    """The user block, or a longer one where it does not hold the copy."""
    size = os.fstat(fd).st_size
    steps = np.vstack([np.diff(spans[:, 0], prepend=0), spans[:, 1]]).astype("<i8")
    packed = zlib.compress(steps.tobytes())
    bare = Directory(block, size, spans, packed, 0, 0, 0)
    whole = b"".join(os.pread(fd, end - start, start) for start, end in bare.outside())
    copy = zlib.compress(whole)
    directory = Directory(
        block, size, spans, packed, len(copy), zlib.crc32(whole), zlib.crc32(copy)
    )
    head = directory.head()
    front, back = head + packed + copy, packed + head
    return front + bytes(max(0, block - len(front) - len(back))) + back


def copy_with_block(source: Path, target: Path, block: int, skip: int) -> None:
    """Copy a file with another user block.

    Args:
        source: The file.
        target: The copy.
        block: Bytes of its user block, a power of two from 512.
        skip: Bytes of the user block that the file has.

    Raises:
        OSError: The disk is full, or fails.
    """
    with source.open("rb") as old, target.open("wb") as new:
        new.write(bytes(block))
        old.seek(skip)
        while piece := old.read(_PIECE << 4):
            new.write(piece)
    with guarded(target, "r+"):  # HDF5 notes where it begins now
        pass


def block_for(n_bytes: int) -> int:
    """A user block that is likely to hold the copy of so many bytes."""
    return _power(max(LEAST_BLOCK, n_bytes // 2))


def _power(n: int) -> int:
    return 1 << max(9, (n - 1).bit_length())


def _spans(file: h5py.File) -> NDArray[np.int64]:
    """(n_spans, 2) first byte and length of everything that may be written in place, ascending."""
    paths = [DISTANCES, "checkpoints/distances_checksum"]
    for table in tables(file):
        own = [table.path(name) for name in ("plan", "status", "checksum", "seal")]
        paths += [*table.arrays, *own]
    found: list[tuple[int, int]] = []
    for path in dict.fromkeys(paths):
        found += spans_of(file[path])
    ordered = np.array(sorted(found), dtype=np.int64).reshape(-1, 2)
    if not len(ordered):
        return ordered
    ends = ordered.sum(axis=1)
    first = np.flatnonzero(np.append(True, ordered[1:, 0] > ends[:-1]))
    last = np.append(first[1:] - 1, len(ordered) - 1)
    return np.column_stack([ordered[first, 0], ends[last] - ordered[first, 0]])


def spans_of(array: h5py.Dataset) -> list[tuple[int, int]]:
    """First byte and length of each contiguous part of an array's values."""
    if not array.size:
        return []
    if array.chunks is None:
        return [(array.id.get_offset(), array.id.get_storage_size())]
    found: list[tuple[int, int]] = []
    array.id.chunk_iter(lambda chunk: found.append((chunk.byte_offset, chunk.size)))
    return found
