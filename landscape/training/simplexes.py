"""Simplexes of low loss between and around checkpoints, trained vertex by vertex.

Benton et al. 2021, arXiv 2102.13042.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor, nn

from landscape.checkpoints.anchors import Anchor
from landscape.checkpoints.gram_matrix import gram
from landscape.core.errors import ConfigError
from landscape.evaluation.gradient import Gradients
from landscape.paths import Simplex, volume
from landscape.training.loop import (
    Batches,
    Convergence,
    Progress,
    Report,
    SavedState,
    batch_at,
    convergence,
    rate,
    tell_apart,
)

_COLUMNS = 1 << 16  # of a parameter at once: what fits in a processor's cache
_ROUNDING = 8.0  # heights below so many of its units are rounding


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
        for number, members in enumerate(self.simplexes):
            known = set(range(len(self.vertices)))
            if not members or not set(members) <= known or len(set(members)) < len(members):
                raise ConfigError(
                    "A simplex is made of different vertices of its complex.",
                    where=f"Complex(simplexes[{number}])",
                    expected=f"indices below {len(self.vertices)}, at least one, none twice",
                    found=members,
                )
        if not self.simplexes:
            raise ConfigError("A complex has at least one simplex.", where="Complex(simplexes)")

    def volume(self, simplex: int) -> float:
        """Of one simplex, in units of length to the number of its edges from one vertex.

        That of a single vertex is 1.
        """
        return volume(gram([self.vertices[i] for i in self.simplexes[simplex]]))

    @cached_property
    def volumes(self) -> np.ndarray:
        """(n_simplexes,)."""
        return np.array([self.volume(number) for number in range(len(self.simplexes))])

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, n_vertices) coefficients of points drawn evenly from the complex.

        A simplex is chosen in proportion to its volume, and a point of it by flat Dirichlet
        coordinates. With ``evaluate(model, complex.vertices, complex.sample(n, rng), batches)``
        they are the members of an ensemble.

        Raises:
            ConfigError: Simplexes of several dimensions, or without any volume.
        """
        sizes = {len(members) for members in self.simplexes}
        if len(sizes) > 1:
            raise ConfigError(
                "Volumes of simplexes with different numbers of vertices cannot be compared.",
                where="Complex.sample",
                found=f"simplexes of {', '.join(map(str, sorted(sizes)))} vertices",
            )
        if not self.volumes.sum() > 0:
            raise ConfigError("No simplex of the complex has a volume.", where="Complex.sample")
        return _draw(self.simplexes, self.volumes, len(self.vertices), n, rng)


@dataclass(frozen=True)
class SimplexFit:
    """How a vertex is trained, by AdamW.

    Attributes:
        steps: Steps of the optimiser.
        samples_per_step: Points drawn from the complex a step.
        learning_rate: The peak; linear warm-up, then half a cosine down to 0.
        volume_weight: lambda, in nats: the loss is reduced by lambda log(volume). The authors'
            code takes the logarithm of the squared volume: half of this is their number.
        warmup: The share of steps that warm up.
        offset: Where no start is given, the vertex begins at its base's centre moved in a random
            direction, in each tensor by this share of the tensor's norm: on the base there is no
            volume whose logarithm could grow.
        clip: The largest norm of the gradient; None for no limit.
        seed: Of the points, the order of the batches and the start.
        precision: ``fp32``; ``bf16`` means autocast, the weights stay fp32; ``fp64``.
        strategy: How the points of a step are differentiated; see ``Gradients``.
    """

    steps: int = 300
    samples_per_step: int = 1
    learning_rate: float = 1e-4
    volume_weight: float = 1e-6
    warmup: float = 0.05
    offset: float = 0.01
    clip: float | None = 1.0
    seed: int = 0
    precision: Literal["fp32", "bf16", "fp64"] = "fp32"
    strategy: Literal["auto", "vmap", "loop"] = "auto"

    def __post_init__(self) -> None:
        for name in ("steps", "samples_per_step", "learning_rate", "offset"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"The fit's {name} must be above 0.", found=getattr(self, name))
        if not self.volume_weight >= 0:
            raise ConfigError(
                "The volume's weight must be at least 0.",
                where="SimplexFit(volume_weight)",
                found=self.volume_weight,
            )


@dataclass(frozen=True)
class FittedVertex:
    """A complex with a new, trained vertex.

    Attributes:
        complex: The new vertex is its last one.
        losses: (n_steps, samples_per_step) training losses, nats.
        log_volumes: (n_steps,) natural logarithm of the volume of the simplexes that the vertex
            belongs to, before each step; minus infinity where there is none.
        convergence: Whether the training loss (without the volume) still fell at the end.
    """

    complex: Complex
    losses: np.ndarray = field(repr=False)
    log_volumes: np.ndarray = field(repr=False)
    convergence: Convergence


@dataclass(frozen=True)
class Foot:
    """Where a base is nearest to a vertex over it.

    Attributes:
        at: (n_base_vertices - 1,) coordinates of the nearest point, along the base's edges.
        square: The vertex's height over the base, squared.
        log_volume: Natural logarithm of the volume of base and vertex together; minus infinity
            where the height is not told from rounding.
    """

    at: np.ndarray
    square: float
    log_volume: float


class Base:
    """Vertices that stay, and how the volume of their simplex grows with one more.

    The volume is that of the base times the new vertex's height over it, divided by the number of
    edges; so the gradient of its logarithm in the new vertex is the vertex's component orthogonal
    to the base, divided by the height squared.

    Args:
        vertices: Tensors by name, in the numbers' format that is computed in.

    Raises:
        ConfigError: Vertices that depend on each other.
    """

    def __init__(self, vertices: Sequence[Mapping[str, Tensor]]) -> None:
        self._vertices = vertices
        inner = gram(vertices)
        own = volume(inner)
        if not own > 0:
            raise ConfigError(
                "The vertices of a simplex depend on each other: it has no volume.",
                where="fit_vertex(complex)",
                found=f"{len(vertices)} vertices",
                fix="choose checkpoints of which none is a linear combination of the others",
            )
        self._inner = inner[1:, 1:]
        self._log = math.log(own) - math.log(len(vertices))

    def foot(self, vertex: Mapping[str, Tensor]) -> Foot:
        """Of the height from a vertex on the base."""
        n, one = len(self._inner), next(iter(vertex.values()))
        products = torch.zeros(n, dtype=torch.float64, device=one.device)
        size, height = products.new_zeros(2)
        for new, first, *others in _blocks(vertex, *self._vertices):
            size += _square(new) + _square(first)
            for place, other in enumerate(others):
                products[place] += torch.dot(new - first, other - first)
        at = np.linalg.solve(self._inner, products.cpu().numpy()) if n else np.zeros(0)
        # summed from the component itself: a difference of squares would lose small heights
        for part, _ in self._heights(vertex, at):
            height += _square(part)
        square = float(height)
        seen = square > (_ROUNDING * torch.finfo(one.dtype).eps) ** 2 * float(size)
        return Foot(at, square, self._log + math.log(square) / 2 if seen else -math.inf)

    def add_gradient(
        self,
        vertex: Mapping[str, Tensor],
        foot: Foot,
        into: Mapping[str, Tensor],
        scale: float,
    ) -> None:
        """Add ``scale`` times the log volume's gradient in the vertex whose foot is known."""
        for part, target in self._heights(vertex, foot.at, into):
            target.add_(part, alpha=scale / foot.square)

    def _heights(
        self,
        vertex: Mapping[str, Tensor],
        at: np.ndarray,
        beside: Mapping[str, Tensor] | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The vertex's component orthogonal to the base, with another's values, block by block."""
        beside = vertex if beside is None else beside
        for new, target, first, *others in _blocks(vertex, beside, *self._vertices):
            part = new - first
            for share, other in zip(at.tolist(), others, strict=True):
                part.sub_(other - first, alpha=share)
            yield part, target


def fit_vertex(
    model: nn.Module,
    complex: Complex,
    batches: Batches,
    fit: SimplexFit | None = None,
    *,
    simplexes: Sequence[int] | None = None,
    device: str | torch.device | None = None,
    start: Anchor | None = None,
    loss: Any = None,
    transform: Any = None,
    state: Path | None = None,
    report: Report = lambda line: None,
) -> FittedVertex:
    """Add a trained vertex: min E_{theta ~ U(K)} L(theta) - lambda log V(K).

    Benton et al. 2021, arXiv 2102.13042. K are the simplexes that the vertex is added to, V(K)
    their volumes' sum; all other vertices stay as they are. Points are drawn as by
    ``Complex.sample``; the simplexes' shares are taken as constants in each step. A checkpoint
    alone, ``Complex((a,), ((0,),))``, grows into a simplex around it; ``Complex((a, b), ((0,),
    (1,)))`` into simplexes that connect the two by the vertices which they share.

    Args:
        model: As in ``evaluate``.
        complex: What there is.
        batches: Ready batches ``(inputs, labels)``, or a function from the step to its batch.
        fit: How.
        simplexes: Which of them the vertex is added to; all by default.
        device: cuda where there is one, by default.
        start: The vertex to begin with, beside the base of each of its simplexes.
        loss: As in ``evaluate``.
        transform: As in ``evaluate``.
        state: A file in which the state of the training is kept; a killed fit goes on from there.
        report: Takes a line of progress at a time.

    Raises:
        ConfigError: Simplexes that are not there or have different numbers of vertices, vertices
            that depend on each other, or a saved state of another training.
    """
    fit = fit or SimplexFit()
    chosen = _chosen(complex, simplexes)
    gradients = Gradients(
        model,
        n_points=fit.samples_per_step,
        device=device,
        precision=fit.precision,
        strategy=fit.strategy,
        loss=loss,
        transform=transform,
    )
    vertices = gradients.load(complex.vertices)
    groups = [complex.simplexes[number] for number in chosen]
    bases = [Base([vertices[i] for i in members]) for members in groups]
    if start is None:
        vertex = _beside([vertices[i] for i in sorted({i for g in groups for i in g})], fit)
    else:
        (given,) = gradients.load([start])
        vertex = {n: t.clone(memory_format=torch.contiguous_format) for n, t in given.items()}
    grad = {name: torch.zeros_like(tensor) for name, tensor in vertex.items()}
    optimizer = torch.optim.AdamW(
        list(vertex.values()), lr=fit.learning_rate, weight_decay=0.0, fused=True
    )
    after = _added(complex, chosen, vertex)
    recipe = {
        **asdict(fit),
        "kind": "simplex",
        "simplexes": [complex.simplexes, list(chosen)],
        "vertices": tell_apart(vertices),
    }
    saved = SavedState(state, recipe)
    losses = np.full((fit.steps, fit.samples_per_step), np.nan)
    log_volumes = np.full(fit.steps, np.nan)
    done = _restore(saved.load(), vertex, optimizer, losses, log_volumes)
    progress = Progress("vertex", fit.steps, done, report)
    into: list[dict[str, Tensor] | None] = [*([None] * len(vertices)), grad]
    grown = [after.simplexes[number] for number in chosen]
    for step in range(done, fit.steps):
        rng = np.random.default_rng([fit.seed, step])
        feet = [base.foot(vertex) for base in bases]
        logs = np.array([foot.log_volume for foot in feet])
        log_volumes[step] = logsumexp(logs)
        if fit.volume_weight and not np.isfinite(logs).all():
            raise ConfigError(
                "The new vertex lies on its base: the logarithm of the volume has no gradient.",
                where="fit_vertex(start)",
                found=f"heights {[math.sqrt(foot.square) for foot in feet]}",
                fix="start from a point beside the simplex, or leave start out",
            )
        # simplexes without any volume count alike
        known = np.isfinite(log_volumes[step])
        shares = np.exp(logs - log_volumes[step]) if known else np.ones(len(logs))
        for tensor in grad.values():
            tensor.zero_()
        points = _draw(grown, shares, len(into), fit.samples_per_step, rng)
        batch = batch_at(batches, step, fit.seed)
        losses[step] = gradients.add([*vertices, vertex], points, batch, into)
        for base, foot, share in zip(bases, feet, shares.tolist(), strict=True):
            if fit.volume_weight:
                base.add_gradient(vertex, foot, grad, -fit.volume_weight * share)
        for name, tensor in vertex.items():
            tensor.grad = grad[name]
        if fit.clip is not None:
            nn.utils.clip_grad_norm_(list(vertex.values()), fit.clip)
        for group in optimizer.param_groups:
            group["lr"] = fit.learning_rate * rate(step, fit.steps, fit.warmup)
        optimizer.step()
        progress.step(step, float(np.mean(losses[max(0, step - 49) : step + 1])))
        if saved.due(step + 1 == fit.steps):
            saved.save(
                {
                    "vertex": vertex,
                    "optimizer": optimizer.state_dict(),
                    "done": step + 1,
                    "losses": torch.from_numpy(losses),
                    "log_volumes": torch.from_numpy(log_volumes),
                }
            )
    for tensor in vertex.values():
        tensor.grad = None
    return FittedVertex(after, losses, log_volumes, convergence(losses.mean(1)))


def _chosen(complex: Complex, simplexes: Sequence[int] | None) -> tuple[int, ...]:
    """The simplexes that a vertex is added to, checked."""
    numbers = tuple(range(len(complex.simplexes)) if simplexes is None else simplexes)
    known = range(len(complex.simplexes))
    if not numbers or not set(numbers) <= set(known) or len(set(numbers)) < len(numbers):
        raise ConfigError(
            "A vertex is added to different simplexes of the complex.",
            where="fit_vertex(simplexes)",
            expected=f"indices below {len(complex.simplexes)}, at least one, none twice",
            found=simplexes,
        )
    sizes = sorted({len(complex.simplexes[number]) for number in numbers})
    if len(sizes) > 1:
        raise ConfigError(
            "Volumes of simplexes with different numbers of vertices cannot be compared.",
            where="fit_vertex(simplexes)",
            found=f"simplexes of {', '.join(map(str, sizes))} vertices",
            fix="add a vertex to those of one size at a time",
        )
    return numbers


def _added(complex: Complex, chosen: Sequence[int], vertex: dict[str, Tensor]) -> Complex:
    new = len(complex.vertices)
    simplexes = tuple(
        (*members, new) if number in chosen else members
        for number, members in enumerate(complex.simplexes)
    )
    return Complex((*complex.vertices, vertex), simplexes)


def _draw(
    simplexes: Sequence[tuple[int, ...]],
    volumes: np.ndarray,
    n_vertices: int,
    n: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """(n, n_vertices) coefficients of points drawn evenly from simplexes of one dimension."""
    rows = np.zeros((n, n_vertices))
    for row, number in zip(
        rows, rng.choice(len(simplexes), size=n, p=volumes / volumes.sum()), strict=True
    ):
        members = simplexes[number]
        row[list(members)] = Simplex(len(members)).sample(1, rng)[0]
    return rows


def _beside(base: Sequence[Mapping[str, Tensor]], fit: SimplexFit) -> dict[str, Tensor]:
    """The centre of some vertices, moved a little in a random direction."""
    generator = torch.Generator().manual_seed(fit.seed)
    vertex = {}
    for name, first in base[0].items():
        centre = torch.stack([state[name] for state in base]).mean(0)
        noise = torch.randn(first.shape, generator=generator, dtype=first.dtype).to(first.device)
        centre += noise * (fit.offset * centre.norm() / max(1, first.numel()) ** 0.5)
        vertex[name] = centre
    return vertex


def _blocks(*states: Mapping[str, Tensor]) -> Iterator[tuple[Tensor, ...]]:
    """The states' values side by side, flat, some at a time; views where they lie in order."""
    for name in states[0]:
        rows = [state[name].reshape(-1) for state in states]
        for start in range(0, len(rows[0]), _COLUMNS):
            yield tuple(row[start : start + _COLUMNS] for row in rows)


def _square(values: Tensor) -> Tensor:
    return torch.dot(values, values)


def _restore(
    state: dict[str, Any] | None,
    vertex: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    losses: np.ndarray,
    log_volumes: np.ndarray,
) -> int:
    """Put a saved state in place; how many steps it had done."""
    if state is None:
        return 0
    for name, tensor in vertex.items():
        tensor.copy_(state["vertex"][name])
    optimizer.load_state_dict(state["optimizer"])
    losses[:], log_volumes[:] = state["losses"].numpy(), state["log_volumes"].numpy()
    return int(state["done"])
