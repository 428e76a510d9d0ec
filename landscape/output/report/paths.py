"""The report's table of the paths between two models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from landscape.analysis.profiles import path_profile, paths_between
from landscape.core.wording import interval, listed
from landscape.output.report.registry import Body, section
from landscape.output.report.tables import Row, make_table, number_cell
from landscape.output.words import path_text

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.diagnostics import Diagnostics


@section(
    "paths",
    title="Paths between two models",
    needs=lambda analysis, diagnostics: paths_between(analysis.results),
    place=90,
)
def paths(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """What every path came to on every data set."""
    results = analysis.results
    measured = [path for between in paths_between(results).values() for path in between]
    rows: list[Row] = []
    for column in results.datasets:
        for path in measured:
            profile = path_profile(results, path, column)
            gap = profile.barrier()
            ends = interval(float(gap.low), float(gap.high), 3)
            rows.append(
                {
                    "path": path.name,
                    "kind": path_text(path),
                    "between": " and ".join(path.models),
                    "data set": column,
                    "barrier (nats)": number_cell(float(gap.estimate), 3, note=ends),
                    "highest loss (nats)": number_cell(profile.highest, 3),
                    "mean loss by length (nats)": number_cell(profile.mean, 3),
                    "lowest accuracy": number_cell(profile.accuracy.min(), 3),
                    "length": number_cell(profile.length, 2),
                    "length / distance": number_cell(profile.detour, 3),
                }
            )
    paragraphs = [
        "The barrier is the largest rise of the loss above the straight line between the losses of "
        "the two ends, by share of length."
    ]
    if unfinished := [path.name for path in measured if path.notes.get("converged") is False]:
        paragraphs.append(f"Training was not at its end: {listed(unfinished)}.")
    caption = "Every path on every data set, with 95% intervals of the barrier over examples."
    return Body((" ".join(paragraphs),), tables=(make_table(caption, rows),))
