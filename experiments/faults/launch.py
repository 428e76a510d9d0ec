"""Runs of the command line: as forks of this process, which has loaded all, or as new programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import context, forkserver, get_context, parent_process, resource_tracker
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import hooks

import landscape

HERE = Path(__file__).parent
_LOADED = (
    "landscape.run.commands",
    "landscape.analysis.diagnostics",
    "landscape.run.pipeline",
    "landscape.run.measure.crew",
    "landscape.run.measure.pairs",
    "landscape.run.measure.surfaces",
    "landscape.output.plots",
    "landscape.output.report",
    "sklearn.manifold",
    "transformers.models.bert.modeling_bert",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
)
PLAN: dict[str, Any] = {"draw": False, "slow": 0.0, "stop": None, "snapshots": None}
"""What ``hooks.Notes`` takes, when nothing is asked for."""


def warm() -> None:
    """Load what runs load, here and in the server that forks their workers."""
    own = get_context("forkserver")
    own.set_forkserver_preload(["hooks", "landscape.run.measure.worker", *_LOADED[-3:]])
    # runs that are killed leave semaphores to the tracker, which need not say so
    os.environ["PYTHONWARNINGS"] = "ignore::UserWarning:multiprocessing.resource_tracker"
    forkserver.ensure_running()
    resource_tracker.ensure_running()
    del os.environ["PYTHONWARNINGS"]
    for name in _LOADED:
        import_module(name)


@dataclass
class Running:
    """A run that has begun.

    Attributes:
        pid: Of its driver.
        folder: Its events, what it says, and the process numbers of its workers.
        cold: As a program of its own.
        code: Its exit code, negative for a signal, once it has ended.
    """

    pid: int
    folder: Path
    cold: bool
    code: int | None = None
    _program: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        if self.code is None and self._program is not None:
            self.code = self._program.poll()
        elif self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def events(self) -> list[dict[str, Any]]:
        """What driver and workers have said."""
        path = self.folder / "events"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def said(self) -> str:
        """All of standard error."""
        return (self.folder / "stderr").read_text(errors="replace")

    def processes(self) -> list[int]:
        """Driver and workers that are there."""
        known = {int(path.name) for path in (self.folder / "pids").glob("*")}
        mark = f"LANDSCAPE_FAULTS={self.folder / 'plan.json'}".encode()
        for path in Path("/proc").glob("[0-9]*") if self.cold else ():
            with suppress(OSError):
                if mark in (path / "environ").read_bytes():
                    known.add(int(path.name))
        return sorted(pid for pid in known if _lives(pid))

    def kill(self) -> None:
        """End all that is left of it."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while self.poll() is None:
            time.sleep(0.005)


def _lives(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def start(
    arguments: Sequence[str], folder: Path, out: Path, plan: Mapping[str, Any], cold: bool
) -> Running:
    """Begin ``landscape ARGUMENTS``.

    Args:
        arguments: Of the command line.
        folder: A new one, for what the harness keeps of the run.
        out: The run's output folder.
        plan: What differs from ``PLAN``.
        cold: Whether as a program of its own, whose workers are spawned.
    """
    folder.mkdir(parents=True)
    whole = {**PLAN, **plan, "folder": str(folder), "out": str(out)}
    (folder / "plan.json").write_text(json.dumps(whole))
    streams = {name: (folder / name).open("wb") for name in ("stdout", "stderr")}
    if cold:
        package = Path(landscape.__file__).parents[1]
        path = [str(HERE / "start"), str(package), os.environ.get("PYTHONPATH", "")]
        program = subprocess.Popen(
            [sys.executable, "-m", "landscape.run", *arguments],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(part for part in path if part),
                "LANDSCAPE_FAULTS": str(folder / "plan.json"),
            },
            stdin=subprocess.DEVNULL,
            preexec_fn=_usual_signals,
            start_new_session=True,
            **streams,
        )
        running = Running(program.pid, folder, cold, _program=program)
    else:
        pid = os.fork()
        if not pid:
            _be_driver(arguments, folder, {name: s.fileno() for name, s in streams.items()}, whole)
        running = Running(pid, folder, cold)
    for stream in streams.values():
        stream.close()
    return running


def _usual_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def _be_driver(
    arguments: Sequence[str], folder: Path, streams: Mapping[str, int], plan: dict[str, Any]
) -> NoReturn:
    code = 70
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(streams["stdout"], 1)
        os.dup2(streams["stderr"], 2)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        os.chdir(folder)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        hooks.install(plan, "driver")
        _fork_workers(plan)
        code = _call(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        os.write(2, traceback.format_exc().encode(errors="replace"))
    finally:
        os._exit(code)


def _call(arguments: Sequence[str]) -> int:
    from landscape.run.commands import main

    sys.argv = ["landscape", *arguments]
    try:
        main()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _fork_workers(plan: dict[str, Any]) -> None:
    """Workers of this driver are forked from the server instead of spawned."""
    import functools

    from landscape.run.executors import process

    server: Any = forkserver._forkserver  # type: ignore[attr-defined]
    server.ensure_running = lambda: None  # it is no child of this process, and need not be
    own: context.BaseContext = get_context("forkserver")
    process.multiprocessing = SimpleNamespace(  # type: ignore[assignment]
        get_context=lambda _: own, parent_process=parent_process
    )
    process._begin = functools.partial(hooks.begin, plan)
