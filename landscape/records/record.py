"""A record: what one job measured of one indicator, in one file that is there whole or not at all.

A file is a compressed ``.npz``: a zip, whose CRC-32 stands beside every array, of plain numpy
arrays, with one more that holds a few notes as JSON. A record is never changed, and two workers
that measure the same write the same bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import read_array

from landscape.core.errors import StoreError
from landscape.core.files import replacing
from landscape.records.writing import writing

_NOTES = "notes"
_BROKEN = (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, RuntimeError)
MODEL, PAIR, PATH = "models", "pairs", "paths"


@dataclass(frozen=True)
class Record:
    """Named arrays of some points of weight space.

    Attributes:
        paths: What the points lie on, as ``models/3``, ``pairs/3-7`` or ``paths/bezier``.
        indicator: What was measured.
        path: (n_points,) indices into ``paths``.
        point: (n_points,) indices of the points on their paths: 0 of a model, the place in the grid
            of a pair's path (its ends, which are models, are no part of it) or of another path.
        arrays: (n_points, ...) by name, ``DATASET/NAME`` where it is of one data set.
        dims: Of each array, the names of its dimensions after the first.
        units: Of each array that has one.
        plan: The name of the compute plan by which they were measured; "" where that is not known.
        notes: Plain data: of pairs, ``tolerance`` in nats, one for each of ``paths``.
    """

    paths: tuple[str, ...]
    indicator: str
    path: np.ndarray = field(repr=False)
    point: np.ndarray = field(repr=False)
    arrays: Mapping[str, np.ndarray] = field(repr=False)
    dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    units: Mapping[str, str] = field(default_factory=dict, repr=False)
    plan: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict, repr=False)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], notes: Mapping[str, Any]) -> None:
    """Write arrays and notes, at once.

    Raises:
        StoreError: The disk is full, read-only or fails; what was there before stays.
    """
    text = json.dumps(notes, sort_keys=True)
    everything = {**arrays, _NOTES: np.frombuffer(text.encode(), dtype=np.uint8)}
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **everything)
    with writing(path), replacing(path) as file:
        file.write(content.getbuffer())


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and notes of a file, each checked against its checksum.

    Raises:
        StoreError: The file is damaged, or cannot be read.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as content:
            arrays = {
                # all of it is held against its CRC before any of it is believed
                name.removesuffix(".npy"): read_array(io.BytesIO(content.read(name)))
                for name in content.namelist()
            }
        return arrays, json.loads(arrays.pop(_NOTES).tobytes())
    except OSError as error:
        raise StoreError("A record cannot be read.", where=path, found=error.strerror) from None
    except _BROKEN as error:
        raise StoreError(
            "A record is damaged.",
            where=path,
            found=error,
            fix=f"landscape repair {run_of(path)}, then the same command again measures it anew",
        ) from None


def run_of(path: Path) -> Path:
    """The run's folder that a file of its records belongs to."""
    return next((up.parent for up in path.parents if up.name == "records"), path.parent)


def write_record(path: Path, record: Record) -> None:
    """Write a record, as ``write_arrays``."""
    notes = {
        "paths": list(record.paths),
        "indicator": record.indicator,
        "dims": {name: list(dims) for name, dims in record.dims.items()},
        "units": dict(record.units),
        "plan": record.plan,
        "notes": dict(record.notes),
    }
    rows = {"path": record.path.astype(np.int32), "point": record.point.astype(np.int32)}
    write_arrays(path, {**record.arrays, **rows}, notes)


def read_record(path: Path) -> Record:
    """Read a record, as ``read_arrays``."""
    arrays, notes = read_arrays(path)
    try:
        return Record(
            paths=tuple(notes["paths"]),
            indicator=notes["indicator"],
            path=arrays.pop("path"),
            point=arrays.pop("point"),
            arrays=arrays,
            dims={name: tuple(dims) for name, dims in notes["dims"].items()},
            units=notes["units"],
            plan=notes["plan"],
            notes=notes["notes"],
        )
    except KeyError as error:
        raise StoreError("The file is no record.", where=path, found=f"no {error}") from None
