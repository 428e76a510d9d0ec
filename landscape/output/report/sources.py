"""The report's section on what else could define basins."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from landscape.output.report.cells import Cell, Head, Row, Section, Table, count_cell, number_cell
from landscape.output.report.words import DASH, equals

if TYPE_CHECKING:
    import pandas as pd

    from landscape.analysis.analysis import Analysis
    from landscape.analysis.details import Details
    from landscape.analysis.sources import Source

_PARTITIONS = ("adjusted_rand", "variation_of_information", "p_value")
_MATRICES = ("spearman", "p_value")


def sources_section(analysis: Analysis, details: Details) -> list[Section]:
    """Every source, its basins, and how alike these are to the analysis' own; none without two."""
    if len(details.sources) < 2:
        return []
    own = own_source(analysis, details)
    rows = []
    for source in details.sources:
        basins = row_of(details.partitions, own.name, source.name)
        matrices = row_of(details.matrices, own.name, source.name)
        index, variation, p_basins = (np.nan if basins is None else basins[c] for c in _PARTITIONS)
        rho, p_matrices = (np.nan if matrices is None else matrices[c] for c in _MATRICES)
        cells = (
            Cell(source.name),
            _basins(source),
            number_cell(index, 2, note=_p(p_basins)),
            number_cell(variation, 2),
            number_cell(rho, 2, note=_p(p_matrices)),
            Cell(source.note),
        )
        rows.append(Row(cells, strong=source is own))
    table = Table(
        "What else tells models apart, the basins that it gives by itself, how alike these are to "
        f"those of the {own.name}, and how alike the distances are over pairs of models. "
        "Variation in nats; p by permuting models (Mantel's for distances), not adjusted for the "
        "number of rows.",
        (
            Head("source"),
            Head("basins (models)", True),
            Head("adjusted Rand index", True),
            Head("variation of information", True),
            Head("Spearman \u03c1 of distances", True),
            Head("note"),
        ),
        tuple(rows),
    )
    return [Section("sources", "What else could define basins", (table,), (details.agreement,))]


def own_source(analysis: Analysis, details: Details) -> Source:
    """The analysis' own gaps, or the first source where its rule is not among them."""
    wanted = (analysis.rule, analysis.dataset)
    return next((s for s in details.sources if (s.kind, s.dataset) == wanted), details.sources[0])


def row_of(table: pd.DataFrame, first: str, second: str) -> pd.Series | None:
    """The row that compares two sources, in whichever order."""
    found = table[
        ((table["first"] == first) & (table["second"] == second))
        | ((table["first"] == second) & (table["second"] == first))
    ]
    return found.iloc[0] if len(found) else None


def _basins(source: Source) -> Cell:
    """Their number and sizes; a dash where a missing pair leaves none."""
    if not source.n_basins:
        return Cell(DASH, number=True, key="")
    sizes = np.bincount(source.labels, minlength=source.n_basins).tolist()
    return replace(count_cell(source.n_basins), note=f"({', '.join(map(str, sizes))})")


def _p(value: float) -> str:
    return f"p {equals(value)}" if isfinite(value) else ""
