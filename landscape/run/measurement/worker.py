"""What measures models and pairs, wherever it runs: checkpoints, batches, and how it computes."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from landscape.checkpoints import (
    Population,
    WeightCache,
    build_model,
    load_population,
    load_tokenizer,
    token_table,
)
from landscape.core.errors import ConfigError
from landscape.evaluation import Evaluation, Evaluator, Plan, machine_name
from landscape.paths import Geometry, Line
from landscape.run.config import WayConfig
from landscape.run.inputs import Experiment
from landscape.run.measurement.adaptive import Smoothness
from landscape.run.measurement.pair import MeasuredPair, measure_pair
from landscape.run.measurement.unchanged import held_to
from landscape.run.measurement.ways import trained_controls
from landscape.tasks.batches import make_batches, tokenize, used_tokens
from landscape.tasks.logits import collapse

if TYPE_CHECKING:
    from landscape.evaluation.engine import Precision

Report = Callable[[str], None]
Outputs = dict[str, Evaluation]
Made = dict[str, Any]
"""How numbers were computed, as a store keeps it: machine, device, threads, torch, ``tokens`` of a
batch, the ``exact`` format and the ``fast`` one that screens, and for each a plan of ``evaluate``;
``halved`` where a batch had to be halved, for want of memory."""

_TOKENS = 2048


@dataclass(frozen=True)
class Setup:
    """What a worker is made from, anywhere.

    Attributes:
        experiment: Its checkpoints and data must be readable where the worker is.
        device: cpu or cuda:N.
        fingerprints: From each checkpoint's folder to its ``fingerprint`` when the run began.
        n_points: How many points will be evaluated in all; measuring a plan first must pay.
        threads: Of a CPU; torch's own number when None.
        share: Workers that share the machine's memory.
    """

    experiment: Experiment
    device: str
    fingerprints: dict[str, str]
    n_points: int
    threads: int | None = None
    share: int = 1

    def make(self) -> Worker:
        """The worker."""
        config = self.experiment.config
        population = load_population(
            config.checkpoints,
            self.experiment.task.labels,
            label_map=config.label_map,
            base=self.experiment.base,
            read_weights=False,
        )
        return Worker(self, held_to(population, self.fingerprints))


@dataclass(frozen=True)
class ModelTask:
    """Which model to measure, and how; ``made`` decides, whichever worker it is."""

    model: int
    made: Made = field(repr=False)

    @property
    def models(self) -> tuple[int, ...]:
        """Whose checkpoints are needed."""
        return (self.model,)


@dataclass(frozen=True)
class PairTask:
    """Which pair to measure, and how.

    Attributes:
        row: Of the store's table of pairs.
        models: The two.
        ends: (2,) their mean losses on the data set that makes the gap, nats.
        made: As in ``ModelTask``.
        smoothness: What is assumed between points; without it every point is evaluated.
        error: Nats, how far a screened mean loss may be off; NaN where none is screened.
    """

    row: int
    models: tuple[int, int]
    ends: np.ndarray = field(repr=False)
    made: Made = field(repr=False)
    smoothness: Smoothness | None = field(default=None, repr=False)
    error: float = np.nan


class Worker:
    """Evaluates models and pairs by a plan.

    Args:
        setup: What it is made from.
        population: The models.
        report: Takes a line at a time.
    """

    def __init__(self, setup: Setup, population: Population, report: Report | None = None) -> None:
        self._setup, self._population = setup, population
        self._report = report or partial(print, file=sys.stderr, flush=True)
        self._threads = torch.get_num_threads()
        self._made: Made | None = None
        self._has_run = False

    def close(self) -> None:
        """Leave torch as it was."""
        torch.set_num_threads(self._threads)
        if self._made is not None:
            self._cache.__exit__(None, None, None)

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def propose(self, _task: object, _following: object) -> Made:
        """How to compute on this machine: measured where that pays, else by default."""
        settings = self._setup.experiment.config.evaluate
        torch.set_num_threads(self._setup.threads or self._threads)
        self._open(settings.token_budget or _TOKENS)
        first = self._population.checkpoints[0].params
        exact: Precision = "fp32" if settings.precision == "auto" else settings.precision
        tokens = self._evaluator.plan([first], exact).tokens
        if settings.token_budget is None and tokens != _TOKENS:
            self._open(tokens)
        first_weights = [self._weights(0)]
        fast = None
        if settings.precision == "auto":
            fast = self._evaluator.fast_precision(first_weights)
        formats = (exact,) if fast is None else (exact, fast)
        plans = {name: asdict(self._evaluator.settle(first_weights, name)) for name in formats}
        self._made = {
            **self.here(None, None),
            "threads": torch.get_num_threads(),
            "tokens": settings.token_budget or tokens,
            "exact": exact,
            "fast": fast,
            "plans": plans,
        }
        return self._made

    def here(self, _task: object, _following: object) -> Made:
        """What computes on this machine."""
        device = torch.device(self._setup.device)
        return {
            "machine": machine_name(device),
            "device": device.type,
            "torch": str(torch.__version__),
        }

    def model(self, task: ModelTask, following: ModelTask | None) -> tuple[Any, Any, Made]:
        """Exact outputs by data set, what screening makes of them, and how they were computed."""
        self._use(task.made)
        self._prefetch(task, following)
        return (*self._model(task.model), self._as_made())

    def pair(self, task: PairTask, following: PairTask | None) -> tuple[MeasuredPair, Made]:
        """The points of a pair that its gap needs, and how they were computed."""
        experiment, path = self._setup.experiment, self._setup.experiment.config.path
        self._use(task.made)
        self._make_room(task.models[0])
        self._prefetch(task, following)
        geometry, controls = self._way(task.models)
        coefficients = geometry.coefficients()

        def run(points: list[int], precision: Precision) -> Outputs:
            return self._run(task.models, coefficients[points], precision, controls)

        measured = measure_pair(
            run,
            task.ends,
            Line(path.points).positions,
            dataset=experiment.gap_dataset,
            rule=experiment.config.analysis.rule,
            tolerance=path.tolerance,
            formats=(task.made["exact"], task.made["fast"] if task.error >= 0 else None),
            smoothness=task.smoothness,
            error=task.error,
        )
        return measured, self._as_made()

    def capacity(self, task: ModelTask, _following: object) -> int:
        """How many checkpoints are kept."""
        self._use(task.made)
        self._make_room(task.model)
        return self._cache.capacity(self._population.checkpoints[0])

    def evaluate(
        self, anchors: Sequence[Mapping[str, torch.Tensor]], coefficients: np.ndarray, made: Made
    ) -> Outputs:
        """Outputs by data set at any points, as exact as the numbers that are reported."""
        self._use(made)
        return self._evaluator.evaluate(anchors, coefficients, precision=made["exact"])

    def _open(self, tokens: int) -> None:
        """The evaluator of all data sets in batches of so many tokens, and an empty cache."""
        experiment = self._setup.experiment
        first = self._population.checkpoints[0]
        tokenizer = load_tokenizer(first)
        length = experiment.config.evaluate.max_length
        batches = {
            data.name: make_batches(tokenize(tokenizer, data, length), tokens)
            for _, data in experiment.examples
        }
        model = build_model(first, logits_only=True)
        table = token_table(model)
        rows = {table: used_tokens(batches.values())} if table else {}
        self._evaluator = Evaluator(
            model,
            batches,
            device=self._setup.device,
            transform={
                data.name: collapse(data.classes, experiment.task.collapse)
                for _, data in experiment.examples
            },
            rows=rows,
            n_points=self._setup.n_points,
        )
        self._cache = WeightCache(0, self._evaluator.device, rows)

    def _use(self, made: Made) -> None:
        """Compute as is said, whatever would be faster here."""
        if self._made is not None and made["tokens"] == self._made["tokens"]:
            known = self._made["plans"]
        else:
            known = {}
            self._open(made["tokens"])
        if self._evaluator.device.type == "cpu" and torch.get_num_threads() != made["threads"]:
            torch.set_num_threads(made["threads"])
        for precision, plan in made["plans"].items():
            if known.get(precision) != plan:
                self._evaluator.use(Plan(**plan), precision)
        self._made = made

    def _as_made(self) -> Made:
        """What the task asked for, and where this machine departs from it."""
        assert self._made is not None
        halved = {"halved": True} if self._evaluator.was_halved() else {}
        return {**self._made, **self.here(None, None), **halved}

    def _model(self, model: int) -> tuple[Any, Any]:
        """One model's outputs, and what screening makes of them."""
        assert self._made is not None
        one, fast = np.ones((1, 1)), self._made["fast"]
        result = self._run([model], one, self._made["exact"])
        self._has_run = True
        outputs = {name: (r.losses[0], r.predictions[0]) for name, r in result.items()}
        if fast is None:
            return outputs, None
        screened = {
            name: (
                float(r.losses[0].mean(dtype=np.float64)),
                float(np.abs(r.losses - result[name].losses).max()),
            )
            for name, r in self._run([model], one, fast).items()
        }
        return outputs, screened

    def _run(
        self,
        models: Sequence[int],
        coefficients: np.ndarray,
        precision: Precision,
        between: Sequence[Mapping[str, torch.Tensor]] = (),
    ) -> Outputs:
        first, *last = (self._weights(i) for i in models)
        return self._evaluator.evaluate([first, *between, *last], coefficients, precision)

    def _weights(self, model: int) -> Mapping[str, torch.Tensor]:
        return self._cache.get(self._population.checkpoints[model])

    def _prefetch(self, task: ModelTask | PairTask, following: ModelTask | PairTask | None) -> None:
        if following is not None:
            # those in use first, so that they are not the ones to make room
            models = (*task.models, *following.models)
            self._cache.prefetch(self._population.checkpoints[i] for i in models)

    def _way(self, pair: tuple[int, int]) -> tuple[Geometry, Sequence[Mapping[str, torch.Tensor]]]:
        """The way between two models, and its control points where it has some."""
        experiment, population = self._setup.experiment, self._population
        path = experiment.config.path
        if path.kind == "line":
            return Line(path.points), ()
        names = population.names[pair[0]], population.names[pair[1]]
        way = WayConfig(
            kind=path.kind,
            between=names,
            points=path.points,
            degree=path.degree,
            bends=path.bends,
            fit=path.fit,
        )
        recipe = {"way": way.model_dump(mode="json"), "between": list(names)}
        folder = experiment.out / "paths" / "--".join(name.replace("/", "_") for name in names)
        geometry, controls, notes = trained_controls(
            way, pair, folder, recipe, experiment, population, self._report
        )
        if not notes["converged"]:
            self._report(f"{folder.name}: the training loss still fell at the end")
        return geometry, controls

    def _make_room(self, model: int) -> None:
        """Let the cache have the memory that is left."""
        if not self._has_run:  # what a point needs in memory has to show before it is counted
            self._model(model)
        if self._cache.budget == 0:
            self._cache.budget = self._room()

    def _room(self) -> int:
        """Bytes for checkpoints: the budget less what the process has needed at its peak so far.

        Raises:
            ConfigError: The budget has no room for the two checkpoints of a pair.
        """
        budget, device = self._setup.experiment.config.evaluate.memory_budget, self._cache.device
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // self._setup.share
        if device.type == "cuda":
            total = torch.cuda.get_device_properties(device).total_memory
            used = torch.cuda.max_memory_reserved(device)
        else:
            used = peak_memory()
        each = self._cache.n_bytes(self._population.checkpoints[0])
        # what the two checkpoints kept so far take is in the peak already
        room = (budget or total // 2) - used + 2 * each
        if budget is not None and room < 2 * each:
            raise ConfigError(
                "The memory budget is too small.",
                where="evaluate.memory_budget",
                expected=f"at least {used / 1e9:.2f} GB",
                found=f"{budget / 1e9:.2f} GB",
                fix="raise it, or lower evaluate.token_budget",
            )
        return room


def peak_memory() -> int:
    """The most bytes that this process has had resident, as the operating system counts."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage's count begins with that of the process that started this one
        line = next((one for one in status.read_text().splitlines() if one.startswith("VmHWM")), "")
        if line:
            return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
