"""All of a file but the rows that are measured, kept three times.

HDF5's own structure, texts, labels, names and the configuration are written once, with the file,
and never in place. Two compressed copies of these bytes lie in the file's user block, before all
else that HDF5 knows of, so that they can be checked before HDF5 reads any of them, and mended.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from landscape.records.store.disk import guarded, open_to_read, write_all
from landscape.records.store.tables import DISTANCES, tables

MAGIC = b"\x89LANDSCAPE-COPY\n"
LEAST_BLOCK = 1 << 15
PAGE = 1 << 10
"""Bytes of the structure that are compressed, and mended, on their own."""
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HEAD = struct.Struct("<16sIIQQQQQIII")
_VERSION = 1
_PIECE = 1 << 24
_MOST_SPANS = 1 << 28  # bytes


@dataclass(frozen=True)
class Directory:
    """What the user block says; it stands at both of its ends, and a copy beside each.

    Attributes:
        block: Bytes of the user block.
        size: Bytes of the file.
        spans: (n_spans, 2) where measured rows lie: first byte and number of bytes.
        packed_spans: The same as it is stored.
        crcs: (n_pages,) uint32 of the structure: all bytes outside of the spans and the block, one
            after the other.
        lengths: (n_pages,) bytes of each page in the copies.
        copy_crc: Of a copy.
    """

    block: int
    size: int
    spans: NDArray[np.int64]
    packed_spans: bytes
    crcs: NDArray[np.uint32]
    lengths: NDArray[np.uint16]
    copy_crc: int

    def packed(self) -> tuple[bytes, bytes]:
        """Head and body, as they are stored."""
        spans = self.packed_spans
        body = spans + self.crcs.astype("<u4").tobytes() + self.lengths.astype("<u2").tobytes()
        fields = (self.block, self.size, len(spans), len(self.crcs), self.n_copy)
        head = _HEAD.pack(MAGIC, _VERSION, PAGE, *fields, self.copy_crc, zlib.crc32(body), 0)[:-4]
        return head + struct.pack("<I", zlib.crc32(head)), body

    @property
    def n_copy(self) -> int:
        """Bytes of a copy."""
        return int(self.lengths.sum(dtype=np.int64))

    @property
    def places(self) -> tuple[int, int]:
        """Where the copies begin: after the first directory, and before the last one."""
        length = sum(map(len, self.packed()))
        return length, self.block - length - self.n_copy

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
    """The directory whose head stands at a place; its body lies after it, or before at the end."""
    if len(head) < _HEAD.size or zlib.crc32(head[:-4]) != struct.unpack("<I", head[-4:])[0]:
        return None
    magic, version, page, block, size, n_spans, n_pages, _, copy_crc, crc, _ = _HEAD.unpack(head)
    if magic != MAGIC or version != _VERSION or page != PAGE:
        return None
    n_body = n_spans + 6 * n_pages
    body = os.pread(fd, n_body, _HEAD.size if place == 0 else max(0, place - n_body))
    if len(body) < n_body or zlib.crc32(body) != crc:
        return None
    steps = np.frombuffer(_unzip(body[:n_spans], _MOST_SPANS), dtype="<i8").reshape(2, -1)
    spans = np.column_stack([np.cumsum(steps[0]), steps[1]]).astype(np.int64)
    crcs = np.frombuffer(body, dtype="<u4", count=n_pages, offset=n_spans)
    lengths = np.frombuffer(body, dtype="<u2", count=n_pages, offset=n_spans + 4 * n_pages)
    directory = Directory(block, size, spans, body[:n_spans], crcs, lengths, copy_crc)
    if (spans < 0).any() or sum(b - a for a, b in directory.outside()) > PAGE * n_pages:
        return None  # nobody wrote this; what a file claims must not cost more than the file
    return directory


def _unzip(data: bytes, most: int) -> bytes:
    """Not more than so many bytes, whatever a file claims."""
    return zlib.decompressobj().decompress(data, most)


def is_whole(fd: int, directory: Directory) -> bool:
    """Whether the file is as long as it was made."""
    return os.fstat(fd).st_size >= directory.size


def is_sound(fd: int, directory: Directory) -> bool:
    """Whether the structure is what it was made as."""
    return not _damaged_pages(_structure(fd, directory), directory)


def has_copies(fd: int, directory: Directory) -> bool:
    """Whether both copies are sound."""
    return all(zlib.crc32(copy) == directory.copy_crc for copy in _copies(fd, directory))


def restore(fd: int, directory: Directory) -> bool:
    """Mend the structure from its copies; a file that was cut has its length again.

    Returns:
        Whether it is whole again: a page may be damaged in both copies too.
    """
    if os.fstat(fd).st_size < directory.size:
        os.ftruncate(fd, directory.size)
    whole = bytearray(_structure(fd, directory))
    ends = np.cumsum(directory.lengths, dtype=np.int64)
    for copy in _copies(fd, directory):
        for page in _damaged_pages(whole, directory):
            own = copy[ends[page] - directory.lengths[page] : ends[page]]
            try:
                whole[page * PAGE : (page + 1) * PAGE] = _same_length(whole, page, own)
            except zlib.error:
                continue
    done = 0
    for start, end in directory.outside():
        write_all(fd, whole[done : done + end - start], start)
        done += end - start
    return not _damaged_pages(whole, directory)


def _same_length(whole: bytearray, page: int, packed: bytes) -> bytes:
    found, length = _unzip(packed, PAGE), len(whole[page * PAGE : (page + 1) * PAGE])
    return found[:length].ljust(length, b"\0")


def _structure(fd: int, directory: Directory) -> bytes:
    """All its bytes; what is cut off is zero."""
    found = []
    for start, end in directory.outside():
        piece = os.pread(fd, end - start, start)
        found.append(piece.ljust(end - start, b"\0"))
    return b"".join(found)


def _damaged_pages(whole: bytes | bytearray, directory: Directory) -> list[int]:
    view = memoryview(whole)
    return [
        page
        for page, crc in enumerate(directory.crcs.tolist())
        if zlib.crc32(view[page * PAGE : (page + 1) * PAGE]) != crc
    ]


def _copies(fd: int, directory: Directory) -> list[bytes]:
    return [os.pread(fd, directory.n_copy, place) for place in directory.places]


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
            if len(made) == block:
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
    """The user block, or a longer one where it does not hold the copies."""
    steps = np.vstack([np.diff(spans[:, 0], prepend=0), spans[:, 1]]).astype("<i8")
    no_crcs, no_lengths = np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.uint16)
    size = os.fstat(fd).st_size
    bare = Directory(block, size, spans, zlib.compress(steps.tobytes()), no_crcs, no_lengths, 0)
    whole = _structure(fd, bare)
    pages = [whole[place : place + PAGE] for place in range(0, len(whole), PAGE)]
    packed = [zlib.compress(page) for page in pages]
    copy = b"".join(packed)
    directory = replace(
        bare,
        crcs=np.array([zlib.crc32(page) for page in pages], dtype=np.uint32),
        lengths=np.array([len(page) for page in packed], dtype=np.uint16),
        copy_crc=zlib.crc32(copy),
    )
    head, body = directory.packed()
    front, back = head + body + copy, copy + body + head
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
        while piece := old.read(_PIECE):
            new.write(piece)
    with guarded(target, "r+"):  # HDF5 notes where it begins now
        pass


def block_for(n_bytes: int) -> int:
    """A user block that is likely to hold the copies of so many bytes."""
    return _power(max(LEAST_BLOCK, n_bytes))


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
