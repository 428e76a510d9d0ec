"""The report's section on triples of models: is having no barrier transitive?"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from landscape.analysis.basins.structure import structure_sentence
from landscape.output.plots.captions import count
from landscape.output.report.cells import (
    Cell,
    Head,
    Row,
    Section,
    Table,
    interval_note,
    number_cell,
)
from landscape.output.report.words import number

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.basins.structure import Climbs, Triangles
    from landscape.analysis.details import Details

_ONE_WAY_SHOWN = 12


def structure_section(analysis: Analysis, details: Details) -> list[Section]:
    """Triples, clustering and one-way pairs; no section without three models."""
    if not details.triangles.n_triples:
        return []
    tables = [_coefficients(details)]
    if details.triangles.worst:
        tables.append(_intransitive(analysis, details.triangles))
    if len(details.climbs.one_way):
        tables.append(_one_way(analysis, details.climbs))
    return [
        Section(
            "structure",
            "Structure beyond basins",
            tuple(tables),
            (structure_sentence(details.triangles, analysis.models),),
            tuple(_facts(details)),
        )
    ]


def _facts(details: Details) -> list[tuple[str, str]]:
    triangles, climbs = details.triangles, details.climbs
    limit = f"{triangles.tolerance:g} nats"
    open_triples = f"{triangles.n_intransitive:,}"
    if triangles.with_intervals:
        open_triples += f", {triangles.n_certain:,} beyond noise"
    broken = f"{triangles.n_violations:,}"
    if triangles.n_violations:
        broken += (
            f", by {number(triangles.mean_violation, 3)} nats on average and "
            f"{number(triangles.largest_violation, 3)} at most"
        )
    n_one_way = len(climbs.one_way)
    ways = (
        f"{count(climbs.n_links, 'way')} from one model to another without a climb above {limit}, "
        f"{n_one_way:,} of them one-way"
    )
    if isfinite(climbs.reciprocity):
        ways += f" (reciprocity {number(climbs.reciprocity, 2)})"
    return [
        ("triples of models", f"{triangles.n_triples:,}"),
        ("intransitive", open_triples),
        ("closed", f"{triangles.n_closed:,}, all three within {limit}"),
        ("break the triangle inequality", broken),
        *([("directed", ways)] if np.isfinite(climbs.climbs).sum() > len(climbs.climbs) else []),
    ]


def _coefficients(details: Details) -> Table:
    found = details.clustering
    rows = tuple(
        Row(
            (
                Cell(name),
                number_cell(value, 3),
                number_cell(null[0], 3, note=interval_note(null[1], null[2], 3)),
            )
        )
        for name, value, null in (
            ("transitivity", found.transitivity, found.transitivity_null),
            ("clustering coefficient (Onnela)", found.onnela_mean, found.onnela_null),
            (
                "clustering coefficient (Zhang and Horvath)",
                found.zhang_horvath_mean,
                found.zhang_horvath_null,
            ),
        )
    )
    return Table(
        "Do gaps hang together more than when they stand at permuted pairs? Means of "
        f"{count(found.n_draws, 'permutation')}, 95% of them in brackets.",
        (Head("over all models"), Head("found", True), Head("permuted", True)),
        rows,
        sortable=False,
    )


def _intransitive(analysis: Analysis, triangles: Triangles) -> Table:
    rows = []
    for triple in triangles.worst:
        first, middle, last = (analysis.models[model] for model in triple.models)
        cells = (
            Cell(first),
            Cell(middle),
            Cell(last),
            number_cell(triple.near[0], 3),
            number_cell(triple.near[1], 3),
            number_cell(triple.far, 3),
            Cell("yes" if triple.certain else "no"),
        )
        rows.append(Row(cells))
    beyond = "beyond noise" if triangles.with_intervals else "for certain"
    return Table(
        "The intransitive triples with the highest barriers: the first and the second model join, "
        "so do the second and the third, the first and the third do not.",
        (
            Head("first"),
            Head("second"),
            Head("third"),
            Head("first to second (nats)", True),
            Head("second to third (nats)", True),
            Head("first to third (nats)", True),
            Head(beyond),
        ),
        tuple(rows),
        folded=f"{count(len(rows), 'intransitive triple')}",
    )


def _one_way(analysis: Analysis, climbs: Climbs) -> Table:
    rows = []
    for i, j in climbs.one_way[:_ONE_WAY_SHOWN].tolist():
        cells = (
            Cell(analysis.models[i], basin=int(analysis.basins.labels[i])),
            Cell(analysis.models[j], basin=int(analysis.basins.labels[j])),
            number_cell(climbs.climbs[i, j], 3),
            number_cell(climbs.climbs[j, i], 3),
        )
        rows.append(Row(cells))
    n = len(climbs.one_way)
    which = f"The {len(rows)} of {n} with the longest way back" if len(rows) < n else "All"
    return Table(
        "One-way pairs: on the line from the first model to the second the loss does not rise "
        f"above the first's by more than {climbs.tolerance:g} nats, on the way back it does. "
        f"{which}.",
        (
            Head("from"),
            Head("to"),
            Head("climb there (nats)", True),
            Head("climb back (nats)", True),
        ),
        tuple(rows),
        folded=f"{count(n, 'one-way pair')}",
    )
