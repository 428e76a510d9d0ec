"""Which models share a basin, or why no division into basins says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.analysis.judgements import LEVELS
from landscape.core.sentences import Answer, Criterion, sizes_in_words
from landscape.core.wording import DASH, count, listed, short
from landscape.output.report.registry import Body, Source, Term, section
from landscape.output.report.tables import Cell, Row, Table, count_cell, make_table, number_cell
from landscape.output.words import rule_name

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.basins.answer import Division
    from landscape.analysis.diagnostics import Diagnostics

_FRANKLE = Source("Frankle et al. 2020", "1912.05671")
_JUNEJA = Source("Juneja et al. 2023", "2205.12411")
_SAYS = {
    Answer.ONE: "no line has a barrier",
    Answer.UNDECIDED: "more examples are needed",
    Answer.BASINS: "no barrier within, one between any two",
    Answer.APART: "no two models share one",
    Answer.BRIDGED: "basins, but for models that join several",
    Answer.CHAIN: "linked through others, with barriers between",
    Answer.MIXED: "some linked parts are basins, others are not",
}
_TERMS = (
    Term(
        "basin",
        "Models of which no two have a barrier on the line between them; a barrier parts two "
        "basins. Where having no barrier is not transitive, there are none.",
        (_FRANKLE, _JUNEJA),
    ),
    Term(
        "barrier, joined",
        "A line has a barrier where its gap exceeds the tolerance beyond noise, and two models "
        "are joined where it is shown not to; both with 5% risk for all pairs together. Else the "
        "pair is undecided. For basins and linked parts, an undecided pair counts as joined if its "
        "gap, given those of its kind, is below the tolerance with a chance of more than 10%.",
        (Source("Romano and Wolf 2005"),),
    ),
    Term(
        "calibrated loss",
        "The loss with each point's logits divided by one temperature, fitted by likelihood on the "
        "other half of the examples. Averaged weights often give short logits: a barrier that is "
        "gone here was one of confidence.",
        (Source("Guo et al. 2017", "1706.04599"), Source("Jordan et al. 2023", "2211.08403")),
    ),
    Term(
        "linked part",
        "Models that are joined through others: a connected part of the graph of joined pairs. A "
        "basin is one in which all pairs count as joined.",
    ),
    Term(
        "parted for certain",
        "So many groups have a mean gap above the tolerance between any two of them, at 5% for "
        "all together.",
    ),
)


@section("basins", title="Basins", place=10)
def basins(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """The answer and what it rests on."""
    answer, states = analysis.basins, analysis.basins.states
    facts = [
        ("answer", f"{answer.answer}: {_SAYS[answer.answer]}"),
        ("lines with a barrier", f"{states.n_apart:,}"),
        ("joined pairs", f"{states.n_joined:,}"),
        ("undecided pairs", f"{states.n_undecided:,}"),
        ("tolerance", f"{states.tolerance:.3g} nats"),
        ("parted for certain", count(answer.at_least, "group")),
    ]
    if answer.aside:
        facts.append(("join several", listed([analysis.models[k] for k in answer.aside])))
    tables = [_by_criterion(analysis), _by_tolerance(analysis)]
    if answer.answer is not Answer.APART:
        tables.append(_parts(analysis))
    return Body((answer.sentence(analysis.models),), tuple(facts), tuple(tables), terms=_TERMS)


def _by_criterion(analysis: Analysis) -> Table:
    rows: list[Row] = []
    for judgement in analysis.judgements:
        states = judgement.division.states
        gaps = judgement.gaps[np.triu(states.measured, 1)]
        rows.append(
            {
                "barrier in": Cell(judgement.criterion),
                "answer": judgement.division.answer,
                "basins": _number(judgement.division),
                "lines with a barrier": count_cell(states.n_apart),
                "joined": count_cell(states.n_joined),
                "undecided": count_cell(states.n_undecided),
                "median gap": number_cell(np.median(gaps), 3),
                "largest gap": number_cell(gaps.max(), 3),
            }
        )
    known = [judgement.criterion for judgement in analysis.judgements]
    missing = [criterion for criterion in Criterion if criterion not in known]
    without = f" Not known of this store: {listed(missing)}." if missing else ""
    return make_table(
        "The answer by what the barrier is in: the loss (nats); the calibrated loss, of which "
        "confidence has no part (nats); and accuracy (shares of the examples), tolerances "
        f"alike.{without}",
        rows,
    )


def _by_tolerance(analysis: Analysis) -> Table:
    rows: list[Row] = []
    for judgement in analysis.judgements:
        row: Row = {"barrier in": Cell(judgement.criterion)}
        for tolerance in LEVELS:
            division = judgement.at(tolerance)
            labels = division.parts if division.n_basins is None else division.labels
            sizes = np.bincount(labels[labels >= 0])
            text = division.answer.value
            if len(sizes) > 1 and len(sizes) < len(labels):
                text += f": {sizes_in_words(sizes.tolist())}"
            row[f"above {short(tolerance)}"] = text
        rows.append(row)
    return make_table(
        "The answer at several tolerances, in nats or shares of the examples, and how many models "
        "each basin or linked part has.",
        rows,
    )


def _number(division: Division) -> str:
    return DASH if division.n_basins is None else str(division.n_basins)


def _parts(analysis: Analysis) -> Table:
    answer, rule = analysis.basins, rule_name(analysis)
    labels = answer.parts if answer.n_basins is None else answer.labels
    gaps = np.asarray(analysis.gaps.estimate)
    noun = "linked part" if answer.n_basins is None else "basin"
    rows: list[Row] = []
    for label in range(int(labels.max()) + 1):
        members = np.flatnonzero(labels == label)
        at = np.ix_(members, members)
        upper = np.triu_indices(len(members), 1)
        inside = gaps[at][upper][np.isfinite(gaps[at][upper])]
        row: Row = {
            noun: Cell(f"{noun} {label}"),
            "models": count_cell(len(members)),
            "lines with a barrier": count_cell(int(answer.states.apart[at][upper].sum())),
            "undecided": count_cell(
                int((~answer.states.apart[at] & ~answer.states.joined[at])[upper].sum())
            ),
            f"largest {rule} (nats)": number_cell(inside.max(initial=-np.inf), 3),
        }
        if answer.n_basins is None:
            row["a basin"] = "yes" if answer.is_basin[label] else "no"
        rows.append(row | {"members": ", ".join(analysis.models[model] for model in members)})
    return make_table(f"Every {noun}, and the lines between its own models.", rows)
