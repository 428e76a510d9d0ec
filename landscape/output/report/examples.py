"""The report's section on the examples that make the gaps."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from landscape.output.plots.captions import count
from landscape.output.report.cells import (
    FOLD_FROM,
    Cell,
    Head,
    Row,
    Section,
    Table,
    count_cell,
    number_cell,
    share,
    share_cell,
)
from landscape.output.report.words import number

if TYPE_CHECKING:
    from landscape.analysis.barriers.contributions import PopulationContributions
    from landscape.analysis.details import Details

EXAMPLES_SHOWN = 12
_CLIP = 160  # characters of a text


def examples_section(details: Details) -> list[Section]:
    """Which examples make the gaps; no section where none does or losses of one are not known."""
    found = details.contributions
    if found is None or not found.concentration.n_half:
        return []
    paragraphs = [found.sentence]
    if not _prefixed(found.examples, "text: "):
        paragraphs.append(
            "The store holds no texts of the examples: they are named by their rows in the data "
            "set, counted from 0."
        )
    tables = [_examples(found)]
    if len(found.groups) > 1:
        tables.append(_groups(found))
    return [
        Section(
            "examples",
            "Examples that make the gaps",
            tuple(tables),
            tuple(paragraphs),
            tuple(_facts(found)),
        )
    ]


def _facts(found: PopulationContributions) -> list[tuple[str, str]]:
    spread, n, gap = found.concentration, len(found.mean), float(found.gaps.mean())
    facts = [
        ("examples", f"{n:,} of {found.dataset}, {share(spread.share_positive)} raise the gap"),
        (
            "most contributing",
            f"1% hold {share(spread.top_1)}, 5% hold {share(spread.top_5)}, "
            f"10% hold {share(spread.top_10)} of the contributions above 0",
        ),
        ("half comes from", count(spread.n_half, "example")),
        ("effective number", f"{number(spread.effective_number, 1)} examples"),
        ("Gini coefficient", number(spread.gini, 3)),
        ("mean gap", f"{number(gap, 4)} nats over {count(len(found.gaps), 'pair')}"),
    ]
    if isfinite(found.gap_without_top):
        facts.append(
            (
                "mean gap without",
                f"the top example {number(found.gap_without_top, 4)} nats, the top 1% "
                f"{number(found.gap_without_top_1, 4)} nats",
            )
        )
    known = found.stability[np.isfinite(found.stability)]
    if len(known):
        facts.append(
            ("pairs agree", f"Spearman \u03c1 {number(float(np.median(known)), 2)} (median)")
        )
    return facts


def _examples(found: PopulationContributions) -> Table:
    texts, groups = (_prefixed(found.examples, prefix) for prefix in ("text: ", "group: "))
    rows = []
    for example, row in found.examples.head(EXAMPLES_SHOWN).iterrows():
        cells = (
            Cell(f"{example}", number=True, key=f"{example}"),
            *(_text_cell(str(row[column])) for column in texts.values()),
            Cell(str(row["label"])),
            *(Cell(str(row[column])) for column in groups.values()),
            number_cell(row["contribution"], 3),
            share_cell(row["share"], 2),
            number_cell(row["loss_ends"], 3),
            number_cell(row["loss_middle"], 3),
            count_cell(int(row["in_top_5"])),
        )
        rows.append(Row(cells))
    n = len(found.gaps)
    return Table(
        f"The {count(len(rows), 'example')} that contribute most, averaged over "
        f"{count(n, 'pair')}; the share is of all contributions above 0, losses are those at "
        "the highest point of the rise and on the line between its ends.",
        (
            Head("row", True),
            *(Head(name) for name in texts),
            Head("label"),
            *(Head(name) for name in groups),
            Head("contribution (nats)", True),
            Head("share", True),
            Head("loss between the ends (nats)", True),
            Head("loss in the middle (nats)", True),
            Head(f"pairs with it in their top 5% (of {n:,})", True),
        ),
        tuple(rows),
    )


def _groups(found: PopulationContributions) -> Table:
    rows = tuple(
        Row(
            (
                Cell(str(row["group"])),
                count_cell(int(row["examples"])),
                number_cell(row["contribution"], 4),
                share_cell(row["share"]),
            )
        )
        for _, row in found.groups.iterrows()
    )
    return Table(
        "Contributions by group and label: the mean over a group's examples, and the group's share "
        "of the sum, which is negative where a group lowers the gap.",
        (
            Head("group"),
            Head("examples", True),
            Head("contribution (nats)", True),
            Head("share", True),
        ),
        rows,
        folded=f"Contributions of {len(rows)} groups" if len(rows) >= FOLD_FROM else "",
    )


def _text_cell(text: str) -> Cell:
    if len(text) <= _CLIP:
        return Cell(text, long=True)
    return Cell(f"{text[: _CLIP - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}", long=True, whole=text)


def _prefixed(table: pd.DataFrame, prefix: str) -> dict[str, str]:
    """Columns of a kind, by their names without the prefix."""
    columns = [str(column) for column in table.columns if str(column).startswith(prefix)]
    return {column.removeprefix(prefix): column for column in columns}
