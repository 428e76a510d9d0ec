"""How far long work is, and how long it will take."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
Track = Callable[[Sequence[T], str], Iterable[T]]


def bar(items: Sequence[T], unit: str) -> Iterable[T]:
    """Go through items with a bar on standard error; in a log file a line every 20 seconds."""
    return counted(items, len(items), unit)


def counted(items: Iterable[T], total: int, unit: str) -> Iterable[T]:
    """The same of ``total`` items that come from anywhere."""
    from tqdm import tqdm

    if not total:
        return items
    live = sys.stderr.isatty()
    settings: dict[str, Any] = {"mininterval": 0.5 if live else 20, "dynamic_ncols": live}
    return tqdm(
        items, desc=f"{unit}s", total=total, unit=unit, file=sys.stderr, miniters=1, **settings
    )


def silent(items: Sequence[T], unit: str) -> Iterable[T]:
    """Go through items without a word."""
    return items
