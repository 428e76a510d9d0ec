"""What the report's tables are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import pandas as pd

from landscape.output.report.words import DASH, number, p_value

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
class Row:
    """One row, its first cell the heading; ``strong`` is highlighted."""

    cells: tuple[Cell, ...]
    strong: bool = False


@dataclass(frozen=True)
class Head:
    """A column's heading."""

    text: str
    number: bool = False


@dataclass(frozen=True)
class Table:
    """A table; ``folded`` is the text to click on where it starts folded."""

    caption: str
    head: tuple[Head, ...]
    rows: tuple[Row, ...]
    folded: str = ""
    sortable: bool = True


@dataclass(frozen=True)
class Section:
    """A part of the page: sentences, single numbers by name, tables."""

    id: str
    title: str
    tables: tuple[Table, ...]
    paragraphs: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


def number_cell(value: float, digits: int, note: str = "") -> Cell:
    """A number; a dash where there is none."""
    value = float(value)
    return Cell(number(value, digits), number=True, key=_key(value), note=note)


def count_cell(value: int) -> Cell:
    """A whole number."""
    return Cell(f"{value:,}", number=True, key=str(value))


def integer_cell(row: pd.Series, column: str) -> Cell:
    """A whole number of a table, if it has one."""
    value = float(row.get(column, float("nan")))
    return count_cell(int(value)) if isfinite(value) else Cell(DASH, number=True, key="")


def p_cell(value: float, note: str = "") -> Cell:
    """A p-value or q-value."""
    value = float(value)
    return Cell(p_value(value), number=True, key=_key(value), note=note)


def share_cell(value: float, digits: int = 1) -> Cell:
    """A share in percent."""
    value = float(value)
    return Cell(share(value, digits), number=True, key=_key(value))


def share(value: float, digits: int = 1) -> str:
    """``12.3%``."""
    return f"{number(100 * value, digits)}%" if isfinite(value) else DASH


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
