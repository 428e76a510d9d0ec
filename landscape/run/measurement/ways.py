"""Ways between single pairs and surfaces through some models, measured beside the pairs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save
from torch import Tensor, nn

from landscape.analysis.gaps import largest_gap
from landscape.checkpoints import Population, build_model, load_tokenizer
from landscape.checkpoints.gram_matrix import gram
from landscape.core.errors import ConfigError, StoreError, require_known
from landscape.core.files import replacing
from landscape.core.progress import bar
from landscape.evaluation import Evaluation
from landscape.paths import Bezier, Line, PolyChain, arc_lengths, distances
from landscape.paths.layers import hybrid, parameter_groups
from landscape.records.store import Results, StoredPath, StoreWriter, read_store
from landscape.run.config import FitConfig, WayConfig
from landscape.run.inputs import Experiment
from landscape.tasks import load_examples, sample_examples
from landscape.tasks.batches import tokenize
from landscape.training import Fit, Neb, find_path, fit_curve
from landscape.training.loop import batch_rows
from landscape.training.trace import Convergence

Report = Callable[[str], None]
Anchors = Sequence[Mapping[str, Tensor]]
Evaluate = Callable[[Anchors, np.ndarray], dict[str, Evaluation]]


@dataclass(frozen=True)
class Plan:
    """Points that are about to be measured.

    Attributes:
        points: As a store keeps them, nothing evaluated.
        anchors: Tensors by name.
        coefficients: (n_points, n_anchors).
    """

    points: StoredPath
    anchors: Anchors
    coefficients: np.ndarray

    def in_memory(self) -> Plan:
        """With anchors that are not read from disk again at each point."""
        return replace(self, anchors=[dict(anchor) for anchor in self.anchors])


def way_name(way: WayConfig) -> str:
    """The way's own name, or its kind."""
    return way.name or way.kind


def measure_ways(
    experiment: Experiment,
    population: Population,
    writer: StoreWriter,
    evaluate: Evaluate,
    report: Report,
) -> None:
    """Fit and measure every way that the store does not hold whole yet.

    Args:
        experiment: Its ``ways``.
        population: The models.
        writer: A store whose pairs are all measured.
        evaluate: From anchors and coefficients to an Evaluation of each data set.
        report: Takes a line at a time.

    Raises:
        LandscapeError: Names that are not there, or a way of this name made by other settings.
    """
    ways = experiment.config.ways
    if not ways:
        return
    contents = read_store(writer.path)
    for way in ways:
        pair = chosen_pair(way.between, contents)
        for name, plan in _plans(way, pair, experiment, population, writer, report):
            measure_points(writer, name, plan, evaluate)


def measure_points(
    writer: StoreWriter, name: str, plan: Callable[[], Plan], evaluate: Evaluate
) -> None:
    """Make room for points where there is none, and evaluate those that are missing."""
    held = writer.points(name)
    if held is not None and held.evaluated.all():
        return
    made = plan().in_memory()
    if held is None:
        writer.add_points(made.points)
        held = made.points
    record(writer, name, made, np.flatnonzero(~held.evaluated).tolist(), evaluate)


def record(
    writer: StoreWriter, name: str, plan: Plan, indices: list[int], evaluate: Evaluate
) -> np.ndarray:
    """Evaluate points and store each at once; their mean losses (len(indices), n_sets) in nats."""
    means = []
    for index in bar(indices, f"{name} point"):
        outputs = evaluate(plan.anchors, plan.coefficients[[index]])
        results = {data: (e.losses, e.predictions) for data, e in outputs.items()}
        writer.write_points(name, [index], results)
        means.append([losses.mean(dtype=np.float64) for losses, _ in results.values()])
    return np.array(means, dtype=np.float64).reshape(len(indices), -1)


def chosen_pair(between: str | tuple[str, str], contents: Results) -> tuple[int, int]:
    """The two models' indices."""
    if between == "largest_gap":
        if len(contents.models) < 2:
            raise ConfigError("A way needs two models.", where="ways", found="one checkpoint")
        return largest_gap(contents)
    return tuple(index_of(name, contents.models, "ways.between") for name in between)  # type: ignore[return-value]


def refuse_unknown(experiment: Experiment, population: Population) -> None:
    """Refuse what ways and surfaces cannot be made of, before hours are spent on the pairs.

    Raises:
        LandscapeError: Models or groups of layers that are not there, or no training data.
    """
    config = experiment.config
    for way in config.ways:
        if way.between != "largest_gap":
            for name in way.between:
                index_of(name, population.names, "ways.between")
        if way.kind == "layers":
            groups = parameter_groups(population.checkpoints[0].params)
            for group in way.groups or ():
                require_known("group of layers", group, groups, where="ways.groups")
    kinds = {config.path.kind, *(way.kind for way in config.ways)}
    if kinds & {"bezier", "chain", "autoneb"}:
        load_examples(experiment.task, "train", experiment.data_root, experiment.base)
    for surface in config.surface:
        if surface.through != "two_basins":
            for name in surface.through:
                index_of(name, population.names, "surface.through")


def index_of(name: str, models: Sequence[str], where: str) -> int:
    """A model's index by its name."""
    require_known("model", name, models, where=where)
    return list(models).index(name)


def _plans(
    way: WayConfig,
    pair: tuple[int, int],
    experiment: Experiment,
    population: Population,
    writer: StoreWriter,
    report: Report,
) -> Iterator[tuple[str, Callable[[], Plan]]]:
    """Names of points, and how they are made once they are needed."""
    name = way_name(way)
    recipe = {"way": way.model_dump(mode="json"), "between": [population.names[i] for i in pair]}
    if way.kind != "layers":
        refuse_other_points(writer, name, recipe)
        yield name, lambda: _way(way, pair, recipe, experiment, population, report)
        return
    groups = parameter_groups(population.checkpoints[0].params)
    for group in way.groups or DEFAULT_GROUPS:
        for start, other in (pair, pair[::-1]):
            part = f"{name}.{group}.from.{population.names[start]}"
            own = {**recipe, "group": group, "from": population.names[start]}
            refuse_other_points(writer, part, own)
            yield part, _layers(way, part, (start, other), groups[group], own, population)


DEFAULT_GROUPS = (
    "embeddings",
    "lower half",
    "upper half",
    "attention",
    "feed-forward",
    "LayerNorm",
    "head",
)


def refuse_other_points(writer: StoreWriter, name: str, recipe: Mapping[str, Any]) -> None:
    """Refuse a store that holds points of this name made in another way.

    Raises:
        StoreError: It does.
    """
    held = writer.points(name)
    if held is None:
        return
    found = {key: held.notes.get(key) for key in recipe}
    if found != json.loads(json.dumps(dict(recipe))):
        raise StoreError(
            f"The store holds '{name}' already, made by other settings.",
            where=writer.path,
            expected=json.dumps(dict(recipe)),
            found=json.dumps(found),
            fix="give this one another 'name'",
        )


def _layers(
    way: WayConfig,
    name: str,
    pair: tuple[int, int],
    moved: Sequence[str],
    recipe: Mapping[str, Any],
    population: Population,
) -> Callable[[], Plan]:
    def plan() -> Plan:
        ends = _with_layers([population.checkpoints[i].params for i in pair], moved)
        return _planned(name, way.kind, pair[:1], Line(way.points), ends, recipe, population)

    return plan


def _with_layers(ends: Anchors, moved: Sequence[str]) -> Anchors:
    """The first end, and the model put together from both."""
    return [ends[0], hybrid(ends[0], ends[1], moved)]


def kept_way(
    points: StoredPath, ends: Anchors, folder: Path
) -> tuple[Line | Bezier | PolyChain, Anchors]:
    """The geometry and the anchors of a way that was measured before.

    Args:
        points: From a store.
        ends: Parameters of its two models; of a layer-wise way, the one it starts from first.
        folder: Where its control points were kept: ``ways/NAME`` beside the store.

    Raises:
        ConfigError: Its control points are not there.
    """
    way = WayConfig.model_validate(points.notes["way"])
    if way.kind == "line":
        return Line(way.points), ends
    if way.kind == "layers":
        moved = parameter_groups(ends[0])[points.notes["group"]]
        return Line(way.points), _with_layers(ends, moved)
    files = sorted(folder.glob("control-*.safetensors"))
    if len(files) != points.notes["n_controls"]:
        raise ConfigError(
            f"The control points of '{points.name}' are not there.",
            where=folder,
            expected=f"{points.notes['n_controls']} files control-*.safetensors",
            found=len(files),
            fix="restore the folder, or run the experiment again",
        )
    controls = [load_file(file) for file in files]
    return _geometry(way, len(controls)), [ends[0], *controls, ends[1]]


def _way(
    way: WayConfig,
    pair: tuple[int, int],
    recipe: Mapping[str, Any],
    experiment: Experiment,
    population: Population,
    report: Report,
) -> Plan:
    name = way_name(way)
    ends = [population.checkpoints[i].params for i in pair]
    if way.kind == "line":
        return _planned(name, way.kind, pair, Line(way.points), ends, recipe, population)
    geometry, controls, notes = trained_controls(
        way, pair, experiment.out / "ways" / name, recipe, experiment, population, report
    )
    anchors = [ends[0], *controls, ends[1]]
    return _planned(name, way.kind, pair, geometry, anchors, {**recipe, **notes}, population)


def _planned(
    name: str,
    kind: str,
    marked: Sequence[int],
    geometry: Line | Bezier | PolyChain,
    anchors: Anchors,
    notes: Mapping[str, Any],
    population: Population,
) -> Plan:
    coefficients, inner = geometry.coefficients(), gram(anchors)
    n = len(coefficients)
    points = StoredPath(
        name=name,
        kind=kind,
        models=tuple(population.names[i] for i in marked),
        marks=np.array([[0.0], [1.0]])[: len(marked)],
        positions=geometry.positions[:, None],
        shape=(n,),
        lengths=arc_lengths(inner, coefficients),
        status=np.zeros(n, dtype=np.uint8),
        losses={},
        predictions={},
        notes={**notes, "distance": float(distances(inner)[0, -1])},
    )
    return Plan(points, anchors, coefficients)


def trained_controls(
    way: WayConfig,
    pair: Sequence[int],
    folder: Path,
    recipe: Mapping[str, Any],
    experiment: Experiment,
    population: Population,
    report: Report,
) -> tuple[Bezier | PolyChain, list[dict[str, Tensor]], dict[str, Any]]:
    """Trained control points: from the way's own folder, or trained now and kept there.

    Args:
        way: bezier, chain or autoneb.
        pair: The models' indices.
        folder: Control points, notes and, while it lasts, the state of the training.
        recipe: What must be the same for control points that are there to be used.
        experiment: Gives task, data and device.
        population: The models.
        report: Takes a line of progress at a time.

    Returns:
        The geometry, the control points, and how they were made.
    """
    ends = [population.checkpoints[i].params for i in pair]
    notes_file = folder / "way.json"
    if notes_file.is_file():
        notes = json.loads(notes_file.read_text())
        if {key: notes.get(key) for key in recipe} == json.loads(json.dumps(dict(recipe))):
            controls = [load_file(file) for file in sorted(folder.glob("control-*.safetensors"))]
            return _geometry(way, len(controls)), controls, notes
    model = build_model(population.checkpoints[0], logits_only=True)

    def say(line: str) -> None:
        report(f"{folder.name}: {line}")

    geometry, anchors, found = _train(way, model, ends, folder, experiment, population, say)
    controls = [dict(anchor) for anchor in anchors[1:-1]]
    folder.mkdir(parents=True, exist_ok=True)
    for number, control in enumerate(controls):
        content = {tensor: value.cpu().contiguous() for tensor, value in control.items()}
        with replacing(folder / f"control-{number:02d}.safetensors") as file:
            file.write(save(content, {"format": "pt"}))
    notes = {
        **recipe,
        "n_controls": len(controls),
        "training_loss": found.last,
        "training_loss_before": found.before,
        "training_loss_error": found.error,
        "converged": found.converged,
    }
    with replacing(notes_file) as file:
        file.write(json.dumps(notes, indent=1).encode())
    (folder / "state.pt").unlink(missing_ok=True)
    return geometry, controls, notes


def _geometry(way: WayConfig, n_controls: int) -> Bezier | PolyChain:
    if way.kind == "bezier":
        return Bezier(way.points, degree=way.degree)
    return PolyChain(way.points, bends=n_controls)


def _train(
    way: WayConfig,
    model: nn.Module,
    ends: Anchors,
    folder: Path,
    experiment: Experiment,
    population: Population,
    report: Report,
) -> tuple[Bezier | PolyChain, Sequence[Mapping[str, Tensor]], Convergence]:
    fit = way.fit
    device = experiment.config.evaluate.device
    batches = training_batches(fit, experiment, population)
    state = folder / "state.pt"
    if way.kind == "autoneb":
        neb = Neb(
            cycles=_cycles(way), max_pivots=way.max_pivots, seed=fit.seed, precision=fit.precision
        )
        probe = [batches(step) for step in range(4)]
        path = find_path(
            model, ends, batches, probe, neb, device=device, state=state, report=report
        )
        geometry = PolyChain(way.points, bends=path.geometry.bends)
        return geometry, path.anchors, path.convergence
    curve = fit_curve(
        model,
        ends,
        _geometry(way, way.bends),
        batches,
        Fit(**fit.model_dump(exclude={"examples", "batch_size"})),
        device=device,
        state=state,
        report=report,
    )
    return curve.geometry, curve.anchors, curve.convergence


def _cycles(way: WayConfig) -> tuple[tuple[int, float], ...]:
    """Equal cycles, the last one at a third of the learning rate."""
    rates = [way.fit.learning_rate] * (way.cycles - 1) + [way.fit.learning_rate / 3]
    return tuple((way.fit.steps, rate) for rate in rates)


def training_batches(
    fit: FitConfig, experiment: Experiment, population: Population
) -> Callable[[int], Any]:
    """From a step to its batch of the task's training data."""
    root = experiment.data_root
    examples = load_examples(experiment.task, "train", root, experiment.base)
    examples = sample_examples(examples, fit.examples, np.random.default_rng(fit.seed))
    tokenizer = load_tokenizer(population.checkpoints[0])
    encoded = tokenize(tokenizer, examples, experiment.config.evaluate.max_length)
    size = min(fit.batch_size, len(encoded))
    rows = batch_rows(encoded.lengths, size, fit.seed)
    return lambda step: encoded.pad(rows(step))
