"""Control points of Bezier curves and polygonal chains, trained for a low loss along the curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from landscape.checkpoints.anchors import Anchor, Params
from landscape.core.errors import ConfigError
from landscape.evaluation.forward import Loss
from landscape.evaluation.gradient import Gradients, Grads
from landscape.paths import Bezier, PolyChain
from landscape.training.descent import Descent, descend
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
class Fit(Descent):
    """How control points are trained; the rest as in ``Descent``.

    Attributes:
        points_per_step: Values of t a step, drawn from as many equal parts of [0, 1].
        optimizer: ``adamw``, or ``sgd`` with momentum 0.9.
        weight_decay: Of the control points, decoupled from the gradient.
    """

    points_per_step: int = 1
    optimizer: Literal["adamw", "sgd"] = "adamw"
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        self._require_positive("steps", "points_per_step", "learning_rate")


def fit_curve(
    model: nn.Module,
    ends: Sequence[Anchor],
    geometry: Bezier | PolyChain,
    batches: Batches,
    fit: Fit | None = None,
    *,
    device: str | torch.device | None = None,
    start: Sequence[Params] | None = None,
    loss: Loss | None = None,
    state: Path | None = None,
    report: Report = silent,
) -> Fitted:
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
        state: A file in which the state of the training is kept; a killed fit goes on from there.
        report: Takes a line of progress at a time.

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
        loss=loss,
    )
    a, b = gradients.load(ends)
    if start is None:
        shares = np.arange(1, n_controls + 1) / (n_controls + 1)
        controls = [{name: torch.lerp(a[name], b[name], float(t)) for name in a} for t in shares]
    else:
        controls = [{n: t.clone() for n, t in c.items()} for c in gradients.load(start)]
    anchors = [a, *controls, b]
    losses = np.full((fit.steps, fit.points_per_step), np.nan)

    def add_gradients(step: int, grads: Sequence[Grads]) -> np.ndarray:
        n = fit.points_per_step
        positions = (np.arange(n) + np.random.default_rng([fit.seed, step]).random(n)) / n
        batch = batch_at(batches, step, fit.seed)
        return gradients.add(anchors, geometry.basis(positions), batch, [None, *grads, None])

    shape = {k: v for k, v in asdict(geometry).items() if k not in ("points", "at")}
    parameters = [tensor for control in controls for tensor in control.values()]
    rates: dict[str, Any] = {"lr": fit.learning_rate, "weight_decay": fit.weight_decay}
    optimizer: torch.optim.Optimizer
    if fit.optimizer == "sgd":
        optimizer = torch.optim.SGD(parameters, momentum=0.9, **rates)
    else:
        optimizer = torch.optim.AdamW(parameters, fused=True, **rates)
    recipe = {**asdict(fit), "kind": type(geometry).__name__, **shape, "ends": square_norms([a, b])}
    descend(
        "curve",
        controls,
        add_gradients,
        fit,
        optimizer,
        losses,
        recipe=recipe,
        state=state,
        report=report,
    )
    trace = convergence(losses.mean(1))
    return Fitted(geometry, tuple(anchors), tuple(controls), losses, trace)
