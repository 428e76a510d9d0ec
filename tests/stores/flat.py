"""A store's contents as plain arrays by name; the code of any format can run this."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd


def flat(value: Any, name: str = "") -> dict[str, np.ndarray]:
    """Everything below a dataclass or a mapping of them, as ``datasets/dev/losses``."""
    if is_dataclass(value) and not isinstance(value, type):
        parts = {one.name: getattr(value, one.name) for one in fields(value)}
        parts.pop("path", None)
    elif isinstance(value, pd.DataFrame):
        parts = {str(column): value[column].to_numpy() for column in value}
    elif isinstance(value, dict) and any(map(_holds, value.values())):
        parts = value
    else:
        return {name: _array(value)}
    found: dict[str, np.ndarray] = {}
    for key, part in parts.items():
        found |= flat(part, f"{name}/{key}" if name else str(key))
    return found


def _holds(value: Any) -> bool:
    return isinstance(value, np.ndarray) or is_dataclass(value)


def _array(value: Any) -> np.ndarray:
    if isinstance(value, dict):
        return np.array(json.dumps(value, sort_keys=True, default=str))
    values = np.asarray(value)
    return values.astype(str) if values.dtype == object else values
