"""A folder of sound inputs, to be broken one at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


class Code:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


@dataclass(frozen=True)
class Inputs:
    """The inputs of one command.

    Attributes:
        root: The folder; the command may write to ``out`` in it, and nowhere else.
        materials: Sound inputs to be copied: ``population``, ``task``.
    """

    root: Path
    materials: Path

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def secret(self) -> Path:
        """A file that no input may lead to."""
        return self.root / "secret.txt"

    @property
    def canary(self) -> Path:
        """A file that code in an input would make."""
        return self.root / "canary"

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.root / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def copy(self, name: str) -> Path:
        """A copy of sound material, the same one if there is one already."""
        folder = self.root / "in" / name
        if not folder.exists():
            shutil.copytree(self.materials / name, folder)
        return folder

    def members(self) -> list[Path]:
        return [self.copy("population") / f"member-{k}" for k in range(2)]

    def task(self, **changes: Any) -> Path:
        """A task with these keys changed; None removes one."""
        path = self.copy("task") / "task.yaml"
        content = {**yaml.safe_load(path.read_text()), **changes}
        path.write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}))
        return path

    def config(self, **changes: Any) -> Path:
        """An experiment on copies of task and classifiers, with these keys changed."""
        self.members(), self.copy("task")
        content = {
            "name": "tiny",
            "checkpoints": "population/member-*",
            "task": "task/task.yaml",
            "data_root": "task",
            "examples": 20,
            "paths": [{"kind": "line", "between": "all", "points": 3}],
            "out": str(self.out),
            "analysis": {"n_resamples": 100},
        }
        return self.write("config.yaml", yaml.safe_dump({**content, **changes}))


def edit_json(path: Path, changes: Mapping[str, Any]) -> None:
    """Change keys of a JSON object; None removes one."""
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def nested(depth: int) -> str:
    """An object of lists in lists."""
    return '{"a":' + "[" * depth + "]" * depth + "}"
