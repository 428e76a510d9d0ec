"""Numbers and lists as words of a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

# a hyphen is not a minus sign, and says nothing in an empty cell
MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
FDR = 0.05


def number(value: float, digits: int) -> str:
    """``0.123``, with a real minus sign; a dash where there is no number."""
    if not isfinite(value):
        return DASH
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def p_value(value: float) -> str:
    """``0.012`` or ``< 0.001``."""
    if not isfinite(value):
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def equals(value: float) -> str:
    """``= 0.012`` or ``< 0.001``."""
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"


def listed(items: Sequence[object]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *head, last = map(str, items)
    return f"{', '.join(head)} and {last}" if head else last


def in_words(n: int) -> str:
    """``two``; digits beyond nine."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return words[n] if n < len(words) else str(n)


def sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def interval_of(row: pd.Series, name: str, digits: int, what: str = "") -> str:
    """``0.12 (95% interval 0.10 to 0.14)`` from a row of the relation table."""
    value = number(row[name], digits)
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if not (isfinite(low) and isfinite(high)):
        return value
    return f"{value} ({what}{number(low, digits)} to {number(high, digits)})"


def ranked_pairs(analysis: Analysis) -> np.ndarray:
    """Numbers of the measured pairs, the largest gap first."""
    gaps = np.asarray(analysis.gaps.estimate)[tuple(np.asarray(analysis.pairs).T)]
    measured = np.flatnonzero(np.isfinite(gaps))
    return measured[np.argsort(-gaps[measured], kind="stable")]
