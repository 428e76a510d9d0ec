"""The report's table of data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.output.plots import common
from landscape.output.report.cells import SHORT, Cell, Head, Row, Section, Table, count_cell
from landscape.output.report.words import DASH

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis


def datasets_section(analysis: Analysis) -> Section:
    """What was measured on."""
    rows = []
    for name, data in analysis.contents.datasets.items():
        notes = ", ".join(
            what
            for what, is_it in (
                ("gives the gaps", name == analysis.dataset),
                ("holds the focus", name == common.dataset_of(analysis, analysis.focus)),
            )
            if is_it
        )
        groups = [f"{cut} ({len(np.unique(values))})" for cut, values in data.groups.items()]
        cells = (
            Cell(name, note=notes),
            Cell(data.role.replace("_", "-")),
            Cell("means only") if data.aggregated else count_cell(len(data.labels)),
            Cell({"matthews": "Matthews correlation"}.get(data.metric, data.metric)),
            Cell(", ".join(data.label_names) or DASH),
            Cell("; ".join(groups) or DASH, long=len("; ".join(groups)) > SHORT),
            Cell(data.content_hash[:16] or DASH, code=True),
        )
        rows.append(Row(cells))
    table = Table(
        "Every data set: its part, its size, how it is scored, and a hash of its examples.",
        (
            Head("data set"),
            Head("role"),
            Head("examples", True),
            Head("metric"),
            Head("labels"),
            Head("groupings (values)"),
            Head("content hash"),
        ),
        tuple(rows),
        sortable=False,
    )
    return Section("datasets", "Data sets", (table,))
