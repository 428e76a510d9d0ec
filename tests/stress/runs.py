"""One run of the command line, in a child of a process that has loaded torch."""

from __future__ import annotations

import errno
import multiprocessing
import os
import runpy
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[2]
LIMIT = 600.0  # seconds of one run
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CHANGES = {"open": 0, "os.rename": 1, "os.remove": 0, "os.mkdir": 0}  # where the path stands


@dataclass
class Plan:
    """What hinders a run from within.

    Attributes:
        stop: It stops itself before its n-th change of a file of the output folder.
        reading: Takes the path of a weight file that is read; may raise.
        forward: Takes the number of a forward pass and of its examples; may raise, and gives a
            factor of the embedded texts.
        clock: Seconds that the clock jumps by at changes of files, by their number.
    """

    stop: int = 0
    reading: Callable[[Path], None] | None = None
    forward: Callable[[int, int], float] | None = None
    clock: dict[int, float] | None = None


class Run:
    """A run of ``landscape ARGUMENTS``.

    Args:
        arguments: Of the command line.
        out: Its output folder.
        plan: What hinders it.
    """

    def __init__(self, arguments: Sequence[str], out: Path, plan: Plan) -> None:
        self.code: int | None = None
        self.stopped = False
        self._said = b""
        self._pipe, stream = os.pipe()  # no file: these may be limited, and the disk full
        self.pid = os.fork()
        if not self.pid:
            try:
                _child(arguments, out, stream, plan)
            finally:
                os._exit(70)
        os.close(stream)
        os.set_blocking(self._pipe, False)

    def poll(self) -> bool:
        """Whether it goes on, or waits; ``stopped`` says which."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                self.stopped = True
            elif pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is None

    def go_on(self) -> None:
        """After a stop."""
        self.stopped = False
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    def wait(self) -> int:
        """Its exit code; the negative number of a signal that ended it."""
        deadline = time.monotonic() + LIMIT
        while self.poll():
            self.said()  # lest the pipe is full
            if time.monotonic() > deadline:
                os.killpg(self.pid, signal.SIGKILL)
                raise TimeoutError(f"not done after {LIMIT:.0f} s")
            time.sleep(0.005)
        self.said()
        os.close(self._pipe)
        self._pipe = -1
        assert self.code is not None
        return self.code

    def said(self) -> str:
        """All that it has printed."""
        with suppress(BlockingIOError):
            while self._pipe >= 0 and (part := os.read(self._pipe, 1 << 16)):
                self._said += part
        return self._said.decode(errors="replace")

    @property
    def changes(self) -> int:
        """How often it changed a file of the output folder, once it has ended by itself."""
        return int(self.said().rpartition("(changes: ")[2].partition(")")[0])


def workers() -> list[int]:
    """The processes that evaluate for runs."""
    server: Any = forkserver._forkserver  # type: ignore[attr-defined]
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == server._forkserver_pid and state != "Z":
                found.append(int(path.parent.name))
    return found


_plan = Plan()  # of this process, once it is a run


def warm() -> None:
    """Load what runs need, with the libraries below wrapped so that they can be told to fail.

    Workers are forked from a server that has loaded it too.
    """
    own = multiprocessing.get_context("forkserver")
    own.set_forkserver_preload(["landscape.run.pipeline", "transformers.models.bert.modeling_bert"])
    forkserver.ensure_running()
    import safetensors
    import torch
    from transformers.models.bert.modeling_bert import BertEmbeddings

    class Opened:
        """A weight file of which some readings fail."""

        def __init__(self, path: Any, *args: Any, **options: Any) -> None:
            self._path = Path(path)
            _reading(self._path)
            self._file = opened(path, *args, **options)

        def __enter__(self) -> Opened:
            self._file.__enter__()
            return self

        def __exit__(self, *error: Any) -> None:
            self._file.__exit__(*error)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

        def get_tensor(self, name: str) -> Any:
            _reading(self._path)
            return self._file.get_tensor(name)

    def embed(self: Any, *args: Any, **options: Any) -> torch.Tensor:
        embedded: torch.Tensor = embeddings(self, *args, **options)
        if _plan.forward is None:
            return embedded
        return embedded * _plan.forward(next(calls), embedded.shape[0])

    opened, embeddings, calls = safetensors.safe_open, BertEmbeddings.forward, count(1)
    safetensors.safe_open = Opened  # type: ignore[attr-defined]
    BertEmbeddings.forward = embed  # type: ignore[method-assign]
    from landscape.run import pipeline

    torch.set_num_threads(1)
    pipeline.draw = lambda *_, **__: None  # figures and report are made from a finished store


def _reading(path: Path) -> None:
    if _plan.reading is not None:
        _plan.reading(path)


def failing(first: int, times: int, model: str) -> Callable[[Path], None]:
    """Readings of a model's weights, or of any, fail: so many, from a number on."""
    seen, failed = 0, 0

    def reading(path: Path) -> None:
        nonlocal seen, failed
        if model and path.parent.name != model:
            return
        seen += 1
        if seen >= first and failed < times:
            failed += 1
            print("(a reading fails)", flush=True)
            raise OSError(errno.EIO, "Input/output error", str(path))

    return reading


def _child(arguments: Sequence[str], out: Path, stream: int, plan: Plan) -> NoReturn:
    global _plan
    os.setsid()
    os.dup2(stream, 1), os.dup2(stream, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    own, server = multiprocessing.get_context("forkserver"), forkserver._forkserver  # type: ignore[attr-defined]
    server.ensure_running = lambda: None  # it is no child of this process, and need not be
    multiprocessing.get_context = lambda _=None: own  # type: ignore[assignment]
    _plan, code, changes, offset = plan, 1, 0, 0.0
    inside = f"{out}{os.sep}"
    clock, clock_ns = time.time, time.time_ns
    if plan.clock is not None:
        time.time = lambda: clock() + offset
        time.time_ns = lambda: clock_ns() + int(offset * 1e9)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal changes, offset
        if event not in _CHANGES or (event == "open" and not arguments[2] & _WRITES):
            return
        path = arguments[_CHANGES[event]]
        if isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(inside):
            changes += 1
            offset += (plan.clock or {}).get(changes, 0.0)
            if changes == plan.stop:
                os.kill(os.getpid(), signal.SIGSTOP)

    sys.addaudithook(watch)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    sys.argv = ["landscape", *arguments]
    try:
        runpy.run_module("landscape.run", run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    print(f"(changes: {changes})")
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(code)
