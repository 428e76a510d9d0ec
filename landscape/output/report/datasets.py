"""The report's table of data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.core.wording import DASH
from landscape.output.report.registry import Body, section
from landscape.output.report.tables import Cell, Row, count_cell, make_table
from landscape.output.words import dataset_of, metric_name

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.diagnostics import Diagnostics


@section("datasets", title="Data sets", place=100)
def datasets(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """What was measured on."""
    rows: list[Row] = []
    for name, data in analysis.results.datasets.items():
        parts = {
            "gives the gaps": name == analysis.dataset,
            "holds the focus": name == dataset_of(analysis, analysis.focus),
        }
        cuts = "; ".join(f"{cut} ({len(np.unique(of))})" for cut, of in data.groups.items())
        n = count_cell(len(data.labels))
        rows.append(
            {
                "data set": Cell(name, note=", ".join(part for part in parts if parts[part])),
                "role": data.role.replace("_", "-"),
                "examples": Cell("means only", number=True, key="") if data.aggregated else n,
                "metric": metric_name(data.metric),
                "labels": ", ".join(data.label_names) or DASH,
                "groupings (values)": cuts or DASH,
                "content hash": Cell(data.content_hash[:16] or DASH, code=True),
            }
        )
    caption = "Every data set: its part, its size, how it is scored, and a hash of its examples."
    return Body(tables=(make_table(caption, rows),))
