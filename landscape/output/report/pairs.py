"""The report's table of pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.output.plots import common
from landscape.output.plots.captions import count, percent
from landscape.output.report.cells import (
    Cell,
    Head,
    Row,
    Section,
    Table,
    interval_note,
    number_cell,
)
from landscape.output.report.words import DASH, ranked_pairs

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

PAIRS_SHOWN = 15


def pairs_section(analysis: Analysis) -> Section:
    """The pairs with the largest gaps."""
    gaps, rule = analysis.gaps, common.rule_name(analysis)
    ranked = ranked_pairs(analysis)
    losses = analysis.curves[analysis.dataset].losses
    # of the points that make the gap
    exact = np.where(analysis.contents.exact, losses, -np.inf)
    highest = np.where(np.isfinite(exact).any(1), exact.max(1), np.nan)
    where = np.where(np.isfinite(highest), analysis.positions[exact.argmax(1)], np.nan)
    rows = []
    for pair in ranked[:PAIRS_SHOWN]:
        i, j = (int(model) for model in analysis.pairs[pair])
        first, second = int(analysis.basins.labels[i]), int(analysis.basins.labels[j])
        cells = (
            Cell(analysis.models[i], basin=first),
            Cell(analysis.models[j], basin=second),
            number_cell(gaps.estimate[i, j], 4),
            number_cell(
                gaps.corrected[i, j], 4, note=interval_note(gaps.low[i, j], gaps.high[i, j], 4)
            ),
            number_cell(highest[pair], 4),
            number_cell(where[pair], 2),
            Cell(str(analysis.kinds[pair]) or DASH),
        )
        rows.append(Row(cells))
    shown = min(len(ranked), PAIRS_SHOWN)
    which = f"The {shown} pairs with the largest {rule}" if len(ranked) > 1 else f"The {rule}"
    known = bool(np.isfinite(gaps.low[tuple(analysis.pairs[ranked].T)]).any())
    rest = (
        f"also less the bias that noise gives, with {percent(gaps.confidence)} intervals under "
        f"resampled examples ({count(gaps.n_resamples, 'resample')})."
        if known
        else "without intervals: losses of single examples are not known."
    )
    table = Table(
        f"{which} on {analysis.dataset}, {rest}",
        (
            Head("model at t = 0"),
            Head("model at t = 1"),
            Head(f"{rule} (nats)", True),
            Head("corrected (nats)", True),
            Head("largest loss (nats)", True),
            Head("at t", True),
            Head("kind of pair"),
        ),
        tuple(rows),
    )
    return Section("pairs", "Pairs", (table,) if rows else ())
