"""The report's section on the examples that make the gaps."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from landscape.core.wording import count, number, share
from landscape.output.report.registry import Body, Source, Term, section
from landscape.output.report.tables import (
    FOLD_FROM,
    Cell,
    Table,
    count_cell,
    make_table,
    number_cell,
    share_cell,
)

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.barriers.contributions import PopulationContributions
    from landscape.analysis.diagnostics import Diagnostics

EXAMPLES_SHOWN = 12
_CLIP = 160  # characters of a text
_HEADS = ("row", "label", "share")  # columns of every such table
_TERMS = (
    Term(
        "contribution",
        "An example's own loss at the highest point of a rise less the line between its own losses "
        "at the ends of the rise, in nats: the mean over the examples is the gap.",
    ),
    Term(
        "effective number",
        "As many examples with equal contributions would be as concentrated: the squared sum of "
        "the contributions above 0 over the sum of their squares.",
        (Source("Hill 1973"),),
    ),
)


def _needs(analysis: Analysis, diagnostics: Diagnostics) -> bool:
    contributions = analysis.contributions
    return contributions is not None and contributions.concentration.n_half > 0


@section("examples", title="Examples that make the gaps", needs=_needs, place=50)
def examples(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """Which examples make the gaps."""
    contributions = analysis.contributions
    assert contributions is not None  # that is needed
    paragraphs = [contributions.sentence]
    if not _prefixed(contributions.examples, "text: "):
        paragraphs.append(
            "The store holds no texts of the examples: they are named by their rows in the data "
            "set, counted from 0."
        )
    tables = [_examples(contributions)]
    if len(contributions.groups) > 1:
        tables.append(_groups(contributions))
    return Body(tuple(paragraphs), _facts(contributions), tuple(tables), terms=_TERMS)


def _facts(contributions: PopulationContributions) -> tuple[tuple[str, str], ...]:
    spread, gap = contributions.concentration, float(contributions.gaps.mean())
    positive = f"{share(spread.share_positive)} raise the gap"
    facts = [
        ("examples", f"{len(contributions.mean):,} of {contributions.dataset}, {positive}"),
        (
            "most contributing",
            f"1% hold {share(spread.top_1)}, 5% hold {share(spread.top_5)}, "
            f"10% hold {share(spread.top_10)} of the contributions above 0",
        ),
        ("half comes from", count(spread.n_half, "example")),
        ("effective number", f"{number(spread.effective_number, 1)} examples"),
        ("Gini coefficient", number(spread.gini, 3)),
        ("mean gap", f"{number(gap, 4)} nats over {count(len(contributions.gaps), 'pair')}"),
    ]
    if isfinite(contributions.gap_without_top):
        without = (
            f"the top example {number(contributions.gap_without_top, 4)} nats, the top 1% "
            f"{number(contributions.gap_without_top_1, 4)} nats"
        )
        facts.append(("mean gap without", without))
    known = contributions.stability[np.isfinite(contributions.stability)]
    if len(known):
        agree = f"Spearman \u03c1 {number(float(np.median(known)), 2)} (median)"
        facts.append(("pairs agree", agree))
    return tuple(facts)


def _examples(contributions: PopulationContributions) -> Table:
    table, n = contributions.examples, len(contributions.gaps)
    texts, groups = _prefixed(table, "text: "), _prefixed(table, "group: ")
    rows: list[dict[str, Cell | str]] = [
        {
            "row": Cell(f"{example}", number=True, key=f"{example}"),
            **{name: _text_cell(str(row[column])) for name, column in texts.items()},
            "label": str(row["label"]),
            **{name: str(row[column]) for name, column in groups.items()},
            "contribution (nats)": number_cell(row["contribution"], 3),
            "share": share_cell(row["share"], 2),
            "loss between the ends (nats)": number_cell(row["loss_ends"], 3),
            "loss in the middle (nats)": number_cell(row["loss_middle"], 3),
            f"pairs with it in their top 5% (of {n:,})": count_cell(row["in_top_5"]),
        }
        for example, row in table.head(EXAMPLES_SHOWN).iterrows()
    ]
    return make_table(
        f"The {count(len(rows), 'example')} that contribute most, averaged over "
        f"{count(n, 'pair')}; the share is of all contributions above 0, losses are those at "
        "the highest point of the rise and on the line between its ends.",
        rows,
    )


def _groups(contributions: PopulationContributions) -> Table:
    rows: list[dict[str, Cell | str]] = [
        {
            "group": str(row["group"]),
            "examples": count_cell(row["examples"]),
            "contribution (nats)": number_cell(row["contribution"], 4),
            "share": share_cell(row["share"]),
        }
        for _, row in contributions.groups.iterrows()
    ]
    return make_table(
        "Contributions by group and label: the mean over a group's examples, and the group's share "
        "of the sum, which is negative where a group lowers the gap.",
        rows,
        folded=f"Contributions of {len(rows)} groups" if len(rows) >= FOLD_FROM else "",
    )


def _text_cell(text: str) -> Cell:
    if len(text) <= _CLIP:
        return Cell(text, long=True)
    return Cell(f"{text[: _CLIP - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}", long=True, whole=text)


def _prefixed(table: pd.DataFrame, prefix: str) -> dict[str, str]:
    """Columns of a kind, by their names without the prefix, which stays where it is needed."""
    columns = [str(column) for column in table.columns if str(column).startswith(prefix)]
    names = {column.removeprefix(prefix): column for column in columns}
    return {column if name in _HEADS else name: column for name, column in names.items()}
