"""Surfaces through some of the models, measured beside the pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landscape.analysis.analysis import Analysis, analysis_options, analyze
from landscape.checkpoints import Population
from landscape.checkpoints.gram_matrix import gram
from landscape.core.errors import ConfigError
from landscape.paths import Directions, Plane, Span, coordinates, pca
from landscape.paths.directions import random_direction
from landscape.paths.refinement import refine_surface
from landscape.records.store import StoredPath, StoreWriter, read_store
from landscape.run.config import SurfaceConfig
from landscape.run.inputs import Experiment
from landscape.run.measurement.ways import (
    Evaluate,
    Plan,
    index_of,
    measure_points,
    record,
    refuse_other_points,
)

Report = Callable[[str], None]


def surface_name(surface: SurfaceConfig) -> str:
    """The surface's own name, or its kind."""
    return surface.name or surface.kind


def measure_surfaces(
    experiment: Experiment,
    population: Population,
    writer: StoreWriter,
    evaluate: Evaluate,
    report: Report,
) -> None:
    """Measure every surface that the store does not hold whole yet; arguments as for ways."""
    surfaces = experiment.config.surface
    if not surfaces:
        return
    corners: list[int] = []
    if any(s.through == "two_basins" and s.kind != "pca" for s in surfaces):
        contents = read_store(writer.path)
        corners = _two_basins(analyze(contents, **analysis_options(contents)))
    for surface in surfaces:
        name = surface_name(surface)
        chosen = chosen_models(surface, population.names, corners)
        recipe = {
            "surface": surface.model_dump(mode="json"),
            "through": [population.names[i] for i in chosen],
        }
        refuse_other_points(writer, name, recipe)
        plan = _planner(surface, chosen, recipe, population)
        if surface.tolerance is None:
            measure_points(writer, name, plan, evaluate)
        else:
            _refine(writer, name, plan, evaluate, surface.tolerance, report)


def chosen_models(
    surface: SurfaceConfig, models: Sequence[str], corners: Sequence[int]
) -> list[int]:
    """Indices of the models that the surface goes through; corners are those of two basins."""
    through = surface.through
    if surface.kind == "pca":
        return list(range(len(models)))
    if through == "two_basins":
        return list(corners) if surface.kind == "plane" else list(corners[:1])
    return [index_of(name, models, "surface.through") for name in through]


def _two_basins(analysis: Analysis) -> list[int]:
    """The two models of one basin that are nearest, and the one outside farthest from them."""
    basins = analysis.basins
    labels = np.asarray(basins.labels if basins.n_basins > 1 else basins.split)
    gaps = np.where(np.eye(len(labels), dtype=bool), np.inf, analysis.gaps.estimate)
    within = np.where(labels[:, None] == labels[None], gaps, np.inf)
    i, j = map(int, np.unravel_index(within.argmin(), within.shape))
    outside = np.flatnonzero(labels != labels[i])
    if not np.isfinite(within[i, j]) or not len(outside):
        raise ConfigError(
            "There is no basin of two models beside another one.",
            where="surface.through",
            fix="name three models",
        )
    return [min(i, j), max(i, j), int(outside[(gaps[i] + gaps[j])[outside].argmax()])]


@dataclass(frozen=True)
class Spanned:
    """A surface: its grid, its anchors, where the models lie (n_models, 2), and notes."""

    geometry: Plane | Directions | Span
    anchors: Sequence[Mapping[str, Tensor]]
    marks: np.ndarray
    notes: dict[str, Any]


def span_surface(surface: SurfaceConfig, members: Sequence[Mapping[str, Tensor]]) -> Spanned:
    """The surface that a configuration describes, through the parameters of these models."""
    if surface.kind == "plane":
        marks = coordinates(gram(members))
        return Spanned(Plane.around(marks, surface.points, surface.margin), members, marks, {})
    if surface.kind == "pca":
        found = pca(gram(members))
        notes = {
            "explained_variance": found.explained.tolist(),
            "off_plane": found.off_plane.tolist(),
        }
        grid = found.span(surface.points, surface.margin)
        return Spanned(grid, members, found.coordinates, notes)
    rng = torch.Generator().manual_seed(surface.seed)
    anchors = [members[0], *(random_direction(members[0], rng) for _ in range(2))]
    steps = np.linspace(-surface.extent, surface.extent, surface.points)
    return Spanned(Directions(steps, steps), anchors, np.zeros((1, 2)), {})


def _planner(
    surface: SurfaceConfig, chosen: Sequence[int], recipe: Mapping[str, Any], population: Population
) -> Callable[[], Plan]:
    def plan() -> Plan:
        members = [population.checkpoints[i].params for i in chosen]
        made = span_surface(surface, members)
        geometry, marks = made.geometry, made.marks
        n = len(geometry.positions)
        points = StoredPath(
            name=surface_name(surface),
            kind=surface.kind,
            models=tuple(population.names[i] for i in chosen),
            marks=marks,
            positions=geometry.positions,
            shape=geometry.shape,
            lengths=np.full(n, np.nan),
            status=np.zeros(n, dtype=np.uint8),
            losses={},
            predictions={},
            notes={**recipe, **made.notes},
        )
        if isinstance(geometry, Span):  # three tensors instead of one for each model
            anchors = _combined(members, np.stack([geometry.origin, *geometry.axes]))
            return Plan(points, anchors, Directions(geometry.x, geometry.y).coefficients())
        return Plan(points, made.anchors, geometry.coefficients())

    return plan


def _combined(members: Sequence[Mapping[str, Tensor]], rows: np.ndarray) -> list[dict[str, Tensor]]:
    """Linear combinations (n_rows, n_members) of the members, one tensor read at a time."""
    made: list[dict[str, Tensor]] = [{} for _ in rows]
    for name in members[0]:
        for place, member in enumerate(members):
            tensor = member[name].detach()
            for out, row in zip(made, rows, strict=True):
                if not tensor.is_floating_point():
                    out[name] = tensor
                elif place:
                    out[name].add_(tensor, alpha=float(row[place]))
                else:
                    out[name] = tensor * float(row[place])
    return made


def _refine(
    writer: StoreWriter,
    name: str,
    plan: Callable[[], Plan],
    evaluate: Evaluate,
    tolerance: float,
    report: Report,
) -> None:
    """Evaluate the points that the surface's bends need."""
    held = writer.points(name)
    if held is not None and "saved" in held.notes:
        return
    made = plan().in_memory()
    if held is None:
        writer.add_points(made.points)
        held = writer.points(name)
        assert held is not None
    known = np.stack([held.mean_losses(data) for data in held.losses], axis=1)
    refined = refine_surface(
        lambda indices: record(writer, name, made, indices, evaluate),
        (made.points.shape[0], made.points.shape[1]),
        tolerance=tolerance,
        known=known,
    )
    writer.write_notes(name, {**held.notes, "tolerance": tolerance, "saved": refined.saved})
    report(f"{name}: {refined.saved:.0%} of {len(known)} points not needed")
