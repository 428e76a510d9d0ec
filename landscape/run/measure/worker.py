"""What measures models and pairs, wherever it runs: checkpoints, batches, and how it computes."""

from __future__ import annotations

import os
import re
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from landscape.checkpoints import Population, WeightCache
from landscape.core.errors import ConfigError
from landscape.evaluation import machine_name
from landscape.evaluation.compute_plan import ComputePlan, Machine
from landscape.indicators.registry import Place
from landscape.paths import Line
from landscape.paths.kinds import Part
from landscape.paths.kinds.registry import Params
from landscape.run.inputs import TOKENS, Experiment
from landscape.run.measure.adaptive import Smoothness
from landscape.run.measure.control_points import trained_controls
from landscape.run.measure.measurement import (
    Measurement,
    Outputs,
    Quantities,
    compared,
    quantities_of,
)
from landscape.run.measure.pair import measure_pair
from landscape.run.provenance import refusing_changes

if TYPE_CHECKING:
    from landscape.evaluation.engine import Precision

Report = Callable[[str], None]


@dataclass(frozen=True)
class Setup:
    """What a worker is made from, anywhere that checkpoints and data can be read.

    Attributes:
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
        population = self.experiment.population(read_weights=False)
        return Worker(self, refusing_changes(population, self.fingerprints))


@dataclass(frozen=True)
class Task:
    """Which model, or two of a pair, to measure, and how, whichever worker it is.

    ``ends`` (2,) of a pair are mean losses on the data set that makes the gap, nats; the rest as in
    ``measure_pair``, ``error`` NaN where nothing is screened.
    """

    models: tuple[int, ...]
    plan: ComputePlan = field(repr=False)
    ends: np.ndarray = field(default_factory=lambda: np.full(2, np.nan), repr=False)
    smoothness: Smoothness | None = field(default=None, repr=False)
    error: float = np.nan


class Worker:
    """Evaluates models and pairs by a plan."""

    def __init__(self, setup: Setup, population: Population, report: Report | None = None) -> None:
        self._setup, self._population = setup, population
        self._report = report or partial(print, file=sys.stderr, flush=True)
        self._threads = torch.get_num_threads()
        self._plan: ComputePlan | None = None
        self._has_run = False

    def close(self) -> None:
        """Leave torch as it was."""
        torch.set_num_threads(self._threads)
        if self._plan is not None:
            self._cache.__exit__(None, None, None)

    def propose(self, _task: object, _following: object) -> ComputePlan:
        """How to compute on this machine: measured where that pays, else by default."""
        settings = self._setup.experiment.config.evaluate
        torch.set_num_threads(self._setup.threads or self._threads)
        self._open(settings.token_budget or TOKENS)
        first = self._population.checkpoints[0].params
        exact = settings.exact
        tokens = self._evaluator.plan([first], exact).tokens
        if settings.token_budget is None and tokens != TOKENS:
            self._open(tokens)
        first_weights = [self._weights(0)]
        is_auto = settings.precision == "auto"
        fast = self._evaluator.fast_precision(first_weights) if is_auto else None
        formats = (exact,) if fast is None else (exact, fast)
        self._plan = ComputePlan(
            **vars(self.here(None, None)),
            threads=torch.get_num_threads(),
            tokens=settings.token_budget or tokens,
            exact=exact,
            fast=fast,
            plans={name: self._evaluator.settle(first_weights, name) for name in formats},
        )
        return self._plan

    def here(self, _task: object, _following: object) -> Machine:
        """What computes on this machine."""
        device = torch.device(self._setup.device)
        return Machine(machine_name(device), device.type, str(torch.__version__))

    def model(self, task: Task, following: Task | None) -> tuple[Measurement, ComputePlan]:
        """A model's quantities, and how they were computed."""
        self._use(task.plan)
        self._prefetch(task, following)
        return self._model(task.models[0]), self._as_computed()

    def pair(self, task: Task, following: Task | None) -> tuple[Measurement, ComputePlan]:
        """The points of a pair that its gap needs, and how they were computed."""
        experiment, path = self._setup.experiment, self._setup.experiment.config.all_pairs
        self._use(task.plan)
        self._make_room(task.models[0])
        self._prefetch(task, following)
        coefficients, controls = self._path(task.models)

        def run(points: list[int], precision: Precision) -> Outputs:
            return self._run(task.models, coefficients[points], precision, controls)

        measurement = measure_pair(
            run,
            task.ends,
            Line(path.points).positions,
            dataset=experiment.gap_dataset,
            rule=experiment.config.analysis.rule,
            tolerance=path.tolerance,
            formats=(task.plan.exact, task.plan.fast if task.error >= 0 else None),
            smoothness=task.smoothness,
            error=task.error,
            quantities=partial(self._quantities, at="pairs"),
        )
        return measurement, self._as_computed()

    def capacity(self, task: Task, _following: object) -> int:
        """How many checkpoints are kept."""
        self._use(task.plan)
        self._make_room(task.models[0])
        return self._cache.capacity(self._population.checkpoints[0])

    def evaluate(
        self,
        anchors: Sequence[Mapping[str, torch.Tensor]],
        coefficients: np.ndarray,
        points: Sequence[int],
        plan: ComputePlan,
    ) -> tuple[Measurement, ComputePlan]:
        """Indicators at some points, as exact as the numbers that are reported."""
        self._use(plan)
        outputs = self._evaluator.evaluate(anchors, coefficients[points], precision=plan.exact)
        return self._measurement(outputs, points, plan.exact, "paths"), self._as_computed()

    def _quantities(self, outputs: Outputs, precision: Precision, at: Place) -> Quantities:
        indicators = self._setup.experiment.config.indicators
        chosen = [indicator for indicator in indicators if at in indicator.at]
        return quantities_of(outputs, precision, self._setup.experiment.examples, chosen)

    def _measurement(
        self, outputs: Outputs, points: Sequence[int], precision: Precision, at: Place
    ) -> Measurement:
        quantities = self._quantities(outputs, precision, at)
        places = np.array(points, dtype=np.int32)
        return Measurement(dict.fromkeys(quantities, places), quantities)

    def _open(self, tokens: int) -> None:
        """The evaluator of all data sets in batches of so many tokens, and an empty cache."""
        setup = self._setup
        self._evaluator = setup.experiment.evaluator(
            self._population.checkpoints[0],
            tokens=tokens,
            device=setup.device,
            n_points=setup.n_points,
        )
        self._cache = WeightCache(0, self._evaluator.device, self._evaluator.rows)

    def _use(self, plan: ComputePlan) -> None:
        """Compute as is said, whatever would be faster here."""
        current = self._plan.plans if self._plan and plan.tokens == self._plan.tokens else {}
        if not current:
            self._open(plan.tokens)
        if self._evaluator.device.type == "cpu" and torch.get_num_threads() != plan.threads:
            torch.set_num_threads(plan.threads)
        for precision, its_plan in plan.plans.items():
            if current.get(precision) != its_plan:
                self._evaluator.use(its_plan, precision)
        self._plan = plan

    def _as_computed(self) -> ComputePlan:
        """What the task asked for, and where this machine departs from it."""
        assert self._plan is not None
        plan = self._plan.on(self.here(None, None))
        return replace(plan, halved=True) if self._evaluator.was_halved() else plan

    def _model(self, model: int) -> Measurement:
        assert self._plan is not None
        vertex, fast = np.ones((1, 1)), self._plan.fast
        outputs = self._run([model], vertex, self._plan.exact)
        self._has_run = True
        measurement = self._measurement(outputs, [0], self._plan.exact, "models")
        if fast is not None:
            for name, out in self._run([model], vertex, fast).items():
                screened = out.losses.mean(1, dtype=np.float64)
                difference = np.abs(out.losses - outputs[name].losses).max(1)
                measurement.quantities["loss"] |= compared(name, screened, difference)
        return measurement

    def _run(
        self,
        models: Sequence[int],
        coefficients: np.ndarray,
        precision: Precision,
        between: Sequence[Params] = (),
    ) -> Outputs:
        first, *last = (self._weights(i) for i in models)
        return self._evaluator.evaluate([first, *between, *last], coefficients, precision)

    def _weights(self, model: int) -> Mapping[str, torch.Tensor]:
        return self._cache.get(self._population.checkpoints[model])

    def _prefetch(self, task: Task, following: Task | None) -> None:
        if following is not None:
            # those in use first, so that they are not the ones to make room
            models = (*task.models, *following.models)
            self._cache.prefetch(self._population.checkpoints[i] for i in models)

    def _path(self, pair: tuple[int, ...]) -> tuple[np.ndarray, Sequence[Params]]:
        """Coefficients of the path between two models, and its control points."""
        experiment, population = self._setup.experiment, self._population
        path = experiment.config.all_pairs
        names = [population.names[i] for i in pair]
        title = "--".join(name.replace("/", "_") for name in names)
        part = Part(title, pair)
        ends = [population.checkpoints[i].params for i in pair]
        controls: Sequence[Params] = []
        if path.trained:
            folder = experiment.out / "control_points" / "pairs" / title
            trained = trained_controls(path, part, folder, experiment, population, self._report)
            if not trained.notes["converged"]:
                self._report(f"{title}: the training loss still fell at the end")
            controls = trained.controls
        return path.span(ends, controls, part).coefficients(), controls

    def _make_room(self, model: int) -> None:
        """Let the cache have the memory that is left."""
        if not self._has_run:  # what a point needs in memory has to show before it is counted
            self._model(model)
        if self._cache.budget == 0:
            self._cache.budget = self._room()

    def _room(self) -> int:
        """Bytes for checkpoints: the budget less what the process has needed at its peak so far."""
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
    # getrusage's count begins with that of the process that started this one
    if status.is_file() and (match := re.search(r"VmHWM:\s*(\d+)", status.read_text())):
        return int(match[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
