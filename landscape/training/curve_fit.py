"""Control points of Bezier curves and polygonal chains, trained for a low loss along the curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from landscape.checkpoints.anchors import Anchor
from landscape.core.errors import ConfigError
from landscape.evaluation.gradient import Gradients
from landscape.paths import Bezier, Line, PolyChain
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


@dataclass(frozen=True)
class Fit:
    """How control points are trained.

    Attributes:
        steps: Steps of the optimiser.
        points_per_step: Values of t a step, drawn from as many equal parts of [0, 1].
        optimizer: ``adamw``, or ``sgd`` with momentum 0.9.
        learning_rate: The peak; linear warm-up, then half a cosine down to 0.
        warmup: The share of steps that warm up.
        weight_decay: Of the control points, decoupled from the gradient.
        clip: The largest norm of the gradient in all control points; None for no limit.
        seed: Of the values of t and the order of the batches.
        precision: ``fp32``; ``bf16`` means autocast, the weights stay fp32; ``fp64``.
        strategy: How the points of a step are differentiated; see ``Gradients``.
    """

    steps: int = 300
    points_per_step: int = 1
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 1e-4
    warmup: float = 0.05
    weight_decay: float = 0.0
    clip: float | None = 1.0
    seed: int = 0
    precision: Literal["fp32", "bf16", "fp64"] = "fp32"
    strategy: Literal["auto", "vmap", "loop"] = "auto"

    def __post_init__(self) -> None:
        for name in ("steps", "points_per_step", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"The fit's {name} must be above 0.", found=getattr(self, name))


@dataclass(frozen=True)
class FittedCurve:
    """A curve between two checkpoints whose control points were trained.

    Attributes:
        geometry: Bezier or PolyChain.
        anchors: One end, the control points, the other end: tensors by name.
        positions: (n_steps, points_per_step) values of t.
        losses: (n_steps, points_per_step) training losses there, nats.
        convergence: Whether the training loss still fell at the end.
    """

    geometry: Bezier | PolyChain
    anchors: tuple[Mapping[str, Tensor], ...] = field(repr=False)
    positions: np.ndarray = field(repr=False)
    losses: np.ndarray = field(repr=False)
    convergence: Convergence


def fit_curve(
    model: nn.Module,
    ends: Sequence[Anchor],
    geometry: Bezier | PolyChain,
    batches: Batches,
    fit: Fit | None = None,
    *,
    device: str | torch.device | None = None,
    start: Sequence[Mapping[str, Tensor]] | None = None,
    loss: Any = None,
    transform: Any = None,
    state: Path | None = None,
    report: Report = lambda line: None,
) -> FittedCurve:
    """Train the control points of a curve: min E_{t ~ U(0, 1)} L(theta(t)).

    Garipov et al. 2018, arXiv 1802.10026. The ends stay as they are; control points begin on the
    line between them. The gradient flows to them through the mixing that ``evaluate`` uses.

    Args:
        model: As in ``evaluate``.
        ends: Two anchors.
        geometry: Its anchors between the ends are trained; its positions do not matter here.
        batches: Ready batches ``(inputs, labels)``, or a function from the step to its batch.
        fit: How.
        device: cuda where there is one, by default.
        start: Control points to begin with, instead of those on the line.
        loss: As in ``evaluate``.
        transform: As in ``evaluate``.
        state: A file in which the state of the training is kept; a killed fit goes on from there.
        report: Takes a line of progress at a time.

    Returns:
        The curve; its geometry and anchors go to ``evaluate`` as they are.

    Raises:
        ConfigError: Not two ends, a geometry without control points, or a saved state of another
            training.
    """
    fit = fit or Fit()
    n_controls = geometry.n_anchors - 2
    if len(ends) != 2 or n_controls < 1:
        raise ConfigError(
            "A fit needs two ends and at least one control point between them.",
            found=f"{len(ends)} ends, {n_controls} control points",
        )
    gradients = Gradients(
        model,
        n_points=fit.points_per_step,
        device=device,
        precision=fit.precision,
        strategy=fit.strategy,
        loss=loss,
        transform=transform,
    )
    a, b = gradients.load(ends)
    if start is None:
        shares = np.arange(1, n_controls + 1) / (n_controls + 1)
        controls = [_between(a, b, Line().basis([t])[0]) for t in shares]
    else:
        controls = [{n: t.clone() for n, t in c.items()} for c in gradients.load(start)]
    grads = [{name: torch.zeros_like(t) for name, t in c.items()} for c in controls]
    parameters = [tensor for control in controls for tensor in control.values()]
    optimizer = _optimizer(parameters, fit)
    recipe = {**asdict(fit), "geometry": _described(geometry), "ends": tell_apart([a, b])}
    saved = SavedState(state, recipe)
    positions = np.full((fit.steps, fit.points_per_step), np.nan)
    losses = np.full_like(positions, np.nan)
    done = _restore(saved.load(), controls, optimizer, positions, losses)
    progress = Progress("curve", fit.steps, done, report)
    anchors = [a, *controls, b]
    into: list[dict[str, Tensor] | None] = [None, *grads, None]
    for step in range(done, fit.steps):
        rng = np.random.default_rng([fit.seed, step])
        n = fit.points_per_step
        positions[step] = (np.arange(n) + rng.random(n)) / n
        for grad in grads:
            for tensor in grad.values():
                tensor.zero_()
        batch = batch_at(batches, step, fit.seed)
        losses[step] = gradients.add(anchors, geometry.basis(positions[step]), batch, into)
        flat = [tensor for grad in grads for tensor in grad.values()]
        for parameter, tensor in zip(parameters, flat, strict=True):
            parameter.grad = tensor
        if fit.clip is not None:
            nn.utils.clip_grad_norm_(parameters, fit.clip)
        for group in optimizer.param_groups:
            group["lr"] = fit.learning_rate * rate(step, fit.steps, fit.warmup)
        optimizer.step()
        progress.step(step, float(np.mean(losses[max(0, step - 49) : step + 1])))
        if saved.due(step + 1 == fit.steps):
            saved.save(_state(controls, optimizer, step + 1, positions, losses))
    for parameter in parameters:
        parameter.grad = None
    return FittedCurve(geometry, tuple(anchors), positions, losses, convergence(losses.mean(1)))


def _between(a: dict[str, Tensor], b: dict[str, Tensor], row: np.ndarray) -> dict[str, Tensor]:
    return {name: torch.lerp(a[name], b[name], float(row[1])) for name in a}


def _optimizer(parameters: list[Tensor], fit: Fit) -> torch.optim.Optimizer:
    if fit.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, lr=fit.learning_rate, momentum=0.9, weight_decay=fit.weight_decay
        )
    return torch.optim.AdamW(
        parameters, lr=fit.learning_rate, weight_decay=fit.weight_decay, fused=True
    )


def _described(geometry: Bezier | PolyChain) -> dict[str, Any]:
    inner = (
        {"degree": geometry.degree}
        if isinstance(geometry, Bezier)
        else {
            "bends": geometry.bends,
            "knots": None if geometry.knots is None else list(geometry.knots),
        }
    )
    return {"kind": type(geometry).__name__, **inner}


def _state(
    controls: list[dict[str, Tensor]],
    optimizer: torch.optim.Optimizer,
    done: int,
    positions: np.ndarray,
    losses: np.ndarray,
) -> dict[str, Any]:
    return {
        "controls": controls,
        "optimizer": optimizer.state_dict(),
        "done": done,
        "positions": torch.from_numpy(positions),
        "losses": torch.from_numpy(losses),
    }


def _restore(
    state: dict[str, Any] | None,
    controls: list[dict[str, Tensor]],
    optimizer: torch.optim.Optimizer,
    positions: np.ndarray,
    losses: np.ndarray,
) -> int:
    """Put a saved state in place; how many steps it had done."""
    if state is None:
        return 0
    for control, found in zip(controls, state["controls"], strict=True):
        for name, tensor in control.items():
            tensor.copy_(found[name])
    optimizer.load_state_dict(state["optimizer"])
    positions[:], losses[:] = state["positions"].numpy(), state["losses"].numpy()
    return int(state["done"])
