"""What the report's tables are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import pandas as pd

from landscape.core.wording import DASH, number, p_value, share

SHORT = 60  # characters that need no second line
FOLD_FROM = 13  # rows; a longer table starts folded where it is not what the section is about


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        number: Whether it is set flush right and sorted as a number.
        key: What sorting compares; "" is missing; the text when None.
        basin: The basin whose colour stands before the text.
        note: Words in a softer colour behind it.
        code: Whether it is set in a typewriter face.
        long: Whether it may go over several lines.
        whole: The whole text where ``text`` is cut short.
    """

    text: str
    number: bool = False
    key: str | None = None
    basin: int | None = None
    note: str = ""
    code: bool = False
    long: bool = False
    whole: str = ""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: Over it.
        head: From each column's heading to whether its cells are numbers.
        rows: Of cells, the first of each its heading.
        strong: Numbers of the rows that are highlighted.
        folded: The text to click on where it starts folded.
        sortable: Whether a click on a heading sorts it.
    """

    caption: str
    head: dict[str, bool]
    rows: tuple[tuple[Cell, ...], ...]
    strong: frozenset[int] = frozenset()
    folded: str = ""
    sortable: bool = True


def make_table(
    caption: str,
    rows: Sequence[Mapping[str, Cell | str]],
    *,
    strong: Iterable[int] = (),
    folded: str = "",
    sortable: bool = True,
) -> Table:
    """A table of rows that all have the same columns.

    Args:
        caption: Over it.
        rows: At least one, each from headings to cells or plain texts.
        strong: Numbers of the rows that are highlighted.
        folded: The text to click on where it starts folded.
        sortable: Whether a click on a heading sorts it.
    """
    cells = tuple(
        tuple(Cell(cell) if isinstance(cell, str) else cell for cell in row.values())
        for row in rows
    )
    head = {name: cell.number for name, cell in zip(rows[0], cells[0], strict=True)}
    return Table(caption, head, cells, frozenset(strong), folded, sortable)


def number_cell(value: float, digits: int, note: str = "") -> Cell:
    """A number; a dash where there is none."""
    value = float(value)
    return Cell(number(value, digits), number=True, key=_key(value), note=note)


def count_cell(value: float, note: str = "") -> Cell:
    """A whole number; a dash where there is none."""
    if not isfinite(value):
        return Cell(DASH, number=True, key="")
    return Cell(f"{int(value):,}", number=True, key=str(int(value)), note=note)


def p_cell(value: float, note: str = "") -> Cell:
    """A p-value or q-value."""
    value = float(value)
    return Cell(p_value(value), number=True, key=_key(value), note=note)


def share_cell(value: float, digits: int = 1) -> Cell:
    """A share in percent."""
    value = float(value)
    return Cell(share(value, digits), number=True, key=_key(value))


def interval_note(low: float, high: float, digits: int) -> str:
    """``[0.1, 0.2]``, or nothing where an end is not known."""
    if not (isfinite(low) and isfinite(high)):
        return ""
    return f"[{number(low, digits)}, {number(high, digits)}]"


def ranged_cell(
    row: Mapping[str, Any] | pd.Series, name: str, digits: int, value: str = ""
) -> Cell:
    """A number of a table with the interval that stands beside it there."""
    note = interval_note(row[f"{name}_low"], row[f"{name}_high"], digits)
    return number_cell(row[f"{name}{value}"], digits, note=note)


def text_of(row: pd.Series, column: str) -> str:
    """A text of a table, "" where there is none."""
    value = row.get(column, "")
    return "" if pd.isna(value) else str(value)


def _key(value: float) -> str:
    return f"{value!r}" if isfinite(value) else ""
