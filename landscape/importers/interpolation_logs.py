"""Text logs of linear interpolation, as the code of Juneja et al. (2023, arXiv 2205.12411) writes.

A pair's section begins with a line that names the two and the data set; then for every point the
two coefficients and a table of one row: the point's number, the loss, the metrics.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape.core.errors import DataError
from landscape.importers.curves import POINT_COLUMNS
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
