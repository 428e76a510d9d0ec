"""Points of weight space that were measured beside the pairs: ways and surfaces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

from landscape.records.store.arrays import TEXT, allocate, make_scale, write_column
from landscape.records.store.rows import Rows
from landscape.records.store.tables import NO_PLAN, allocate_point_checksums

_UNKNOWN: Any = None


@dataclass(frozen=True)
class StoredPath:
    """A way between two checkpoints, or a surface through some.

    Attributes:
        name: Unique among those of its store.
        kind: line, bezier, chain, autoneb or layers of a way; plane, random or pca of a surface.
        models: Names of the checkpoints that lie on it: a way's ends, a plane's corners.
        marks: (len(models), n_dims) where they lie, in the coordinates of ``positions``.
        positions: (n_points, n_dims): t of a way, coordinates (x, y) of a surface, row by
            row (all x of the lowest y first), in units of length; of ``random``, in steps along
            the directions.
        shape: (n_points,) of a way, (n_y, n_x) of a surface.
        lengths: (n_points,) length of a way up to each point; NaN on a surface.
        status: (n_points,) uint8, 1 where evaluated.
        losses: By data set, (n_points, n_examples) float32 nats, NaN where not evaluated.
        predictions: By data set, (n_points, n_examples) uint8 label indices.
        notes: How it was made: settings, convergence, tolerance reached; plain data.
        plan: (n_points,) uint8 indices into the store's plans; 255 where not evaluated or unknown.
    """

    name: str
    kind: str
    models: tuple[str, ...]
    marks: np.ndarray = field(repr=False)
    positions: np.ndarray = field(repr=False)
    shape: tuple[int, ...]
    lengths: np.ndarray = field(repr=False)
    status: np.ndarray = field(repr=False)
    losses: dict[str, np.ndarray] = field(repr=False)
    predictions: dict[str, np.ndarray] = field(repr=False)
    notes: dict[str, Any] = field(repr=False)
    plan: np.ndarray = field(default=_UNKNOWN, repr=False)

    def __post_init__(self) -> None:
        if self.plan is None:
            plan = np.full(len(self.positions), NO_PLAN, dtype=np.uint8)
            object.__setattr__(self, "plan", plan)

    @property
    def is_surface(self) -> bool:
        """Whether it has two dimensions."""
        return len(self.shape) == 2

    @property
    def evaluated(self) -> np.ndarray:
        """(n_points,) bool."""
        return np.asarray(self.status == 1)

    def mean_losses(self, dataset: str) -> np.ndarray:
        """(n_points,) float64 nats, NaN where not evaluated."""
        return self.losses[dataset].mean(1, dtype=np.float64)

    def accuracies(self, dataset: str, labels: np.ndarray) -> np.ndarray:
        """(n_points,) share of examples predicted right, NaN where not evaluated."""
        right = (self.predictions[dataset] == labels).mean(1)
        return np.where(self.evaluated, right, np.nan)


def allocate_points(file: h5py.File, points: StoredPath) -> None:
    """Make room for points; losses that they hold are not written, none counts as evaluated."""
    if "points" not in file:
        file.create_group("points", track_order=True)
    group = file["points"].create_group(points.name, track_order=True)
    group.attrs["kind"] = points.kind
    group.attrs["models"] = list(points.models)
    group.attrs["shape"] = list(points.shape)
    point = make_scale(group, "point", np.arange(len(points.positions)))
    axis = make_scale(group, "axis", np.arange(points.positions.shape[1]))
    mark = make_scale(group, "mark", np.arange(len(points.models)))
    write_column(group, "positions", points.positions.astype(np.float64), point, axis)
    write_column(group, "marks", points.marks.astype(np.float64), mark, axis)
    write_column(group, "lengths", points.lengths.astype(np.float64), point)
    group.create_dataset("notes", data=json.dumps(points.notes), dtype=TEXT)
    allocate(group, "status", (point,), "u1", 0)
    for kind, dtype, fill in (("losses", "f4", np.nan), ("predictions", "u1", 255)):
        values = group.create_group(kind, track_order=True)
        for name, data in file["datasets"].items():
            allocate(values, name, (point, data["example"]), dtype, fill)
    allocate_point_checksums(group)


def write_notes(file: h5py.File, name: str, notes: Mapping[str, Any]) -> None:
    """Replace how the points were made."""
    file["points"][name]["notes"][()] = json.dumps(dict(notes))


def read_points(file: h5py.File, name: str, rows: Rows) -> StoredPath:
    """A way or a surface with its rows."""
    group = file["points"][name]

    def values(kind: str) -> dict[str, np.ndarray]:
        return {data: rows[f"points/{name}/{kind}/{data}"] for data in group[kind]}

    return StoredPath(
        name=name,
        kind=str(group.attrs["kind"]),
        models=tuple(map(str, group.attrs["models"])),
        marks=group["marks"][()],
        positions=group["positions"][()],
        shape=tuple(map(int, group.attrs["shape"])),
        lengths=group["lengths"][()],
        status=rows.status,
        losses=values("losses"),
        predictions=values("predictions"),
        notes=json.loads(group["notes"].asstr()[()]),
        plan=rows.get(f"points/{name}/plan"),
    )
