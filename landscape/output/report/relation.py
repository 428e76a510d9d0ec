"""The report's table of basins and scores."""

from __future__ import annotations

from math import factorial, prod
from typing import TYPE_CHECKING

import numpy as np

from landscape.core.relation_sentences import conditions_sentence
from landscape.core.wording import count, listed, percent, verb
from landscape.output.report.registry import Body, Source, Term, section
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
        "They say what other seeds might have given. Those of means and their differences hold "
        "whatever the distribution of the scores in their range, also where some models behave in "
        "a way that these few do not show: hence so wide. Those of correlations are a bootstrap's "
        "over models.",
        (
            Source("Learned-Miller and Thomas 2020", "1905.06208"),
            Source("Hesterberg 2015", "1411.5279"),
        ),
    ),
    Term(
        "within conditions",
        "Correlations of ranks within each training condition, pooled, and the p of a test that "
        "exchanges models of one condition only. A relation that is gone there tells conditions "
        "apart, and says nothing about models that were trained alike.",
    ),
    Term(
        "reliability",
        "Split-half over examples, stepped up to all (Spearman and Brown): how alike other "
        "examples would order the models. Far below 1, a weak relation may be a strong one that "
        "noise hides.",
    ),
    Term(
        "p and q",
        "The p of a permutation test of scores over all basins of two or more models, and "
        "that p after control of the false discovery rate over the hierarchy of groups: a family "
        "of groups is tested only where something was found in it as a whole.",
        (Source("Bogomolov, Peterson, Benjamini and Sabatti 2021", "1705.07529"),),
    ),
)


@section("relation", title="Generalisation", place=80)
def relation(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """Every group of scores by basin."""
    relation, conditions = analysis.relation, analysis.conditions
    table, noun, several = relation.table, relation.noun, relation.n_basins > 1
    significant = (table["q_value"] < _LEVEL).to_numpy()
    rows: list[Row] = []
    for (_, row), marked in zip(table.iterrows(), significant, strict=True):
        cells: Row = {"group": str(row["group"])}
        for basin in range(relation.n_basins):
            where = f"mean in {noun} {basin}" if several else "mean"
            cells[where] = ranged_cell(row, f"{noun}_{basin}", 3, "_mean")
        if several:
            difference = f"difference ({noun} 0 less {noun} 1)"
            cells |= {
                difference: ranged_cell(row, "difference", 3),
                "AUC": number_cell(row["auc"], 2),
                "Hedges g": number_cell(row["hedges_g"], 2),
                "p": p_cell(row["p_value"]),
                "q": p_cell(row["q_value"], note="significant" if marked else ""),
            }
            if conditions is not None:
                cells["p within conditions"] = p_cell(row["p_within"])
        cells["Spearman \u03c1 with centroid distance"] = ranged_cell(row, "spearman", 2)
        if conditions is not None:
            cells["\u03c1 within conditions"] = ranged_cell(row, "spearman_within", 2)
        cells["Pearson r"] = ranged_cell(row, "pearson", 2)
        cells["reliability"] = number_cell(row["reliability"], 2)
        rows.append(cells)
    n, tested = int(significant.sum()), int(table["q_value"].notna().sum())
    text = "No score could be compared." if several else "There are no basins or groups to compare."
    if tested:
        text = (
            f"{n} of {count(tested, 'score')} {verb(n, 'differs', 'differ')} between {noun}s at a "
            f"false discovery rate of {percent(_LEVEL)}."
        )
    if tested and conditions is not None:
        within = table["p_within"].dropna()
        text += (
            f" Within training conditions {int((within <= _LEVEL).sum())} of {len(within)} have a "
            f"p of at most {_LEVEL:g}."
            if len(within)
            else f" Every training condition lies in one {noun}: nothing is known within them."
        )
    by = f"by {noun}" if several else "over all models"
    caption = f"Every score {by}, with {percent(relation.confidence)} intervals."
    strong = np.flatnonzero((table["group"] == analysis.focus).to_numpy()).tolist()
    return Body(
        paragraphs=(text,),
        tables=(make_table(caption, rows, strong=strong),) if rows else (),
        terms=_TERMS,
        warnings=_warnings(analysis),
    )


def _warnings(analysis: Analysis) -> tuple[str, ...]:
    conditions, warnings = analysis.conditions, list[str]()
    if conditions is not None and conditions.source == "names":
        warnings.append(conditions_sentence(conditions.names))
    return (*warnings, *_on_size(analysis))


def _on_size(analysis: Analysis) -> tuple[str, ...]:
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
