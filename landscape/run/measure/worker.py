"""What measures models and pairs, wherever it runs: checkpoints, batches, and how it computes."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

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
from landscape.evaluation import Evaluation, Evaluator, machine_name
from landscape.evaluation.compute_plan import ComputePlan, Machine
from landscape.indicators import Reading
from landscape.indicators.loss import Loss
from landscape.indicators.registry import Place
from landscape.paths import Line
from landscape.paths.kinds import Part
from landscape.paths.kinds.registry import Params
from landscape.run.inputs import Experiment
from landscape.run.measure.adaptive import Smoothness
from landscape.run.measure.control_points import trained_controls
from landscape.run.measure.pair import MeasuredPair, Quantities, measure_pair
from landscape.run.measure.unchanged import held_to
from landscape.tasks.batches import make_batches, tokenize, used_tokens
from landscape.tasks.logits import collapse

if TYPE_CHECKING:
    from landscape.evaluation.engine import Precision

Report = Callable[[str], None]
Outputs = dict[str, Evaluation]

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
    """Which model to measure, and how; ``plan`` decides, whichever worker it is."""

    model: int
    plan: ComputePlan = field(repr=False)

    @property
    def models(self) -> tuple[int, ...]:
        """Whose checkpoints are needed."""
        return (self.model,)


@dataclass(frozen=True)
class PairTask:
    """Which pair to measure, and how.

    Attributes:
        models: The two.
        ends: (2,) their mean losses on the data set that makes the gap, nats.
        plan: As in ``ModelTask``.
        smoothness: What is assumed between points; without it every point is evaluated.
        error: Nats, how far a screened mean loss may be off; NaN where none is screened.
    """

    models: tuple[int, int]
    ends: np.ndarray = field(repr=False)
    plan: ComputePlan = field(repr=False)
    smoothness: Smoothness | None = field(default=None, repr=False)
    error: float = np.nan


@dataclass(frozen=True)
class MeasuredModel:
    """A model's outputs.

    Attributes:
        arrays: By indicator, arrays with one point.
        screened: By data set, the mean loss in the fast format and the largest difference of an
            example's loss to the exact one, nats.
        plan: How they were computed.
    """

    arrays: Quantities
    screened: dict[str, tuple[float, float]]
    plan: ComputePlan


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
        self._plan: ComputePlan | None = None
        self._has_run = False

    def close(self) -> None:
        """Leave torch as it was."""
        torch.set_num_threads(self._threads)
        if self._plan is not None:
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

    def propose(self, _task: object, _following: object) -> ComputePlan:
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

    def model(self, task: ModelTask, following: ModelTask | None) -> MeasuredModel:
        """A model's outputs."""
        self._use(task.plan)
        self._prefetch(task, following)
        return self._model(task.model)

    def pair(self, task: PairTask, following: PairTask | None) -> tuple[MeasuredPair, ComputePlan]:
        """The points of a pair that its gap needs, and how they were computed."""
        experiment, path = self._setup.experiment, self._setup.experiment.config.all_pairs
        self._use(task.plan)
        self._make_room(task.models[0])
        self._prefetch(task, following)
        coefficients, controls = self._path(task.models)

        def run(points: list[int], precision: Precision) -> Outputs:
            return self._run(task.models, coefficients[points], precision, controls)

        measured = measure_pair(
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
        return measured, self._as_computed()

    def capacity(self, task: ModelTask, _following: object) -> int:
        """How many checkpoints are kept."""
        self._use(task.plan)
        self._make_room(task.model)
        return self._cache.capacity(self._population.checkpoints[0])

    def evaluate(
        self,
        anchors: Sequence[Mapping[str, torch.Tensor]],
        coefficients: np.ndarray,
        plan: ComputePlan,
    ) -> tuple[Quantities, ComputePlan]:
        """Indicators at any points, as exact as the numbers that are reported."""
        self._use(plan)
        outputs = self._evaluator.evaluate(anchors, coefficients, precision=plan.exact)
        return self._quantities(outputs, at="paths"), self._as_computed()

    def _quantities(self, outputs: Outputs, at: Place) -> Quantities:
        """All that is measured of these outputs, the losses first."""
        labels = {data.name: data.labels for _, data in self._setup.experiment.examples}
        quantities: Quantities = {}
        for indicator in (Loss(), *self._setup.experiment.config.indicators):
            if at in indicator.at:
                quantities[indicator.name] = {
                    f"{name}/{key}": value
                    for name, out in outputs.items()
                    for key, value in indicator.measure(
                        Reading(name, labels[name], out.logits, out.losses, out.predictions)
                    ).items()
                }
        return quantities

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

    def _use(self, plan: ComputePlan) -> None:
        """Compute as is said, whatever would be faster here."""
        current = self._plan.plans if self._plan and plan.tokens == self._plan.tokens else {}
        if not current:
            self._open(plan.tokens)
        if self._evaluator.device.type == "cpu" and torch.get_num_threads() != plan.threads:
            torch.set_num_threads(plan.threads)
        for precision, own in plan.plans.items():
            if current.get(precision) != own:
                self._evaluator.use(own, precision)
        self._plan = plan

    def _as_computed(self) -> ComputePlan:
        """What the task asked for, and where this machine departs from it."""
        assert self._plan is not None
        plan = self._plan.on(self.here(None, None))
        return replace(plan, halved=True) if self._evaluator.was_halved() else plan

    def _model(self, model: int) -> MeasuredModel:
        assert self._plan is not None
        vertex, fast = np.ones((1, 1)), self._plan.fast
        result = self._run([model], vertex, self._plan.exact)
        self._has_run = True
        screened = {}
        if fast is not None:
            screened = {
                name: (
                    float(r.losses[0].mean(dtype=np.float64)),
                    float(np.abs(r.losses - result[name].losses).max()),
                )
                for name, r in self._run([model], vertex, fast).items()
            }
        return MeasuredModel(self._quantities(result, "models"), screened, self._as_computed())

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

    def _prefetch(self, task: ModelTask | PairTask, following: ModelTask | PairTask | None) -> None:
        if following is not None:
            # those in use first, so that they are not the ones to make room
            models = (*task.models, *following.models)
            self._cache.prefetch(self._population.checkpoints[i] for i in models)

    def _path(self, pair: tuple[int, int]) -> tuple[np.ndarray, Sequence[Params]]:
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
