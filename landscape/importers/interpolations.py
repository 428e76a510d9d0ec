"""Logs and pickles of linear interpolation, as Juneja et al. (2023, arXiv 2205.12411) write them.

A pair's section of a log begins with a line that names the two and the data set; then for every
point the two coefficients and a table of one row: the point's number, the loss, the metrics.
"""

from __future__ import annotations

import math
import re
import reprlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.core.errors import DataError
from landscape.importers.curves import POINT_COLUMNS, Metric
from landscape.importers.names import check_name

if TYPE_CHECKING:
    import pandas as pd

START = "Interpolating between "
_PAIR = re.compile(rf"{START}(.+) and (.+) on (\S+)")
_COEFFICIENTS = re.compile(r"\[([-+.\de]+), ([-+.\de]+)\]", re.A)
_LONGEST = 1000  # characters of a line


def read_interpolation_log(text: str, where: Path) -> pd.DataFrame:
    """``POINT_COLUMNS`` of one log, in its order; a pair whose log breaks off lacks points.

    Raises:
        DataError: A line that cannot be read; it is named.
    """
    import pandas as pd

    points: list[tuple[Any, ...]] = []
    pair: tuple[str, ...] = ()  # the data set and the two models
    coefficients, columns = list[str](), list[str]()
    for number, whole in enumerate(text.split("\n"), start=1):
        # a progress bar overwrites its line
        line = whole.rstrip("\r").rsplit("\r", 1)[-1][:_LONGEST].strip()
        place = f"{where}, line {number}"
        if match := _PAIR.search(line):
            pair = match[3], check_name(match[1], place), check_name(match[2], place)
            coefficients, columns = [], []
        elif match := _COEFFICIENTS.fullmatch(line):
            coefficients = [match[1], match[2]]
        elif line.startswith("point_num "):
            columns = line.split()
        elif columns and not set(line) <= {"-", " "}:  # under the dashes
            try:
                row = dict(zip(columns, map(float, line.split()), strict=True))
                scores = [row.get(name, math.nan) for name in ("accuracy", "matthews_correlation")]
                dataset, a, b = pair
                rest, t = map(float, coefficients)
                if abs(rest + t - 1) > 1e-6:
                    raise ValueError("a point that is not on the line")
                points.append((dataset, a, b, t, row["loss"], *scores, where.name))
            except (ValueError, KeyError):
                raise DataError(
                    "A line of the log cannot be read.",
                    where=place,
                    expected=f"numbers for {', '.join(columns)}, one of them the loss, below the "
                    "names of a pair and two coefficients whose sum is 1",
                    found=line[:120],
                ) from None
            coefficients, columns = [], []
    return pd.DataFrame(points, columns=POINT_COLUMNS)


def pickled_points(pairs: Any, where: Path, metric: Metric) -> pd.DataFrame:
    """``POINT_COLUMNS`` of a dictionary from pairs of models; ``metric`` is a row's first metric.

    The value of a pair (A, B) is one of

    * (rows, distance), as the interpolation itself is pickled: a row a point, of its number, the
      loss and metrics without names. The first row is B's, and point 0 is that of the model that
      was named second when it was measured: (B, A) has the same rows backwards.
    * (distance, losses), as the logs are pickled once they are read: from A to B.

    Raises:
        DataError: Any other form; the pair is named.
    """
    import pandas as pd

    points: list[tuple[Any, ...]] = []
    items: Any = pairs.items() if isinstance(pairs, dict) else [((), pairs)]
    for pair, content in items:
        try:
            a, b = pair
            curve = _curve(content)
        except (TypeError, ValueError, IndexError, ArithmeticError):
            raise DataError(
                "The pickle does not hold curves between pairs of models.",
                where=where,
                expected="by pairs of names (rows, distance), the rows numbered one after the "
                "other, or (distance, losses)",
                found=f"{reprlib.repr(pair)}: {reprlib.repr(content)}",
            ) from None
        names = check_name(a, where), check_name(b, where)
        for t, loss, score in curve:
            scores = (score, np.nan) if metric == "accuracy" else (np.nan, score)
            points.append(("", *names, t, loss, *scores, where.name))
    return pd.DataFrame(points, columns=POINT_COLUMNS)


def _curve(content: Any) -> list[tuple[float, float, float]]:
    """Position, loss, and score or NaN of each point; errors of many kinds where it is no curve."""
    first, second = content
    if isinstance(second, list | tuple | np.ndarray):
        last = len(second) - 1
        return [(k / last, float(loss), np.nan) for k, loss in enumerate(second)]
    rows = [tuple(map(float, row)) for row in first]
    last = len(rows) - 1
    if [int(row[0]) for row in rows] not in (numbers := list(range(last + 1)), numbers[::-1]):
        raise ValueError("the points are not numbered one after the other")
    return [(1 - k / last, row[1], [*row, np.nan][2]) for k, row in enumerate(rows)]
