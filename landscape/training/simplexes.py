"""Simplexes of low loss between and around checkpoints, trained vertex by vertex.

Benton et al. 2021, arXiv 2102.13042.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor, nn

from landscape.checkpoints.anchors import Anchor, Params
from landscape.checkpoints.gram_matrix import gram
from landscape.core.errors import ConfigError
from landscape.evaluation.forward import Loss
from landscape.evaluation.gradient import Gradients, Grads
from landscape.paths import SimplexSample, volume
from landscape.paths.simplex import draw
from landscape.training.descent import Descent, descend
from landscape.training.heights import Base
from landscape.training.loop import (
    Batches,
    Fitted,
    Report,
    batch_at,
    convergence,
    silent,
    square_norms,
)


@dataclass(frozen=True)
class Complex:
    """Simplexes that may share vertices; one simplex is a complex too.

    Attributes:
        vertices: Checkpoints and trained points: what ``evaluate`` takes as anchors.
        simplexes: For each, the indices of its vertices.

    Raises:
        ConfigError: A simplex without vertices, or with one that is not there or stands twice.
    """

    vertices: tuple[Anchor, ...] = field(repr=False)
    simplexes: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        for members in self.simplexes or ((),):
            there = set(range(len(self.vertices)))
            if not members or not set(members) <= there or len(set(members)) < len(members):
                raise ConfigError(
                    "A simplex is made of different vertices of its complex.",
                    where="Complex(simplexes)",
                    expected=f"indices below {len(self.vertices)}, at least one, none twice",
                    found=members,
                )

    @cached_property
    def volumes(self) -> np.ndarray:
        """(n_simplexes,), in units of length to the number of edges from one vertex.

        That of a single vertex is 1.
        """
        groups = [[self.vertices[i] for i in members] for members in self.simplexes]
        return np.array([volume(gram(group)) for group in groups])


@dataclass(frozen=True)
class SimplexFit(Descent):
    """How a vertex is trained, by AdamW; the rest as in ``Descent``.

    Attributes:
        samples_per_step: Points drawn from the complex a step.
        volume_weight: lambda, in nats: the loss is reduced by lambda log(volume). The authors'
            code takes the logarithm of the squared volume: half of this is their number.
        offset: Where no start is given, the vertex begins at its base's centre moved in a random
            direction, in each tensor by this share of the tensor's norm: on the base there is no
            volume whose logarithm could grow.
    """

    samples_per_step: int = 1
    volume_weight: float = 1e-6
    offset: float = 0.01

    def __post_init__(self) -> None:
        self._require_positive("steps", "samples_per_step", "learning_rate", "offset")
        if not self.volume_weight >= 0:
            raise ConfigError("The volume's weight must be at least 0.", found=self.volume_weight)


@dataclass(frozen=True)
class FittedVertex:
    """A complex with a new, trained vertex.

    Attributes:
        complex: The new vertex is its last one.
        vertex: The new one: tensors by name.
        losses: (n_steps, samples_per_step) training losses (without the volume), nats.
    """

    complex: Complex
    vertex: Params = field(repr=False)
    losses: np.ndarray = field(repr=False)


def fit_simplex(
    model: nn.Module,
    vertices: Sequence[Anchor],
    batches: Batches,
    fit: SimplexFit | None = None,
    *,
    n_connect: int = 1,
    points: int = 100,
    state: Path | None = None,
    report: Report = silent,
    **settings: Any,
) -> Fitted:
    """Connect checkpoints by vertices that all of them share, trained one after the other.

    Each checkpoint and the trained vertices make a simplex; together they are a complex of low
    loss. One checkpoint grows into a simplex around it.

    Args:
        model: As in ``evaluate``.
        vertices: The checkpoints; they stay as they are.
        batches: As in ``fit_vertex``.
        fit: How each vertex is trained; the seed counts on from one to the next.
        n_connect: How many vertices are trained.
        points: How many are drawn evenly from the simplexes, for ``geometry``.
        state: Begins the names of the files in which the states of the trainings are kept.
        report: Takes a line of progress at a time.
        settings: ``device`` and ``loss``, as for ``fit_vertex``.
    """
    fit = fit or SimplexFit()
    complex = Complex(tuple(vertices), tuple((i,) for i in range(len(vertices))))
    trained: list[Params] = []

    def say(line: str) -> None:
        report(f"{len(trained) + 1} of {n_connect}: {line}")

    for number in range(n_connect):
        fitted = fit_vertex(
            model,
            complex,
            batches,
            replace(fit, seed=fit.seed + number),
            state=state and state.with_name(f"{state.name}.{number}"),
            report=say,
            **settings,
        )
        complex = fitted.complex
        trained.append(fitted.vertex)
    n, losses = len(complex.vertices), fitted.losses
    sample = SimplexSample(complex.simplexes, n, complex.volumes, points, fit.seed)
    return Fitted(sample, complex.vertices, tuple(trained), losses, convergence(losses.mean(1)))


def fit_vertex(
    model: nn.Module,
    complex: Complex,
    batches: Batches,
    fit: SimplexFit | None = None,
    *,
    device: str | torch.device | None = None,
    start: Anchor | None = None,
    loss: Loss | None = None,
    state: Path | None = None,
    report: Report = silent,
) -> FittedVertex:
    """Add a trained vertex: min E_{theta ~ U(K)} L(theta) - lambda log V(K).

    Benton et al. 2021, arXiv 2102.13042. K are the simplexes, each with the vertex added, V(K)
    their volumes' sum; all other vertices stay as they are. Points are drawn evenly; the
    simplexes' shares are taken as constants in each step. A checkpoint
    alone, ``Complex((a,), ((0,),))``, grows into a simplex around it; ``Complex((a, b), ((0,),
    (1,)))`` into simplexes that connect the two by the vertices which they share.

    Args:
        model: As in ``evaluate``.
        complex: What there is.
        batches: Ready batches ``(inputs, labels)``, or a function from the step to its batch.
        fit: How.
        device: As in ``fit_curve``, like what follows.
        start: The vertex to begin with, beside the base of each simplex.
        loss: As in ``evaluate``.
        state: A file in which the state of the training is kept; a killed fit goes on from there.
        report: Takes a line of progress at a time.

    Raises:
        ConfigError: Simplexes with different numbers of vertices, vertices that depend on each
            other, or a saved state of another training.
    """
    fit = fit or SimplexFit()
    if len(sizes := {len(members) for members in complex.simplexes}) > 1:
        raise ConfigError(
            "Volumes of simplexes with different numbers of vertices cannot be compared.",
            found=f"simplexes of {', '.join(map(str, sorted(sizes)))} vertices",
        )
    gradients = Gradients(
        model,
        n_points=fit.samples_per_step,
        device=device,
        precision=fit.precision,
        strategy=fit.strategy,
        loss=loss,
    )
    vertices = gradients.load(complex.vertices)
    bases = [Base([vertices[i] for i in members]) for members in complex.simplexes]
    if start is None:
        members = sorted({i for simplex in complex.simplexes for i in simplex})
        vertex = _beside([vertices[i] for i in members], fit)
    else:
        (first,) = gradients.load([start])
        vertex = {n: t.clone(memory_format=torch.contiguous_format) for n, t in first.items()}
    grown = tuple((*members, len(vertices)) for members in complex.simplexes)
    after = Complex((*complex.vertices, vertex), grown)
    losses = np.full((fit.steps, fit.samples_per_step), np.nan)

    def add_gradients(step: int, grads: Sequence[Grads]) -> np.ndarray:
        rng = np.random.default_rng([fit.seed, step])
        feet = [base.foot(vertex) for base in bases]
        logs = np.array([foot.log_volume for foot in feet])
        log_volume = logsumexp(logs)
        if fit.volume_weight and not np.isfinite(logs).all():
            raise ConfigError(
                "The new vertex lies on its base: the logarithm of the volume has no gradient.",
                where="fit_vertex(start)",
                fix="start from a point beside the simplex, or leave start out",
            )
        # simplexes without any volume count alike
        shares = np.exp(logs - log_volume) if np.isfinite(log_volume) else np.ones(len(logs))
        points = draw(grown, shares, len(after.vertices), fit.samples_per_step, rng)
        into = [*([None] * len(vertices)), *grads]
        batch = batch_at(batches, step, fit.seed)
        values = gradients.add([*vertices, vertex], points, batch, into)
        for base, foot, share in zip(bases, feet, shares.tolist(), strict=True):
            if fit.volume_weight:
                base.add_gradient(vertex, foot, grads[0], -fit.volume_weight * share)
        return values

    descend(
        "vertex",
        [vertex],
        add_gradients,
        fit,
        torch.optim.AdamW(
            list(vertex.values()), lr=fit.learning_rate, weight_decay=0.0, fused=True
        ),
        losses,
        recipe={
            **asdict(fit),
            "kind": "simplex",
            "simplexes": complex.simplexes,
            "vertices": square_norms(vertices),
        },
        state=state,
        report=report,
    )
    return FittedVertex(after, vertex, losses)


def _beside(base: Sequence[Params], fit: SimplexFit) -> dict[str, Tensor]:
    """The centre of some vertices, moved a little in a random direction."""
    generator = torch.Generator().manual_seed(fit.seed)
    vertex = {}
    for name, first in base[0].items():
        centre = torch.stack([state[name] for state in base]).mean(0)
        noise = torch.randn(first.shape, generator=generator, dtype=first.dtype).to(first.device)
        centre += noise * (fit.offset * centre.norm() / max(1, first.numel()) ** 0.5)
        vertex[name] = centre
    return vertex
