"""One step of fitting a quadratic Bezier curve: the engine, its floor, and its peers.

All take the same steps: the same positions, batches of 32, clipping and AdamW, in eval mode, so
that the traces of their training losses can be compared. Each contestant's peak memory is that of
a process of its own (``curve.py NAME FOLDER DATA WORK PEER``).
"""

from __future__ import annotations

import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Batch, Setting, best, fresh_model, median, peak_bytes, plain_batches
from torch import Tensor, nn
from torch.func import functional_call

from landscape.checkpoints import Population, build_model
from landscape.paths import Bezier
from landscape.training import Fit, fit_curve
from landscape.training.descent import WARMUP
from landscape.training.loop import warmed_cosine

STEPS = 9  # the first of a fit, which also allocates, is not counted
FIT = Fit(steps=STEPS, learning_rate=1e-4)
PEERS = ("plain torch", "loss-surface-simplexes")
Trace = tuple[list[float], np.ndarray]  # seconds of each step, and the training losses


@dataclass(frozen=True)
class Task:
    """Two classifiers, and a batch of real examples a step."""

    population: Population
    ends: tuple[dict[str, Tensor], dict[str, Tensor]]
    batches: Sequence[Batch]
    peer_path: Path | None

    def middle(self) -> dict[str, Tensor]:
        """The control point to begin with."""
        a, b = self.ends
        return {name: torch.lerp(a[name], b[name], 0.5).requires_grad_() for name in a}


def bench_curve(setting: Setting) -> dict[str, Any]:
    """All contestants in one process, taking turns fit by fit; then each alone, for its memory."""
    task = open_task(setting)
    contestants = dict(CONTESTANTS)
    skipped = {}
    if reason := _missing(setting.peer_path):
        skipped["loss-surface-simplexes"] = reason
        del contestants["loss-surface-simplexes"]
    times: dict[str, list[float]] = {name: [] for name in contestants}
    losses: dict[str, np.ndarray] = {}
    for turn in range(-1, setting.repeats):
        for name, run in contestants.items():
            steps, losses[name] = run(task)
            if turn >= 0:
                times[name].append(median(steps))
            print(f"  round {turn + 1} of {setting.repeats}: {name}", file=sys.stderr, flush=True)
    seconds = {name: median(values) for name, values in times.items()}
    memory = {name: _peak_alone(name, setting) / 1e6 for name in contestants}
    engine = seconds["engine, fp32"]
    return {
        "batch": 32,
        "steps a fit": STEPS,
        "tokens a step, padding included": float(
            np.mean([inputs["input_ids"].numel() for inputs, _ in task.batches])
        ),
        "seconds a step": seconds,
        "ratios": {
            "best peer / engine fp32": best(seconds, PEERS) / engine,
            "best peer / engine bf16": best(seconds, PEERS) / seconds["engine, bf16"],
            "engine fp32 / its floor, forward and backward": engine
            / seconds["floor: forward and backward, engine's model"],
            "engine fp32 / a step of plain finetuning": engine
            / seconds["floor: a step of plain finetuning"],
            "best peer / floor of the unchanged model": best(seconds, PEERS)
            / seconds["floor: forward and backward"],
        },
        "peak resident memory of a process of its own, MB": memory,
        "largest difference of a step's training loss from plain torch's, nats": {
            name: float(np.abs(trace - losses["plain torch"]).max())
            for name, trace in losses.items()
            if not name.startswith(("floor", "plain"))
        },
        "all_seconds": times,
        **({"skipped": skipped} if skipped else {}),
    }


def open_task(setting: Setting) -> Task:
    """Batches in the data's order, padded to their own longest: the same for all."""
    population = setting.population()
    examples = setting.sample("mnli_dev", 32 * STEPS)
    a, b = ({k: v.clone() for k, v in population.checkpoints[i].params.items()} for i in (0, 1))
    return Task(population, (a, b), plain_batches(population, examples), setting.peer_path)


def engine(precision: str) -> Callable[[Task], Trace]:
    """``fit_curve`` as it is; a step lasts from one call for a batch to the next."""

    def run(task: Task) -> Trace:
        began: list[float] = []

        def batch(step: int) -> Batch:
            began.append(time.perf_counter())
            return task.batches[step]

        model = build_model(task.population.checkpoints[0], logits_only=True)
        fit = Fit(steps=STEPS, learning_rate=FIT.learning_rate, precision=precision)
        fitted = fit_curve(model, task.ends, Bezier(degree=2), batch, fit)
        return np.diff(began)[1:].tolist(), fitted.losses[:, 0]

    return run


def plain(task: Task) -> Trace:
    """Three state dicts, mixed where autograd sees it."""
    model, control = fresh_model(task.population), task.middle()
    a, b = task.ends

    def loss(weights: Sequence[float], batch: Batch) -> Tensor:
        first, middle, last = weights
        mixed = {n: first * a[n] + middle * control[n] + last * b[n] for n in a}
        return _loss(functional_call(model, mixed, (), batch[0]), batch)

    return _fit(list(control.values()), loss, task)


def simplexes(task: Task) -> Trace:
    """A simplex of three vertices, the middle one trained, its weights those of the curve."""
    assert task.peer_path is not None
    # gpytorch serves the volume alone, which is not asked for here
    kernels = types.ModuleType("gpytorch.kernels")
    kernels.Kernel = lambda: types.SimpleNamespace(covar_dist=None)
    sys.modules.setdefault("gpytorch", types.ModuleType("gpytorch"))
    sys.modules.setdefault("gpytorch.kernels", kernels)
    folder = str(task.peer_path / "simplex" / "models")
    if folder not in sys.path:
        sys.path.append(folder)
    from basic_simplex import BasicSimplex

    net = BasicSimplex(
        _TakesOne(fresh_model(task.population)), num_vertices=3, fixed_points=[True, False, True]
    ).eval()
    prefixes = {module: prefix for prefix, module in net.base.model.named_modules()}
    vertices = (task.ends[0], task.middle(), task.ends[1])
    for module, name in net.params:
        whole = f"{prefixes[module]}.{name}"
        for number, vertex in enumerate(vertices):
            getattr(module, f"{name}_vertex_{number}").data.copy_(vertex[whole])
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    return _fit(trained, lambda weights, batch: _loss(net(batch[0], weights), batch), task)


def floor(step_too: bool, logits_only: bool = False) -> Callable[[Task], Trace]:
    """Forward and backward of the model alone, at no other weights than its own."""

    def run(task: Task) -> Trace:
        checkpoint = task.population.checkpoints[0]
        model = build_model(checkpoint, logits_only=logits_only)
        model.load_state_dict(dict(checkpoint.params), strict=False)
        parameters = list(model.parameters())
        return _fit(
            parameters,
            lambda _, batch: _loss(model(**batch[0]), batch),
            task,
            step_too=step_too,
        )

    return run


class _TakesOne(nn.Module):
    """A model whose forward takes its inputs as one argument."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Mapping[str, Tensor]) -> Any:
        return self.model(**inputs)


def _loss(output: Any, batch: Batch) -> Tensor:
    return nn.functional.cross_entropy(output.logits, batch[1])


def _weights() -> Iterator[tuple[float, float, float]]:
    """At the positions that ``fit_curve`` draws."""
    for step in range(STEPS):
        t = np.random.default_rng([FIT.seed, step]).random()
        yield (1 - t) ** 2, 2 * t * (1 - t), t**2


def _fit(
    parameters: list[Tensor],
    loss: Callable[[Sequence[float], Batch], Tensor],
    task: Task,
    step_too: bool = True,
) -> Trace:
    """Steps with the optimiser, clipping and learning rates of ``fit_curve``."""
    optimizer = torch.optim.AdamW(
        parameters, lr=FIT.learning_rate, weight_decay=FIT.weight_decay, fused=True
    )
    seconds, losses = [], []
    for step, (weights, batch) in enumerate(zip(_weights(), task.batches, strict=True)):
        began = time.perf_counter()
        optimizer.zero_grad()
        value = loss(weights, batch)
        value.backward()
        if step_too:
            nn.utils.clip_grad_norm_(parameters, FIT.clip or float("inf"))
            rate = warmed_cosine(step, STEPS, WARMUP)
            optimizer.param_groups[0]["lr"] = FIT.learning_rate * rate
            optimizer.step()
        losses.append(value.item())
        seconds.append(time.perf_counter() - began)
    return seconds[1:], np.array(losses)


CONTESTANTS: dict[str, Callable[[Task], Trace]] = {
    "engine, fp32": engine("fp32"),
    "engine, bf16": engine("bf16"),
    "plain torch": plain,
    "loss-surface-simplexes": simplexes,
    "floor: forward and backward": floor(step_too=False),
    "floor: forward and backward, engine's model": floor(step_too=False, logits_only=True),
    "floor: a step of plain finetuning": floor(step_too=True),
}


def _missing(path: Path | None) -> str | None:
    """Why the peer cannot be had."""
    if path is None:
        return "no registry has it: clone it, and name the folder with --peer-path"
    if not (path / "simplex" / "models" / "basic_simplex.py").is_file():
        return f"{path} is not a clone of it"
    return None


def _peak_alone(name: str, setting: Setting) -> int:
    """Bytes resident at most while a new process takes the steps once."""
    paths = (setting.checkpoints, setting.data, setting.work, setting.peer_path or "")
    done = subprocess.run(
        [sys.executable, __file__, name, *map(str, paths)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return int(done.stdout.split("PEAK")[1])


if __name__ == "__main__":
    chosen, folder, data, work, peer = sys.argv[1:]
    CONTESTANTS[chosen](
        open_task(Setting(Path(folder), Path(data), 1, 0, Path(work), Path(peer) if peer else None))
    )
    print("PEAK", peak_bytes())
