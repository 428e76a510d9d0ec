"""The pipeline behind ``landscape run``: checkpoints and a task to store, figures and report."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from landscape.geometry import Line
from landscape.inputs import Experiment, open_experiment, stored_config
from landscape.progress import bar
from landscape.store import MEASURED, StoreWriter, create_store, read_store

Report = Callable[[str], None]


def run_experiment(
    path: Path,
    *,
    root: str | Path | None = None,
    out: str | Path | None = None,
    report: Report = print,
) -> Path:
    """Measure what is not measured yet, then draw figures and report.

    Args:
        path: The YAML file.
        root: The data root.
        out: The output folder.
        report: Takes one line at a time.

    Returns:
        The store's path.

    Raises:
        LandscapeError: Anything the user can mend; what was measured stays.
    """
    experiment = open_experiment(path, root=root, out=out)
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
    from landscape.plots import write_figures
    from landscape.report import write_report

    contents = read_store(store)
    analysis = analyze(contents, **analysis_options(contents))
    figures = write_figures(analysis, out / "figures", formats)
    report(f"figures: {', '.join(figure.name for figure in figures)} in {out / 'figures'}")
    write_report(analysis, page)
    report(analysis.basins.evidence.reason)
    report(f"report: {page}")


def measure(experiment: Experiment, report: Report = print) -> None:
    """Fill the experiment's store: every model first, then every pair."""
    from landscape.checkpoints import load_population
    from landscape.provenance import attributes, checkpoint_table, refuse_changed, refuse_other

    content = stored_config(experiment)
    store = experiment.store
    if store.is_file():
        contents = read_store(store)
        refuse_other(experiment, contents)
        refuse_changed(experiment, contents)
        done = int((contents.status == MEASURED).sum())
        report(f"store: {store}, {done} of {len(contents.status)} pairs measured")
        if contents.attributes["finished"] == "yes":
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
    for warning in population.warnings:
        report(f"warning: {warning}")
    if not store.is_file():
        n = len(population)
        create_store(
            store,
            config=content,
            attributes=attributes(experiment),
            checkpoints=checkpoint_table(population, bar),
            pairs=np.array([(i, j) for i in range(n) for j in range(i + 1, n)]),
            positions=Line(config.path.points).positions,
            datasets=experiment.examples,
        )
    with StoreWriter(store) as writer:
        _fill(experiment, population, writer, report)
        writer.finish(content)


def _fill(experiment: Experiment, population: Any, writer: StoreWriter, report: Report) -> None:
    from landscape.batches import make_batches, tokenize
    from landscape.checkpoints import WeightCache, build_model, load_tokenizer
    from landscape.evaluation import evaluate, wants_vmap
    from landscape.logits import collapse

    config = experiment.config
    settings = config.evaluate
    first = population.checkpoints[0]
    tokenizer = load_tokenizer(first)
    batches = {
        data.name: make_batches(
            tokenize(tokenizer, data, settings.max_length), settings.token_budget
        )
        for _, data in experiment.examples
    }
    transform = {
        data.name: collapse(data.classes, experiment.task.collapse)
        for _, data in experiment.examples
    }
    attention = "eager" if wants_vmap(first.params.n_bytes // 4) else "sdpa"
    model = build_model(first, attention)
    cache = WeightCache(settings.memory_budget or _quarter_of_memory())

    def outputs(anchors: Sequence[int], coefficients: np.ndarray) -> Any:
        return evaluate(
            model,
            [cache.get(population.checkpoints[i]) for i in anchors],
            coefficients,
            batches,
            precision=settings.precision,
            device=settings.device,
            transform=transform,
        )

    models = writer.models_to_measure()
    for i in bar(models.tolist(), "model"):
        result = outputs([i], np.ones((1, 1)))
        writer.write_model(i, {k: (v.losses[0], v.predictions[0]) for k, v in result.items()})
    _suspect(experiment, population.names, writer, report)
    inner = Line(config.path.points).coefficients()[1:-1]
    left = writer.pairs_to_measure()
    pairs = writer.pairs()
    order = tiled(pairs[left], cache.capacity(first))
    for k in bar(left[order].tolist(), "pair"):
        result = outputs(pairs[k], inner)
        writer.write_pair(k, {n: (v.losses, v.predictions) for n, v in result.items()})


def tiled(pairs: np.ndarray, capacity: int) -> np.ndarray:
    """An order of pairs in which a cache of ``capacity`` models is read few times.

    Pairs are taken block by block of half the capacity, so that each model is read about
    n_models / (capacity / 2) times instead of once a pair.
    """
    block = max(1, capacity // 2)
    return np.lexsort((pairs[:, 1], pairs[:, 0], pairs[:, 1] // block, pairs[:, 0] // block))


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


def _quarter_of_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
