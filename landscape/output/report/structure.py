"""The report's section on triples of models: is having no barrier transitive?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.analysis.basins.structure import structure_sentence
from landscape.core.wording import count, number, verb
from landscape.output.report.registry import Body, Source, Term, section
from landscape.output.report.tables import Cell, Row, Table, interval_note, make_table, number_cell

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.diagnostics import Diagnostics

_ONE_WAY_SHOWN = 12
_TERMS = (
    Term(
        "intransitive triple",
        "Three models of which two pairs have no barrier and the third has one, which no "
        "partition can describe; transitivity is the share of two joined pairs that are closed "
        "by a third.",
        (
            Source("Newman 2003", "cond-mat/0303516"),
            Source("Juneja et al. 2023", "2205.12411"),
        ),
    ),
    Term(
        "clustering coefficient",
        "How strongly the neighbours of a model are tied to each other, weighted by affinity: "
        "the mean over its triangles of the geometric mean of their affinities (Onnela), or of "
        "the affinity across, weighted by the two others (Zhang and Horvath).",
        (
            Source("Onnela et al. 2005", "cond-mat/0408629"),
            Source("Zhang and Horvath 2005"),
        ),
    ),
    Term(
        "climb, one-way pair",
        "The climb is the highest loss on the path between two models less the loss of the "
        "model where it starts; a pair is one-way where that is within the tolerance from one "
        "end only, and reciprocity is the share of such links that go both ways.",
        (Source("Garlaschelli and Loffredo 2004", "cond-mat/0404521"),),
    ),
)


@section(
    "structure",
    title="Structure beyond basins",
    needs=lambda analysis, diagnostics: diagnostics.triangles.n_triples,
    place=20,
)
def structure(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """Triples, clustering and one-way pairs."""
    triangles, warnings = diagnostics.triangles, []
    if n := triangles.n_certain:
        noise = " beyond noise" if triangles.with_noise else ""
        warnings.append(
            f"{n:,} of {count(triangles.n_triples, 'triple')} of models {verb(n, 'is', 'are')} "
            f"intransitive{noise}: no partition into basins describes who joins whom."
        )
    tables = [_coefficients(diagnostics)]
    if triangles.worst:
        tables.append(_intransitive(analysis, diagnostics))
    if len(diagnostics.climbs.one_way):
        tables.append(_one_way(analysis, diagnostics))
    return Body(
        paragraphs=(structure_sentence(triangles, analysis.models),),
        facts=_facts(diagnostics),
        tables=tuple(tables),
        terms=_TERMS,
        warnings=tuple(warnings),
    )


def _facts(diagnostics: Diagnostics) -> tuple[tuple[str, str], ...]:
    triangles, climbs = diagnostics.triangles, diagnostics.climbs
    limit = f"{triangles.tolerance:.3g} nats"
    beyond = f", {triangles.n_certain:,} beyond noise" if triangles.with_noise else ""
    broken = f"{triangles.n_violations:,}"
    if triangles.n_violations:
        broken += (
            f", by {number(triangles.mean_violation, 3)} nats on average and "
            f"{number(triangles.largest_violation, 3)} at most"
        )
    facts = [
        ("triples of models", f"{triangles.n_triples:,}"),
        ("intransitive", f"{triangles.n_intransitive:,}{beyond}"),
        ("closed", f"{triangles.n_closed:,}, all three within {limit}"),
        ("break the triangle inequality", broken),
    ]
    if np.isfinite(climbs.climbs).sum() > len(climbs.climbs):
        links = (
            f"{count(climbs.n_links, 'link')} from one model to another without a climb above "
            f"{limit}, {len(climbs.one_way):,} of them one-way (reciprocity "
            f"{number(climbs.reciprocity, 2)})"
        )
        facts.append(("directed", links))
    return tuple(facts)


def _coefficients(diagnostics: Diagnostics) -> Table:
    clustering = diagnostics.clustering
    values = {
        "transitivity": (clustering.transitivity, clustering.transitivity_null),
        "clustering coefficient (Onnela)": (clustering.onnela_mean, clustering.onnela_null),
        "clustering coefficient (Zhang and Horvath)": (
            clustering.zhang_horvath_mean,
            clustering.zhang_horvath_null,
        ),
    }
    rows: list[Row] = [
        {
            "over all models": name,
            "found": number_cell(value, 3),
            "permuted": number_cell(mean, 3, note=interval_note(low, high, 3)),
        }
        for name, (value, (mean, low, high)) in values.items()
    ]
    return make_table(
        "Do gaps hang together more than when they stand at permuted pairs? Means of "
        f"{count(clustering.n_draws, 'permutation')}, 95% of them in brackets.",
        rows,
    )


def _intransitive(analysis: Analysis, diagnostics: Diagnostics) -> Table:
    triangles = diagnostics.triangles
    beyond = "beyond noise" if triangles.with_noise else "for certain"
    rows: list[Row] = []
    for triple in triangles.worst:
        first, middle, last = (analysis.models[model] for model in triple.models)
        rows.append(
            {
                "first": first,
                "second": middle,
                "third": last,
                "first to second (nats)": number_cell(triple.near[0], 3),
                "second to third (nats)": number_cell(triple.near[1], 3),
                "first to third (nats)": number_cell(triple.far, 3),
                beyond: "yes" if triple.certain else "no",
            }
        )
    return make_table(
        "The intransitive triples with the highest barriers: the first and the second model join, "
        "so do the second and the third, the first and the third do not.",
        rows,
    )


def _one_way(analysis: Analysis, diagnostics: Diagnostics) -> Table:
    climbs = diagnostics.climbs
    rows: list[Row] = [
        {
            "from": Cell(analysis.models[i], basin=int(analysis.basins.shown.labels[i])),
            "to": Cell(analysis.models[j], basin=int(analysis.basins.shown.labels[j])),
            "climb there (nats)": number_cell(climbs.climbs[i, j], 3),
            "climb back (nats)": number_cell(climbs.climbs[j, i], 3),
        }
        for i, j in climbs.one_way[:_ONE_WAY_SHOWN].tolist()
    ]
    return make_table(
        f"The {len(rows)} of {count(len(climbs.one_way), 'one-way pair')} with the largest climb "
        "back: from the first model to the second the loss does not rise above the first's by more "
        f"than {climbs.tolerance:.3g} nats, back again it rises above the second's.",
        rows,
    )
