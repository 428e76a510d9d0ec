"""Fill a store: every model, then every pair, wherever the workers are; this process writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np

from landscape.checkpoints.labels import suspect_labels
from landscape.core.progress import counted
from landscape.paths import Line
from landscape.records.store import StoreWriter
from landscape.run.executors import Executor, stream
from landscape.run.inputs import Experiment
from landscape.run.measurement.active import measure_actively
from landscape.run.measurement.adaptive import PILOT_PAIRS, Smoothness, learn_smoothness
from landscape.run.measurement.crew import without_difference
from landscape.run.measurement.pair import SAFETY
from landscape.run.measurement.worker import Made, ModelTask, PairTask, Worker

Report = Callable[[str], None]


def fill(
    experiment: Experiment,
    names: Sequence[str],
    writer: StoreWriter,
    executor: Executor,
    made: Made,
    difference: float | None,
    report: Report,
) -> None:
    """Measure every model and every pair that the store does not hold yet.

    Args:
        experiment: What is measured.
        names: Of the models.
        writer: Of the experiment's store.
        executor: Whose workers measure.
        made: How they compute.
        difference: Nats, of what was computed in another way before.
        report: Takes a line at a time.
    """
    filling = _Filling(experiment, writer, executor, made, difference, report)
    filling.models()
    _suspect(experiment, names, writer, report)
    if experiment.config.pairs == "active":
        measure_actively(experiment, writer, filling.pairs, report)
    else:
        filling.pairs(writer.pairs_to_measure())


class _Filling:
    """Hands out models and pairs, and writes what comes back."""

    def __init__(
        self,
        experiment: Experiment,
        writer: StoreWriter,
        executor: Executor,
        made: Made,
        difference: float | None,
        report: Report,
    ) -> None:
        self._experiment, self._writer, self._executor = experiment, writer, executor
        self._made, self._difference, self._report = made, difference, report
        plans = enumerate(map(without_difference, writer.plans()))
        self._plans = {json.dumps(plan, sort_keys=True): index for index, plan in plans}

    def models(self) -> None:
        """Measure the models that the pairs need."""
        writer = self._writer
        needed = np.unique(writer.pairs())
        if self._experiment.config.pairs == "active":
            needed = np.arange(len(writer.model_losses(self._experiment.gap_dataset)))
        left = np.intersect1d(writer.models_to_measure(), needed).tolist()
        tasks = [ModelTask(model, self._made) for model in left]
        results = stream(
            self._executor,
            Worker.model,
            tasks,
            name=lambda task: f"model {task.model}",
            report=self._report,
        )
        for index, (outputs, screened, made) in counted(results, len(tasks), "model"):
            writer.write_model(left[index], outputs, screened, plan=self._plan(made))

    def pairs(self, rows: np.ndarray) -> None:
        """Measure these rows of the table: those that the others learn from first."""
        path, table = self._experiment.config.path, self._writer.pairs()
        learns = path.adaptive or self._made["fast"] is not None
        pilot = self._pilot(len(table)) if learns else []
        first = [row for row in rows.tolist() if row in pilot]
        self._measure(first, None, self._error([]))
        rest = np.array([row for row in rows.tolist() if row not in pilot], dtype=np.int64)
        if not len(rest):
            return
        rest = rest[tiled(table[rest], self._capacity(int(table[rest[0], 0])))]
        self._measure(rest.tolist(), self._smoothness(pilot), self._error(pilot))

    def _measure(self, rows: list[int], smoothness: Smoothness | None, error: float) -> None:
        writer, dataset = self._writer, self._experiment.gap_dataset
        table, losses = writer.pairs(), writer.model_losses(dataset)
        ends = losses.mean(1, dtype=np.float64)
        tasks = [
            PairTask(row, (int(i), int(j)), ends[[i, j]], self._made, smoothness, error)
            for row, (i, j) in zip(rows, table[rows], strict=True)
        ]
        results = stream(
            self._executor,
            Worker.pair,
            tasks,
            name=lambda task: f"the pair of models {task.models[0]} and {task.models[1]}",
            report=self._report,
        )
        for index, (measured, made) in counted(results, len(tasks), "pair"):
            writer.write_pair(
                rows[index],
                measured.outputs,
                formats=measured.formats,
                tolerance=measured.tolerance,
                screened=measured.screened,
                plan=self._plan(made),
            )

    def _capacity(self, model: int) -> int:
        """How many checkpoints a worker keeps."""
        found = stream(self._executor, Worker.capacity, [ModelTask(model, self._made)])
        return next(capacity for _, capacity in found)

    def _pilot(self, n_pairs: int) -> list[int]:
        """Rows that are evaluated on the whole grid, to learn from: the first, or all over."""
        if self._experiment.config.pairs == "active":
            return list(range(min(PILOT_PAIRS, n_pairs)))
        return np.unique(np.linspace(0, n_pairs - 1, PILOT_PAIRS).astype(int)).tolist()

    def _smoothness(self, pilot: Sequence[int]) -> Smoothness | None:
        path, rule = self._experiment.config.path, self._experiment.config.analysis.rule
        if not path.adaptive:
            return None
        curves = self._writer.curves(self._experiment.gap_dataset, pilot)
        curves = curves[np.isfinite(curves).all(1)]
        if len(curves) < 2:  # each pair is evaluated on the whole grid
            return None
        return learn_smoothness(curves, Line(path.points).positions, rule)

    def _error(self, pilot: Sequence[int]) -> float:
        """Nats that a screened mean loss may be off by; NaN where nothing was screened.

        Of models and pilot pairs alone, so that it does not hang on the order of the others.
        """
        if self._made["fast"] is None:
            return np.nan
        return SAFETY * self._writer.screening_error(self._experiment.gap_dataset, pilot)

    def _plan(self, made: Made) -> int:
        key = json.dumps(made, sort_keys=True)
        if key not in self._plans:
            known = self._difference is not None and made == self._made
            noted = {"difference": self._difference} if known else {}
            self._plans[key] = self._writer.add_plan({**made, **noted})
        return self._plans[key]


def _suspect(
    experiment: Experiment, names: Sequence[str], writer: StoreWriter, report: Report
) -> None:
    """Warn of a checkpoint whose labels look permuted on an in-domain set."""
    for role, data in experiment.examples:
        if role != "in_domain":
            continue
        predictions, losses = writer.model_predictions(data.name), writer.model_losses(data.name)
        for name, own, known in zip(names, predictions, np.isfinite(losses).any(1), strict=True):
            found = suspect_labels(own, data.labels, len(data.label_names)) if known else None
            if found is not None:
                report(f"warning: {name} on {data.name}: {found.advice(data.label_names)}")


def tiled(pairs: np.ndarray, capacity: int) -> np.ndarray:
    """An order of pairs in which a cache of ``capacity`` models is read few times.

    Pairs are taken block by block of half the capacity, so that each model is read about
    n_models / (capacity / 2) times instead of once a pair.
    """
    block = max(1, capacity // 2)
    return np.lexsort((pairs[:, 1], pairs[:, 0], pairs[:, 1] // block, pairs[:, 0] // block))
