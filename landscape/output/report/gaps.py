"""The report's section on the gaps by several rules, and on what examples and grid can show."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from landscape.analysis.barriers import RULES
from landscape.core.sentences import power_sentence, rules_sentence
from landscape.core.wording import short
from landscape.output.report.registry import Body, Source, Term, section
from landscape.output.report.tables import Row, count_cell, make_table, number_cell
from landscape.output.words import grid

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.diagnostics import Diagnostics

_SEEN = Term(
    "seen in 80%",
    "The gap of one barrier alone that would be shown in 80% of samples of as many examples: the "
    "tolerance, plus the margin by which noise alone exceeds it for any pair in 5% of the "
    "resamples, plus .84 standard errors, both of a pair of median noise.",
)


@section(
    "gaps",
    title="Gaps by several rules",
    needs=lambda analysis, diagnostics: analysis.by_rule,
    place=5,
)
def gaps(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """How many pairs have a barrier, by each rule."""
    by_rule, own = analysis.by_rule, analysis.by_rule[0]
    beyond = " beyond noise" if own.beyond_noise else ""
    rows: list[Row] = [
        {
            "rule": found.name,
            f"above {short(found.tolerance)} nats{beyond}": count_cell(found.n_apart),
            "median (nats)": number_cell(found.median, 3),
            "largest (nats)": number_cell(found.largest, 3),
            "seen in 80% (nats)": number_cell(found.seen, 3),
        }
        for found in by_rule
    ]
    caption = f"The gaps of {own.n_pairs:,} pairs on {analysis.dataset} by every rule."
    terms = [
        Term(
            found.name, RULES[found.rule].text, tuple(Source(*s) for s in RULES[found.rule].sources)
        )
        for found in by_rule[1:]
    ]
    said = [rules(analysis)]
    if isfinite(own.seen):
        n_examples = len(analysis.results.datasets[analysis.dataset].labels)
        said.append(
            power_sentence(
                own.seen, n_examples=n_examples, n_pairs=own.n_pairs, tolerance=own.tolerance
            )
        )
        terms.append(_SEEN)
    return Body(
        (" ".join(said), *grid(analysis)), tables=(make_table(caption, rows),), terms=tuple(terms)
    )


def rules(analysis: Analysis) -> str:
    """How many pairs have a barrier, by each rule, in a sentence."""
    own = analysis.by_rule[0]
    return rules_sentence(
        [(found.name, found.n_apart) for found in analysis.by_rule],
        n_pairs=own.n_pairs,
        tolerance=own.tolerance,
        beyond_noise=own.beyond_noise,
    )
