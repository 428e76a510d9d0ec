"""What the pickled dictionaries of Juneja et al. (2023, arXiv 2205.12411) mean."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.core.errors import DataError
from landscape.importers.curves import POINT_COLUMNS, Metric
from landscape.importers.gaps import GAP_COLUMNS
from landscape.importers.names import check_name

if TYPE_CHECKING:
    import pandas as pd


def pickled_pairs(
    value: Any, where: Path, metric: Metric = "accuracy"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The points and the gaps of a dictionary from pairs of models.

    Known forms of a pair's value, the pair being (A, B):

    * (rows, distance), as the interpolation itself is pickled: a row a point, of its number, the
      loss and metrics without names. The first row is B's, and point 0 is that of the model that
      was named second when it was measured: (B, A) has the same rows backwards.
    * (distance, losses), as the logs are pickled once they are read: from A to B.
    * Losses alone: from A to B.
    * One number: the pair's gap.

    Args:
        value: What ``parse_pickle`` gives.
        where: The file's name.
        metric: What the first metric of a row is.

    Raises:
        DataError: Any other form; the pair is named.
    """
    import pandas as pd

    if not isinstance(value, Mapping) or not value:
        raise DataError(
            "The pickle holds no dictionary of pairs.",
            where=where,
            expected="a dictionary whose keys are pairs of models",
            found=reprlib.repr(value),
        )
    source = where.name
    points: list[tuple[Any, ...]] = []
    gaps: list[tuple[Any, ...]] = []
    for key, content in value.items():
        if not isinstance(key, tuple) or len(key) != 2:
            raise DataError(
                "A key of the pickled dictionary is no pair of models.",
                where=where,
                found=reprlib.repr(key),
            )
        pair = tuple(check_name(str(n) if type(n) is int else n, where) for n in key)
        if _is_number(content):
            gaps.append(("", *pair, float(content), source))
            continue
        for t, loss, score in _curve(content, f"{where}, ({pair[0]}, {pair[1]})", metric):
            name = "" if np.isnan(score) else metric
            points.append(("", *pair, t, loss, score, name, source))
    return pd.DataFrame(points, columns=POINT_COLUMNS), pd.DataFrame(gaps, columns=GAP_COLUMNS)


def _curve(content: Any, place: str, metric: Metric) -> np.ndarray:
    """(n_points, 3): position, loss, and metric or NaN."""
    values = content
    if isinstance(content, tuple) and len(content) == 2:
        if _is_number(content[0]) and not _is_number(content[1]):
            values = content[1]
        elif _is_number(content[1]) and not _is_number(content[0]):
            values = content[0]
    table = _table(values, place)
    n = len(table)
    curve = np.full((n, 3), np.nan)
    if table.ndim == 1:
        curve[:, 0], curve[:, 1] = np.arange(n) / (n - 1), table
        return curve
    numbers = table[:, 0] if table.shape[1] > 1 else np.empty(0)
    if not any(np.array_equal(numbers, np.arange(n)[::step]) for step in (1, -1)):
        raise DataError(
            "The points of a pickled curve are not numbered one after the other.",
            where=place,
            expected=f"0 to {n - 1}, or back",
            found=reprlib.repr(table.tolist()),
        )
    curve[:, 0], curve[:, 1] = 1 - np.arange(n) / (n - 1), table[:, 1]
    if table.shape[1] > 2:
        curve[:, 2] = table[:, 2]
    low = 0 if metric == "accuracy" else -1
    if ((curve[:, 2] < low) | (curve[:, 2] > 1)).any():
        raise DataError(
            f"The metric of a pickled curve is not {metric}.",
            where=place,
            expected=f"{low} to 1",
            found=reprlib.repr(curve[:, 2].tolist()),
            fix="say the metric: accuracy or matthews",
        )
    return curve


def _table(values: Any, place: str) -> np.ndarray:
    """(n_points,) losses or (n_points, n_columns) rows."""
    rows = values if isinstance(values, list | tuple | np.ndarray) else []
    if not isinstance(values, np.ndarray):
        cells = (c for row in rows for c in (row if isinstance(row, list | tuple) else [row]))
        rows = rows if all(map(_is_number, cells)) else []
    try:
        table = np.array(rows, dtype=np.float64)
    except ValueError:  # rows of unlike lengths
        table = np.empty(0)
    if table.ndim not in (1, 2) or len(table) < 2:
        raise DataError(
            "The value of a pair is no curve.",
            where=place,
            expected="(rows, distance), (distance, losses), losses, or one gap",
            found=reprlib.repr(values),
        )
    return table


def _is_number(value: object) -> bool:
    if isinstance(value, np.generic):
        return value.dtype.kind in "iuf"
    return type(value) in (int, float)
