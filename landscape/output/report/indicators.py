"""The report's table of indicators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.analysis.indicator_profiles import indicator_profiles
from landscape.output.report.registry import Body, section
from landscape.output.report.tables import Row, make_table, number_cell

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.diagnostics import Diagnostics


@section(
    "indicators",
    title="Indicators",
    needs=lambda analysis, diagnostics: analysis.results.indicators,
    place=55,
)
def indicators(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """Each quantity at the models, and its farthest departure between them."""
    shown = analysis.basins.shown
    labels = np.asarray(shown.labels)
    rows: list[Row] = []
    for profile in indicator_profiles(analysis.results):
        row: Row = {
            "indicator": profile.indicator,
            "quantity": profile.quantity,
            "unit": profile.unit,
            "models": number_cell(_mean(profile.models), 3),
        }
        if shown.n > 1:
            for basin in range(shown.n):
                row[f"{shown.noun} {basin}"] = number_cell(
                    _mean(profile.models[labels == basin]), 3
                )
        row["departure"] = number_cell(_mean(profile.departures), 3)
        rows.append(row)
    caption = (
        "Means over the models, and over all pairs the mean of the farthest departure of a path's "
        "points from the straight line between its two ends' values. tables/ holds every point."
    )
    return Body(tables=(make_table(caption, rows),))


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan
