"""Everything that can be known to fail before hours of compute."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from landscape.checkpoints import Population, expand, load_checkpoint, load_population
from landscape.checkpoints.labels import suspect_labels
from landscape.core.errors import ConfigError
from landscape.core.progress import Track, silent
from landscape.core.sentences import grid_sentence
from landscape.run.inputs import Experiment, open_experiment
from landscape.run.measure.other_paths import refuse_unknown

_PROBE = 128  # in-domain examples that each model answers


def check_references(refs: Sequence[str], track: Track[Any] = silent) -> list[str]:
    """Compare checkpoints with each other, without a task: lines, or the first obstacle raised."""
    first = load_checkpoint(expand(refs)[0])
    population = load_population(refs, first.label_names, track=track)
    return _about(population)


def check_config(
    path: Path, *, root: str | Path | None = None, track: Track[Any] = silent
) -> list[str]:
    """Check an experiment: lines that say what was found, or the first obstacle raised."""
    experiment = open_experiment(path, root=root)
    lines = [f"configuration: {path}, task {experiment.task.name}"]
    for role, data in experiment.examples:
        groups = sum(len(set(values)) for values in data.groups.values())
        lines.append(
            f"data: {data.name} ({role}), {len(data)} examples, {groups} groups, {data.metric}"
        )
    population = experiment.population(track=track)
    refuse_unknown(experiment, population)
    lines += _about(population)
    lines += _answers(experiment, population, track)
    return [*lines, *_space(experiment, population)]


def _about(population: Population) -> list[str]:
    first = population.checkpoints[0]
    n = sum(np.prod(shape, dtype=int) for shape in first.params.shapes.values())
    return [
        f"checkpoints: {len(population)} of {first.config.get('model_type')}, "
        f"{n / 1e6:.1f} M parameters each, labels {', '.join(first.label_names)}; "
        "architecture, tensors, tokenizer and labels agree; all weights finite",
        *(f"warning: {warning}" for warning in population.warnings),
    ]


def _answers(experiment: Experiment, population: Population, track: Track[Any]) -> list[str]:
    """Let every model answer some in-domain examples: wrong label maps, and the time it takes."""
    from landscape.tasks import sample_examples

    config = experiment.config
    data = next(data for role, data in experiment.examples if role == "in_domain")
    some = sample_examples(data, _PROBE, np.random.default_rng(config.seed))
    evaluator = experiment.evaluator(population.checkpoints[0], [some])
    precision = config.evaluate.precision
    lines, seconds, accuracies = [], [], []
    members = list(zip(population.names, population.checkpoints, strict=True))
    for name, checkpoint in track(members, "answer"):
        began = time.monotonic()
        outputs = evaluator.evaluate([checkpoint], np.ones((1, 1)), config.evaluate.exact)
        seconds.append(time.monotonic() - began)
        predictions = outputs[data.name].predictions[0]
        accuracies.append(float((predictions == some.labels).mean()))
        suspicion = suspect_labels(predictions, some.labels, len(some.label_names))
        if suspicion is not None:
            lines.append(f"warning: {name} on {data.name}: {suspicion.advice(some.label_names)}")
    n = len(population)
    pairs = n * (n - 1) // 2
    per_example = float(np.median(seconds)) / len(some)
    examples = sum(len(data) for _, data in experiment.examples)
    total = per_example * examples * (pairs * (config.all_pairs.points - 2) + n)
    lines.append(
        f"accuracy on {len(some)} examples of {data.name}: "
        f"{min(accuracies):.3f} to {max(accuracies):.3f}"
    )
    at_most = "at most" if config.all_pairs.adaptive or precision == "auto" else "about"
    points = config.all_pairs.points
    lines.append(
        f"time: {at_most} {_duration(total)} for {pairs} pairs x {points} points x "
        f"{examples} examples on this machine"
    )
    grid = grid_sentence(points, tolerance=0.0, adaptive=config.all_pairs.adaptive)
    return [*lines, f"grid: {grid}"]


def _space(experiment: Experiment, population: Population) -> list[str]:
    n = len(population)
    rows = n * (n - 1) // 2 * experiment.config.all_pairs.points + n
    size = 5 * rows * sum(len(data) for _, data in experiment.examples)
    folder = experiment.out
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise ConfigError("The output's folder cannot be made: here is a file.", where=folder)
    free = shutil.disk_usage(folder).free
    if 2 * size > free:
        raise ConfigError(
            "The disk has no room for the store.",
            where=experiment.out,
            expected=f"{2 * size / 1e9:.2f} GB (records, and the store made of them)",
            found=f"{free / 1e9:.2f} GB",
        )
    return [f"store: {experiment.store}, {size / 1e6:.1f} MB before compression"]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
