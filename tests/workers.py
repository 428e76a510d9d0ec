"""Workers for tests of executors: importable wherever a call runs."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from landscape.core.errors import ConfigError


class Worker:
    """Squares numbers, and leaves a mark for each in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[int] = []

    def square(self, task: int, following: int | None) -> tuple[int, int, int | None]:
        self.seen.append(task)
        (self.folder / f"{task}.{os.getpid()}.{time.monotonic_ns()}").touch()
        return task * task, os.getpid(), following

    def meet(self, task: int, following: int | None) -> tuple[int, int, int | None]:
        """Squares once there is another worker too."""
        found = self.square(task, following)
        for _ in range(6000):
            if len({mark.name.split(".")[1] for mark in self.folder.iterdir()}) > 1:
                break
            time.sleep(0.01)
        return found

    def die_once(self, task: int, following: int | None) -> int:
        """Killed the first time that it is asked for 5."""
        mark = self.folder / "died"
        if task == 5 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return task * task

    def die(self, task: int, following: int | None) -> int:
        if task == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return task

    def refuse(self, task: int, following: int | None) -> int:
        raise ConfigError("This cannot be.", where=f"task {task}", fix="ask for something else")
