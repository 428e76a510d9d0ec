"""Curves between single pairs and surfaces through some models, measured beside all pairs' path."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from landscape.analysis.analysis import Analysis
from landscape.analysis.gaps import largest_gap
from landscape.checkpoints import Population
from landscape.checkpoints.gram_matrix import gram
from landscape.core.errors import ConfigError, StoreError
from landscape.core.progress import bar
from landscape.evaluation.compute_plan import ComputePlan
from landscape.paths import arc_lengths, distances
from landscape.paths.kinds import Part, PathKind, Spanned, Trained, read_path
from landscape.paths.refinement import refine_surface
from landscape.records import RunFolder, StoredPath, collect
from landscape.run.inputs import Experiment
from landscape.run.measure.control_points import read_controls, recipe_of, trained_controls
from landscape.run.measure.measurement import Measurement, write_measurements
from landscape.tasks import load_examples

Report = Callable[[str], None]
Anchors = Sequence[Mapping[str, Tensor]]
Evaluate = Callable[[Anchors, np.ndarray, Sequence[int]], tuple[Measurement, ComputePlan]]
"""From anchors, coefficients and which of the points to what is measured there."""


def refuse_unknown(experiment: Experiment, population: Population) -> None:
    """Refuse what paths cannot be made of, before hours are spent on the pairs."""
    paths = experiment.config.paths
    for path in paths:
        path.check(population.names, population.checkpoints[0].params)
    if any(path.trained for path in paths):
        load_examples(experiment.task, "train", experiment.data_root, experiment.base)


@dataclass(frozen=True)
class Members:
    """What a path kind may ask of a run; as in ``paths.kinds.registry.Population``."""

    population: Population
    base: Path
    largest_gap: Callable[[], tuple[int, int]]
    analyze: Callable[[], Analysis]

    @property
    def names(self) -> Sequence[str]:
        """Of the models."""
        return self.population.names

    def params(self, model: int) -> Mapping[str, Tensor]:
        """A model's parameters."""
        return self.population.checkpoints[model].params

    def two_basins(self) -> tuple[int, int, int]:
        """Two models of one basin and one of another."""
        analysis = self.analyze()
        basins = analysis.basins
        shown = basins.shown
        labels = np.asarray(shown.labels if shown.n > 1 else basins.groups.split)
        gaps = np.where(np.eye(len(labels), dtype=bool), np.inf, analysis.gaps.estimate)
        within = np.where(labels[:, None] == labels[None], gaps, np.inf)
        i, j = map(int, np.unravel_index(within.argmin(), within.shape))
        outside = np.flatnonzero(labels != labels[i])
        if not np.isfinite(within[i, j]) or not len(outside):
            raise ConfigError(
                "There is no basin of two models beside another one.",
                where="paths.through",
                fix="name three models",
            )
        far = int(outside[(gaps[i] + gaps[j])[outside].argmax()])
        return min(i, j), max(i, j), far


def measure_paths(
    experiment: Experiment,
    population: Population,
    folder: RunFolder,
    analyze: Callable[[], Analysis],
    evaluate: Evaluate,
    report: Report,
) -> None:
    """Fit and measure every path that the records do not hold whole yet."""

    @cache
    def gap() -> tuple[int, int]:
        if len(population) < 2:
            raise ConfigError("A path needs two models.", where="paths", found="one checkpoint")
        return largest_gap(collect(folder))

    members = Members(population, experiment.base, gap, analyze)
    for path in experiment.config.other_paths:
        for part in path.parts(members):
            _Measuring(experiment, population, folder, evaluate, report, path, part).all_points()


@dataclass(frozen=True)
class _Measuring:
    experiment: Experiment
    population: Population
    folder: RunFolder
    evaluate: Evaluate
    report: Report
    path: PathKind
    part: Part

    def all_points(self) -> None:
        """Measure what is missing, point by point; each is a record."""
        recipe = recipe_of(self.path, self.part, self.population.names)
        stored = self.folder.paths().get(self.part.name)
        before = recipe if stored is None else {key: stored.notes.get(key) for key in recipe}
        if before != recipe:
            raise StoreError(
                f"The run holds '{self.part.name}' already, made by other settings.",
                where=self.folder.path,
                expected=json.dumps(recipe),
                found=json.dumps(before),
                fix="give this one another 'name'",
            )
        indicators = self.experiment.indicators_at("paths")
        names = self.folder.names(f"paths/{self.part.name}", indicators)
        measured = {int(name) for name in names}
        tolerance = getattr(self.path, "tolerance", None) if self.path.n_dims == 2 else None
        whole = stored is not None and (
            "saved" in stored.notes if tolerance else len(measured) == len(stored.positions)
        )
        if whole:
            return
        spanned, trained = self._spanned()
        if stored is None:
            stored = self._stored(spanned, {**recipe, "text": self.path.text, **trained.notes})
            self.folder.add_path(stored)
        anchors = [dict(anchor) for anchor in spanned.anchors]  # not read again at each point
        coefficients = spanned.coefficients()

        def measure(points: Sequence[int]) -> np.ndarray:
            rows = bar([int(point) for point in points], f"{self.part.name} point")
            return np.array([self._point(anchors, coefficients, point) for point in rows])

        if tolerance is None:
            measure([point for point in range(len(coefficients)) if point not in measured])
        else:
            self._refined(stored, measure, tolerance)

    def _refined(
        self, stored: StoredPath, measure: Callable[[list[int]], np.ndarray], tolerance: float
    ) -> None:
        """Evaluate the points that a surface's bends need."""
        datasets = [data.name for _, data in self.experiment.examples]
        so_far = collect(self.folder).points[stored.name]
        losses = np.stack([so_far.mean_losses(name) for name in datasets], axis=1)
        refined = refine_surface(
            measure, (stored.shape[0], stored.shape[1]), tolerance=tolerance, earlier=losses
        )
        notes = {**stored.notes, "tolerance": tolerance, "saved": refined.saved}
        self.folder.add_path(replace(stored, notes=notes))
        n = len(stored.positions)
        self.report(f"{stored.name}: {refined.saved:.0%} of {n} points not needed")

    def _point(self, anchors: Anchors, coefficients: np.ndarray, point: int) -> np.ndarray:
        """Measure one point, and keep it; (n_sets,) mean losses in nats."""
        measurement, plan = self.evaluate(anchors, coefficients, [point])
        name = f"paths/{self.part.name}"
        indicators = self.experiment.indicators_at("paths")
        write_measurements(
            self.folder, {name: measurement}, plan, indicators, f"{name}/{point:05d}"
        )
        losses = measurement.quantities["loss"]
        return np.array(
            [
                losses[f"{data.name}/losses"].values.mean(dtype=np.float64)
                for _, data in self.experiment.examples
            ]
        )

    def _spanned(self) -> tuple[Spanned, Trained]:
        members = [self.population.checkpoints[i].params for i in self.part.models]
        trained = Trained([], {})
        if self.path.trained:
            folder = self.folder.path / "control_points" / self.part.name
            trained = trained_controls(
                self.path, self.part, folder, self.experiment, self.population, self.report
            )
        return self.path.span(members, trained.controls, self.part), trained

    def _stored(self, spanned: Spanned, notes: dict[str, Any]) -> StoredPath:
        positions = np.asarray(spanned.geometry.positions)
        n = len(positions)
        lengths = np.full(n, np.nan)
        marked = self.part.models[: len(spanned.marks)]
        notes = {**notes, **spanned.notes}
        if len(spanned.shape) == 1 and positions.ndim == 1:
            inner = gram(spanned.anchors)
            lengths = arc_lengths(inner, spanned.coefficients())
            notes["distance"] = float(distances(inner)[0, -1])
        return StoredPath(
            name=self.part.name,
            kind=self.path.kind,
            models=tuple(self.population.names[i] for i in marked),
            marks=spanned.marks,
            positions=positions.reshape(n, -1),
            shape=spanned.shape,
            lengths=lengths,
            notes=json.loads(json.dumps(notes)),
        )


def stored_points(name: str, notes: Mapping[str, Any], members: Anchors, folder: Path) -> Spanned:
    """The geometry and the anchors of a path that was measured before."""
    path = read_path(notes["path"], f"the notes of '{name}'")
    part = Part(name, tuple(range(len(members))), notes["part"])
    return path.span(members, read_controls(folder) if path.trained else [], part)
