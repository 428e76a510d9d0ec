"""Fill a store: every model, then every pair, each point in the format that its use needs."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from landscape.batches import make_batches, tokenize, used_tokens
from landscape.checkpoints import (
    Population,
    WeightCache,
    build_model,
    load_tokenizer,
    token_table,
)
from landscape.config import WayConfig
from landscape.errors import ConfigError
from landscape.evaluation import Evaluation, Evaluator
from landscape.geometry import Geometry, Line
from landscape.inputs import Experiment
from landscape.logits import collapse
from landscape.measurement.active import measure_actively
from landscape.measurement.adaptive import PILOT_PAIRS, Smoothness, learn_smoothness, refine
from landscape.measurement.ways import trained_controls
from landscape.progress import bar
from landscape.store import FORMATS, StoreWriter

if TYPE_CHECKING:
    from landscape.evaluation.engine import Precision

Report = Callable[[str], None]
Outputs = dict[str, Evaluation]
Run = Callable[..., Outputs]

_SAFETY = 3.0  # times the largest difference between the formats seen so far


def fill(
    experiment: Experiment, population: Population, writer: StoreWriter, report: Report
) -> Callable[..., Outputs]:
    """Measure every model and every pair that the store does not hold yet.

    Returns:
        From anchors and coefficients to outputs, as exact as the numbers that are reported.
    """
    config = experiment.config
    device = config.evaluate.device or ("cuda" if torch.cuda.is_available() else "cpu")
    models, pairs = writer.models_to_measure(), writer.pairs_to_measure()
    n_points = len(models) + len(pairs) * (config.path.points - 2)
    n_points += sum(way.points for way in config.ways) + sum(s.points**2 for s in config.surface)
    evaluator, rows = _evaluator(experiment, population, device, n_points)
    with WeightCache(0, device, rows) as cache:

        def run(
            models: Sequence[int],
            coefficients: np.ndarray,
            precision: Precision,
            between: Sequence[Mapping[str, torch.Tensor]] = (),
        ) -> Outputs:
            first, *last = (cache.get(population.checkpoints[i]) for i in models)
            return evaluator.evaluate([first, *between, *last], coefficients, precision)

        exact, fast = _formats(config.evaluate.precision, evaluator, cache, population, report)
        if not len(models):  # what a point needs in memory has to show before it is counted
            _model(run, 0, exact, fast)
        for i in bar(models.tolist(), "model"):
            writer.write_model(i, *_model(run, i, exact, fast))
        _suspect(experiment, population.names, writer, report)
        cache.budget = _room(config.evaluate.memory_budget, cache, population)
        _pairs(experiment, population, writer, run, cache, (exact, fast), report)
    return partial(evaluator.evaluate, precision=exact)


def _evaluator(
    experiment: Experiment, population: Population, device: str, n_points: int
) -> tuple[Evaluator, dict[str, np.ndarray]]:
    """The evaluator of all data sets, and the rows of the token table that they use."""
    settings = experiment.config.evaluate
    first = population.checkpoints[0]
    tokenizer = load_tokenizer(first)
    encoded = {
        data.name: tokenize(tokenizer, data, settings.max_length) for _, data in experiment.examples
    }
    model = build_model(first, logits_only=True)

    def evaluator(token_budget: int) -> tuple[Evaluator, dict[str, np.ndarray]]:
        batches = {name: make_batches(tokens, token_budget) for name, tokens in encoded.items()}
        table = token_table(model)
        rows = {table: used_tokens(batches.values())} if table else {}
        transform = {
            data.name: collapse(data.classes, experiment.task.collapse)
            for _, data in experiment.examples
        }
        return (
            Evaluator(
                model, batches, device=device, transform=transform, rows=rows, n_points=n_points
            ),
            rows,
        )

    if settings.token_budget is not None:
        return evaluator(settings.token_budget)
    made = evaluator(2048)
    precision = "fp32" if settings.precision == "auto" else settings.precision
    best = made[0].plan([first.params], precision).tokens
    return made if best == 2048 else evaluator(best)


def _formats(
    precision: str,
    evaluator: Evaluator,
    cache: WeightCache,
    population: Population,
    report: Report,
) -> tuple[Precision, Precision | None]:
    """The format of reported numbers, and the one to screen in."""
    if precision != "auto":
        return precision, None  # type: ignore[return-value]
    fast = evaluator.fast_precision([cache.get(population.checkpoints[0])])
    report(
        f"precision: {fast} to screen, fp32 for what decides a gap"
        if fast
        else "precision: fp32 throughout; no other format is clearly faster on this machine"
    )
    return "fp32", fast


def _model(run: Run, model: int, exact: Precision, fast: Precision | None) -> tuple[Any, Any]:
    """One model's outputs, and what screening makes of them."""
    one = np.ones((1, 1))
    result = run([model], one, exact)
    outputs = {name: (r.losses[0], r.predictions[0]) for name, r in result.items()}
    if fast is None:
        return outputs, None
    screened = {
        name: (
            float(r.losses[0].mean(dtype=np.float64)),
            float(np.abs(r.losses - result[name].losses).max()),
        )
        for name, r in run([model], one, fast).items()
    }
    return outputs, screened


def _pairs(
    experiment: Experiment,
    population: Population,
    writer: StoreWriter,
    run: Run,
    cache: WeightCache,
    formats: tuple[Precision, Precision | None],
    report: Report,
) -> None:
    def measure(rows: np.ndarray) -> None:
        _rows(experiment, population, writer, run, cache, formats, report, rows)

    if experiment.config.pairs == "active":
        measure_actively(experiment, writer, measure, report)
    else:
        measure(writer.pairs_to_measure())


def _rows(
    experiment: Experiment,
    population: Population,
    writer: StoreWriter,
    run: Run,
    cache: WeightCache,
    formats: tuple[Precision, Precision | None],
    report: Report,
    rows: np.ndarray,
) -> None:
    """Measure these pairs."""
    path, rule = experiment.config.path, experiment.config.analysis.rule
    dataset = experiment.gap_dataset
    pairs, positions = writer.pairs(), Line(path.points).positions
    pilot = _pilot(experiment, len(pairs))
    capacity = cache.capacity(population.checkpoints[0])
    order = _order(pairs, rows, pilot if path.adaptive else [], capacity)
    ends = writer.model_losses(dataset).mean(1, dtype=np.float64)
    smoothness = None
    off = writer.screening_error(dataset)
    if not np.isfinite(off):  # models that were not screened: there is no error to go by
        formats = formats[0], None
    for place, k in enumerate(bar(order, "pair")):
        if path.adaptive and k not in pilot and smoothness is None:
            curves = writer.curves(dataset, pilot)
            curves = curves[np.isfinite(curves).all(1)]
            if len(curves) > 1:  # else each pair is evaluated on the whole grid
                smoothness = learn_smoothness(curves, positions, rule)
        for following in order[place + 1 : place + 2]:
            # those in use first, so that they are not the ones to make room
            cache.prefetch(population.checkpoints[i] for i in (*pairs[k], *pairs[following]))
        geometry, controls = _way(experiment, population, pairs[k].tolist(), report)
        measured = measure_pair(
            partial(_at, run, pairs[k].tolist(), geometry.coefficients(), controls),
            ends[pairs[k]],
            positions,
            dataset=dataset,
            rule=rule,
            tolerance=path.tolerance,
            formats=formats,
            smoothness=smoothness,
            error=_SAFETY * off,  # NaN, and not used, without screening
        )
        off = np.fmax(off, measured.largest_error(dataset))
        writer.write_pair(
            k,
            measured.outputs,
            formats=measured.formats,
            tolerance=measured.tolerance,
            screened=measured.screened,
        )


def _pilot(experiment: Experiment, n_pairs: int) -> list[int]:
    """Rows that are evaluated on the whole grid, to learn from: the first chosen, or all over."""
    if experiment.config.pairs == "active":
        return list(range(min(PILOT_PAIRS, n_pairs)))
    return np.unique(np.linspace(0, n_pairs - 1, PILOT_PAIRS).astype(int)).tolist()


def _way(
    experiment: Experiment, population: Population, pair: list[int], report: Report
) -> tuple[Geometry, Sequence[Mapping[str, torch.Tensor]]]:
    """The way between two models, and its control points where it has some."""
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
        way, pair, folder, recipe, experiment, population, report
    )
    if not notes["converged"]:
        report(f"{folder.name}: the training loss still fell at the end")
    return geometry, controls


def _at(
    run: Run,
    pair: list[int],
    coefficients: np.ndarray,
    controls: Sequence[Mapping[str, torch.Tensor]],
    points: list[int],
    precision: Precision,
) -> Outputs:
    return run(pair, coefficients[points], precision, controls)


def measure_pair(
    run: Callable[[list[int], Precision], Outputs],
    ends: np.ndarray,
    positions: np.ndarray,
    *,
    dataset: str,
    rule: str,
    tolerance: float,
    formats: tuple[Precision, Precision | None] = ("fp32", None),
    smoothness: Smoothness | None = None,
    error: float = 0.0,
) -> MeasuredPair:
    """Evaluate the points of one pair that its gap needs.

    Args:
        run: From the indices of grid points and a number format to outputs by data set.
        ends: (2,) mean losses of the two models on ``dataset``, nats.
        positions: (n_points,).
        dataset: Whose losses make the gap.
        rule: The gap's barrier rule.
        tolerance: Nats by which the gap may be too low.
        formats: Of reported numbers, and the one to screen in, where there is one.
        smoothness: Learnt from complete pairs; without it every point is evaluated.
        error: Nats, how far a screened mean loss may be off; raised when one is further off.
    """
    points = _Points(run, len(positions), dataset, *formats)
    if formats[1] is None and smoothness is None:
        points(range(1, len(positions) - 1), True)
        return points.measured(0.0)
    while True:
        refined = refine(
            points,
            ends,
            positions,
            rule=rule,
            tolerance=tolerance,
            smoothness=smoothness,
            error=None if formats[1] is None else error,
        )
        twice = np.isfinite(refined.exact) & np.isfinite(refined.screened)
        off = np.abs(refined.exact - refined.screened)[twice].max(initial=0.0)
        if formats[1] is None or off <= error:
            return points.measured(refined.tolerance)
        error = _SAFETY * float(off)  # further off than thought: again, with what is known by now


@dataclass(frozen=True)
class MeasuredPair:
    """A pair's inner points.

    Attributes:
        outputs: By data set, losses in nats (NaN where not evaluated) and predictions, each
            (n_points - 2, n_examples).
        screened: By data set, mean losses in the fast format and the largest difference of an
            example's loss between the formats, each (n_points - 2,), NaN where there is none.
        formats: (n_points - 2,) codes in ``store.FORMATS``.
        tolerance: Nats by which the gap may be too low.
    """

    outputs: dict[str, tuple[np.ndarray, np.ndarray]]
    screened: dict[str, tuple[np.ndarray, np.ndarray]]
    formats: np.ndarray
    tolerance: float

    def largest_error(self, dataset: str) -> float:
        """Nats, of a screened mean loss where it is known exactly too; 0 where none is."""
        means, differences = self.screened[dataset]
        twice = np.isfinite(differences)
        exact = self.outputs[dataset][0][twice].mean(1, dtype=np.float64)
        return float(np.abs(means[twice] - exact).max(initial=0.0))


class _Points:
    """Evaluates points as they are asked for, and keeps what came out."""

    def __init__(
        self,
        run: Callable[[list[int], Precision], Outputs],
        n_points: int,
        dataset: str,
        exact: Precision,
        fast: Precision | None,
    ) -> None:
        self._run, self._dataset, self._exact, self._fast = run, dataset, exact, fast
        self._formats = np.zeros(n_points - 2, dtype=np.uint8)
        self._outputs: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._screened: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._known: dict[tuple[int, str], float] = {}

    def __call__(self, points: Sequence[int], exact: bool) -> np.ndarray:
        """Mean losses (n_points,) of these points on the data set that makes the gap."""
        precision = self._exact if exact or self._fast is None else self._fast
        if missing := [point for point in points if (point, precision) not in self._known]:
            self._evaluate(missing, precision)
        return np.array([self._known[point, precision] for point in points])

    def _evaluate(self, points: list[int], precision: Precision) -> None:
        outputs = self._run(points, precision)
        inner = np.array(points) - 1
        for name, result in outputs.items():
            if name not in self._outputs:
                shape = (len(self._formats), result.losses.shape[1])
                self._outputs[name] = np.full(shape, np.nan, "f4"), np.full(shape, 255, "u1")
                self._screened[name] = np.full(shape[0], np.nan), np.full(shape[0], np.nan)
            losses, predictions = self._outputs[name]
            means, differences = self._screened[name]
            if precision == self._fast:
                means[inner] = result.losses.mean(1, dtype=np.float64)
            else:
                differences[inner] = np.abs(result.losses - losses[inner]).max(1)
            losses[inner], predictions[inner] = result.losses, result.predictions
        self._formats[inner] = FORMATS.index(precision)
        means = outputs[self._dataset].losses.mean(1, dtype=np.float64)
        self._known |= {(p, precision): float(m) for p, m in zip(points, means, strict=True)}

    def measured(self, tolerance: float) -> MeasuredPair:
        return MeasuredPair(self._outputs, self._screened, self._formats, tolerance)


def _order(pairs: np.ndarray, left: np.ndarray, pilot: Sequence[int], capacity: int) -> list[int]:
    """Pairs that are left: the pilot first, then so that checkpoints are read few times."""
    first = [k for k in left.tolist() if k in pilot]
    rest = np.array([k for k in left.tolist() if k not in pilot], dtype=np.int64)
    return [*first, *rest[tiled(pairs[rest], capacity)].tolist()]


def tiled(pairs: np.ndarray, capacity: int) -> np.ndarray:
    """An order of pairs in which a cache of ``capacity`` models is read few times.

    Pairs are taken block by block of half the capacity, so that each model is read about
    n_models / (capacity / 2) times instead of once a pair.
    """
    block = max(1, capacity // 2)
    return np.lexsort((pairs[:, 1], pairs[:, 0], pairs[:, 1] // block, pairs[:, 0] // block))


def _room(budget: int | None, cache: WeightCache, population: Population) -> int:
    """Bytes for checkpoints: the budget less what the process has needed at its peak so far.

    Raises:
        ConfigError: The budget has no room for the two checkpoints of a pair.
    """
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if cache.device.type == "cuda":
        total = torch.cuda.get_device_properties(cache.device).total_memory
        used = torch.cuda.max_memory_reserved(cache.device)
    else:
        used = peak_memory()
    each = cache.n_bytes(population.checkpoints[0])
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


def _suspect(
    experiment: Experiment, names: Sequence[str], writer: StoreWriter, report: Report
) -> None:
    """Warn of a checkpoint whose labels look permuted on an in-domain set."""
    from landscape.checkpoints.labels import suspect_labels

    for role, data in experiment.examples:
        if role != "in_domain":
            continue
        for name, predictions in zip(names, writer.model_predictions(data.name), strict=True):
            found = suspect_labels(predictions, data.labels, len(data.label_names))
            if found is not None:
                report(f"warning: {name} on {data.name}: {found.advice(data.label_names)}")
