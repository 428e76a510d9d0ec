"""A plane through three real classifiers, 5 x 5 points: the engine, its floor, and its peers.

In affine coordinates of the three, theta = a + x (b - a) + y (c - a) for x, y = -1, -.5, ..., 1,
which the engine, the state-dict loop and nngeom evaluate alike. Landscaper rescales each tensor of
its directions, and loss-landscapes takes steps of a fifth of one side and leaves every other column
a step off: other points of as much work, compared by time alone.
"""

from __future__ import annotations

import contextlib
import copy
import io
import sys
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import line
import numpy as np
import torch
from common import (
    PEERS,
    Batch,
    Setting,
    best,
    collapsed,
    fresh_model,
    interleaved,
    mean_loss,
    median,
    peers,
    plain_batches,
    sorted_batches,
)
from torch import Tensor, nn

from landscape.checkpoints import build_model, token_table
from landscape.evaluation import Evaluator
from landscape.paths import Plane
from landscape.tasks.batches import used_tokens

SIDE = 5
POINTS = SIDE**2
GRID = np.linspace(-1, 1, SIDE)
NAMES = ("nngeom 0.2.0", "Landscaper 1.3.1", "loss-landscapes 3.0.6")
State = Mapping[str, Tensor]


def bench_plane(setting: Setting, dataset: str = "mnli_dev") -> dict[str, Any]:
    """All contestants in one process, taking turns."""
    population = setting.population()
    examples = setting.sample(dataset)
    corners = [{k: v.clone() for k, v in c.params.items()} for c in population.checkpoints[:3]]
    join = collapsed(examples)
    batches = sorted_batches(population, examples)
    padded = plain_batches(population, examples)
    plane = Plane(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), GRID, GRID)
    model = build_model(population.checkpoints[0], logits_only=True)
    table = token_table(model)
    rows = {table: used_tokens([batches])} if table else {}
    evaluator = Evaluator(model, {dataset: batches}, transform=join, rows=rows)
    plans = {p: evaluator.tune(corners, p) for p in ("fp32", "bf16")}

    def engine(precision: Any) -> np.ndarray:
        result = evaluator.evaluate(corners, plane, precision)[dataset]
        return result.losses.mean(1, dtype=np.float64)

    own = fresh_model(population)
    contestants: dict[str, Callable[[], Any]] = {
        "engine, fp32": lambda: engine("fp32"),
        "engine, bf16": lambda: engine("bf16"),
        "state-dict loop, same batches": lambda: loop(own, corners, plane, batches, join),
        "state-dict loop, padded per batch": lambda: loop(own, corners, plane, padded, join),
    }
    folder = peers((*PEERS, "landscaper==1.3.1"))
    contestants |= peer_runs(population, batches, join, folder)
    # of as many points as a line has, so that the same floors serve
    floors = {
        "floor, fp32": line.floor(model, corners[0], batches, plans["fp32"], torch.float32, rows),
        "floor, bf16": line.floor(model, corners[0], batches, plans["bf16"], torch.bfloat16, rows),
        "floor, fp32, unchanged model": line.whole_floor(fresh_model(population), batches, join),
    }
    times, results = interleaved(contestants | floors, setting.repeats)
    points = dict.fromkeys(contestants, POINTS) | dict.fromkeys(floors, line.POINTS)
    seconds = {name: median(values) / points[name] for name, values in times.items()}
    reference = results["state-dict loop, same batches"]
    timed = (*NAMES, "state-dict loop, same batches")
    return {
        "dataset": dataset,
        "examples": len(examples),
        "points": POINTS,
        "tokens a point, padding included": batches.n_tokens,
        "seconds a point": seconds,
        "ratios": {
            "best peer given the same batches / engine fp32": best(seconds, timed)
            / seconds["engine, fp32"],
            "best peer given the same batches / engine bf16": best(seconds, timed)
            / seconds["engine, bf16"],
            "best peer on the same points / engine fp32": best(
                seconds, ("nngeom 0.2.0", "state-dict loop, same batches")
            )
            / seconds["engine, fp32"],
            "loop padded per batch / engine fp32": seconds["state-dict loop, padded per batch"]
            / seconds["engine, fp32"],
            "engine fp32 / its floor": seconds["engine, fp32"] / seconds["floor, fp32"],
            "engine bf16 / its floor": seconds["engine, bf16"] / seconds["floor, bf16"],
            "best peer / floor of the unchanged model": best(seconds, timed)
            / seconds["floor, fp32, unchanged model"],
        },
        "largest difference of a mean loss from the state-dict loop's, nats": {
            name: float(np.abs(results[name] - reference).max())
            for name in (
                "engine, fp32",
                "engine, bf16",
                "state-dict loop, padded per batch",
                "nngeom 0.2.0",
            )
        },
        "plans": {name: vars(plan) for name, plan in plans.items()},
        "all_seconds": times,
    }


def loop(
    model: nn.Module,
    corners: Sequence[State],
    plane: Plane,
    batches: Sequence[Batch],
    join: Callable[[Tensor], Tensor],
) -> np.ndarray:
    """(n_points,) mean losses: mix three state dicts, load, evaluate; what people run."""
    a, b, c = corners
    losses = []
    for u, v, w in plane.coefficients():
        mixed = {name: float(u) * a[name] + float(v) * b[name] + float(w) * c[name] for name in a}
        model.load_state_dict(mixed, strict=False)
        losses.append(mean_loss(model, batches, join))
    return np.array(losses)


def peer_runs(
    population: Any, batches: Any, join: Callable[[Tensor], Tensor], folder: Path
) -> dict[str, Callable[[], Any]]:
    """Each in its documented way, given the same batches."""
    import loss_landscapes
    import nngeom
    from loss_landscapes.metrics import Loss
    from loss_landscapes.model_interface.model_wrapper import GeneralModelWrapper
    from nngeom.lossland import plane_slice_2d

    compute = _landscaper(folder)
    models = [fresh_model(population, i) for i in range(3)]
    inputs, labels = [list(part) for part in zip(*batches, strict=True)]

    def outputs(model: nn.Module, batch: Any) -> list[Tensor]:
        return [join(model(**one).logits) for one in batch]

    def loss(logits: list[Tensor], target: list[Tensor]) -> Tensor:
        both = zip(logits, target, strict=True)
        total = sum(nn.functional.cross_entropy(x, y, reduction="sum") for x, y in both)
        return total / sum(map(len, target))

    def of(model: nn.Module, batch: Any) -> Tensor:
        return loss(outputs(model, batch[0]), batch[1])

    def nngeom_plane() -> np.ndarray:
        centre = nngeom.Model(copy.deepcopy(models[0]), loss_fn=of)
        a, b, c = (nngeom.Model(m, loss_fn=of).parameters_flat() for m in models)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            surface = plane_slice_2d(
                centre, (inputs, labels), span=1.0, steps=SIDE, directions=[b - a, c - a]
            )
        return surface.losses.ravel()

    def landscaper_plane() -> np.ndarray:
        a, *others = ([p.data for p in m.parameters()] for m in models)
        sides = [[q - p for p, q in zip(a, other, strict=True)] for other in others]
        quiet = io.StringIO()
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            losses, _ = compute(
                copy.deepcopy(models[0]),
                (inputs, labels),
                sides,
                lambda model, data: of(model, data).item(),
                steps=SIDE,
                dim=2,
                device="cpu",
            )
        return losses

    @torch.no_grad()
    def loss_landscapes_plane() -> np.ndarray:
        # it moves the first model, and gradients are switched off in the others
        three = (GeneralModelWrapper(m, [m], outputs) for m in map(copy.deepcopy, models))
        return loss_landscapes.planar_interpolation(*three, Loss(loss, inputs, labels), steps=SIDE)

    runs = (nngeom_plane, landscaper_plane, loss_landscapes_plane)
    return dict(zip(NAMES, runs, strict=True))


def _landscaper(folder: Path) -> Any:
    """Its function alone: the package's own import asks for topology and drawing."""
    package = types.ModuleType("landscaper")
    package.__path__ = [str(folder / "landscaper")]
    sys.modules["landscaper"] = package
    from landscaper.compute import compute_loss_landscape

    return compute_loss_landscape
