"""How numbers and counts are written in sentences, tables and captions."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

# a hyphen is not a minus sign, and says nothing in an empty cell
MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def number(value: float, digits: int) -> str:
    """``0.123``, with a real minus sign; a dash where there is no number."""
    if not isfinite(value):
        return DASH
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def short(value: float) -> str:
    """Two digits, without a leading zero: ``.32``, ``1.9``, ``.004``."""
    text = f"{value:.2f}" if abs(value) >= 0.01 or value == 0 else f"{value:.1g}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and value != 0 else text


def share(value: float, digits: int = 1) -> str:
    """``12.3%`` of a share of 1; a dash where there is none."""
    return f"{number(100 * value, digits)}%" if isfinite(value) else DASH


def percent(value: float) -> str:
    """``95%``, with no more digits than it needs."""
    return f"{100 * value:g}%"


def p_value(value: float) -> str:
    """``0.012`` or ``< 0.001``."""
    if not isfinite(value):
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def equals(value: float) -> str:
    """A p-value behind its symbol: ``= 0.012`` or ``< 0.001``."""
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"


def interval(low: float, high: float, digits: int) -> str:
    """``0.10 to 0.14``, or nothing where an end is not known."""
    if not (isfinite(low) and isfinite(high)):
        return ""
    return f"{number(low, digits)} to {number(high, digits)}"


def count(n: int, noun: str) -> str:
    """``1 model``, ``2 models``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def verb(n: int, one: str, many: str) -> str:
    """The form of a verb that goes with a count: ``is`` or ``are``."""
    return one if n == 1 else many


def listed(items: Sequence[object], most: int | None = None) -> str:
    """``a``, ``a and b``, ``a, b and c``; beyond ``most`` items ``a, b and 7 more``."""
    names = [str(item) for item in items]
    if most is not None and len(names) > most:
        names = [*names[:most], f"{len(names) - most} more"]
    *head, last = names
    return f"{', '.join(head)} and {last}" if head else last


def capital(text: str) -> str:
    """The text with a capital."""
    return text[:1].upper() + text[1:]


def in_words(n: int, noun: str) -> str:
    """``one basin``, ``two basins``; digits beyond nine."""
    digits = _SMALL[n] if n < len(_SMALL) else str(n)
    return f"{digits} {noun}" + "s" * (n != 1)
