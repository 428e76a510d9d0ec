"""The report's table of ways, and whether the models average."""

from __future__ import annotations

from typing import TYPE_CHECKING

from landscape.analysis.along import layer_ways, summarize, ways_between
from landscape.output.report.cells import Cell, Head, Row, Section, Table
from landscape.output.report.words import DASH, number

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

_HEAD = (
    Head("way"),
    Head("between"),
    Head("data set"),
    Head("barrier (nats)", True),
    Head("highest loss (nats)", True),
    Head("mean loss by length (nats)", True),
    Head("lowest accuracy", True),
    Head("length", True),
    Head("length / distance", True),
)


def ways_section(analysis: Analysis) -> list[Section]:
    """What every way came to on every data set; no section without ways."""
    contents = analysis.contents
    ways = [way for group in ways_between(contents).values() for way in group]
    if not ways:
        return []
    rows = []
    for column in contents.datasets:
        for way in summarize(contents, ways, column):
            interval = f"{number(way.low, 3)} to {number(way.high, 3)}"
            rows.append(
                Row(
                    (
                        Cell(way.points.name),
                        Cell(" and ".join(way.points.models)),
                        Cell(column),
                        _number(way.barrier, 3, interval),
                        _number(way.highest, 3),
                        _number(way.mean, 3),
                        _number(float(way.accuracy.min()), 3),
                        _number(way.length, 2),
                        _number(way.length / way.distance, 3),
                    )
                )
            )
    table = Table(
        "Every way on every data set, with 95% intervals of the barrier over examples.",
        _HEAD,
        tuple(rows),
    )
    unfinished = [way.name for way in ways if way.notes.get("converged") is False]
    text = (
        "The barrier is the largest rise of the loss above the straight line between the losses of "
        "the two ends, by share of length."
    )
    if unfinished:
        text += f" The training loss of {', '.join(unfinished)} still fell at the end."
    if layer_ways(contents):
        text += " Ways along single groups of layers are in the figure."
    return [Section("ways", "Ways between two models", (table,), (text,))]


def _number(value: float, digits: int, note: str = "") -> Cell:
    text = number(value, digits)
    return Cell(text, number=True, key="" if text == DASH else f"{value:.9g}", note=note)
