"""Text logs of linear interpolation, as the code of Juneja et al. (2023, arXiv 2205.12411) writes.

A pair's section begins with the Euclidean distance between the two and the data set; then for
every point the two coefficients and a table of one row: the point's number, the loss, the metrics.
Point 0 is the model that is named second.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from landscape.core.errors import DataError
from landscape.core.files import read_bytes
from landscape.importers.curves import MeasuredCurve, Metric, PublishedCurves, gather_curves
from landscape.importers.files import Paths, check_amount, find_files

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|nan|[-+]?inf"
_DISTANCE = re.compile(rf"Euclidean distance between (.+) and (.+): ({_NUMBER})\.?", re.A)
_BETWEEN = re.compile(r"Interpolating between (.+) and (.+) on (\S+)")
_COEFFICIENTS = re.compile(rf"\[\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\]", re.A)
_DASHES = re.compile(r"-{3,}(\s+-{3,})*")
_ROW = re.compile(rf"({_NUMBER})(\s+({_NUMBER}))*", re.A)
_METRICS: dict[str, Metric] = {"accuracy": "accuracy", "matthews_correlation": "matthews"}


def read_interpolation_logs(paths: Paths) -> dict[str, PublishedCurves]:
    """Read logs of linear interpolation.

    Args:
        paths: Files, folders and patterns; a folder's files that are no such logs are left out.

    Returns:
        From a data set's name ("" where a log does not say) to its curves. A pair whose log breaks
        off lacks the points that follow.

    Raises:
        DataError: No file, no logs, or a line that cannot be read; it is named.
    """
    measured: dict[str, list[MeasuredCurve]] = {}
    for path in find_files(paths):
        text = read_bytes(path).decode("utf-8", errors="replace")
        if is_interpolation_log(text):
            for curve in parse_interpolation_log(text, str(path)):
                measured.setdefault(curve.dataset, []).append(curve)
    if not measured:
        raise DataError(
            "There are no logs of interpolation.",
            where=paths,
            expected="lines as 'Euclidean distance between A and B: 1.5.' and tables below them",
        )
    return {name: gather_curves(curves) for name, curves in measured.items()}


def is_interpolation_log(text: str) -> bool:
    """Whether a pair of models is named as such logs name it."""
    return "Euclidean distance between " in text or "Interpolating between " in text


def parse_interpolation_log(text: str, where: str) -> list[MeasuredCurve]:
    """The curves of one log, a section each, in its order.

    Args:
        text: The log.
        where: The file's name.

    Raises:
        DataError: A line that cannot be read; the first is named, and how many more there are.
    """
    check_amount(text, "\n", where)
    parser = _Parser()
    for number, line in enumerate(text.split("\n"), start=1):
        # a progress bar overwrites its line
        parser.read(number, line.rstrip("\r").rsplit("\r", 1)[-1][:1000].strip())
    if parser.wrong:
        number, expected, found = parser.wrong[0]
        more = f" ({len(parser.wrong) - 1} more lines like it)" if parser.wrong[1:] else ""
        raise DataError(
            f"A line of the log cannot be read{more}.",
            where=f"{where}, line {number}",
            expected=expected,
            found=found[:120] or "an empty line",
        )
    # only the longest curve tells how many points a whole one has
    last = max((k for s in parser.sections for k, *_ in s.rows), default=0)
    curves = (section.curve(where, last) for section in parser.sections if section.rows)
    return list(curves)


@dataclass
class _Section:
    first: str
    second: str
    line: int
    distance: float = math.nan
    dataset: str = ""
    columns: list[str] = field(default_factory=list)
    rows: list[tuple[int, float | None, list[float]]] = field(default_factory=list)

    def curve(self, where: str, last: int) -> MeasuredCurve:
        metric = next((name for name in _METRICS if name in self.columns), None)
        loss = self.columns.index("loss")
        return MeasuredCurve(
            first=self.first,
            second=self.second,
            positions=[1 - k / max(last, 1) if t is None else t for k, t, _ in self.rows],
            losses=[values[loss] for *_, values in self.rows],
            accuracies=[values[self.columns.index(metric)] for *_, values in self.rows]
            if metric
            else None,
            metric=_METRICS[metric] if metric else "accuracy",
            distance=self.distance,
            dataset=self.dataset,
            where=f"{where}, line {self.line}",
        )


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
        if "Euclidean distance between " in line or "Interpolating between " in line:
            self._pair(number, line)
        elif awaited == "dashes":
            if _DASHES.fullmatch(line):
                self._awaited = "row"
            else:
                self._refuse(number, "dashes under the names of the columns", line)
        elif section and (awaited == "row" or (awaited == "rows" and _ROW.fullmatch(line))):
            self._row(section, number, line)
        elif line.split()[:1] == ["point_num"]:
            self._columns(number, line)
        elif section and (match := _COEFFICIENTS.fullmatch(line)):
            first, second = map(float, match.groups())
            if abs(first + second - 1) > 1e-6 or not -1e-9 <= second <= 1 + 1e-9:
                self._refuse(number, "two coefficients from 0 to 1 whose sum is 1", line)
            self._position = min(max(second, 0.0), 1.0)

    def _refuse(self, number: int, expected: str, line: str) -> None:
        self.wrong.append((number, expected, line))

    def _pair(self, number: int, line: str) -> None:
        self._position = None
        if match := _DISTANCE.search(line):
            self.sections.append(
                _Section(match[1].strip(), match[2].strip(), number, float(match[3]))
            )
            return
        if match := _BETWEEN.search(line):
            names = (match[1].strip(), match[2].strip())
            now = self.sections[-1] if self.sections else None
            if now is None or now.rows or now.dataset:
                now = _Section(*names, number)
                self.sections.append(now)
            elif (now.first, now.second) != names:
                self._refuse(
                    number, f"the pair {now.first} and {now.second} of line {now.line}", line
                )
            now.dataset = match[3]
            return
        self._refuse(
            number,
            "'Euclidean distance between A and B: 1.5.' or 'Interpolating between A and B on SET'",
            line,
        )

    def _columns(self, number: int, line: str) -> None:
        columns = line.split()
        section = self.sections[-1] if self.sections else None
        if section is None:
            self._refuse(number, "the two models' names before their first table", line)
            return
        if "loss" not in columns or len(set(columns)) < len(columns):
            self._refuse(number, "columns point_num, loss and metrics, each once", line)
            return
        if section.columns and section.columns != columns:
            self._refuse(number, f"the columns {' '.join(section.columns)}, as above", line)
            return
        section.columns = columns
        self._awaited = "dashes"

    def _row(self, section: _Section, number: int, line: str) -> None:
        values = [float(v) for v in line.split()] if _ROW.fullmatch(line) else []
        if len(values) != len(section.columns) or not (values[0] % 1 == 0 <= values[0] < 1e6):
            self._refuse(number, f"numbers for {', '.join(section.columns)}", line)
            return
        section.rows.append((int(values[0]), self._position, values))
        self._position = None
        self._awaited = "rows"
