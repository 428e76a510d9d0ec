"""A store of an older format, brought up to this one."""

from __future__ import annotations

import h5py
import numpy as np

from landscape.records.store.arrays import allocate
from landscape.records.store.copy import is_short
from landscape.records.store.layout import (
    ENCODING_VERSION,
    allocate_distances,
    allocate_formats,
    exact_code,
    has_checksums,
    has_formats,
)
from landscape.records.store.slots import assigned
from landscape.records.store.tables import (
    DISTANCES,
    MEASURED,
    add_checksums,
    allocate_checksums,
    allocate_point_checksums,
    fill_of,
    tables,
)


def upgrade(file: h5py.File) -> None:
    """Add what a file lacks of this format.

    The file must be a copy, which takes the place of the store at once.
    """
    if not has_formats(file):
        code = exact_code(file.attrs)
        allocate_formats(file)
        measured = file["pairs/status"][:] == MEASURED
        formats = file["pairs/formats"]
        formats[...] = np.broadcast_to(np.where(measured, code, 0)[:, None], formats.shape)
        file["pairs/tolerance"][...] = np.where(measured, 0.0, np.nan)
    if DISTANCES not in file:
        allocate_distances(file)
    if not has_checksums(file):
        _drop_halves(file)
        _unpack_short_rows(file)
        allocate_checksums(file)
        for group in file.get("points", {}).values():
            allocate_point_checksums(group)
        add_checksums(file)
    if file.attrs["encoding-version"] != ENCODING_VERSION:
        file.attrs["encoding-version"] = ENCODING_VERSION


def _unpack_short_rows(file: h5py.File) -> None:
    """Rows that share a compressed chunk, where one that breaks would take the others with it."""
    paths = dict.fromkeys(path for table in tables(file) for path in table.arrays)
    for path in paths:
        old = file[path]
        if old.chunks is None or not is_short(old):
            continue
        values, scales = old[()], tuple(dimension[0] for dimension in old.dims)
        for axis, scale in zip(old.dims, scales, strict=True):
            axis.detach_scale(scale)
        group, name = path.rsplit("/", 1)
        del file[path]
        allocate(file[group], name, scales, old.dtype.str, fill_of(path, values.dtype))
        file[path][...] = values


def _drop_halves(file: h5py.File) -> None:
    """Free slots that a killed writer has half given to a pair."""
    models = file["pairs/models"][:]
    halves = ~assigned(models) & (models != -1).any(axis=1)
    if halves.any():
        models[halves] = -1
        file["pairs/models"][...] = models
