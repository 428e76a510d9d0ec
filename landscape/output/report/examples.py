"""The report's section on the examples that make the gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from landscape.analysis.barriers.contributions import FEW
from landscape.core.sentences import few_sentence
from landscape.core.wording import count, number, share
from landscape.output.report.registry import Body, Source, Term, section
from landscape.output.report.tables import (
    Cell,
    Row,
    Table,
    count_cell,
    make_table,
    number_cell,
    share_cell,
)
from landscape.output.words import has_contributions

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
        "So many examples with contributions of one size would make a gap as uncertain: the "
        "squared sum of the squared contributions over the sum of their fourth powers. Below "
        f"{FEW}, 95% intervals of a gap cover in fewer than 90% of samples: others of as many "
        "examples may have none of these few.",
        (Source("Hill 1973"),),
    ),
)


@section(
    "examples",
    title="Examples that make the gaps",
    needs=lambda analysis, diagnostics: has_contributions(analysis),
    place=50,
)
def examples(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """Which examples make the gaps."""
    contributions = analysis.contributions
    assert contributions is not None  # that is needed
    tables = [_examples(contributions)]
    if len(contributions.groups) > 1:
        tables.append(_groups(contributions))
    n_behind, tolerance = _behind_gaps(analysis), analysis.basins.states.asked
    warnings = [few_sentence(n_behind, tolerance)] if n_behind < FEW else []
    return Body(
        (contributions.sentence,),
        _facts(contributions, n_behind),
        tuple(tables),
        terms=_TERMS,
        warnings=tuple(warnings),
    )


def _behind_gaps(analysis: Analysis) -> float:
    """The median effective number of examples behind gaps above the tolerance; NaN of none."""
    contributions = analysis.contributions
    assert contributions is not None  # that is needed
    above = contributions.gaps > analysis.basins.states.asked
    return float(np.median(contributions.effective[above])) if above.any() else np.nan


def _facts(contributions: PopulationContributions, n_behind: float) -> tuple[tuple[str, str], ...]:
    spread, gap = contributions.concentration, float(contributions.gaps.mean())
    correlations = contributions.stability[np.isfinite(contributions.stability)]
    agree = float(np.median(correlations)) if len(correlations) else np.nan
    return (
        (
            "examples",
            f"{len(contributions.mean):,} of {contributions.dataset}, "
            f"{share(spread.share_positive)} raise the gap",
        ),
        (
            "most contributing",
            f"1% make {share(spread.top_1)}, 5% make {share(spread.top_5)}, "
            f"10% make {share(spread.top_10)} of the net gap",
        ),
        ("half comes from", count(spread.n_half, "example")),
        (
            "effective number",
            f"{number(spread.effective_number, 1)} examples behind the mean gap, "
            f"{number(n_behind, 1)} behind a gap above the tolerance (median)",
        ),
        ("mean gap", f"{number(gap, 4)} nats over {count(len(contributions.gaps), 'pair')}"),
        (
            "mean gap without",
            f"the top example {number(contributions.gap_without_top, 4)} nats, the top 1% "
            f"{number(contributions.gap_without_top_1, 4)} nats",
        ),
        ("pairs agree", f"Spearman \u03c1 {number(agree, 2)} (median)"),
    )


def _examples(contributions: PopulationContributions) -> Table:
    table, n = contributions.examples, len(contributions.gaps)
    texts, groups = _prefixed(table, "text: "), _prefixed(table, "group: ")
    rows: list[Row] = [
        {
            "row": count_cell(int(str(example))),
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
        f"The {count(len(rows), 'example')} that contribute most, by row of the data set from 0, "
        f"averaged over {count(n, 'pair')}; the share is of the net gap, so that shares of all "
        "examples, negative ones too, add up to 100%; losses are those at the highest point of the "
        "rise and on the line between its ends.",
        rows,
    )


def _groups(contributions: PopulationContributions) -> Table:
    rows: list[Row] = [
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
        folded=f"Contributions of {len(rows)} groups",
    )


def _text_cell(text: str) -> Cell:
    if len(text) <= _CLIP:
        return Cell(text)
    return Cell(f"{text[: _CLIP - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}", whole=text)


def _prefixed(table: pd.DataFrame, prefix: str) -> dict[str, str]:
    """Columns of a kind, by their names without the prefix, which stays where it is needed."""
    columns = [str(column) for column in table.columns if str(column).startswith(prefix)]
    names = {column.removeprefix(prefix): column for column in columns}
    return {column if name in _HEADS else name: column for name, column in names.items()}
