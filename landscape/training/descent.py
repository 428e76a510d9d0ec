"""Points of weight space moved down gradients that are added up elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from landscape.core.errors import ConfigError
from landscape.evaluation.gradient import Grads
from landscape.training.loop import InPlace, Report, Stateful, train, warmed_cosine

WARMUP = 0.05
_RECENT = 50  # steps whose mean loss is reported


@dataclass(frozen=True)
class Descent:
    """How points are trained.

    Attributes:
        steps: Steps of the optimiser.
        learning_rate: The peak; linear warm-up (.05 of the steps), then half a cosine down to 0.
        clip: The largest norm of the gradient in all points together; None for no limit.
        seed: Of all that is drawn.
        precision: ``fp32``; ``bf16`` means autocast, the weights stay fp32; ``fp64``.
    """

    steps: int = 300
    learning_rate: float = 1e-4
    clip: float | None = 1.0
    seed: int = 0
    precision: Literal["fp32", "bf16", "fp64"] = "fp32"

    def _require_positive(self, *names: str) -> None:
        for name in names:
            if not getattr(self, name) > 0:
                raise ConfigError(f"The fit's {name} must be above 0.", found=getattr(self, name))


def descend(
    what: str,
    points: Sequence[dict[str, Tensor]],
    add_gradients: Callable[[int, Sequence[Grads]], np.ndarray],
    settings: Descent,
    optimizer: torch.optim.Optimizer,
    losses: np.ndarray,
    *,
    recipe: Mapping[str, Any],
    state: Path | None,
    report: Report,
) -> None:
    """Train points, tensors by name, in place; the rest as in ``train``.

    ``add_gradients`` goes from a step and a place for each point's gradient, filled with zeros, to
    the step's losses, which are put in ``losses`` (n_steps, ...).
    """
    parameters = [tensor for point in points for tensor in point.values()]
    for tensor in parameters:
        tensor.grad = torch.zeros_like(tensor)
    grads = [{n: t.grad for n, t in point.items() if t.grad is not None} for point in points]
    rate = partial(warmed_cosine, steps=settings.steps, warmup=WARMUP)
    schedule = LambdaLR(optimizer, rate)

    def step(number: int) -> float:
        optimizer.zero_grad(set_to_none=False)
        losses[number] = add_gradients(number, grads)
        if settings.clip is not None:
            nn.utils.clip_grad_norm_(parameters, settings.clip)
        optimizer.step()
        schedule.step()
        return float(np.mean(losses[max(0, number + 1 - _RECENT) : number + 1]))

    tensors = {f"{k}.{name}": t for k, point in enumerate(points) for name, t in point.items()}
    parts: dict[str, Stateful] = {
        "points": InPlace(tensors),
        "losses": InPlace({"losses": losses}),
        "optimizer": optimizer,
        "schedule": schedule,
    }
    train(what, settings.steps, step, parts, recipe=recipe, state=state, report=report)
    for tensor in parameters:
        tensor.grad = None
