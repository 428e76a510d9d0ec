"""What the pickled dictionaries of Juneja et al. (2023, arXiv 2205.12411) mean."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from landscape.core.errors import DataError
from landscape.importers.curves import MeasuredCurve, Metric
from landscape.importers.gaps import MeasuredGap
from landscape.importers.names import check_name


def pickled_curves(
    value: Any, where: str, metric: Metric = "accuracy"
) -> list[MeasuredCurve] | list[MeasuredGap]:
    """The curves or gaps of a dictionary from pairs of models.

    Known forms of a pair's value, the pair being (A, B):

    * (rows, distance), as the interpolation itself is pickled: a row a point, of its number, the
      loss and metrics without names. The first row is B's, and point 0 is that of the model that
      was named second when it was measured: (B, A) has the same rows backwards.
    * (distance, losses), as the logs are pickled once they are read: from A to B.
    * Losses alone: from A to B.
    * One number: the pair's gap.

    Args:
        value: What ``read_pickle`` gives.
        where: The file's name.
        metric: What the first metric of a row is.

    Raises:
        DataError: Any other form; the pair is named.
    """
    if not isinstance(value, Mapping) or not value:
        raise DataError(
            "The pickle holds no dictionary of pairs.",
            where=where,
            expected="a dictionary whose keys are pairs of models",
            found=reprlib.repr(value),
        )
    curves: list[MeasuredCurve] = []
    gaps: list[MeasuredGap] = []
    for key, content in value.items():
        if not isinstance(key, tuple) or len(key) != 2:
            raise DataError(
                "A key of the pickled dictionary is no pair of models.",
                where=where,
                found=reprlib.repr(key),
            )
        first, second = (check_name(str(n) if type(n) is int else n, where) for n in key)
        if _is_number(content):
            gaps.append(MeasuredGap(first, second, float(content), where))
        else:
            curves.append(_curve(first, second, content, where, metric))
    if curves and gaps:
        raise DataError(
            "The pickle holds curves and gaps; which of them count?",
            where=where,
            found=f"{len(curves)} curves, {len(gaps)} gaps",
        )
    return curves or gaps


def _curve(first: str, second: str, content: Any, where: str, metric: Metric) -> MeasuredCurve:
    place = f"{where}, ({first}, {second})"
    distance, values, metrics = np.nan, content, None
    if isinstance(content, tuple) and len(content) == 2 and any(map(_is_number, content)):
        if _is_number(content[0]) and not _is_number(content[1]):
            distance, values = content
        elif not _is_number(content[0]):
            values, distance = content
    table = _table(values, place)
    if table.ndim == 2:
        n = len(table)
        if table.shape[1] < 2 or not (
            np.array_equal(table[:, 0], np.arange(n))
            or np.array_equal(table[:, 0], np.arange(n)[::-1])
        ):
            raise DataError(
                "The points of a pickled curve are not numbered one after the other.",
                where=place,
                expected=f"0 to {n - 1}, or back",
                found=reprlib.repr(table.tolist()),
            )
        losses, positions = table[:, 1], 1 - np.arange(n) / (n - 1)
        metrics = table[:, 2].tolist() if table.shape[1] > 2 else None
    else:
        losses, positions = table, np.arange(len(table)) / (len(table) - 1)
    low = 0 if metric == "accuracy" else -1
    if metrics is not None and not all(low <= v <= 1 or np.isnan(v) for v in metrics):
        raise DataError(
            f"The metric of a pickled curve is not {metric}.",
            where=place,
            expected=f"{low} to 1",
            found=metrics[:12],
            fix="say the metric: accuracy or matthews",
        )
    return MeasuredCurve(
        first=first,
        second=second,
        positions=positions.tolist(),
        losses=losses.tolist(),
        accuracies=metrics,
        metric=metric,
        distance=float(distance),
        where=place,
    )


def _table(values: Any, place: str) -> np.ndarray:
    """(n_points,) losses or (n_points, n_columns) rows."""
    rows = values if isinstance(values, list | tuple | np.ndarray) else []
    plain = isinstance(values, np.ndarray) or all(
        map(
            _is_number,
            (c for row in rows for c in (row if isinstance(row, list | tuple) else [row])),
        )
    )
    try:
        table = np.array(rows, dtype=np.float64) if plain else np.empty(0)
    except (ValueError, OverflowError):
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
