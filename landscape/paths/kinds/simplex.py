"""Simplexes that connect models by trained vertices, sampled at random points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from landscape.checkpoints.gram_matrix import gram
from landscape.core.errors import require_known
from landscape.paths.kinds.registry import (
    Params,
    Part,
    PathKind,
    Population,
    Spanned,
    Trained,
    Trainer,
    TrainingConfig,
    path_kind,
)
from landscape.paths.lengths import volume
from landscape.paths.simplex import SimplexSample


@path_kind
class SimplexConfig(PathKind):
    """A complex of simplexes, one for each model, which share the trained vertices.

    Attributes:
        through: Models' names; one alone grows into a simplex around it.
        connect: How many vertices are trained.
        points: How many are drawn evenly from the complex; their positions are barycentric.
        volume_weight: In nats: the training loss is reduced by it times the volume's logarithm.
        samples_per_step: Points drawn from the complex a step of the training.
        fit: How each vertex is trained.
    """

    kind: Literal["simplex"] = "simplex"
    through: tuple[str, ...] = Field(min_length=1)
    connect: int = Field(default=1, ge=1, le=20)
    points: int = Field(default=100, ge=1, le=100_000)
    volume_weight: float = Field(default=1e-6, ge=0)
    samples_per_step: int = Field(default=1, ge=1, le=1001)
    fit: TrainingConfig = TrainingConfig()

    text = "simplicial complex"
    source = "arXiv:2102.13042"
    trained = True

    def check(self, names: Sequence[str], params: Params) -> None:
        """As in ``PathKind``."""
        for name in self.through:
            require_known("model", name, names, where="paths.through")

    def parts(self, population: Population) -> list[Part]:
        """As in ``PathKind``."""
        names = list(population.names)
        return [Part(self.title, tuple(names.index(name) for name in self.through))]

    def train(self, members: Sequence[Params], trainer: Trainer) -> Trained:
        """As in ``PathKind``."""
        return trainer.fit_simplex(
            members,
            self.fit,
            connect=self.connect,
            samples_per_step=self.samples_per_step,
            volume_weight=self.volume_weight,
        )

    def span(self, members: Sequence[Params], controls: Sequence[Params], part: Part) -> Spanned:
        """As in ``PathKind``."""
        anchors, n = [*members, *controls], len(members)
        shared = range(n, n + len(controls))
        simplexes = tuple((model, *shared) for model in range(n))
        volumes = np.array([volume(gram([anchors[i] for i in group])) for group in simplexes])
        sample = SimplexSample(simplexes, len(anchors), volumes, self.points, self.fit.seed)
        notes = {"volume": float(volumes.sum())}
        marks = np.eye(n, len(anchors))
        return Spanned(sample, anchors, marks, (self.points,), notes)
