"""Whether two configurations measure the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel


def measured_part(config: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the numbers of a store, from dotted key to value.

    Args:
        config: As a store keeps it; what it does not name stands at its default.
    """
    return _flat(_measured(config))


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """A line for each key whose values differ, as ``key: stored -> wanted``."""
    return [
        f"{key}: {stored.get(key, 'absent')} -> {wanted.get(key, 'absent')}"
        for key in sorted(stored.keys() | wanted.keys())
        if stored.get(key, ...) != wanted.get(key, ...)
    ]


def _measured(content: Mapping[str, Any]) -> dict[str, Any]:
    from landscape.run.config import EvaluateConfig, ExperimentConfig, PathConfig

    # the collapse stands in the task, which is stored in full
    free = {"analysis", "out", "data_root", "name", "resolved_focus", "collapse"}
    # each way and surface keeps its own settings
    free |= {"ways", "surface"}
    # a run that chooses its pairs may go on with more of them
    free |= {"pairs_budget"}
    kept = {key: value for key, value in content.items() if key not in free}
    # what an older store does not name stood at its default
    kept = {**_defaults(ExperimentConfig, free), **kept}
    own = {"memory_budget", "token_budget"}
    evaluate = {**_defaults(EvaluateConfig, own), **content.get("evaluate", {})}
    kept["evaluate"] = {k: v for k, v in evaluate.items() if k not in own}
    kept["path"] = {**_defaults(PathConfig), **content.get("path", {})}
    chosen = kept["path"]["adaptive"] or evaluate["precision"] == "auto"
    if chosen or kept["pairs"] == "active":
        # whose gap the points and pairs were chosen for
        analysis = content.get("analysis", {})
        kept["analysis"] = {key: analysis.get(key) for key in ("rule", "dataset")}
    task = content.get("task", {})
    kept["task"] = {k: v for k, v in task.items() if k not in ("focus", "train")}
    return kept


def _defaults(section: type[BaseModel], free: Collection[str] = ()) -> dict[str, Any]:
    """What a section says where the user says nothing, as a store keeps it."""
    names = {name for name, one in section.model_fields.items() if not one.is_required()}
    return section.model_construct().model_dump(mode="json", include=names - set(free))


def _flat(content: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(content, dict) and content:
        parts = [
            _flat(value, f"{prefix}.{key}" if prefix else key) for key, value in content.items()
        ]
        return {key: value for part in parts for key, value in part.items()}
    return {prefix: content}
