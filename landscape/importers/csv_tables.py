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

from landscape.core.errors import DataError
from landscape.importers.curves import GAP_COLUMNS, POINT_COLUMNS
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
_NAMES = {"model_a": "model", "model_b": "model", "model": "model", "score": "score"}
_NAMES["dataset"] = "data set"


def table_kind(text: str) -> TableKind | None:
    """What a table is, by its header; None where it has other columns than are documented."""
    columns = sorted(cell.strip(' "\r') for cell in text.partition("\n")[0].split(","))
    for kind, required in COLUMNS.items():
        optional = _OPTIONAL & set(columns) if kind == "curves" else ()
        if columns == sorted([*required, *optional]):
            return kind
    return None


def read_table(data: bytes, path: Path, kind: TableKind) -> pd.DataFrame:
    """A table's rows, the names as text without space around.

    Returns:
        Of curves ``POINT_COLUMNS``, of gaps ``GAP_COLUMNS``; of scores a row a model and a column
        a score, both in the file's order, NaN where there is no row.

    Raises:
        DataError: No UTF-8, no rows, a row longer than the header, a name that cannot be used, a
            cell that is no number, or a score that stands twice.
    """
    import pandas as pd

    try:
        table = pd.read_csv(
            io.BytesIO(data), dtype=object, skipinitialspace=True, encoding="utf-8-sig"
        ).rename(columns=str.strip)
        if table.empty or not isinstance(table.index, pd.RangeIndex):
            # of longer rows pandas takes the first cells for names of rows
            raise ValueError("no rows, or rows that are longer than the header")
        for column, cells in table.items():
            if what := _NAMES.get(str(column)):
                names = {cell: check_name(cell, path, what) for cell in cells.unique()}
                table[column] = cells.map(names)
            else:
                table[column] = cells.map(float)  # pandas' own would not be exact
                if table[column].abs().max() == math.inf:
                    raise ValueError(f"an infinite {column}")
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError("The table cannot be read.", where=path, found=str(error)[:200]) from None
    if kind == "scores":
        if (again := table[table.duplicated(["model", "score"])]).size:
            raise DataError(
                f"The model '{again['model'].iloc[0]}' has a score twice.",
                where=path,
                found=again["score"].iloc[0],
            )
        scores = table.pivot(index="model", columns="score", values="value")
        return scores.reindex(index=table["model"].unique(), columns=table["score"].unique())
    if "dataset" not in table:
        table["dataset"] = ""
    columns = GAP_COLUMNS if kind == "gaps" else POINT_COLUMNS
    return table.assign(source=path.name).reindex(columns=list(columns))
