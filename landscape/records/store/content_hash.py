"""A SHA-256 over everything in an HDF5 file: names, attributes, types, shapes, values."""

from __future__ import annotations

import hashlib
from typing import Any

import h5py
import numpy as np

ATTRIBUTE = "content-sha256"
_REFERENCES = {"DIMENSION_LIST", "REFERENCE_LIST"}  # places in the file, not content


def content_sha256(file: h5py.File) -> str:
    """Of all groups and arrays in the order of their names, and their attributes."""
    digest = hashlib.sha256()
    _add(digest, file)
    return digest.hexdigest()


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
