"""The pipeline behind ``landscape run``: checkpoints and a task to store, figures and report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from landscape.active import default_budget
from landscape.config import ExperimentConfig
from landscape.geometry import Line
from landscape.inputs import Experiment, open_experiment, stored_config
from landscape.progress import bar
from landscape.store import MEASURED, Contents, StoreWriter, create_store, read_store

Report = Callable[[str], None]


def run_experiment(
    path: Path,
    *,
    root: str | Path | None = None,
    out: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    report: Report = print,
) -> Path:
    """Measure what is not measured yet, then draw figures and report.

    Args:
        path: The YAML file.
        root: The data root.
        out: The output folder.
        changes: Of top-level keys of the configuration, as ``{"pairs": "active"}``.
        report: Takes one line at a time.

    Returns:
        The store's path.

    Raises:
        LandscapeError: Anything the user can mend; what was measured stays.
    """
    experiment = open_experiment(path, root=root, out=out, changes=changes)
    measure(experiment, report)
    draw(experiment.store, experiment.out, report)
    return experiment.store


def draw(
    store: Path,
    out: Path,
    report: Report,
    formats: Sequence[str] = ("pdf", "png"),
) -> None:
    """Figures and report of a store, unless they are newer than the store."""
    from landscape.analysis import analysis_options, analyze

    page = out / "report.html"
    if page.is_file() and page.stat().st_mtime_ns > store.stat().st_mtime_ns:
        report(f"report: {page}")
        return
    from landscape.details import examine
    from landscape.plots import write_figures
    from landscape.report import write_report

    contents = read_store(store)
    analysis = analyze(contents, **analysis_options(contents))
    details = examine(analysis)
    figures = write_figures(analysis, out / "figures", formats, details)
    report(f"figures: {', '.join(figure.name for figure in figures)} in {out / 'figures'}")
    write_report(analysis, page, details)
    report(analysis.basins.evidence.reason)
    report(f"report: {page}")


def measure(experiment: Experiment, report: Report = print) -> None:
    """Fill the experiment's store: every model first, then every pair."""
    from landscape.checkpoints import load_population
    from landscape.measurement.pairs import fill
    from landscape.measurement.surfaces import measure_surfaces
    from landscape.measurement.ways import measure_ways, refuse_unknown
    from landscape.provenance import attributes, checkpoint_table, refuse_changed, refuse_other
    from landscape.weight_distances import weight_distances

    content = stored_config(experiment)
    store = experiment.store
    finished = False
    if store.is_file():
        contents = read_store(store)
        refuse_other(experiment, contents)
        refuse_changed(experiment, contents)
        done = int((contents.status == MEASURED).sum())
        report(f"store: {store}, {done} of {len(contents.status)} pairs measured")
        if not all(data.texts for data in contents.datasets.values()):
            with StoreWriter(store) as writer:  # an older format; the examples are the same
                writer.add_texts(experiment.examples)
        finished = contents.attributes["finished"] == "yes"
        finished &= not _more_points(experiment, contents)
        if finished and np.isfinite(np.trace(contents.distances)):
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
        read_weights=not store.is_file(),
        track=bar,
    )
    refuse_unknown(experiment, population)
    for warning in population.warnings:
        report(f"warning: {warning}")
    if not store.is_file():
        n = len(population)
        create_store(
            store,
            config=content,
            attributes=attributes(experiment),
            checkpoints=checkpoint_table(population, bar),
            pairs=_rows(config, n),
            positions=Line(config.path.points).positions,
            datasets=experiment.examples,
        )
    with StoreWriter(store) as writer:
        if not finished:
            evaluate = fill(experiment, population, writer, report)
            for measure_more in (measure_ways, measure_surfaces):
                measure_more(experiment, population, writer, evaluate, report)
        if not np.isfinite(np.trace(writer.distances())):
            writer.write_distances(weight_distances(population.checkpoints, bar))
        writer.finish(content)


def _rows(config: ExperimentConfig, n_models: int) -> np.ndarray:
    """The table of pairs: all of them, or as many free rows as an active rule may fill."""
    if config.pairs == "all":
        return np.column_stack(np.triu_indices(n_models, 1))
    every = n_models * (n_models - 1) // 2
    budget = min(config.pairs_budget or default_budget(n_models), every)
    return np.full((budget, 2), -1)


def _more_points(experiment: Experiment, contents: Contents) -> bool:
    """Whether there are ways or surfaces that a finished store was not made with."""
    kept = ("ways", "surface")
    wanted = stored_config(experiment)
    return any(item not in contents.config.get(kind, []) for kind in kept for item in wanted[kind])
