"""The report's table of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.core.wording import DASH
from landscape.output.report.registry import Body, section
from landscape.output.report.tables import Cell, Row, count_cell, make_table, number_cell
from landscape.output.words import metric_of

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.diagnostics import Diagnostics


@section("models", title="Models", place=60)
def models(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """Every model."""
    results, shown = analysis.results, analysis.basins.shown
    brief = [c for c in analysis.scores.columns if c in results.datasets or c == analysis.focus]
    losses = results.datasets[analysis.dataset].model_losses.mean(1, dtype=np.float64)
    heads = {c: f"{c}: {metric_of(analysis, c)}" for c in map(str, analysis.scores.columns)}
    checkpoints = results.checkpoints.reindex(columns=["ref", "revision", "sha256", "seed", "step"])
    several = shown.n > 1
    rows: list[Row] = []
    every: list[Row] = []
    for model, name in enumerate(analysis.models):
        label = int(shown.labels[model])
        scores = {c: number_cell(analysis.scores.iloc[model][c], 3) for c in heads}
        seed, step = checkpoints.iloc[model][["seed", "step"]]
        texts = checkpoints.iloc[model][["ref", "revision", "sha256"]].fillna("").astype(str)
        first = Cell(name, basin=label)
        rows.append(
            {
                "model": first,
                **({shown.noun: count_cell(label if label >= 0 else np.nan)} if several else {}),
                "centroid distance": number_cell(
                    analysis.basins.groups.centroid_distance[model], 3
                ),
                f"{analysis.dataset}: loss (nats)": number_cell(losses[model], 4),
                **{heads[c]: scores[c] for c in brief},
                "seed": count_cell(float(seed)),
                "step": count_cell(float(step)),
                "reference": Cell(texts["ref"] or DASH, code=True, note=texts["revision"][:12]),
                "content (sha256)": Cell(texts["sha256"][:12] or DASH, code=True),
            }
        )
        every.append({"model": first, **{heads[c]: scores[c] for c in heads}})
    tables = [
        make_table(
            f"Every model: {f'its {shown.noun}, ' if several else ''}its loss and scores (accuracy "
            "and other metrics are shares of 1), and where it came from.",
            rows,
        )
    ]
    if len(heads) > len(brief):
        tables.append(make_table("Every model's score on every data set and group.", every))
    return Body(tables=tuple(tables))
