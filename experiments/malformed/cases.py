"""What a malformed case is, and the folder that it is made in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Make = Callable[["Room"], Sequence[object]]


@dataclass(frozen=True)
class Case:
    """One malformed input.

    Attributes:
        kind: What is malformed: a checkpoint, a configuration, a task and so on.
        name: What is wrong.
        make: Writes the input into a room and gives the arguments of ``landscape``.
        expected: Words that the error must hold; of a page, what must stand on it as text.
        code: The exit code; 0 where the input is odd but no mistake, and must do no harm.
    """

    kind: str
    name: str
    make: Make
    expected: str
    code: int = 2

    @property
    def id(self) -> str:
        """A unique name."""
        return f"{self.kind}: {self.name}"


@dataclass(frozen=True)
class Room:
    """The folder of one case. Nothing outside ``out`` and ``tmp`` may be written in it.

    Attributes:
        path: The folder; it holds ``in``, ``out``, ``tmp``, and ``secret``, which no input may
            lead to.
        materials: Sound inputs to be copied and broken: ``population``, ``task``, stores.
    """

    path: Path
    materials: Path

    @property
    def inside(self) -> Path:
        """The folder of the inputs."""
        return self.path / "in"

    @property
    def out(self) -> Path:
        """The folder that the command is told to write to."""
        return self.path / "out"

    @property
    def secret(self) -> Path:
        """A file that no input may lead to."""
        return self.path / "secret" / "secret.txt"

    @property
    def canary(self) -> Path:
        """A file that code in an input would make."""
        return self.path / "secret" / "canary"

    def build(self) -> None:
        """Make the folders."""
        for name in ("in", "out", "tmp", "secret"):
            (self.path / name).mkdir(parents=True)
        self.secret.write_text("text\tlabel\nTHE SECRET\tno\n")

    def write(self, name: str, content: str | bytes) -> Path:
        """An input file."""
        path = self.inside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def population(self) -> Path:
        """A copy of the sound classifiers: ``member-0`` and ``member-1``."""
        folder = self.inside / "population"
        shutil.copytree(self.materials / "population", folder)
        return folder

    def task(self) -> Path:
        """A copy of the sound task with its data files."""
        folder = self.inside / "task"
        shutil.copytree(self.materials / "task", folder)
        return folder / "task.yaml"

    def store(self, name: str = "old-store.h5") -> Path:
        """A copy of a sound store."""
        return Path(shutil.copy(self.materials / name, self.inside / "store.h5"))

    def config(self, **changes: Any) -> Path:
        """A sound experiment on copies of task and classifiers, with these changes."""
        if not (self.inside / "population").exists():
            self.population()
        if not (self.inside / "task").exists():
            self.task()
        content = {
            "name": "tiny",
            "checkpoints": "population/member-*",
            "task": "task/task.yaml",
            "data_root": "task",
            "examples": 20,
            "path": {"points": 3},
            "out": str(self.out),
            "analysis": {"n_resamples": 100},
            **changes,
        }
        return self.write("config.yaml", yaml.safe_dump(content))


def edit_json(path: Path, **changes: Any) -> None:
    """Change keys of a JSON object; None removes one."""
    content = json.loads(path.read_text()) | changes
    kept = {key: value for key, value in content.items() if value is not None}
    path.write_text(json.dumps(kept))
