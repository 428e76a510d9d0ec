"""A SHA-256 over everything in an HDF5 file: names, attributes, types, shapes, values."""

from __future__ import annotations

import hashlib
from typing import Any

import h5py
import numpy as np

ATTRIBUTE = "content-sha256"
_MOST_COMPRESSED = 2000  # times; zlib's limit is about 1030
_REFERENCES = {"DIMENSION_LIST", "REFERENCE_LIST"}  # places in the file, not content


def content_sha256(file: h5py.File) -> str:
    """Of all groups and arrays in the order of their names, and their attributes."""
    digest = hashlib.sha256()
    _add(digest, file)
    return digest.hexdigest()


def check_sizes(file: h5py.File) -> None:
    """Refuse a file that says it holds more than can be compressed into it."""
    most = _MOST_COMPRESSED * file.id.get_filesize() + _MOST_COMPRESSED

    def check(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.nbytes > most:
            raise ValueError(f"{name} says that it has {item.nbytes} bytes")

    file.visititems(check)


def _add(digest: Any, item: h5py.Group | h5py.Dataset) -> None:
    digest.update(item.name.encode() + b"\0")
    for name in sorted(item.attrs):
        if name != ATTRIBUTE and name not in _REFERENCES:
            _add_values(digest, name, item.attrs[name])
    if isinstance(item, h5py.Dataset):
        _add_values(digest, "", item[()])
        return
    for name in sorted(item):
        _add(digest, item[name])


def _add_values(digest: Any, name: str, values: Any) -> None:
    array = np.asarray(values)
    digest.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
    digest.update(array.tobytes())
