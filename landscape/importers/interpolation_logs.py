"""Text logs of linear interpolation, as the code of Juneja et al. (2023, arXiv 2205.12411) writes.

A pair's section begins with the Euclidean distance between the two and the data set; then for
every point the two coefficients and a table of one row: the point's number, the loss, the metrics.
Point 0 is the model that is named second.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape.core.errors import DataError
from landscape.importers.curves import POINT_COLUMNS
from landscape.importers.names import check_name

if TYPE_CHECKING:
    import pandas as pd

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|nan|[-+]?inf"
_STARTS = ("Euclidean distance between ", "Interpolating between ")
_DISTANCE = re.compile(rf"Euclidean distance between (.+) and (.+): (?:{_NUMBER})\.?", re.A)
_BETWEEN = re.compile(r"Interpolating between (.+) and (.+) on (\S+)")
_COEFFICIENTS = re.compile(rf"\[\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\]", re.A)
_DASHES = re.compile(r"-{3,}(\s+-{3,})*")
_ROW = re.compile(rf"({_NUMBER})(\s+({_NUMBER}))*", re.A)
_METRICS = {"accuracy": "accuracy", "matthews_correlation": "matthews"}


def is_interpolation_log(text: str) -> bool:
    """Whether a pair of models is named as such logs name it."""
    return any(start in text for start in _STARTS)


def read_interpolation_log(text: str, where: Path) -> pd.DataFrame:
    """The points of one log.

    Args:
        text: The log.
        where: The file's name.

    Returns:
        ``POINT_COLUMNS``, in the log's order. A pair whose log breaks off lacks the points that
        follow.

    Raises:
        DataError: A line that cannot be read; the first is named, and how many more there are.
    """
    import pandas as pd

    parser = _Parser()
    for number, line in enumerate(text.split("\n"), start=1):
        # a progress bar overwrites its line
        parser.read(number, line.rstrip("\r").rsplit("\r", 1)[-1][:1000].strip())
    if parser.wrong:
        number, expected, line = parser.wrong[0]
        more = f" ({len(parser.wrong) - 1} more lines like it)" if parser.wrong[1:] else ""
        raise DataError(
            f"A line of the log cannot be read{more}.",
            where=f"{where}, line {number}",
            expected=expected,
            found=line[:120] or "an empty line",
        )
    # only the longest curve tells how many points a whole one has
    last = max((k for section in parser.sections for k, *_ in section.rows), default=0)
    points = [point for section in parser.sections for point in section.points(where, last)]
    return pd.DataFrame(points, columns=POINT_COLUMNS)


@dataclass
class _Section:
    first: str
    second: str
    line: int
    dataset: str = ""
    columns: list[str] = field(default_factory=list)
    rows: list[tuple[int, float | None, list[float]]] = field(default_factory=list)

    def points(self, where: Path, last: int) -> Iterator[tuple[Any, ...]]:
        if not self.rows:
            return
        place = f"{where}, line {self.line}"
        pair = check_name(self.first, place), check_name(self.second, place)
        loss = self.columns.index("loss")
        column = next((name for name in _METRICS if name in self.columns), "")
        source = f"{where.name}, line {self.line}"
        for number, position, values in self.rows:
            t = 1 - number / max(last, 1) if position is None else position
            score = values[self.columns.index(column)] if column else math.nan
            metric = _METRICS.get(column, "")
            yield self.dataset, *pair, t, values[loss], score, metric, source


class _Parser:
    """Lines in, sections out; what comes before, between and after tables is let pass."""

    def __init__(self) -> None:
        self.sections: list[_Section] = []
        self.wrong: list[tuple[int, str, str]] = []
        self._position: float | None = None
        self._awaited = ""  # of a table: its dashes, its first row, or perhaps further rows

    def read(self, number: int, line: str) -> None:
        section = self.sections[-1] if self.sections else None
        awaited, self._awaited = self._awaited, ""
        expected = ""
        if any(start in line for start in _STARTS):
            expected = self._pair(number, line)
        elif awaited == "dashes":
            self._awaited = "row"
            if not _DASHES.fullmatch(line):
                expected = "dashes under the names of the columns"
        elif section and (awaited == "row" or (awaited == "rows" and _ROW.fullmatch(line))):
            expected = self._row(section, line)
        elif line.split()[:1] == ["point_num"]:
            expected = self._columns(section, line)
        elif section and (match := _COEFFICIENTS.fullmatch(line)):
            first, second = map(float, match.groups())
            if abs(first + second - 1) > 1e-6 or not -1e-9 <= second <= 1 + 1e-9:
                expected = "two coefficients from 0 to 1 whose sum is 1"
            self._position = min(max(second, 0.0), 1.0)
        if expected:
            self._awaited = ""
            self.wrong.append((number, expected, line))

    def _pair(self, number: int, line: str) -> str:
        self._position = None
        if match := _DISTANCE.search(line):
            self.sections.append(_Section(match[1].strip(), match[2].strip(), number))
            return ""
        match = _BETWEEN.search(line)
        if not match:
            return f"'{_STARTS[0]}A and B: 1.5.' or '{_STARTS[1]}A and B on SET'"
        names = match[1].strip(), match[2].strip()
        section = self.sections[-1] if self.sections else None
        if section is None or section.rows or section.dataset:
            section = _Section(*names, number)
            self.sections.append(section)
        section.dataset = match[3]
        if (section.first, section.second) != names:
            return f"the pair {section.first} and {section.second} of line {section.line}"
        return ""

    def _columns(self, section: _Section | None, line: str) -> str:
        columns = line.split()
        if section is None:
            return "the two models' names before their first table"
        if "loss" not in columns or len(set(columns)) < len(columns):
            return "columns point_num, loss and metrics, each once"
        if section.columns and section.columns != columns:
            return f"the columns {' '.join(section.columns)}, as above"
        section.columns = columns
        self._awaited = "dashes"
        return ""

    def _row(self, section: _Section, line: str) -> str:
        values = [float(v) for v in line.split()] if _ROW.fullmatch(line) else []
        if len(values) != len(section.columns) or not (values[0] % 1 == 0 <= values[0] < 1e6):
            return f"numbers for {', '.join(section.columns)}"
        section.rows.append((int(values[0]), self._position, values))
        self._position = None
        self._awaited = "rows"
        return ""
