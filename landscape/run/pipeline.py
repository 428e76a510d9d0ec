"""The pipeline behind ``landscape run``: checkpoints and a task to store, figures and report."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.analysis.basins.active import default_budget
from landscape.core.errors import ConfigError, StoreError
from landscape.core.progress import bar
from landscape.paths import Line
from landscape.records.store import (
    MEASURED,
    Results,
    StoreWriter,
    create_store,
    lock_store,
    read_store,
)
from landscape.run.config import ExperimentConfig
from landscape.run.inputs import Experiment, open_experiment, stored_config

if TYPE_CHECKING:
    from landscape.checkpoints import Population
    from landscape.run.executors import Executor
    from landscape.run.measurement.crew import Crew
    from landscape.run.measurement.ways import Evaluate
    from landscape.run.measurement.worker import Made

Report = Callable[[str], None]


def run_experiment(
    path: Path,
    *,
    root: str | Path | None = None,
    out: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    crew: Crew | None = None,
    shard: tuple[int, int] | None = None,
    report: Report = print,
) -> Path:
    """Measure what is not measured yet, then draw figures and report.

    Args:
        path: The YAML file.
        root: The data root.
        out: The output folder.
        changes: Of top-level keys of the configuration, as ``{"pairs": "active"}``.
        crew: Where the work is done; in this process by default.
        shard: Measure only the I-th of N shards of the pairs, (I, N), into a store of its own for
            ``landscape merge``, and draw nothing.
        report: Takes one line at a time.

    Returns:
        The store's path.

    Raises:
        LandscapeError: Anything the user can mend; what was measured stays.
    """
    experiment = open_experiment(path, root=root, out=out, changes=changes)
    if shard is not None:
        folder = experiment.out / f"shard-{shard[0]:0{len(str(shard[1]))}d}-of-{shard[1]}"
        experiment = replace(experiment, out=folder)
        measure(experiment, report, crew=crew, shard=shard)
        return experiment.store
    measure(experiment, report, crew=crew)
    draw(experiment.store, experiment.out, report)
    return experiment.store


def draw(
    store: Path,
    out: Path,
    report: Report,
    formats: Sequence[str] = ("pdf", "png"),
) -> None:
    """Figures and report of a store, unless they are there: the page has the store's time."""
    from landscape.analysis.analysis import analysis_options, analyze

    page, made = out / "report.html", store.stat().st_mtime_ns
    if page.is_file() and page.stat().st_mtime_ns == made:
        report(f"report: {page}")
        return
    from landscape.analysis.details import examine
    from landscape.output.plots import write_figures
    from landscape.output.report import write_report

    contents = read_store(store)
    analysis = analyze(contents, **analysis_options(contents))
    details = examine(analysis)
    figures = write_figures(analysis, out / "figures", formats, details)
    report(f"figures: {', '.join(figure.name for figure in figures)} in {out / 'figures'}")
    write_report(analysis, page, details)
    os.utime(page, ns=(made, made))  # whole, and of this store, whatever the clock does
    report(analysis.basins.evidence.reason)
    report(f"report: {page}")


def measure(
    experiment: Experiment,
    report: Report = print,
    *,
    crew: Crew | None = None,
    shard: tuple[int, int] | None = None,
) -> None:
    """Fill the experiment's store: every model first, then every pair.

    Args:
        experiment: What is measured.
        report: Takes one line at a time.
        crew: Where the work is done; in this process by default.
        shard: Only these pairs of all, and the models that they need; see ``shard_of``.
    """
    from landscape.checkpoints import load_population
    from landscape.run.measurement.ways import refuse_unknown
    from landscape.run.provenance import refuse_changed, refuse_other

    content = stored_config(experiment)
    store = experiment.store
    contents = read_store(store) if store.is_file() else None
    finished = False
    if contents is not None:
        refuse_other(experiment, contents)
        refuse_changed(experiment, contents)
        done = int((contents.status == MEASURED).sum())
        report(f"store: {store}, {done} of {len(contents.status)} pairs measured")
        if not all(data.texts for data in contents.datasets.values()):
            with StoreWriter(store) as writer:  # an older format; the examples are the same
                writer.add_texts(experiment.examples)
        finished = contents.attributes["finished"] == "yes"
        finished &= shard is not None or not _more_points(experiment, contents)
        if finished and (shard or np.isfinite(np.trace(contents.distances))):
            with suppress(StoreError), lock_store(store):
                pass  # who was killed at the very end has left its file
            if contents.config != content:  # another analysis of the same measurements
                with StoreWriter(store) as writer:
                    writer.finish(content)
            return
    config = experiment.config
    report("comparing the checkpoints")
    population = load_population(
        config.checkpoints,
        experiment.task.labels,
        label_map=config.label_map,
        base=experiment.base,
        read_weights=contents is None,
        track=bar,
    )
    refuse_unknown(experiment, population)
    for warning in population.warnings:
        report(f"warning: {warning}")
    with lock_store(store):
        if contents is None and store.is_file():
            raise StoreError(
                "Another process has made the store meanwhile.", where=store, fix="run again"
            )
        _fill(experiment, population, contents, finished, report, crew, shard)


def _fill(
    experiment: Experiment,
    population: Population,
    contents: Results | None,
    finished: bool,
    report: Report,
    crew: Crew | None,
    shard: tuple[int, int] | None,
) -> None:
    """Measure what is missing; the lock is held, and all that could be refused was."""
    from landscape.checkpoints.distances import weight_distances
    from landscape.run.measurement.crew import Crew, agree, difference, hire
    from landscape.run.measurement.pairs import fill
    from landscape.run.measurement.surfaces import measure_surfaces
    from landscape.run.measurement.unchanged import fingerprints_of, held_to, refuse_replaced
    from landscape.run.measurement.ways import measure_ways
    from landscape.run.provenance import attributes, checkpoint_table, refuse_changed

    config, content, store = experiment.config, stored_config(experiment), experiment.store
    rows = _rows(config, len(population), shard)
    began = fingerprints_of(population)
    population = held_to(population, began)
    if contents is not None:
        refuse_changed(experiment, contents)  # nor since the run looked at them first
    n_points = _n_points(config, len(rows))
    executor = hire(crew or Crew(), experiment, population, began, n_points, report)
    try:
        made = agree(executor, contents, config.evaluate.token_budget)
        report(_as_line(made))
        if contents is None:
            table = checkpoint_table(population, bar)
            for one in population.checkpoints:
                refuse_replaced(one, began[str(one.path)])
            create_store(
                store,
                config=content,
                attributes=attributes(experiment),
                checkpoints=table,
                pairs=rows,
                positions=Line(config.path.points).positions,
                datasets=experiment.examples,
                plans=[made],
            )
        off = difference(executor, contents, made)
        with StoreWriter(store) as writer:
            if not finished:
                fill(experiment, population.names, writer, executor, made, off, report)
                if shard is None:
                    evaluate = _evaluator(executor, experiment, population, began, made, report)
                    for measure_more in (measure_ways, measure_surfaces):
                        measure_more(experiment, population, writer, evaluate, report)
            if shard is None and not np.isfinite(np.trace(writer.distances())):
                writer.write_distances(weight_distances(population.checkpoints, bar))
            writer.finish(content)
    finally:
        executor.shutdown()


def _evaluator(
    executor: Executor,
    experiment: Experiment,
    population: Population,
    fingerprints: dict[str, str],
    made: Made,
    report: Report,
) -> Evaluate:
    """Evaluates the points of ways and surfaces, in this process, once there are some."""
    from landscape.run.executors import LocalExecutor
    from landscape.run.measurement.crew import Crew, hire

    own: list[LocalExecutor] = []

    def evaluate(anchors: Any, coefficients: np.ndarray) -> Any:
        if not own:
            local = executor
            if not isinstance(local, LocalExecutor):
                local = hire(Crew(), experiment, population, fingerprints, 1, report)
            assert isinstance(local, LocalExecutor)
            own.append(local)
        return own[0].worker.evaluate(anchors, coefficients, made)

    return evaluate


def _as_line(made: Made) -> str:
    """How numbers are computed, in a line."""
    formats = made["exact"]
    if made["fast"]:
        formats = f"{made['fast']} to screen, {made['exact']} for what decides a gap"
    how = made["plans"][made["exact"]]["strategy"]
    threads = f", {made['threads']} threads" if made["device"] == "cpu" else ""
    return (
        f"precision: {formats}; {made['device']}{threads}, {how}, {made['tokens']} tokens a batch"
    )


def _rows(config: ExperimentConfig, n_models: int, shard: tuple[int, int] | None) -> np.ndarray:
    """The table of pairs: all of them, a shard, or as many free rows as an active rule may fill."""
    from landscape.run.measurement.crew import shard_of

    every = n_models * (n_models - 1) // 2
    if config.pairs == "all":
        pairs = np.column_stack(np.triu_indices(n_models, 1))
        return pairs if shard is None else pairs[shard_of(pairs, shard)]
    if shard is not None:
        raise ConfigError(
            "A run that chooses its pairs cannot be cut into shards: what it asks next depends on "
            "all answers.",
            where="--shard",
            found="pairs: active",
            fix="use --executor ray or process for it, or pairs: all",
        )
    budget = min(config.pairs_budget or default_budget(n_models), every)
    return np.full((budget, 2), -1)


def _n_points(config: ExperimentConfig, n_pairs: int) -> int:
    """Points of weight space in all, about."""
    extra = sum(way.points for way in config.ways) + sum(s.points**2 for s in config.surface)
    return n_pairs * (config.path.points - 2) + extra


def _more_points(experiment: Experiment, contents: Results) -> bool:
    """Whether there are ways or surfaces that a finished store was not made with."""
    kept = ("ways", "surface")
    wanted = stored_config(experiment)
    return any(item not in contents.config.get(kind, []) for kind in kept for item in wanted[kind])
