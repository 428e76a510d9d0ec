"""Whether two runs measure the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

# of these a run may have others when it goes on: none decides what was measured before
_FREE = {
    "analysis",
    "collapse",  # it stands in the task, which is kept in full
    "data_root",
    "indicators",
    "name",
    "out",
    "path_text",
    "pairs_budget",
    "paths",
    "resolved_focus",
}


def measured_part(config: Mapping[str, Any], datasets: Mapping[str, str]) -> dict[str, Any]:
    """What of a resolved configuration, and of the data, decides the numbers, by dotted key."""
    part = {key: value for key, value in config.items() if key not in _FREE}
    budgets = {"memory_budget", "token_budget"}
    part["evaluate"] = {k: v for k, v in config["evaluate"].items() if k not in budgets}
    # the other paths keep their own settings
    part["path"] = {key: value for key, value in config["paths"][0].items() if key != "name"}
    chosen = part["path"]["adaptive"] or part["evaluate"]["precision"] == "auto"
    if chosen or config["pairs"] == "active":
        # whose gap the points and pairs were chosen for
        part["analysis"] = {key: config["analysis"][key] for key in ("rule", "dataset")}
    part["task"] = {k: v for k, v in config["task"].items() if k not in ("focus", "train")}
    return _flat(part) | {f"examples of {name}": sha for name, sha in datasets.items()}


def differences(stored: Mapping[str, Any], asked_for: Mapping[str, Any]) -> list[str]:
    """A line for each key whose values differ, as ``key: stored -> asked for``."""
    return [
        f"{key}: {stored.get(key, 'absent')} -> {asked_for.get(key, 'absent')}"
        for key in sorted(stored.keys() | asked_for.keys())
        if stored.get(key, ...) != asked_for.get(key, ...)
    ]


def largest_difference(one: np.ndarray, other: np.ndarray) -> float:
    """Of two arrays; infinite where only one of them is NaN, or their shapes are not the same."""
    if one.shape != other.shape:
        return np.inf
    unlike = ~((one == other) | (np.isnan(one) & np.isnan(other)))
    apart = np.abs(one[unlike] - other[unlike])
    return float(np.where(np.isnan(apart), np.inf, apart).max(initial=0.0))


def _flat(content: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(content, dict) and content:
        parts = [
            _flat(value, f"{prefix}.{key}" if prefix else key) for key, value in content.items()
        ]
        return {key: value for part in parts for key, value in part.items()}
    return {prefix: content}
