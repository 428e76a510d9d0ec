"""The report's section on what explains the scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.analysis.statistics import explanation_sentence
from landscape.output.plots.captions import count, percent
from landscape.output.report.cells import (
    FOLD_FROM,
    Cell,
    Head,
    Row,
    Section,
    Table,
    number_cell,
    p_cell,
    ranged_cell,
)

if TYPE_CHECKING:
    import pandas as pd

    from landscape.analysis.analysis import Analysis
    from landscape.analysis.details import Details
    from landscape.analysis.statistics import Explanation


def explanation_section(analysis: Analysis, details: Details) -> list[Section]:
    """Whether the basin says more than other predictors; no section without scores to explain."""
    paragraphs, tables = [], []
    if details.explanation is not None:
        if (details.explanation.table["group"] == analysis.focus).any():
            paragraphs.append(explanation_sentence(details.explanation, analysis.focus))
        tables.append(_scores(analysis, details.explanation))
    if details.pair_explanation is not None:
        tables.append(_pairs(analysis, details.pair_explanation))
    if not tables:
        return []
    title = "What explains the scores"
    return [Section("explanation", title, tuple(tables), tuple(paragraphs))]


def _scores(analysis: Analysis, explanation: Explanation) -> Table:
    target, notes = explanation.target, explanation.table["note"].astype(str)
    same = notes.nunique() == 1
    rows = []
    for _, row in explanation.table.iterrows():
        cells = (
            Cell(str(row["group"])),
            *(number_cell(row[f"{name}_cv_r2"], 2) for name in explanation.sets),
            number_cell(row["reduced_cv_r2"], 2),
            number_cell(row["full_cv_r2"], 2),
            number_cell(row["cv_gain"], 2),
            number_cell(row["gain"], 2),
            p_cell(row["p_value"]),
            p_cell(row["q_value"]),
            ranged_cell(row, "partial_pearson", 2),
        )
        if not same:
            cells += (Cell(str(row["note"]), long=bool(row["note"])),)
        rows.append(Row(cells, strong=row["group"] == analysis.focus))
    of = "all there are" if explanation.exact else "drawn at random"
    return Table(
        f"R\u00b2 of regressions of each score on sets of predictors, {target} in question: "
        "cross-validated (below 0 the mean of the other models predicts better) of each set alone, "
        f"of all but {target}, and of all. The gain of {target} is given cross-validated and "
        f"in-sample; p is of the second, of {count(explanation.n_permutations, 'permutation')} "
        f"({of}); the partial correlation is given the other sets, with "
        f"{percent(explanation.confidence)} intervals."
        + (f" In every row: {notes.iloc[0]}." if same and notes.iloc[0] else ""),
        (
            Head("group"),
            *(Head(f"{name} alone", True) for name in explanation.sets),
            Head(f"all but {target}", True),
            Head("all", True),
            Head("gain, cross-validated", True),
            Head("gain, in-sample", True),
            Head("p", True),
            Head("q", True),
            Head(f"partial r of {target}", True),
            *([] if same else [Head("note")]),
        ),
        tuple(rows),
        folded=f"Explanations of all {len(rows)} scores" if len(rows) >= FOLD_FROM else "",
    )


def _pairs(analysis: Analysis, table: pd.DataFrame) -> Table:
    rows = tuple(
        Row(
            (
                Cell(str(row["predictor"])),
                number_cell(row["coefficient"], 2),
                p_cell(row["p_value"]),
                number_cell(row["r2_alone"], 2),
                Cell(str(row["note"])),
            )
        )
        for _, row in table.iterrows()
    )
    first = table.iloc[0]
    together = f" Together: R\u00b2 = {first['r2']:.2f}." if np.isfinite(first["r2"]) else ""
    return Table(
        f"Do gaps explain how differently two models score on {analysis.focus}? A regression over "
        f"{count(int(first['n_pairs']), 'pair')}, its coefficients standardised, p by permuting "
        f"models.{together}",
        (
            Head("between two models"),
            Head("coefficient", True),
            Head("p", True),
            Head("R\u00b2 alone", True),
            Head("note"),
        ),
        rows,
        sortable=False,
    )
