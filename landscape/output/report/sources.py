"""The report's section on what else tells models apart."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from landscape.core.wording import equals
from landscape.output.report.registry import Body, Source, Term, section
from landscape.output.report.tables import Row, count_cell, make_table, number_cell

if TYPE_CHECKING:
    import pandas as pd

    from landscape.analysis.analysis import Analysis
    from landscape.analysis.diagnostics import Diagnostics

_TERMS = (
    Term(
        "adjusted Rand index",
        "The share of pairs of models that two partitions both join or both part, scaled so that "
        "chance gives 0 and equal partitions 1.",
        (Source("Hubert and Arabie 1985"),),
    ),
    Term(
        "variation of information",
        "What each of two partitions leaves unknown of the other, in nats: 0 where they are equal.",
        (Source("Meil\u0103 2007"),),
    ),
    Term(
        "Mantel's p",
        "Of the correlation between two matrices of distances, by permuting the models of one of "
        "them.",
        (Source("Mantel 1967"),),
    ),
)


@section(
    "sources",
    title="What else tells models apart",
    needs=lambda analysis, diagnostics: len(diagnostics.sources) > 1,
    place=30,
)
def other_sources(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """Every source, its groups, and how alike these are to those of the analysis."""
    sources = diagnostics.sources
    # its own gaps, or the first source where its rule is not among them
    is_analysed = [(s.kind, s.dataset) == (analysis.rule, analysis.dataset) for s in sources]
    base = is_analysed.index(True) if any(is_analysed) else 0
    name = sources[base].name
    rows: list[Row] = []
    for source in sources:
        groups = _compared(diagnostics.partitions, name, source.name)
        matrices = _compared(diagnostics.matrices, name, source.name)
        sizes = np.bincount(source.labels).tolist() if source.n_groups else []
        note = f"({', '.join(map(str, sizes))})" if sizes else ""
        variation = groups.get("variation_of_information", np.nan)
        rows.append(
            {
                "source": source.name,
                "groups (models)": count_cell(source.n_groups or np.nan, note=note),
                "adjusted Rand index": number_cell(
                    groups.get("adjusted_rand", np.nan), 2, note=_p(groups)
                ),
                "variation of information": number_cell(variation, 2),
                "Spearman \u03c1 of distances": number_cell(
                    matrices.get("spearman", np.nan), 2, note=_p(matrices)
                ),
                "note": source.note,
            }
        )
    caption = (
        "What else tells models apart, the groups that it gives by itself, how alike these are to "
        f"those of the {name}, and how alike the distances are over pairs of models. "
        "Variation in nats; p by permuting models (Mantel's for distances), not adjusted for the "
        "number of rows."
    )
    return Body(
        paragraphs=(diagnostics.agreement,),
        tables=(make_table(caption, rows, strong=(base,)),),
        terms=_TERMS,
    )


def _compared(table: pd.DataFrame, first: str, second: str) -> dict[str, float]:
    """The row that compares two sources, in whichever order; empty where there is none."""
    for row in table.to_dict("records"):
        if {row["first"], row["second"]} == {first, second}:
            return {str(name): value for name, value in row.items()}
    return {}


def _p(row: dict[str, float]) -> str:
    p = row.get("p_value", np.nan)
    return f"p {equals(p)}" if isfinite(p) else ""
