"""Plain CSV: scores of models, gaps of pairs, and curves in long form."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from landscape.core.errors import DataError
from landscape.importers.curves import MeasuredCurve
from landscape.importers.files import check_amount, read_text
from landscape.importers.gaps import MeasuredGap
from landscape.importers.names import check_name

if TYPE_CHECKING:
    import pandas as pd

Rows = list[tuple[int, list[str]]]
TableKind = Literal["scores", "gaps", "curves"]

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.A)
_MISSING = ("", "nan", "na", "n/a", "null", "none")
_ENDS = ("model_a", "model_b")


def read_rows(path: str | Path) -> Rows:
    """The rows of a table that are not empty, with their line numbers, cells stripped.

    Cells are told apart by commas, or by tabs or semicolons where the first line has no comma.

    Raises:
        DataError: No text, no rows, quotes that do not close, or rows of unlike lengths.
    """
    path = Path(path)
    text = read_text(path)
    check_amount(text, "\n", path)
    lines = text.split("\n")
    first = next((line for line in lines if line.strip()), "")
    delimiter = next((sign for sign in ",\t;" if sign in first), ",")
    check_amount(text, f"\n{delimiter}", path)
    whole = (line.rstrip("\r") + "\n" for line in lines)
    reader = csv.reader(whole, delimiter=delimiter, strict=True)
    rows: Rows = []
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                rows.append((reader.line_num, stripped))
    except csv.Error as error:
        raise DataError(
            "The table cannot be read.", where=f"{path}, line {reader.line_num}", found=error
        ) from None
    if len(rows) < 2:
        raise DataError(
            "The table has no rows.", where=path, expected="a header, and a row below it"
        )
    width = len(rows[0][1])
    for line, row in rows:
        if len(row) != width:
            raise DataError(
                "A row of the table is not as long as its header.",
                where=f"{path}, line {line}",
                expected=f"{width} cells",
                found=f"{len(row)} cells",
            )
    return rows


def table_kind(rows: Rows) -> TableKind | None:
    """What a table is, by its header and first column; None where it is none of these."""
    header = [cell.lower() for cell in rows[0][1]]
    if set(_ENDS) <= set(header):
        if "gap" in header:
            return "gaps"
        return "curves" if {"t", "loss"} <= set(header) else None
    names = [row[0] for _, row in rows[1:]]
    if len(names) > 1 and set(names) == set(rows[0][1][1:]):
        return "gaps"
    return "scores" if len(header) > 1 else None


def read_scores(path: str | Path) -> pd.DataFrame:
    """Scores of models: the first column names them, the others are numbers.

    Returns:
        A row a model, in the file's order; the index is named ``model``.

    Raises:
        DataError: No such table, a name twice, or a cell that is neither a number nor empty.
    """
    return scores_of(read_rows(path), Path(path))


def scores_of(rows: Rows, path: Path) -> pd.DataFrame:
    """As ``read_scores``, of rows that are read already."""
    import pandas as pd

    columns = [check_name(cell, path, "score") for cell in rows[0][1][1:]]
    if not columns:
        raise DataError("The table has no scores.", where=path, expected="a column beside models")
    models = [check_name(row[0], f"{path}, line {line}") for line, row in rows[1:]]
    _refuse_twins(columns, "column", path)
    _refuse_twins(models, "model", path)
    values = [
        [_number(cell, path, line, name) for cell, name in zip(row[1:], columns, strict=True)]
        for line, row in rows[1:]
    ]
    return pd.DataFrame(values, index=pd.Index(models, name="model"), columns=columns, dtype=float)


def read_gaps(path: str | Path) -> list[MeasuredGap]:
    """Gaps in nats: a square matrix between model names, or columns model_a, model_b, gap.

    Raises:
        DataError: No such table, or a cell that is neither a number nor empty.
    """
    return gaps_of(read_rows(path), Path(path))


def gaps_of(rows: Rows, path: Path) -> list[MeasuredGap]:
    """As ``read_gaps``, of rows that are read already."""
    header = [cell.lower() for cell in rows[0][1]]
    if set(_ENDS) <= set(header):
        columns = _columns(header, (*_ENDS, "gap"), path)
        return [
            MeasuredGap(
                check_name(row[columns[0]], f"{path}, line {line}"),
                check_name(row[columns[1]], f"{path}, line {line}"),
                _number(row[columns[2]], path, line, "gap"),
                f"{path}, line {line}",
            )
            for line, row in rows[1:]
        ]
    across = [check_name(cell, path) for cell in rows[0][1][1:]]
    down = [check_name(row[0], f"{path}, line {line}") for line, row in rows[1:]]
    _refuse_twins(across, "column", path)
    _refuse_twins(down, "model", path)
    if set(across) != set(down):
        raise DataError(
            "The matrix of gaps is not square.",
            where=path,
            expected="the same names in the first row and the first column",
            found=", ".join(sorted(set(across) ^ set(down))[:5]),
        )
    return [
        MeasuredGap(a, b, _number(cell, path, line, b), f"{path}, line {line}")
        for a, (line, row) in zip(down, rows[1:], strict=True)
        for b, cell in zip(across, row[1:], strict=True)
    ]


def read_curve_table(path: str | Path) -> list[MeasuredCurve]:
    """Curves in long form: columns model_a, model_b, t, loss (nats) and, if wanted, accuracy.

    A column ``dataset`` tells several data sets apart.

    Raises:
        DataError: No such table, or a cell that is neither a number nor empty.
    """
    return curves_of(read_rows(path), Path(path))


def curves_of(rows: Rows, path: Path) -> list[MeasuredCurve]:
    """As ``read_curve_table``, of rows that are read already."""
    header = [cell.lower() for cell in rows[0][1]]
    first, second, at, of = _columns(header, (*_ENDS, "t", "loss"), path)
    metric = header.index("accuracy") if "accuracy" in header else None
    named = header.index("dataset") if "dataset" in header else None
    points: dict[tuple[str, str, str], list[tuple[int, float, float, float]]] = {}
    for line, row in rows[1:]:
        where = f"{path}, line {line}"
        dataset = check_name(row[named], where, "data set") if named is not None else ""
        key = dataset, check_name(row[first], where), check_name(row[second], where)
        accuracy = math.nan if metric is None else _number(row[metric], path, line, "accuracy")
        t, loss = (_number(row[k], path, line, header[k]) for k in (at, of))
        points.setdefault(key, []).append((line, t, loss, accuracy))
    return [
        MeasuredCurve(
            first=a,
            second=b,
            positions=[t for _, t, *_ in values],
            losses=[loss for *_, loss, _ in values],
            accuracies=None if metric is None else [accuracy for *_, accuracy in values],
            dataset=dataset,
            where=f"{path}, line {values[0][0]}",
        )
        for (dataset, a, b), values in points.items()
    ]


def _columns(header: list[str], wanted: tuple[str, ...], path: Path) -> list[int]:
    _refuse_twins(header, "column", path)
    if missing := [name for name in wanted if name not in header]:
        raise DataError(
            f"The table has no column {missing[0]}.",
            where=path,
            expected=", ".join(wanted),
            found=", ".join(header)[:200],
        )
    return [header.index(name) for name in wanted]


def _number(cell: str, path: Path, line: int, column: str) -> float:
    if cell.lower() in _MISSING:
        return math.nan
    value = float(cell) if _NUMBER.fullmatch(cell) else math.inf
    if math.isinf(value):
        raise DataError(
            f"A cell in the column '{column}' is no number.",
            where=f"{path}, line {line}",
            expected="a finite number, or nothing",
            found=repr(cell)[:80],
        )
    return value


def _refuse_twins(names: list[str], what: str, path: Path) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"The {what} '{name}' stands twice in the table.", where=path)
        seen.add(name)
