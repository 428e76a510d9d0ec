"""Rows that are measured one at a time, each with a status, a checksum and a seal.

The checksum is over everything that is stored for a row and is written before the status. The seal
is over the status itself (and a pair's models) and is written after it: a byte of it that flips
later, so that a measured row seems not to be measured or another pair's, shows.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from landscape.records.store.arrays import TEXT, allocate, allocate_bytes
from landscape.records.store.disk import write_all
from landscape.records.store.slots import FREE, assigned

MEASURED = 1
NO_PLAN = 255
"""The plan of a row that is not measured, or of which nobody noted it."""
DISTANCES = "checkpoints/distances"
_AT_ONCE = 1 << 25  # bytes of rows in memory


@dataclass(frozen=True)
class Table:
    """A set of rows.

    Attributes:
        group: ``pairs``, ``checkpoints`` or ``points/NAME``.
        arrays: Paths of the arrays that are stored for a row, in the order of the checksum.
    """

    group: str
    arrays: tuple[str, ...]

    @property
    def of_pairs(self) -> bool:
        """Whether the rows are those of the pair table."""
        return self.group == "pairs"

    def path(self, name: str) -> str:
        """Of its array ``status``, ``checksum``, ``seal`` or ``plan``."""
        return f"{self.group}/{name}"


def tables(file: h5py.File) -> tuple[Table, ...]:
    """Of models, of pairs, and of each way and surface."""
    points = (point_table(file, name) for name in file.get("points", ()))
    return (model_table(file), pair_table(file), *points)


def pair_table(file: h5py.File) -> Table:
    """The pair table; of an older format, what it has of it."""
    own = ("models", "formats", "tolerance", "plan")
    kinds = ("losses", "predictions", "screened", "difference", "accuracies")
    return _table(file, "pairs", [f"pairs/{name}" for name in own], kinds)


def model_table(file: h5py.File) -> Table:
    """The models' rows."""
    kinds = ("losses", "predictions", "screened", "difference", "accuracies")
    found = _table(file, "checkpoints", [], [f"model_{kind}" for kind in kinds])
    plan = [found.path("plan")] if found.path("plan") in file else []
    return Table(found.group, (*found.arrays, *plan))


def point_table(file: h5py.File, name: str) -> Table:
    """The points of a way or surface."""
    group = f"points/{name}"
    kinds = ("losses", "predictions")
    paths = [f"{group}/{kind}/{data}" for data in file[group]["losses"] for kind in kinds]
    paths += [f"{group}/plan"] if f"{group}/plan" in file else []
    return Table(group, tuple(paths))


def _table(file: h5py.File, group: str, own: Sequence[str], kinds: Sequence[str]) -> Table:
    paths = [*own, *(f"datasets/{name}/{kind}" for name in file["datasets"] for kind in kinds)]
    return Table(group, tuple(path for path in paths if path in file))


def fill_of(path: str, dtype: np.dtype) -> float:
    """What stands in a row that is not measured."""
    name = path.rsplit("/", 1)[1]
    if dtype.kind == "f":
        return np.nan
    if path == "pairs/models":
        return FREE
    zero = path == "pairs/formats" or (name == "status" and path.count("/") < 3)
    return 0 if zero or dtype.itemsize > 1 else 255


def checksum(parts: Iterable[np.ndarray]) -> int:
    """CRC-32 of the bytes of arrays, one after the other, little-endian, in row-major order."""
    crc = 0
    for part in parts:
        own = np.ascontiguousarray(part, dtype=part.dtype.newbyteorder("<"))
        crc = zlib.crc32(own.view(np.uint8).data if own.size else b"", crc)
    return crc


def seal_of(status: int, models: ArrayLike | None = None) -> int:
    """CRC-32 of a pair's models (int32) and a row's status (uint8); never 0, a free slot's."""
    own = b"" if models is None else np.asarray(models, dtype="<i4").tobytes()
    return zlib.crc32(own + bytes([status])) or 1


def seals_of(measured: NDArray[np.bool_], models: NDArray[np.integer] | None) -> NDArray[np.uint32]:
    """(n_rows,) of the seals of a table; of the pair table ``models`` is (n_rows, 2)."""
    if models is None:
        return np.array([seal_of(int(own)) for own in measured], dtype=np.uint32)
    rows = zip(measured, models, assigned(models), strict=True)
    return np.array([seal_of(int(own), row) if held else 0 for own, row, held in rows], np.uint32)


def allocate_checksums(file: h5py.File) -> None:
    """Add what format 0.5 has of pairs, models and distances, as of rows that are not measured."""
    model, pair = file["model"], file["pair"]
    for group, scale, seal in (("checkpoints", model, seal_of(0)), ("pairs", pair, 0)):
        _allocate_rows(file[group], scale, seal)
    models = file["pairs/models"][:]
    file["pairs/seal"][...] = seals_of(np.zeros(len(models), dtype=bool), models)
    allocate_bytes(file["checkpoints"], "distances_checksum", (), np.dtype("u4"), 0)
    file.create_dataset("plans", data="[]", dtype=TEXT)


def allocate_point_checksums(group: h5py.Group) -> None:
    """The same of a way or a surface."""
    _allocate_rows(group, group["point"], seal_of(0))


def _allocate_rows(group: h5py.Group, scale: h5py.Dataset, seal: int) -> None:
    allocate(group, "plan", (scale,), "u1", NO_PLAN)
    allocate(group, "checksum", (scale,), "u4", 0)
    allocate(group, "seal", (scale,), "u4", seal)


def add_checksums(file: h5py.File) -> None:
    """Compute the checksums and seals of all rows that are measured."""
    for table in tables(file):
        status = file[table.path("status")][:] == MEASURED
        models = file["pairs/models"][:] if table.of_pairs else None
        if models is not None:
            status &= assigned(models)
        sums, seals = file[table.path("checksum")][:], file[table.path("seal")][:]
        for row, parts in read_rows(file, table.arrays, np.flatnonzero(status)):
            sums[row] = checksum(parts)
            seals[row] = seal_of(MEASURED, None if models is None else models[row])
        file[table.path("checksum")][...] = sums
        file[table.path("seal")][...] = seals
    distances = file[DISTANCES][:]
    if not np.isnan(distances).all():
        file["checkpoints/distances_checksum"][()] = distances_checksum(distances)


def distances_checksum(distances: np.ndarray) -> int:
    """CRC-32 of the matrix (float64); never 0, which says that there are none."""
    return checksum([distances]) or 1


def read_rows(
    file: h5py.File, paths: Sequence[str], rows: NDArray[np.integer]
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Rows of arrays, ascending, a few at a time in memory.

    Yields:
        A row and, of each array, what stands there.

    Raises:
        OSError: A row that HDF5 cannot read.
    """
    arrays = [file[path] for path in paths]
    width = sum(array.dtype.itemsize * int(np.prod(array.shape[1:])) for array in arrays)
    most = max(1, _AT_ONCE // max(width, 1))
    for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
        for start in range(0, len(run), most):
            part = run[start : start + most]
            blocks = [array[part[0] : part[-1] + 1] for array in arrays]
            for place, row in enumerate(part.tolist()):
                yield row, [block[place] for block in blocks]


def is_packed(file: h5py.File, table: Table) -> bool:
    """Whether writing a row would move others: some array is compressed."""
    return any(file[path].chunks is not None for path in table.arrays)


def put(fd: int, dataset: h5py.Dataset, row: int, values: ArrayLike) -> np.ndarray:
    """Write a row in place, past HDF5, into an array that is not packed.

    Returns:
        What was stored.
    """
    shape = dataset.shape[1:]
    with np.errstate(over="ignore"):  # a loss past float32 is infinite
        own = np.asarray(values).astype(dataset.dtype)
    own = np.ascontiguousarray(np.broadcast_to(own, shape))
    if own.nbytes:
        write_all(fd, own.reshape(-1).view(np.uint8), dataset.id.get_offset() + row * own.nbytes)
    return own


def put_row(
    fd: int, file: h5py.File, table: Table, row: int, values: Mapping[str, ArrayLike]
) -> None:
    """Write a row, its checksum, then its status, then its seal.

    Args:
        fd: The file, open to write.
        file: The same file.
        table: Whose row.
        row: Its index.
        values: By path; what is not given stays as it is.
    """
    models = file["pairs/models"][row] if table.of_pairs else None
    status, seal = file[table.path("status")], file[table.path("seal")]
    if status[row] == MEASURED:  # until it is whole again it is not measured
        put(fd, seal, row, seal_of(0, models))
        put(fd, status, row, 0)
    stored = {path: put(fd, file[path], row, value) for path, value in values.items()}
    parts = [stored[path] if path in stored else file[path][row] for path in table.arrays]
    put(fd, file[table.path("checksum")], row, checksum(parts))
    put(fd, status, row, MEASURED)
    put(fd, seal, row, seal_of(MEASURED, models))


def plans_of(file: h5py.File) -> list[dict[str, object]]:
    """How numbers were computed: what the rows' plans are indices into."""
    return json.loads(file["plans"].asstr()[()]) if "plans" in file else []
