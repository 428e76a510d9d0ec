"""What the pickled dictionaries of Juneja et al. (2023, arXiv 2205.12411) mean."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.core.errors import DataError
from landscape.importers.curves import POINT_COLUMNS, Metric
from landscape.importers.names import check_name

if TYPE_CHECKING:
    import pandas as pd


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
