"""CSV in long form, one value a row.

Which of these tables a file is, its header says; columns may come in any order:

| a row is | columns |
|---|---|
| a point of a curve | model_a, model_b, t, loss; if wanted accuracy or matthews, and dataset |
| the gap of a pair | model_a, model_b, gap |
| a score of a model | model, score, value |

``t`` is 0 at ``model_a`` and 1 at ``model_b``; ``loss`` and ``gap`` are in nats; ``score`` is the
score's name, as ``hans: lexical_overlap``. Cells are separated by commas; an empty cell or ``nan``
is a missing value. pandas' ``DataFrame.melt`` makes this form of a table with a column a score.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from landscape.core.errors import DataError
from landscape.importers.names import check_name

if TYPE_CHECKING:
    import pandas as pd

TableKind = Literal["scores", "gaps", "curves"]

COLUMNS: dict[TableKind, tuple[str, ...]] = {
    "curves": ("model_a", "model_b", "t", "loss"),
    "gaps": ("model_a", "model_b", "gap"),
    "scores": ("model", "score", "value"),
}
_OPTIONAL = {"accuracy", "matthews", "dataset"}  # of curves
_NAMES = ("model_a", "model_b", "model", "score", "dataset")
_MISSING = {"", "nan", "na", "n/a", "null", "none"}


def table_kind(text: str) -> TableKind | None:
    """What a table is, by its header; None where it has other columns than are documented."""
    first = text.lstrip("\n\r").partition("\n")[0]
    columns = [cell.strip(' "\r') for cell in first.split(",")]
    if len(set(columns)) < len(columns):
        return None
    for kind, required in COLUMNS.items():
        others = set(columns) - set(required)
        if len(columns) - len(others) == len(required):
            allowed = _OPTIONAL if kind == "curves" else set()
            return (
                kind if others <= allowed and len(others & {"accuracy", "matthews"}) < 2 else None
            )
    return None


def read_table(data: bytes, path: Path) -> pd.DataFrame:
    """A table's rows that are not empty: names as text without space around, numbers as floats.

    Args:
        data: The file, of which ``table_kind`` says that it is one.
        path: Its name.

    Returns:
        Of curves ``POINT_COLUMNS``, of gaps ``GAP_COLUMNS``, of scores the three; the line in the
        file is the index.

    Raises:
        DataError: No UTF-8, no rows, a row longer than the header, a name that cannot be used, or a
            cell that is neither a finite number nor missing; its line is named.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(
            io.BytesIO(data),
            dtype=object,
            keep_default_na=False,
            skip_blank_lines=False,
            skipinitialspace=True,
            encoding="utf-8-sig",
        )
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError("The table cannot be read.", where=path, found=error) from None
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes the first cells for names of rows
        raise DataError("A row of the table is longer than its header.", where=f"{path}, line 2")
    frame.index = pd.RangeIndex(2, len(frame) + 2)
    frame.columns = frame.columns.str.strip()
    frame = frame[(frame != "").any(axis=1)]
    if frame.empty:
        raise DataError("The table has no rows.", where=path)
    columns = {}
    for name, cells in frame.items():
        column = str(name)
        columns[column] = (_names if column in _NAMES else _numbers)(cells, column, path)
    table = pd.DataFrame({"dataset": "", **columns}, index=frame.index)
    if "gap" in table:
        return table.assign(source=[f"{path.name}, line {line}" for line in table.index])
    metric = next((name for name in ("accuracy", "matthews") if name in table), "")
    accuracy = table[metric] if metric else math.nan
    return table.assign(accuracy=accuracy, metric=metric, source=path.name)


def score_table(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """A row a model, a column a score, both in the file's order; NaN where there is no row.

    Raises:
        DataError: A model has a score twice.
    """
    if (again := frame.duplicated(["model", "score"])).any():
        line = frame.index[again][0]
        raise DataError(
            f"The model '{frame['model'][line]}' has the score '{frame['score'][line]}' twice.",
            where=f"{path}, line {line}",
        )
    table = frame.pivot(index="model", columns="score", values="value")
    return table.reindex(index=frame["model"].unique(), columns=frame["score"].unique())


def _names(cells: pd.Series, column: str, path: Path) -> pd.Series:
    what = {"score": "score", "dataset": "data set"}.get(column, "model")
    lines = dict(zip(cells[::-1], cells.index[::-1], strict=True))  # where each stands first
    names = {cell: check_name(cell, f"{path}, line {line}", what) for cell, line in lines.items()}
    return cells.map(names)


def _numbers(cells: pd.Series, column: str, path: Path) -> np.ndarray:
    numbers = np.full(len(cells), math.nan)
    for k, cell in enumerate(cells):
        if cell.strip().lower() in _MISSING:
            continue
        try:
            numbers[k] = float(cell)
        except ValueError:
            numbers[k] = math.inf
        if math.isinf(numbers[k]):
            raise DataError(
                f"A cell in the column '{column}' is no number.",
                where=f"{path}, line {cells.index[k]}",
                expected="a finite number, or nothing",
                found=repr(cell)[:80],
            )
    return numbers
