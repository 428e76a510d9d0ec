"""The pipeline behind ``landscape run``: from checkpoints and a task to records and pages."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.analysis.basins.active import default_budget
from landscape.core.errors import ConfigError, StoreError
from landscape.core.progress import bar
from landscape.paths import Line
from landscape.records import Manifest, RunFolder, collect, lock_run, read_store, write_store
from landscape.records.collect import done_pairs
from landscape.records.folder import plan_name
from landscape.run.config import ExperimentConfig
from landscape.run.executors import LocalExecutor
from landscape.run.inputs import Experiment, open_experiment, stored_config

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.checkpoints import Population
    from landscape.evaluation.compute_plan import ComputePlan
    from landscape.run.workers import Workers

Report = Callable[[str], None]
Shard = tuple[int, int]

_SNAPSHOT_SECONDS = 60.0
_SNAPSHOT_SHARE = 30  # of the time between snapshots, at most this part is spent on them


def run_experiment(
    path: Path,
    *,
    root: str | Path | None = None,
    out: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    workers: Workers | None = None,
    shard: Shard | None = None,
    report: Report = print,
) -> Path:
    """Measure what is not measured yet, then write store, tables, figures and report.

    Args:
        path: The YAML file.
        root: The data root.
        out: The output folder.
        changes: Of top-level keys of the configuration, as ``{"pairs": "active"}``.
        workers: Where the work is done; in this process by default.
        shard: Measure only the I-th of N shards of the pairs, (I, N), into a folder of its own for
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
        measure(experiment, report, workers=workers, shard=shard)
        return experiment.store
    analysis = measure(experiment, report, workers=workers)
    draw(experiment.store, experiment.out, report, analysis=analysis)
    return experiment.store


def draw(
    store: Path,
    out: Path,
    report: Report,
    analysis: Analysis | None = None,
) -> Analysis | None:
    """Tables, figures and report of a store, unless they are there: the page has its time.

    ``analysis`` is that of the store's pairs, where it is known already; it is returned, or None
    where nothing was to be drawn.
    """
    from landscape.analysis.analysis import analysis_options, analyze

    page, written = out / "report.html", store.stat().st_mtime_ns
    if page.is_file() and page.stat().st_mtime_ns == written:
        report(f"report: {page}")
        return None
    from landscape.analysis.diagnostics import diagnose
    from landscape.output.plots import write_figures
    from landscape.output.report import write_report
    from landscape.output.tables import write_tables

    results = read_store(store)
    if analysis is None:
        analysis = analyze(results, **analysis_options(results))
    else:
        analysis = replace(
            analysis, results=replace(analysis.results, points=results.points, path=store)
        )
    write_tables(analysis, out / "tables")
    figures = write_figures(analysis, out / "figures", ("pdf", "png"))
    report(f"figures: {', '.join(figure.name for figure in figures)} in {out / 'figures'}")
    write_report(analysis, page, diagnose(analysis))
    os.utime(page, ns=(written, written))  # whole, and of this store, whatever the clock does
    report(" ".join(analysis.answer))
    report(f"report: {page}")
    return analysis


def measure(
    experiment: Experiment,
    report: Report = print,
    *,
    workers: Workers | None = None,
    shard: Shard | None = None,
) -> Analysis | None:
    """Fill the records of a run: every model first, then every pair; then write its store.

    Of a shard: only some of the pairs, and the models that they need. The analysis of all pairs is
    returned where a path was chosen by it.
    """
    from landscape.run.measure.other_paths import refuse_unknown
    from landscape.run.provenance import refuse_changed, refuse_other

    folder = RunFolder(experiment.out)
    manifest = folder.manifest() if folder.exists() else None
    if manifest is None and folder.store.exists():
        raise StoreError(
            "There is a store, but not the records that it was written from.",
            where=folder.store,
            expected=f"run.json and records/ in {folder.path}",
            fix="restore them, or give this run another 'out'",
        )
    if manifest is not None:
        refuse_other(experiment, folder, manifest)
        refuse_changed(experiment, folder, manifest)
        done = done_pairs(folder, experiment.indicators_at("pairs"))
        total = "" if manifest.pairs is None else f" of {len(manifest.pairs)}"
        report(f"run: {folder.path}, {len(done)}{total} pairs measured")
        if manifest.config == stored_config(experiment) and _is_finished(folder.store):
            return None
    report("comparing the checkpoints")
    population = experiment.population(read_weights=manifest is None, track=bar)
    refuse_unknown(experiment, population)
    for warning in population.warnings:
        report(f"warning: {warning}")
    with lock_run(folder.path):
        if manifest is None and folder.exists():
            raise StoreError(
                "Another process has begun the run meanwhile.", where=folder.path, fix="run again"
            )
        return _measure_missing(experiment, population, folder, manifest, report, workers, shard)


def _is_finished(store: Path) -> bool:
    """Whether a store says that nothing is left to measure; what cannot be read says nothing."""
    if not store.is_file():
        return False
    try:
        return read_store(store).attributes["finished"] == "yes"
    except StoreError:
        return False


def _measure_missing(
    experiment: Experiment,
    population: Population,
    folder: RunFolder,
    manifest: Manifest | None,
    report: Report,
    workers: Workers | None,
    shard: Shard | None,
) -> Analysis | None:
    """Measure what is missing; the lock is held, and all that could be refused was."""
    from landscape.analysis.analysis import analysis_options, analyze
    from landscape.checkpoints.gram_matrix import weight_distances
    from landscape.run.measure.other_paths import measure_paths
    from landscape.run.measure.pairs import Measuring, pilot_of
    from landscape.run.provenance import fingerprints_of, refuse_changed, refusing_changes
    from landscape.run.workers import Workers, check_difference, choose_plan, make_executor

    config, n_models = experiment.config, len(population)
    fingerprints = fingerprints_of(population)
    population = refusing_changes(population, fingerprints)
    if manifest is not None:
        refuse_changed(experiment, folder, manifest)  # nor since they were compared
    pairs = _pairs(experiment, n_models, shard)
    n_points = _n_points(config, n_models, pairs)
    start = partial(
        make_executor,
        experiment=experiment,
        population=population,
        fingerprints=fingerprints,
        report=report,
    )

    @cache
    def analysis() -> Analysis:
        results = collect(folder)
        return analyze(results, **analysis_options(results))

    with ExitStack() as stack:
        executor = start(workers or Workers(), n_points=n_points)
        stack.callback(executor.shutdown)
        earlier = folder if manifest is not None else None
        plan = choose_plan(executor, earlier, config.evaluate.token_budget)
        report(f"precision: {plan}")
        _begin(experiment, population, fingerprints, folder, manifest, pairs, plan)
        difference = check_difference(executor, earlier, plan)
        folder.add_plan(plan.to_json(), {} if difference is None else {"difference": difference})
        snapshot = _snapshots(folder)
        snapshot()
        measuring = Measuring(
            experiment, population.names, folder, executor, plan, report, snapshot
        )
        if pairs is None:
            measuring.models(range(n_models))
            measuring.actively()
        else:
            measuring.models(np.unique(pairs).tolist() if pairs else range(n_models))
            measuring.pairs(pairs, pilot_of(pairs) if pairs else [])

        @cache
        def local() -> LocalExecutor:
            """The points of other paths are evaluated in this process."""
            if isinstance(executor, LocalExecutor):
                return executor
            other = start(Workers(), n_points=1)
            assert isinstance(other, LocalExecutor)
            stack.callback(other.shutdown)
            return other

        if shard is None:
            if folder.distances() is None:
                folder.write_distances(weight_distances(population.checkpoints, bar))
            measure_paths(
                experiment,
                population,
                folder,
                analysis,
                lambda *points: local().worker.evaluate(*points, plan),
                report,
            )
    write_store(collect(folder), folder.store)
    return analysis() if analysis.cache_info().currsize else None


def _pairs(
    experiment: Experiment, n_models: int, shard: Shard | None
) -> list[tuple[int, int]] | None:
    """All pairs or a shard of them; None where an active rule chooses them."""
    from landscape.run.workers import shard_of

    if experiment.config.pairs == "active":
        if shard is not None:
            raise ConfigError(
                "A run that chooses its pairs cannot be cut into shards: what it asks next "
                "depends on all answers.",
                where="--shard",
                found="pairs: active",
                fix="use --executor ray or process for it, or pairs: all",
            )
        return None
    pairs = np.column_stack(np.triu_indices(n_models, 1))
    if shard is not None:
        pairs = pairs[shard_of(pairs, shard, n_models)]
    return [(int(i), int(j)) for i, j in pairs]


def _n_points(config: ExperimentConfig, n_models: int, pairs: list[tuple[int, int]] | None) -> int:
    """Points of weight space in all, about."""
    n_pairs = len(pairs) if pairs is not None else config.pairs_budget or default_budget(n_models)
    others = sum(getattr(path, "points", 0) ** path.n_dims for path in config.other_paths)
    return n_pairs * (config.all_pairs.points - 2) + others


def _begin(
    experiment: Experiment,
    population: Population,
    fingerprints: Mapping[str, str],
    folder: RunFolder,
    manifest: Manifest | None,
    pairs: list[tuple[int, int]] | None,
    plan: ComputePlan,
) -> None:
    """Note what is measured, or what is asked of it now."""
    from landscape.run.provenance import attributes, checkpoint_rows, refuse_replaced

    content = stored_config(experiment)
    if manifest is not None:
        if content != manifest.config:
            folder.note(replace(manifest, config=content))
        folder.write_examples(experiment.examples, content)
        return
    rows = checkpoint_rows(population, bar)
    for checkpoint in population.checkpoints:
        refuse_replaced(checkpoint, fingerprints[str(checkpoint.path)])
    manifest = Manifest(
        config=content,
        attributes=attributes(experiment),
        checkpoints=rows,
        positions=Line(experiment.config.all_pairs.points).positions.tolist(),
        pairs=None if pairs is None else [list(pair) for pair in pairs],
        datasets={data.name: data.content_hash() for _, data in experiment.examples},
        plan=plan_name(plan.to_json()),
    )
    folder.begin(manifest, experiment.examples, plan.to_json())


def _snapshots(folder: RunFolder) -> Callable[[], None]:
    """Writes the store, unless that was done a short time ago: others can look at it meanwhile."""
    last, cost = -np.inf, 0.0

    def write() -> None:
        nonlocal last, cost
        began = time.monotonic()
        if began - last > max(_SNAPSHOT_SECONDS, _SNAPSHOT_SHARE * cost):
            write_store(collect(folder), folder.store, finished=False)
            last = time.monotonic()
            cost = last - began

    return write
