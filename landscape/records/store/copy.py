"""A store's file copied whole: compressed when it is finished, with more rows when it grows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import h5py
import numpy as np
from numpy.typing import NDArray

from landscape.records.store.arrays import TEXT, allocate_bytes
from landscape.records.store.slots import assigned
from landscape.records.store.tables import DISTANCES, fill_of, tables

_SHORT = 1 << 10  # bytes
_OWN_ATTRIBUTES = ("CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST")  # of dimension scales

Copy = Callable[[h5py.Group, str, h5py.Dataset], h5py.Dataset]


def copy_packed(source: h5py.File, target: h5py.File) -> None:
    """Copy all but free slots, rows that are long compressed, each on its own."""
    rows = np.flatnonzero(assigned(source["pairs/models"][:]))
    measured = {path for table in tables(source) for path in table.arrays} | {DISTANCES}

    def pack(group: h5py.Group, name: str, item: h5py.Dataset) -> h5py.Dataset:
        kept = rows if _of_pairs(item) else None
        path = item.name.lstrip("/")
        if item.ndim < 2:
            return group.create_dataset(name, data=_renumbered(item, kept), dtype=_dtype(item))
        n = item.shape[0] if kept is None else len(kept)
        shape = (n, *item.shape[1:])
        if 0 in shape:
            return group.create_dataset(name, shape, item.dtype)
        if path in measured and is_short(item):
            copy = allocate_bytes(group, name, shape, item.dtype, fill_of(path, item.dtype))
        else:
            chunks = (1 if path in measured else n, *shape[1:])
            copy = group.create_dataset(
                name, shape, item.dtype, chunks=chunks, compression="gzip", shuffle=True
            )
        for row, own in enumerate(range(n) if kept is None else kept):
            copy[row] = item[own]
        return copy

    _copy(source, target, pack)


def is_short(item: h5py.Dataset) -> bool:
    """Whether a row is not worth compressing: with others in one chunk it would break with them."""
    return item.dtype.itemsize * int(np.prod(item.shape[1:])) < _SHORT


def copy_grown(
    source: h5py.File,
    target: h5py.File,
    n_rows: int,
    kept: Mapping[str, NDArray[np.bool_]] | None = None,
) -> None:
    """Copy everything, with free slots up to ``n_rows`` rows of the pair table.

    All arrays lie contiguous and allocated, as in a new store.

    Args:
        source: A store.
        target: An empty file.
        n_rows: Not less than the source has.
        kept: By the group of a table, (n_rows,) the rows that are copied, and by the path of the
            distances (n_models,); the others are left as those of a new store, but for their
            status, seal and checksum. By default all are copied.
    """
    groups = {path: table.group for table in tables(source) for path in table.arrays}
    groups[DISTANCES] = DISTANCES

    def grow(group: h5py.Group, name: str, item: h5py.Dataset) -> h5py.Dataset:
        path = item.name.lstrip("/")
        rows = (kept or {}).get(groups.get(path, ""))
        if rows is None and not _of_pairs(item):
            return group.create_dataset(name, data=item[()], dtype=_dtype(item))
        if item.is_scale:
            return group.create_dataset(name, data=np.arange(n_rows, dtype=item.dtype))
        n = n_rows if _of_pairs(item) else len(item)
        shape = (n, *item.shape[1:])
        copy = allocate_bytes(group, name, shape, item.dtype, fill_of(path, item.dtype))
        for row in range(len(item)) if rows is None else np.flatnonzero(rows).tolist():
            copy[row] = item[row]
        return copy

    _copy(source, target, grow)


def _of_pairs(item: h5py.Dataset) -> bool:
    """Whether its rows are those of the pair table."""
    if item.is_scale or not item.ndim:
        return item.name == "/pair"
    return any(scale.name == "/pair" for scale in item.dims[0].values())


def _dtype(item: h5py.Dataset) -> np.dtype:
    return TEXT if item.dtype == object else item.dtype


def _renumbered(item: h5py.Dataset, kept: np.ndarray | None) -> np.ndarray:
    if kept is None:
        return item[()]
    return np.arange(len(kept), dtype=item.dtype) if item.is_scale else item[()][kept]


def _copy(source: h5py.File, target: h5py.File, copy: Copy) -> None:
    copies: list[tuple[h5py.Dataset, h5py.Dataset]] = []
    _copy_group(source, target, copy, copies)
    for original, made in copies:
        for axis, dimension in enumerate(original.dims):
            for scale in dimension.values():
                made.dims[axis].attach_scale(target[scale.name])


def _copy_group(
    source: h5py.Group,
    target: h5py.Group,
    copy: Copy,
    copies: list[tuple[h5py.Dataset, h5py.Dataset]],
) -> None:
    _copy_attributes(source.attrs, target.attrs)
    for name, item in source.items():  # in the order of creation, where it is tracked
        if isinstance(item, h5py.Group):
            _copy_group(item, target.create_group(name, track_order=True), copy, copies)
            continue
        made = copy(target, name, item)
        _copy_attributes(item.attrs, made.attrs)
        if item.is_scale:
            made.make_scale(name)
        else:
            copies.append((item, made))


def _copy_attributes(source: Mapping[str, object], target: h5py.AttributeManager) -> None:
    for name in source:
        if name not in _OWN_ATTRIBUTES:
            target[name] = source[name]
