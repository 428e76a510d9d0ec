"""The report's table of basins and scores."""

from __future__ import annotations

from math import factorial, prod
from typing import TYPE_CHECKING

import numpy as np

from landscape.core.wording import count, listed, percent, verb
from landscape.output.report.registry import Body, Term, section
from landscape.output.report.tables import Row, make_table, number_cell, p_cell, ranged_cell

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.diagnostics import Diagnostics

_LEVEL = 0.05  # of false discoveries
_TERMS = (
    Term(
        "difference, AUC, Hedges g",
        "The difference of two basins' mean scores; the chance that a model of the first "
        "scores higher than one of the second (ties count half); and the difference in units "
        "of the pooled standard deviation, corrected for small samples. With more than two "
        "basins, those of the largest two.",
    ),
    Term(
        "intervals over models",
        "Of a basin's mean, percentile bootstrap over its models; of a difference, Welch's; of "
        "a correlation, by Fisher's z. They say what other seeds might have given.",
    ),
    Term(
        "p and q",
        "The p of a permutation test of scores over all basins of two or more models, and "
        "that p after Benjamini and Hochberg's control of the false discovery rate over all "
        "groups.",
    ),
)


@section("relation", title="Generalisation", place=80)
def relation(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """Every group of scores by basin."""
    table, noun = analysis.relation.table, analysis.relation.noun
    basins = range(analysis.relation.n_basins)
    significant = (table["q_value"] < _LEVEL).to_numpy()
    rows: list[Row] = [
        {
            "group": str(row["group"]),
            **{f"mean in {noun} {b}": ranged_cell(row, f"{noun}_{b}", 3, "_mean") for b in basins},
            f"difference ({noun} 0 less {noun} 1)": ranged_cell(row, "difference", 3),
            "AUC": number_cell(row["auc"], 2),
            "Hedges g": number_cell(row["hedges_g"], 2),
            "p": p_cell(row["p_value"]),
            "q": p_cell(row["q_value"], note="significant" if marked else ""),
            "Pearson r with centroid distance": ranged_cell(row, "pearson", 2),
            "Spearman \u03c1 with centroid distance": ranged_cell(row, "spearman", 2),
        }
        for (_, row), marked in zip(table.iterrows(), significant, strict=True)
    ]
    n, tested = int(significant.sum()), int(table["q_value"].notna().sum())
    text = "No score could be compared."
    if tested:
        text = (
            f"{n} of {count(tested, 'score')} {verb(n, 'differs', 'differ')} between {noun}s at a "
            f"false discovery rate of {percent(_LEVEL)}."
        )
    caption = f"Every score by {noun}, with {percent(analysis.relation.confidence)} intervals."
    strong = np.flatnonzero((table["group"] == analysis.focus).to_numpy()).tolist()
    return Body(
        paragraphs=(text,),
        tables=(make_table(caption, rows, strong=strong),) if rows else (),
        terms=_TERMS,
        warnings=_warnings(analysis),
    )


def _warnings(analysis: Analysis) -> tuple[str, ...]:
    """What an exact permutation test gives the most extreme grouping, where that is no small p."""
    # a basin of one model is left out of the test; exchanging equal basins changes nothing
    labels, noun = analysis.basins.shown.labels, analysis.basins.shown.noun
    sizes = np.bincount(labels[labels >= 0]).tolist()
    tested = [size for size in sizes if size > 1]
    same = prod(factorial(tested.count(size)) for size in set(tested))
    smallest = same * prod(map(factorial, tested)) / factorial(sum(tested))
    if len(sizes) == 1 or smallest <= _LEVEL:
        return ()
    return (
        f"With {noun}s of {listed(sizes)} models the permutation test can give no p below "
        f"{smallest:.2g}: no difference can be significant before there are more models.",
    )
