"""The pipeline behind ``landscape run``: from checkpoints and a task to records and pages."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.analysis.basins.active import default_budget
from landscape.core.errors import ConfigError, StoreError
from landscape.core.progress import bar
from landscape.paths import Line
from landscape.records import Manifest, RunFolder, collect, lock_run, read_store, write_store
from landscape.records.collect import done_pairs
from landscape.run.config import ExperimentConfig
from landscape.run.inputs import Experiment, open_experiment, stored_config

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.checkpoints import Population
    from landscape.evaluation.compute_plan import ComputePlan
    from landscape.run.executors import Executor
    from landscape.run.measure.other_paths import Evaluate
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
    formats: Sequence[str] = ("pdf", "png"),
    analysis: Analysis | None = None,
) -> None:
    """Tables, figures and report of a store, unless they are there: the page has its time.

    Args:
        store: The file.
        out: The folder to write to.
        report: Takes one line at a time.
        formats: Of the figures.
        analysis: Of the store's pairs, where it is known already.
    """
    from landscape.analysis.analysis import analysis_options, analyze

    page, written = out / "report.html", store.stat().st_mtime_ns
    if page.is_file() and page.stat().st_mtime_ns == written:
        report(f"report: {page}")
        return
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
    figures = write_figures(analysis, out / "figures", formats)
    report(f"figures: {', '.join(figure.name for figure in figures)} in {out / 'figures'}")
    write_report(analysis, page, diagnose(analysis))
    os.utime(page, ns=(written, written))  # whole, and of this store, whatever the clock does
    report(analysis.basins.evidence.reason)
    report(f"report: {page}")


def measure(
    experiment: Experiment,
    report: Report = print,
    *,
    workers: Workers | None = None,
    shard: Shard | None = None,
) -> Analysis | None:
    """Fill the records of a run: every model first, then every pair; then write its store.

    Args:
        experiment: What is measured.
        report: Takes one line at a time.
        workers: Where the work is done; in this process by default.
        shard: Only these pairs of all, and the models that they need.

    Returns:
        The analysis of all pairs, where a path was chosen by it.
    """
    from landscape.checkpoints import load_population
    from landscape.run.measure.other_paths import refuse_unknown
    from landscape.run.provenance import refuse_changed, refuse_other

    folder, content = RunFolder(experiment.out), stored_config(experiment)
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
        if manifest.config == content and _is_finished(folder.store):
            return None
    config = experiment.config
    report("comparing the checkpoints")
    population = load_population(
        config.checkpoints,
        experiment.task.labels,
        label_map=config.label_map,
        base=experiment.base,
        read_weights=manifest is None,
        track=bar,
    )
    refuse_unknown(experiment, population)
    for warning in population.warnings:
        report(f"warning: {warning}")
    with lock_run(folder.path):
        if manifest is None and folder.exists():
            raise StoreError(
                "Another process has begun the run meanwhile.", where=folder.path, fix="run again"
            )
        return _Run(experiment, population, folder, manifest, report, shard).measure(workers)


def _is_finished(store: Path) -> bool:
    """Whether a store says that nothing is left to measure; what cannot be read says nothing."""
    if not store.is_file():
        return False
    try:
        return read_store(store, verify=False).attributes["finished"] == "yes"
    except StoreError:
        return False


@dataclass
class _Run:
    """Measures what is missing; the lock is held, and all that could be refused was."""

    experiment: Experiment
    population: Population
    folder: RunFolder
    manifest: Manifest | None
    report: Report
    shard: Shard | None

    def measure(self, workers: Workers | None) -> Analysis | None:
        from landscape.checkpoints.gram_matrix import weight_distances
        from landscape.run.measure.other_paths import measure_paths
        from landscape.run.measure.pairs import Measuring, pilot_of
        from landscape.run.measure.unchanged import fingerprints_of, held_to
        from landscape.run.provenance import refuse_changed
        from landscape.run.workers import Workers, check_difference, choose_plan, make_executor

        config, folder = self.experiment.config, self.folder
        self._fingerprints = fingerprints_of(self.population)
        self.population = held_to(self.population, self._fingerprints)
        if self.manifest is not None:
            refuse_changed(self.experiment, folder, self.manifest)  # nor since they were compared
        pairs = self._pairs()
        n_points = self._n_points(config, len(pairs) if pairs is not None else None)
        executor = make_executor(
            workers or Workers(),
            self.experiment,
            self.population,
            self._fingerprints,
            n_points,
            self.report,
        )
        try:
            began = folder if self.manifest is not None else None
            plan = choose_plan(executor, began, config.evaluate.token_budget)
            self.report(f"precision: {plan}")
            self._begin(pairs, plan)
            difference = check_difference(executor, began, plan)
            folder.add_plan(
                plan.to_json(), {} if difference is None else {"difference": difference}
            )
            snapshot = _Snapshots(folder)
            snapshot.write()
            measuring = Measuring(
                self.experiment,
                self.population.names,
                folder,
                executor,
                plan,
                self.report,
                snapshot.perhaps,
            )
            if pairs is None:
                measuring.models(range(len(self.population)))
                measuring.actively()
            else:
                needed = range(len(self.population)) if not pairs else np.unique(pairs).tolist()
                measuring.models(needed)
                measuring.pairs(pairs, pilot_of(pairs) if pairs else [])
            analysis: list[Analysis] = []
            if self.shard is None:
                evaluate = self._evaluator(executor, plan)
                measure_paths(
                    self.experiment,
                    self.population,
                    folder,
                    lambda: self._analyze(analysis),
                    evaluate,
                    self.report,
                )
                if folder.distances() is None:
                    folder.write_distances(weight_distances(self.population.checkpoints, bar))
        finally:
            executor.shutdown()
        write_store(collect(folder), folder.store)
        return analysis[0] if analysis else None

    def _pairs(self) -> list[tuple[int, int]] | None:
        """All pairs or a shard of them; None where an active rule chooses them."""
        from landscape.run.workers import shard_of

        n = len(self.population)
        if self.experiment.config.pairs == "active":
            if self.shard is not None:
                raise ConfigError(
                    "A run that chooses its pairs cannot be cut into shards: what it asks next "
                    "depends on all answers.",
                    where="--shard",
                    found="pairs: active",
                    fix="use --executor ray or process for it, or pairs: all",
                )
            return None
        pairs = np.column_stack(np.triu_indices(n, 1))
        if self.shard is not None:
            pairs = pairs[shard_of(pairs, self.shard, n)]
        return [(int(i), int(j)) for i, j in pairs]

    def _n_points(self, config: ExperimentConfig, n_pairs: int | None) -> int:
        """Points of weight space in all, about."""
        if n_pairs is None:
            n_pairs = config.pairs_budget or default_budget(len(self.population))
        extra = sum(getattr(path, "points", 0) ** path.n_dims for path in config.other_paths)
        return n_pairs * (config.all_pairs.points - 2) + extra

    def _begin(self, pairs: list[tuple[int, int]] | None, plan: ComputePlan) -> None:
        """Note what is measured, or what is asked of it now."""
        from landscape.run.measure.unchanged import refuse_replaced
        from landscape.run.provenance import attributes, checkpoint_rows

        experiment, folder = self.experiment, self.folder
        content = stored_config(experiment)
        if self.manifest is not None:
            if content != self.manifest.config:
                self.manifest = replace(self.manifest, config=content)
                folder.note(self.manifest)
            folder.write_examples(experiment.examples, content)
            return
        rows = checkpoint_rows(self.population, bar)
        for checkpoint in self.population.checkpoints:
            refuse_replaced(checkpoint, self._fingerprints[str(checkpoint.path)])
        self.manifest = Manifest(
            config=content,
            attributes=attributes(experiment),
            checkpoints=rows,
            positions=Line(experiment.config.all_pairs.points).positions.tolist(),
            pairs=None if pairs is None else [list(pair) for pair in pairs],
            shard=self.shard,
            datasets={data.name: data.content_hash() for _, data in experiment.examples},
            plan=folder.plan_name(plan.to_json()),
        )
        folder.begin(self.manifest, experiment.examples, plan.to_json())

    def _analyze(self, known: list[Analysis]) -> Analysis:
        from landscape.analysis.analysis import analysis_options, analyze

        if not known:
            results = collect(self.folder)
            known.append(analyze(results, **analysis_options(results)))
        return known[0]

    def _evaluator(self, executor: Executor, plan: ComputePlan) -> Evaluate:
        """Evaluates the points of other paths, in this process, once there are some."""
        from landscape.run.executors import LocalExecutor
        from landscape.run.workers import Workers, make_executor

        local: list[LocalExecutor] = []

        def evaluate(anchors: Any, coefficients: np.ndarray) -> Any:
            if not local:
                here = executor
                if not isinstance(here, LocalExecutor):
                    here = make_executor(
                        Workers(),
                        self.experiment,
                        self.population,
                        self._fingerprints,
                        1,
                        self.report,
                    )
                assert isinstance(here, LocalExecutor)
                local.append(here)
            return local[0].worker.evaluate(anchors, coefficients, plan)

        return evaluate


class _Snapshots:
    """Writes the store now and then, so that others can look at it while a run goes on."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder, self._last, self._cost = folder, time.monotonic(), 0.0

    def perhaps(self) -> None:
        """Write it, unless that was done a short time ago."""
        pause = max(_SNAPSHOT_SECONDS, _SNAPSHOT_SHARE * self._cost)
        if time.monotonic() - self._last > pause:
            self.write()

    def write(self) -> None:
        """Write it."""
        began = time.monotonic()
        write_store(collect(self._folder), self._folder.store, finished=False)
        self._last = time.monotonic()
        self._cost = self._last - began
