"""The report's table of basins and scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.output.plots.captions import count, percent
from landscape.output.report.cells import (
    Cell,
    Head,
    Row,
    Section,
    Table,
    number_cell,
    p_cell,
    ranged_cell,
)
from landscape.output.report.words import FDR

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis


def relation_section(analysis: Analysis) -> Section:
    """Every group of scores by basin."""
    relation = analysis.relation
    level = percent(relation.confidence)
    basins = [
        basin
        for basin in range(len(analysis.models))
        if f"basin_{basin}_mean" in relation.table.columns
    ]
    compared = "basin 0 less basin 1"
    rows, significant = [], 0
    for _, row in relation.table.iterrows():
        marked = bool(row["q_value"] < FDR)
        significant += marked
        cells = [Cell(str(row["group"]))]
        cells += [ranged_cell(row, f"basin_{basin}", 3, "_mean") for basin in basins]
        cells += [
            ranged_cell(row, "difference", 3),
            number_cell(row["auc"], 2),
            number_cell(row["hedges_g"], 2),
            p_cell(row["p_value"]),
            p_cell(row["q_value"], note="significant" if marked else ""),
            ranged_cell(row, "pearson", 2),
            ranged_cell(row, "spearman", 2),
        ]
        rows.append(Row(tuple(cells), strong=row["group"] == analysis.focus))
    tested = int(relation.table["q_value"].notna().sum())
    if tested:
        text = (
            f"{significant} of {count(tested, 'group')} "
            f"{'differs' if significant == 1 else 'differ'} between basins at a false discovery "
            f"rate of {percent(FDR)}."
        )
    else:
        text = "No group could be compared between basins."
    alone = np.flatnonzero(np.bincount(analysis.basins.labels) == 1)
    paragraphs = (text, *(_alone(basin, analysis) for basin in alone.tolist()))
    focus = " The focus is highlighted." if analysis.focus else ""
    table = Table(
        f"Every score by basin, with {level} intervals in brackets.{focus}",
        (
            Head("group"),
            *(Head(f"mean in basin {basin}", True) for basin in basins),
            Head(f"difference ({compared})", True),
            Head("AUC", True),
            Head("Hedges g", True),
            Head("p", True),
            Head("q", True),
            Head("Pearson r with centroid distance", True),
            Head("Spearman \u03c1 with centroid distance", True),
        ),
        tuple(rows),
    )
    return Section("relation", "Basins and generalisation", (table,), paragraphs)


def _alone(basin: int, analysis: Analysis) -> str:
    """What a basin of one model is left out of."""
    (model,) = np.flatnonzero(np.asarray(analysis.basins.labels) == basin)
    return (
        f"Basin {basin} holds one model, {analysis.models[model]}: it is left out of the "
        "permutation test and has no interval of its own."
    )
