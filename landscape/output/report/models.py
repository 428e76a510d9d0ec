"""The report's table of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.core.wording import DASH
from landscape.output.report.registry import Body, section
from landscape.output.report.tables import Cell, count_cell, make_table, number_cell, text_of
from landscape.output.words import metric_of

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.diagnostics import Diagnostics


@section("models", title="Models", place=60)
def models(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """Every model."""
    brief = [c for c in analysis.scores.columns if c in analysis.results.datasets]
    if analysis.focus and analysis.focus not in brief:
        brief.append(analysis.focus)
    losses = analysis.results.datasets[analysis.dataset].model_losses.mean(1, dtype=np.float64)
    heads = {c: f"{c}: {metric_of(analysis, c)}" for c in map(str, analysis.scores.columns)}
    rows: list[dict[str, Cell | str]] = []
    every: list[dict[str, Cell | str]] = []
    for model, name in enumerate(analysis.models):
        label = int(analysis.basins.labels[model])
        scores = {c: number_cell(analysis.scores.iloc[model][c], 3) for c in heads}
        checkpoint = analysis.results.checkpoints.iloc[model]
        revision = text_of(checkpoint, "revision")
        first = {"model": Cell(name, basin=label)}
        rows.append(
            {
                **first,
                "basin": count_cell(label),
                "centroid distance": number_cell(analysis.basins.centroid_distance[model], 3),
                f"{analysis.dataset}: loss (nats)": number_cell(losses[model], 4),
                **{heads[c]: scores[c] for c in brief},
                "seed": count_cell(float(checkpoint.get("seed", np.nan))),
                "step": count_cell(float(checkpoint.get("step", np.nan))),
                "reference": Cell(
                    text_of(checkpoint, "ref") or DASH,
                    code=True,
                    note=f"@ {revision[:12]}" if revision else "",
                ),
                "content (sha256)": Cell(text_of(checkpoint, "sha256")[:12] or DASH, code=True),
            }
        )
        every.append({**first, **{heads[c]: scores[c] for c in heads}})
    tables = [
        make_table(
            "Every model: its basin, its loss and scores (accuracy and other metrics are shares "
            "of 1), and where it came from.",
            rows,
        )
    ]
    if len(heads) > len(brief):
        folded = f"All {len(heads)} scores of every model"
        caption = "Every model's score on every data set and group."
        tables.append(make_table(caption, every, folded=folded))
    return Body(tables=tuple(tables))
