"""Every model, then every pair, wherever the workers are; this process writes the records."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from landscape.analysis.basins.active import find_basins_actively, gaps_and_errors
from landscape.checkpoints.labels import suspect_labels
from landscape.core.progress import counted
from landscape.evaluation.compute_plan import ComputePlan
from landscape.paths import Line
from landscape.records import FORMATS, RunFolder
from landscape.records.collect import done_pairs
from landscape.records.folder import indices, model_name, pair_name, tile_of
from landscape.run.executors import Executor, first, stream
from landscape.run.inputs import Experiment
from landscape.run.measure.adaptive import PILOT_PAIRS, Smoothness, learn_smoothness
from landscape.run.measure.measurement import Measurement, write_measurements
from landscape.run.measure.pair import SAFETY
from landscape.run.measure.worker import Task, Worker

Report = Callable[[str], None]
Pair = tuple[int, int]


@dataclass(frozen=True)
class PairCurve:
    """The losses on a pair's path, of the data set that makes the gap, nats.

    Means, (n_points,), are exact where a point is, else screened, NaN where not evaluated;
    ``screened`` are those in the fast format; ``examples`` (n_points, n_examples) are single ones.
    """

    losses: np.ndarray
    exact: np.ndarray
    screened: np.ndarray
    examples: np.ndarray = field(repr=False)


@dataclass
class Measuring:
    """Hands out models and pairs, and keeps what comes back; a snapshot between the jobs."""

    experiment: Experiment
    names: Sequence[str]
    folder: RunFolder
    executor: Executor
    plan: ComputePlan
    report: Report
    snapshot: Callable[[], None] = lambda: None

    def models(self, needed: Iterable[int]) -> None:
        """Measure models, and warn of labels that look permuted."""
        done = {
            index
            for name in self.folder.names("models", self.experiment.indicators_at("models"))
            for index in indices(name)
        }
        tasks = [Task((model,), self.plan) for model in sorted(set(needed) - done)]
        indicators = self.experiment.indicators_at("models")
        for index, (measurement, plan) in self._results(Worker.model, tasks, "model"):
            path = f"models/{model_name(*tasks[index].models)}"
            write_measurements(self.folder, {path: measurement}, plan, indicators)
        self._losses = {indices(r.paths[0])[0]: r for r in self.folder.read("models")}
        self._suspect()

    def _results(
        self, call: Callable[..., object], tasks: list[Task], what: str
    ) -> Iterable[tuple[int, tuple[Measurement, ComputePlan]]]:
        def name(task: Task) -> str:
            return f"{what} {' and '.join(map(str, task.models))}"

        results = stream(self.executor, call, tasks, name=name, report=self.report)
        return counted(results, len(tasks), what)

    def _suspect(self) -> None:
        """Warn of a checkpoint whose labels look permuted on an in-domain set."""
        for role, data in self.experiment.examples:
            if role != "in_domain":
                continue
            for model, record in sorted(self._losses.items()):
                predictions = record.arrays[f"{data.name}/predictions"][0]
                suspicion = suspect_labels(predictions, data.labels, len(data.label_names))
                if suspicion is not None:
                    advice = suspicion.advice(data.label_names)
                    self.report(f"warning: {self.names[model]} on {data.name}: {advice}")

    def pairs(self, pairs: Sequence[Pair], pilot: Sequence[Pair]) -> None:
        """Measure those of the pairs that have no records: those of the pilot first."""
        path = self.experiment.config.all_pairs
        learns = path.adaptive or self.plan.fast is not None
        whole = set(pilot) if learns else set()
        done = done_pairs(self.folder, self.experiment.indicators_at("pairs"))
        left = [pair for pair in pairs if pair not in done]
        self._measure([pair for pair in left if pair in whole], None, self._error([]))
        rest = np.array([pair for pair in left if pair not in whole], dtype=np.int64)
        if len(rest):
            task = Task((int(rest[0, 0]),), self.plan)
            rest = rest[tiled(rest, first(self.executor, Worker.capacity, task))]
            others = [(int(i), int(j)) for i, j in rest]
            self._measure(others, self._smoothness(sorted(whole)), self._error(sorted(whole)))

    def _measure(self, pairs: list[Pair], smoothness: Smoothness | None, error: float) -> None:
        dataset, n_models = self.experiment.gap_dataset, len(self.names)
        ends = {
            model: record.arrays[f"{dataset}/losses"][0].mean(dtype=np.float64)
            for model, record in self._losses.items()
        }
        tasks = [
            Task((i, j), self.plan, np.array([ends[i], ends[j]]), smoothness, error)
            for i, j in pairs
        ]
        jobs = {pair: tile_of(*pair, n_models) or _path_of(pair) for pair in pairs}
        left = Counter(jobs.values())
        measurements: dict[str, dict[Pair, Measurement]] = defaultdict(dict)
        indicators = self.experiment.indicators_at("pairs")
        for index, (measurement, plan) in self._results(Worker.pair, tasks, "pair"):
            pair = pairs[index]
            job = jobs[pair]
            measurements[job][pair] = measurement
            left[job] -= 1
            if not left[job]:
                of_job = {_path_of(pair): m for pair, m in sorted(measurements.pop(job).items())}
                write_measurements(self.folder, of_job, plan, indicators, job)
                self.snapshot()

    def curve(self, pair: Pair) -> PairCurve | None:
        """What the records hold of a pair; None where it is not measured."""
        dataset = self.experiment.gap_dataset
        n_models = len(self.names)
        name = tile_of(*pair, n_models) or _path_of(pair)
        if not (self.folder.records / f"{name}.loss.npz").is_file():
            return None
        record = self.folder.record(name)
        rows = record.path == record.paths.index(_path_of(pair))
        n = self.experiment.config.all_pairs.points
        ends = [self._losses[model].arrays for model in pair]
        shape = (n, ends[0][f"{dataset}/losses"].shape[1])
        examples, screened = np.full(shape, np.nan, np.float32), np.full(n, np.nan)
        formats = np.zeros(n, dtype=np.uint8)
        for place, end in zip((0, -1), ends, strict=True):
            examples[place] = end[f"{dataset}/losses"][0]
            screened[place], formats[place] = end[f"{dataset}/screened"][0], end["format"][0]
        if rows.any():
            point = record.point[rows]
            examples[point] = record.arrays[f"{dataset}/losses"][rows]
            screened[point] = record.arrays[f"{dataset}/screened"][rows]
            formats[point] = record.arrays["format"][rows]
        full = {FORMATS.index(name) for name in ("fp32", "fp64", self.plan.exact)}
        exact = np.isin(formats, list(full))
        return PairCurve(examples.mean(1, dtype=np.float64), exact, screened, examples)

    def _smoothness(self, pilot: Sequence[Pair]) -> Smoothness | None:
        path, rule = self.experiment.config.all_pairs, self.experiment.config.analysis.rule
        if not path.adaptive:
            return None
        curves = [curve.losses for pair in pilot if (curve := self.curve(pair)) is not None]
        curves = [losses for losses in curves if np.isfinite(losses).all()]
        if len(curves) < 2:  # each pair is evaluated on the whole grid
            return None
        return learn_smoothness(np.array(curves), Line(path.points).positions, rule)

    def _error(self, pilot: Sequence[Pair]) -> float:
        """Nats that a screened mean loss may be off by; NaN where nothing was screened.

        Of models and pilot pairs alone, so that it does not hang on the order of the others.
        """
        if self.plan.fast is None:
            return np.nan
        dataset = self.experiment.gap_dataset
        differences = [
            record.arrays[f"{dataset}/screened"]
            - record.arrays[f"{dataset}/losses"].mean(axis=1, dtype=np.float64)
            for record in self._losses.values()
        ]
        for curve in filter(None, map(self.curve, pilot)):
            both = curve.exact & np.isfinite(curve.screened)
            differences.append(curve.screened[both] - curve.losses[both])
        sizes = np.abs(np.concatenate(differences))
        sizes = sizes[np.isfinite(sizes)]
        return SAFETY * float(sizes.max()) if len(sizes) else np.nan

    def actively(self) -> None:
        """Measure the pairs that decide something, until the basins are or the budget is spent.

        What is measured is read, not measured again: the questions depend on the answers and a
        seed alone, so that a run that was stopped asks the same ones again and goes on.
        """
        config = self.experiment.config
        positions = Line(config.all_pairs.points).positions
        chosen: list[Pair] = []

        def answer(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            now = [(int(i), int(j)) for i, j in np.sort(pairs, axis=1)]
            chosen.extend(pair for pair in now if pair not in chosen)
            self.pairs(now, chosen[:PILOT_PAIRS])
            curves = [curve for pair in now if (curve := self.curve(pair)) is not None]
            losses = np.array([curve.examples for curve in curves])
            exact = np.array([curve.exact for curve in curves])
            return gaps_and_errors(losses, config.analysis.rule, positions, exact)

        decided = find_basins_actively(
            len(self.names),
            answer,
            budget=config.pairs_budget,
            tolerance=config.analysis.tolerance,
            rng=config.analysis.seed,
        )
        self.report(decided.sentence(self.names))


def pilot_of(pairs: Sequence[Pair]) -> list[Pair]:
    """Those of all pairs that are evaluated on the whole grid, to learn from: from all over."""
    places = np.unique(np.linspace(0, len(pairs) - 1, PILOT_PAIRS).astype(int))
    return [pairs[place] for place in places]


def tiled(pairs: np.ndarray, capacity: int) -> np.ndarray:
    """An order of pairs in which a cache of ``capacity`` models is read few times.

    Pairs are taken block by block of half the capacity, so that each model is read about
    n_models / (capacity / 2) times instead of once a pair.
    """
    block = max(1, capacity // 2)
    return np.lexsort((pairs[:, 1], pairs[:, 0], pairs[:, 1] // block, pairs[:, 0] // block))


def _path_of(pair: Pair) -> str:
    return f"pairs/{pair_name(*pair)}"
