"""Simplexes of low loss between and around checkpoints, trained vertex by vertex.

Benton et al. 2021, arXiv 2102.13042.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

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

Simplexes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class SimplexFit(Descent):
    """How a vertex is trained, by AdamW; the rest as in ``Descent``.

    Attributes:
        samples_per_step: Points drawn from the complex a step.
        volume_weight: lambda, in nats: the loss is reduced by lambda log(volume). The authors'
            code takes the logarithm of the squared volume: half of this is their number.
        offset: The vertex begins at the others' centre moved in a random direction, in each tensor
            by this share of the tensor's norm: on the base there is no volume whose logarithm
            could grow.
    """

    samples_per_step: int = 1
    volume_weight: float = 1e-6
    offset: float = 0.01

    def __post_init__(self) -> None:
        self._require_positive("steps", "samples_per_step", "learning_rate", "offset")
        if not self.volume_weight >= 0:
            raise ConfigError("The volume's weight must be at least 0.", found=self.volume_weight)


def fit_simplex(
    model: nn.Module,
    vertices: Sequence[Anchor],
    batches: Batches,
    fit: SimplexFit | None = None,
    *,
    n_connect: int = 1,
    points: int = 100,
    device: str | torch.device | None = None,
    loss: Loss | None = None,
    state: Path | None = None,
    report: Report = silent,
) -> Fitted:
    """Connect checkpoints by vertices that all of them share, trained one after the other.

    Each checkpoint and the trained vertices make a simplex; together they are a complex K of low
    loss. One checkpoint grows into a simplex around it. Each vertex is trained for
    min E_{theta ~ U(K)} L(theta) - lambda log V(K), V(K) the sum of the simplexes' volumes; all
    other vertices stay as they are, and the simplexes' shares are constants in each step.

    Args:
        model: As in ``evaluate``.
        vertices: The checkpoints.
        batches: Ready batches ``(inputs, labels)``, or a function from the step to its batch.
        fit: How each vertex is trained; the seed counts on from one to the next.
        n_connect: How many vertices are trained.
        points: How many are drawn evenly from the simplexes, for ``geometry``.
        device: As in ``fit_curve``.
        loss: As in ``evaluate``.
        state: Begins the names of the files in which the states of the trainings are kept.
        report: Takes a line of progress at a time.

    Raises:
        ConfigError: A vertex that does not leave its base, or a saved state of another training.
    """
    fit = fit or SimplexFit()
    gradients = Gradients(
        model,
        n_points=fit.samples_per_step,
        device=device,
        precision=fit.precision,
        loss=loss,
    )
    loaded, trained = gradients.load(vertices), list[Params]()
    simplexes: Simplexes = tuple((i,) for i in range(len(vertices)))

    def say(line: str) -> None:
        report(f"{len(trained) + 1} of {n_connect}: {line}")

    for number in range(n_connect):
        vertex, losses = _fit_vertex(
            gradients,
            loaded,
            simplexes,
            batches,
            replace(fit, seed=fit.seed + number),
            state and state.with_name(f"{state.name}.{number}"),
            say,
        )
        simplexes = _grown(simplexes, len(loaded))
        loaded.append(vertex)
        trained.append(vertex)
    anchors = (*vertices, *trained)
    groups = [[anchors[i] for i in members] for members in simplexes]
    volumes = np.array([volume(gram(group)) for group in groups])
    sample = SimplexSample(simplexes, len(anchors), volumes, points, fit.seed)
    return Fitted(sample, anchors, tuple(trained), losses, convergence(losses.mean(1)))


def _grown(simplexes: Simplexes, vertex: int) -> Simplexes:
    return tuple((*members, vertex) for members in simplexes)


def _fit_vertex(
    gradients: Gradients,
    vertices: Sequence[dict[str, Tensor]],
    simplexes: Simplexes,
    batches: Batches,
    fit: SimplexFit,
    state: Path | None,
    report: Report,
) -> tuple[dict[str, Tensor], np.ndarray]:
    """A vertex that all simplexes share, and its training losses (n_steps, samples_per_step)."""
    bases = [Base([vertices[i] for i in members]) for members in simplexes]
    vertex = _beside(vertices, fit)
    grown = _grown(simplexes, len(vertices))
    losses = np.full((fit.steps, fit.samples_per_step), np.nan)

    def add_gradients(step: int, grads: Sequence[Grads]) -> np.ndarray:
        rng = np.random.default_rng([fit.seed, step])
        feet = [base.foot(vertex) for base in bases]
        logs = np.array([foot.log_volume for foot in feet])
        log_volume = logsumexp(logs)
        if fit.volume_weight and not np.isfinite(logs).all():
            raise ConfigError(
                "The new vertex lies on its base: the logarithm of the volume has no gradient.",
                where="fit_simplex",
                fix="choose a larger offset",
            )
        # simplexes without any volume count alike
        shares = np.exp(logs - log_volume) if np.isfinite(log_volume) else np.ones(len(logs))
        points = draw(grown, shares, len(vertices) + 1, fit.samples_per_step, rng)
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
            "simplexes": simplexes,
            "vertices": square_norms(vertices),
        },
        state=state,
        report=report,
    )
    return vertex, losses


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
