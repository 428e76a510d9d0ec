"""The report's table of pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.core.wording import DASH, percent
from landscape.output.report.registry import Body, section
from landscape.output.report.tables import Cell, Row, interval_note, make_table, number_cell
from landscape.output.words import has_intervals, ranked_pairs, rule_name

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.diagnostics import Diagnostics

PAIRS_SHOWN = 15


@section(
    "pairs",
    title="Pairs",
    needs=lambda analysis, diagnostics: len(ranked_pairs(analysis)),
    place=70,
)
def pairs(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """The pairs with the largest gaps."""
    gaps, rule, ranked = analysis.gaps, rule_name(analysis), ranked_pairs(analysis)
    losses = analysis.curves[analysis.dataset].losses
    # of the points that make the gap
    exact = np.where(analysis.results.exact, losses, -np.inf)
    highest = np.where(np.isfinite(exact).any(1), exact.max(1), np.nan)
    where = np.where(np.isfinite(highest), analysis.positions[exact.argmax(1)], np.nan)
    others, contributions = analysis.by_rule[1:], analysis.contributions
    behind = np.full(len(analysis.pairs), np.nan)
    if contributions is not None:
        behind[contributions.pairs] = contributions.effective
    rows: list[Row] = []
    for pair in ranked[:PAIRS_SHOWN]:
        i, j = (int(model) for model in analysis.pairs[pair])
        interval = interval_note(gaps.low[i, j], gaps.high[i, j], 4)
        rows.append(
            {
                "model at t = 0": Cell(
                    analysis.models[i], basin=int(analysis.basins.shown.labels[i])
                ),
                "model at t = 1": Cell(
                    analysis.models[j], basin=int(analysis.basins.shown.labels[j])
                ),
                f"{rule} (nats)": number_cell(gaps.estimate[i, j], 4),
                "corrected (nats)": number_cell(gaps.corrected[i, j], 4, note=interval),
                **{f"{by.name} (nats)": number_cell(by.gaps[pair], 4) for by in others},
                "effective examples": number_cell(behind[pair], 0),
                "largest loss (nats)": number_cell(highest[pair], 4),
                "at t": number_cell(where[pair], 2),
                "kind of pair": str(analysis.kinds[pair]) or DASH,
            }
        )
    rest = (
        f"also less the bias that noise gives, with {percent(gaps.confidence)} intervals under "
        "resampled examples."
        if has_intervals(analysis)
        else "without intervals: losses of single examples are not known."
    )
    caption = f"The pairs with the largest {rule} on {analysis.dataset}, {rest}"
    return Body(tables=(make_table(caption, rows),))
