"""What the report's tables are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeAlias

import pandas as pd

from landscape.core.wording import DASH, number, p_value, share

_SHORT = 60  # characters that need no second line
_FOLD_FROM = 13  # rows; a longer table starts folded where it is not what the section is about


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        number: Whether it is set flush right and sorted as a number.
        key: What sorting compares; "" is missing; the text when None.
        basin: The basin whose colour stands before the text.
        note: Words in a softer colour behind it.
        code: Whether it is set in a typewriter face.
        whole: The whole text where ``text`` is cut short.
    """

    text: str
    number: bool = False
    key: str | None = None
    basin: int | None = None
    note: str = ""
    code: bool = False
    whole: str = ""

    @property
    def long(self) -> bool:
        """Whether it may go over several lines."""
        return len(self.text) > _SHORT and not self.code


Row: TypeAlias = dict[str, Cell | str]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: Over it.
        head: From each column's heading to whether its cells are numbers.
        rows: Of cells, the first of each its heading.
        strong: Numbers of the rows that are highlighted.
        folded: The text to click on where it starts folded.
    """

    caption: str
    head: dict[str, bool]
    rows: tuple[tuple[Cell, ...], ...]
    strong: frozenset[int] = frozenset()
    folded: str = ""


def make_table(
    caption: str,
    rows: Sequence[Mapping[str, Cell | str]],
    *,
    strong: Iterable[int] = (),
    folded: str = "",
) -> Table:
    """A table of rows, at least one, that all have the same columns.

    Args:
        caption: Over it.
        rows: From headings to cells or plain texts.
        strong: Numbers of the rows that are highlighted.
        folded: The text to click on where it starts folded, as it does where it is long.
    """
    cells = tuple(
        tuple(Cell(cell) if isinstance(cell, str) else cell for cell in row.values())
        for row in rows
    )
    head = {name: cell.number for name, cell in zip(rows[0], cells[0], strict=True)}
    return Table(caption, head, cells, frozenset(strong), folded if len(rows) >= _FOLD_FROM else "")


def number_cell(value: float, digits: int, note: str = "") -> Cell:
    """A number; a dash where there is none."""
    return _numeric(value, number(float(value), digits), note)


def count_cell(value: float, note: str = "") -> Cell:
    """A whole number; a dash where there is none."""
    return _numeric(value, f"{int(value):,}" if isfinite(value) else DASH, note)


def p_cell(value: float, note: str = "") -> Cell:
    """A p-value or q-value."""
    return _numeric(value, p_value(float(value)), note)


def share_cell(value: float, digits: int = 1) -> Cell:
    """A share in percent."""
    return _numeric(value, share(float(value), digits))


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


def _numeric(value: float, text: str, note: str = "") -> Cell:
    key = f"{float(value)!r}" if isfinite(value) else ""
    return Cell(text, number=True, key=key, note=note)
