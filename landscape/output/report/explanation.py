"""The report's section on what explains the scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.analysis.statistics import explanation_sentence
from landscape.analysis.statistics.predictors import CONDITIONS
from landscape.core.relation_sentences import reliability_sentence
from landscape.core.wording import count, number
from landscape.output.report.registry import Body, Source, Term, section
from landscape.output.report.tables import (
    Row,
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

_TERMS = (
    Term(
        "gain",
        "R\u00b2 of a regression with a predictor less that without it; its p permutes what the "
        "others leave of the score.",
        (Source("Freedman and Lane 1983"),),
    ),
    Term(
        "partial correlation",
        "The correlation of a predictor's ranks with a score's after what the other predictors say "
        "of either is taken away.",
        (Source("Bonett and Wright 2000"),),
    ),
)


def _needs(analysis: Analysis, diagnostics: Diagnostics) -> bool:
    return diagnostics.explanation is not None or diagnostics.pair_explanation is not None


@section("explanation", title="What explains the scores", needs=_needs, place=40)
def explanation(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """Whether the basin says more than other predictors."""
    paragraphs: list[str] = []
    tables: list[Table] = []
    if (explained := diagnostics.explanation) is not None:
        if (explained.table["group"] == analysis.focus).any():
            paragraphs.append(explanation_sentence(explained, analysis.focus))
        tables.append(_scores(analysis, explained))
    if diagnostics.pair_explanation is not None:
        tables.append(_pairs(analysis, diagnostics.pair_explanation))
    return Body(tuple(paragraphs), tables=tuple(tables), terms=_TERMS)


def _scores(analysis: Analysis, explained: Explanation) -> Table:
    target, table = explained.target, explained.table
    rows: list[Row] = [
        {
            "group": str(row["group"]),
            **{f"{name} alone": number_cell(row[f"{name}_cv_r2"], 2) for name in explained.sets},
            f"all but {target}": number_cell(row["reduced_cv_r2"], 2),
            "all": number_cell(row["full_cv_r2"], 2),
            "gain, cross-validated": number_cell(row["cv_gain"], 2),
            "gain, in-sample": number_cell(row["gain"], 2),
            "p": p_cell(row["p_value"]),
            "q": p_cell(row["q_value"]),
            f"partial \u03c1 of {target}": ranged_cell(row, "partial_spearman", 2),
            "note": str(row["note"]),
        }
        for _, row in table.iterrows()
    ]
    known = {name: of for name, of in explained.reliability.items() if name in explained.sets}
    unknown = [name for name in explained.sets if name not in known and name != CONDITIONS]
    drawn = "all there are" if explained.exact else "drawn at random"
    return make_table(
        f"R\u00b2 of regressions of each score on sets of predictors, {target} in question: "
        "cross-validated (below 0 the mean of the other models predicts better) of each set alone, "
        f"of all but {target}, and of all. The gain of {target} is cross-validated and in-sample; "
        f"p is of the second, of {count(explained.n_permutations, 'permutation')} ({drawn}); the "
        "partial rank correlation is given the other sets, with 95% intervals. "
        + reliability_sentence(known, unknown),
        rows,
        strong=np.flatnonzero((table["group"] == analysis.focus).to_numpy()).tolist(),
        folded=f"Explanations of all {len(rows)} scores",
    )


def _pairs(analysis: Analysis, table: pd.DataFrame) -> Table:
    rows: list[Row] = [
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
    return make_table(
        f"Do gaps explain how differently two models score on {analysis.focus}? A regression over "
        f"{count(int(first['n_pairs']), 'pair')}, its coefficients standardised, p by permuting "
        f"models. Together: R\u00b2 = {number(first['r2'], 2)}.",
        rows,
    )
