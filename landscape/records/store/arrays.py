"""Arrays of the file: dimension scales, columns that are known, arrays that are filled later."""

from __future__ import annotations

import h5py
import numpy as np

TEXT = h5py.string_dtype()


def make_scale(group: h5py.Group, name: str, values: np.ndarray) -> h5py.Dataset:
    """A dimension scale."""
    dtype = TEXT if values.dtype == object else None
    dataset = group.create_dataset(name, data=values, dtype=dtype)
    dataset.make_scale(name)
    return dataset


def write_column(group: h5py.Group, name: str, values: np.ndarray, *scales: h5py.Dataset) -> None:
    """An array that is known already, with its scales."""
    dtype = TEXT if values.dtype == object else None
    dataset = group.create_dataset(name, data=values, dtype=dtype)
    _attach(dataset, scales)


def allocate(
    group: h5py.Group, name: str, scales: tuple[h5py.Dataset, ...], dtype: str, fill: float
) -> None:
    """An array with all its bytes in the file now, so that writing to it moves nothing."""
    shape = tuple(scale.shape[0] for scale in scales)
    _attach(allocate_bytes(group, name, shape, np.dtype(dtype), fill), scales)


def allocate_bytes(
    group: h5py.Group, name: str, shape: tuple[int, ...], dtype: np.dtype, fill: float
) -> h5py.Dataset:
    """Such an array without its scales."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_value(np.array(fill, dtype=dtype))
    properties.set_obj_track_times(False)
    space = h5py.h5s.create_simple(shape)
    h5py.h5d.create(group.id, name.encode(), h5py.h5t.py_create(dtype), space, dcpl=properties)
    return group[name]


def _attach(dataset: h5py.Dataset, scales: tuple[h5py.Dataset, ...]) -> None:
    for axis, scale in zip(dataset.dims, scales, strict=True):
        axis.attach_scale(scale)
