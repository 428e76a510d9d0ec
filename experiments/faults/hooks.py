"""What a run under test does beside its work: say how far it is, and wait where it is told to.

The run itself is the real command line; these wrap some of its functions, in the driver and in the
workers. What makes them fail is in ``injected.py``.
"""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.util
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import injected

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_PATHS = {"open": 0, "os.rename": 0, "os.remove": 0, "os.mkdir": 0}
_WITH_WRITE_ALL = ("disk", "tables", "structure", "write")
_sleep, _exists = time.sleep, os.path.exists


class Notes:
    """A process' line to the harness: a file of events, and a file that lets it go on.

    Args:
        plan: ``folder``: of both; ``out``: the run's output folder; ``draw``: whether figures and
            report are made; ``slow``: seconds beside each model and pair; ``stop``: None, or where
            to wait: ``role``, ``at`` (event, write or file), ``n`` (from 1) and ``part`` of the
            write; ``snapshots``: None, or where to keep the output folder at each event; and what
            ``injected.py`` reads.
        role: driver or worker.
    """

    def __init__(self, plan: dict[str, Any], role: str) -> None:
        self.plan, self.role = plan, role
        self.counts: Counter[str] = Counter()
        self._began = time.monotonic()
        folder = Path(plan["folder"])
        self._go = str(folder / "go")
        self._fd = os.open(folder / "events", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        (folder / "pids").mkdir(exist_ok=True)
        (folder / "pids" / str(os.getpid())).touch()

    def say(self, text: str) -> None:
        """A line with this process and what was counted so far."""
        line = {
            "role": self.role,
            "pid": os.getpid(),
            "says": text,
            "at": round(time.monotonic() - self._began, 3),
            **self.counts,
        }
        os.write(self._fd, f"{json.dumps(line)}\n".encode())

    def event(self, text: str) -> None:
        """Something that a fault can wait for."""
        due = self.due("event")
        self.say(text)
        if self.plan["snapshots"]:
            target = Path(self.plan["snapshots"]) / f"{self.counts['event']:03d}"
            ignore = shutil.ignore_patterns(".*")
            shutil.copytree(self.plan["out"], target, ignore=ignore, dirs_exist_ok=True)
        if due:
            self.hold()

    def due(self, kind: str) -> bool:
        """Count one more of these; whether it is the one to wait at."""
        self.counts[kind] += 1
        stop = self.plan["stop"]
        where = (self.role, kind, self.counts[kind])
        return stop is not None and (stop["role"], stop["at"], stop["n"]) == where

    def hold(self) -> None:
        """Wait for the harness to do what it does at this moment."""
        self.say("held")
        while not _exists(self._go):
            _sleep(0.002)


def install(plan: dict[str, Any], role: str) -> None:
    """Wrap what is loaded now, and all else when it is loaded."""
    notes = Notes(plan, role)
    notes.say("begins")
    patches: dict[str, Callable[[ModuleType, Notes], None]] = {
        "landscape.records.store.write": _writer,
        "landscape.run.measure.worker": _worker,
        "landscape.run.pipeline": _experiment,
        "landscape.training.loop": _training,
    }
    for name in _WITH_WRITE_ALL:
        known = patches.get(f"landscape.records.store.{name}")
        patches[f"landscape.records.store.{name}"] = _then(known, _writes) if known else _writes
    for name, patch in injected.patches(plan).items():
        known = patches.get(name)
        patches[name] = _then(known, patch) if known else patch
    for name, patch in patches.items():
        if name in sys.modules:
            patch(sys.modules[name], notes)
    late = {name: patch for name, patch in patches.items() if name not in sys.modules}
    sys.meta_path.insert(0, _AfterImport(late, notes))
    if role == "driver":
        _watch_files(notes)


def begin(plan: dict[str, Any], make: Any) -> None:
    """The initializer of a worker that a fork server starts."""
    install(plan, "worker")
    importlib.import_module("landscape.run.executors.process")._begin(make)


def _then(first: Callable[..., None], second: Callable[..., None]) -> Callable[..., None]:
    def both(module: ModuleType, notes: Notes) -> None:
        first(module, notes)
        second(module, notes)

    return both


class _AfterImport(importlib.abc.MetaPathFinder):
    """Runs a patch once its module is loaded."""

    def __init__(self, patches: dict[str, Callable[..., None]], notes: Notes) -> None:
        self._patches, self._notes = patches, notes

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        patch = self._patches.pop(name, None)
        if patch is None:
            return None
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            patch(module, self._notes)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def around(owner: Any, name: str, before: Callable[..., None], after: Any = None) -> None:
    """Call one function before another, and one after it, with the same arguments."""
    real = getattr(owner, name)

    @functools.wraps(real)
    def wrapped(*args: Any, **options: Any) -> Any:
        before(*args)
        result = real(*args, **options)
        if after is not None:
            after(*args)
        return result

    setattr(owner, name, wrapped)


def _nothing(*_: Any) -> None:
    return


def _writer(module: ModuleType, notes: Notes) -> None:
    writer, say = module.StoreWriter, notes.event
    around(writer, "write_model", _nothing, lambda _, model, *rest: say(f"wrote model {model}"))
    around(writer, "write_pair", _nothing, lambda self, row, *rest: say(_pair(self, row)))
    around(writer, "add_points", lambda _, points: say(f"adds {points.name}"))
    around(
        writer,
        "write_points",
        _nothing,
        lambda _, name, indices, *rest: [say(f"wrote {name} {index}") for index in indices],
    )
    around(writer, "write_distances", lambda *_: say("distances"))
    around(writer, "finish", lambda *_: say("packs"), lambda *_: say("packed"))


def _pair(writer: Any, row: int) -> str:
    first, second = writer.pairs()[row].tolist()
    return f"wrote pair {first} {second}"


def _worker(module: ModuleType, notes: Notes) -> None:
    def measure(_: Any, task: Any, *rest: Any) -> None:
        what = "pair" if len(task.models) == 2 else "model"
        notes.event(f"measures {what} {' '.join(map(str, task.models))}")
        _sleep(notes.plan["slow"])

    around(module.Worker, "pair", measure)
    around(module.Worker, "model", measure)


def _experiment(module: ModuleType, notes: Notes) -> None:
    if notes.plan["draw"]:
        around(module, "draw", lambda *_: notes.event("draws"), lambda *_: notes.event("drawn"))
    else:
        module.draw = lambda *_: notes.event("drawing left out")  # type: ignore[attr-defined]


def _training(module: ModuleType, notes: Notes) -> None:
    module.SAVE_SECONDS = 0  # type: ignore[attr-defined]
    around(module, "write_torch_file", lambda *_: notes.event("trains"))


def _writes(module: ModuleType, notes: Notes) -> None:
    real = getattr(module, "write_all", None)
    if notes.role != "driver" or real is None or hasattr(real, "counted"):
        return

    def write_all(fd: int, data: Any, offset: int) -> None:
        if not notes.due("write"):
            real(fd, data, offset)
            return
        view = memoryview(data).cast("B")
        part = int(len(view) * notes.plan["stop"]["part"])
        real(fd, view[:part], offset)
        notes.hold()
        real(fd, view[part:], offset + part)

    write_all.counted = True  # type: ignore[attr-defined]
    module.write_all = write_all  # type: ignore[attr-defined]


def _watch_files(notes: Notes) -> None:
    """Count what is opened to write, renamed, removed or made in the output folder."""
    inside = f"{notes.plan['out']}{os.sep}"

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _PATHS or (event == "open" and not arguments[2] & _WRITES):
            return
        path = arguments[_PATHS[event]]
        if isinstance(path, str | bytes | os.PathLike):
            whole = os.path.join(os.getcwd(), os.fsdecode(path))
            if whole.startswith(inside) and notes.due("file"):
                notes.hold()

    sys.addaudithook(hook)
