"""The report's section on what explains the scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.analysis.statistics import explanation_sentence
from landscape.core.wording import count, percent
from landscape.output.report.registry import Body, Source, Term, section
from landscape.output.report.tables import (
    FOLD_FROM,
    Cell,
    Table,
    make_table,
    number_cell,
    p_cell,
    ranged_cell,
)

if TYPE_CHECKING:
    import pandas as pd

    from landscape.analysis.analysis import Analysis
    from landscape.analysis.diagnostics import Diagnostics
    from landscape.analysis.statistics import Explanation


@section(
    "explanation",
    title="What explains the scores",
    needs=lambda analysis, diagnostics: (
        not (diagnostics.explanation is None and diagnostics.pair_explanation is None)
    ),
    place=40,
)
def explanation(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """Whether the basin says more than other predictors."""
    paragraphs: list[str] = []
    tables: list[Table] = []
    explained = diagnostics.explanation
    if explained is not None:
        if (explained.table["group"] == analysis.focus).any():
            paragraphs.append(explanation_sentence(explained, analysis.focus))
        tables.append(_scores(analysis, explained))
    if diagnostics.pair_explanation is not None:
        tables.append(_pairs(analysis, diagnostics.pair_explanation))
    terms = () if explained is None else _terms(explained.target)
    return Body(tuple(paragraphs), tables=tuple(tables), terms=terms)


def _scores(analysis: Analysis, explained: Explanation) -> Table:
    target, table = explained.target, explained.table
    notes = table["note"].astype(str)
    same = notes.nunique() == 1
    rows: list[dict[str, Cell | str]] = []
    for _, row in table.iterrows():
        cells: dict[str, Cell | str] = {
            "group": str(row["group"]),
            **{f"{name} alone": number_cell(row[f"{name}_cv_r2"], 2) for name in explained.sets},
            f"all but {target}": number_cell(row["reduced_cv_r2"], 2),
            "all": number_cell(row["full_cv_r2"], 2),
            "gain, cross-validated": number_cell(row["cv_gain"], 2),
            "gain, in-sample": number_cell(row["gain"], 2),
            "p": p_cell(row["p_value"]),
            "q": p_cell(row["q_value"]),
            f"partial r of {target}": ranged_cell(row, "partial_pearson", 2),
        }
        if not same:
            cells["note"] = Cell(str(row["note"]), long=bool(row["note"]))
        rows.append(cells)
    drawn = "all there are" if explained.exact else "drawn at random"
    return make_table(
        f"R\u00b2 of regressions of each score on sets of predictors, {target} in question: "
        "cross-validated (below 0 the mean of the other models predicts better) of each set alone, "
        f"of all but {target}, and of all. The gain of {target} is given cross-validated and "
        f"in-sample; p is of the second, of {count(explained.n_permutations, 'permutation')} "
        f"({drawn}); the partial correlation is given the other sets, with "
        f"{percent(explained.confidence)} intervals."
        + (f" In every row: {notes.iloc[0]}." if same and notes.iloc[0] else ""),
        rows,
        strong=np.flatnonzero((table["group"] == analysis.focus).to_numpy()).tolist(),
        folded=f"Explanations of all {len(rows)} scores" if len(rows) >= FOLD_FROM else "",
    )


def _pairs(analysis: Analysis, table: pd.DataFrame) -> Table:
    rows: list[dict[str, Cell | str]] = [
        {
            "between two models": str(row["predictor"]),
            "coefficient": number_cell(row["coefficient"], 2),
            "p": p_cell(row["p_value"]),
            "R\u00b2 alone": number_cell(row["r2_alone"], 2),
            "note": str(row["note"]),
        }
        for _, row in table.iterrows()
    ]
    first = table.iloc[0]
    together = f" Together: R\u00b2 = {first['r2']:.2f}." if np.isfinite(first["r2"]) else ""
    return make_table(
        f"Do gaps explain how differently two models score on {analysis.focus}? A regression over "
        f"{count(int(first['n_pairs']), 'pair')}, its coefficients standardised, p by permuting "
        f"models.{together}",
        rows,
        sortable=False,
    )


def _terms(target: str) -> tuple[Term, ...]:
    return (
        Term(
            "gain",
            f"R\u00b2 of a regression with {target} among the predictors less that without it; its "
            "p permutes what the others leave of the score.",
            (Source("Freedman and Lane 1983"),),
        ),
        Term(
            "partial correlation",
            f"The correlation of {target} with a score after what the other predictors say of "
            "either is taken away.",
            (Source("Fisher 1924"),),
        ),
    )
