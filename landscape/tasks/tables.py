"""Data files: TSV, CSV and JSON lines, gzipped or not, as tables of text."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from landscape.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_UNREADABLE = (ValueError, OSError, EOFError, zlib.error)


def read_table(
    path: Path, columns: Sequence[str], *, texts: Sequence[str] = (), quoting: bool = False
) -> pd.DataFrame:
    """All rows of a data file.

    Args:
        path: A .tsv, .csv, .jsonl or .ndjson file, also with .gz.
        columns: Of JSON lines no others are read.
        texts: Those of them in which JSON's null is nothing, rather than a value of its own.
        quoting: Whether a TSV file quotes its fields.

    Returns:
        The columns as text, a JSON value that is no text as its JSON. What a row lacks is missing.

    Raises:
        DataError: A file that cannot be read, or is of another kind.
    """
    kind = path.name.removesuffix(".gz").rsplit(".", 1)[-1]
    if kind not in ("tsv", "csv", "jsonl", "ndjson"):
        raise DataError(
            "The data file's kind is not known.",
            where=path,
            expected=".tsv, .csv or .jsonl, each also with .gz",
            found=f".{kind}",
        )
    try:
        if kind in ("jsonl", "ndjson"):
            return _read_json(path, columns, texts)
        return _read_separated(path, columns, "\t" if kind == "tsv" else ",", quoting)
    except DataError:
        raise
    except _UNREADABLE as error:
        raise DataError(
            "The data file cannot be read.", where=path, found=str(error).strip()[:500]
        ) from None


def check_cells(frame: pd.DataFrame, where: object) -> None:
    """Refuse the first cell that is missing, or half of a character."""
    for column in frame.columns:
        cells = frame[column]
        if cells.isna().any():
            _refuse(
                f"A row has nothing in the column '{column}'.",
                where,
                int(cells.isna().to_numpy().argmax()),
                "as many cells in every row as in the header",
            )
        for row, cell in enumerate(cells):
            try:
                cell.encode()
            except UnicodeEncodeError:
                _refuse(f"The column '{column}' has half of a character.", where, row, "text")


def _refuse(what: str, where: object, row: int, expected: str) -> None:
    raise DataError(what, where=f"{where}, data row {row + 1}", expected=expected)


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.name.endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _read_separated(
    path: Path, columns: Sequence[str], delimiter: str, quoting: bool
) -> pd.DataFrame:
    import pandas as pd

    rows = pd.read_csv(
        path,
        sep=delimiter,
        quoting=0 if delimiter == "," or quoting else 3,
        # with a header, pandas would take a longer row's first cell for its name
        header=None,
        dtype=str,
        keep_default_na=False,
        compression="gzip" if path.name.endswith(".gz") else None,
    )
    header = [str(cell) for cell in rows.iloc[0]]
    for column in columns:
        if header.count(column) > 1:
            raise DataError(f"The column '{column}' stands twice in the header.", where=path)
    return rows.iloc[1:].set_axis(header, axis=1).reset_index(drop=True)


def _read_json(path: Path, columns: Sequence[str], texts: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    cells: dict[str, list[str | None]] = {name: [] for name in columns}
    seen: dict[str, None] = {}  # the first columns, for the error that names them
    n = 0
    for row in _json_rows(path):
        n += 1
        if len(seen) < 100:
            seen |= dict.fromkeys(row)
        for name, column in cells.items():
            value = row.get(name)
            is_there = name in row and not (value is None and name in texts)
            text = value if isinstance(value, str) else json.dumps(value)
            column.append(text if is_there else None)
    missing = [None] * n
    return pd.DataFrame({name: cells.get(name, missing) for name in seen}, dtype=object)


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"line {number}: {error}") from None
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is no JSON object")
            yield row
