"""The report's table of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.output.plots import common
from landscape.output.report.cells import (
    Cell,
    Head,
    Row,
    Section,
    Table,
    count_cell,
    integer_cell,
    number_cell,
    text_of,
)
from landscape.output.report.words import DASH

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis


def models_section(analysis: Analysis) -> Section:
    """Every model."""
    brief = [c for c in analysis.scores.columns if c in analysis.contents.datasets]
    if analysis.focus and analysis.focus not in brief:
        brief.append(analysis.focus)
    table = analysis.contents.checkpoints
    losses = analysis.contents.datasets[analysis.dataset].model_losses
    head = [
        Head("model"),
        Head("basin", True),
        Head("centroid distance", True),
        Head(f"{analysis.dataset}: loss (nats)", True),
        *(Head(_scored(analysis, column), True) for column in brief),
        Head("seed", True),
        Head("step", True),
        Head("reference"),
        Head("content (sha256)"),
    ]
    rows, full = [], []
    for model, name in enumerate(analysis.models):
        label = int(analysis.basins.labels[model])
        values = analysis.scores.iloc[model]
        who = Cell(name, basin=label)
        checkpoint = table.iloc[model]
        revision = text_of(checkpoint, "revision")
        cells = (
            who,
            count_cell(label),
            number_cell(analysis.basins.centroid_distance[model], 3),
            number_cell(losses[model].mean(dtype=np.float64), 4),
            *(number_cell(values[column], 3) for column in brief),
            integer_cell(checkpoint, "seed"),
            integer_cell(checkpoint, "step"),
            Cell(
                text_of(checkpoint, "ref") or DASH,
                code=True,
                note=f"@ {revision[:12]}" if revision else "",
            ),
            Cell(text_of(checkpoint, "sha256")[:12] or DASH, code=True),
        )
        rows.append(Row(cells))
        full.append(Row((who, *(number_cell(value, 3) for value in values))))
    tables = [
        Table(
            "Every model: its basin, its loss and scores (accuracy and other metrics are shares "
            "of 1), and where it came from.",
            tuple(head),
            tuple(rows),
        )
    ]
    if len(analysis.scores.columns) > len(brief):
        columns = tuple(Head(_scored(analysis, str(column)), True) for column in analysis.scores)
        tables.append(
            Table(
                "Every model's score on every data set and group.",
                (Head("model"), *columns),
                tuple(full),
                folded=f"All {len(analysis.scores.columns)} scores of every model",
            )
        )
    return Section("models", "Models", tuple(tables))


def _scored(analysis: Analysis, column: str) -> str:
    return f"{column}: {common.metric_of(analysis, column)}"
