"""One command with limits and a watch on it, in a process that is a child for that purpose."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
# audit events that change files: which of their arguments are paths, and which the folder's handle
_PATHS: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.rename": ((0, 2), (1, 3)),
    "os.remove": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.rmdir": ((0, 1),),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "shutil.rmtree": ((0, None),),
}
_FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")
_ENDLESS = 10.0  # seconds beyond the limit after which the process itself is ended


class TooLongError(BaseException):
    """The time limit, raised within the command."""


@dataclass(frozen=True)
class Outcome:
    """What became of one command.

    Attributes:
        code: The exit code; None where it was stopped at the time limit.
        seconds: How long it took.
        peak_mb: The largest resident size of the process meanwhile.
        out: Standard output.
        err: Standard error.
        touched: What was written, started or connected to that should not have been.
    """

    code: int | None
    seconds: float
    peak_mb: float
    out: str
    err: str
    touched: tuple[str, ...]


class Sandbox:
    """Limits and a watch of this process, which cannot be taken away again.

    Args:
        extra_bytes: Of address space beyond what the process has already.
    """

    def __init__(self, extra_bytes: int = 4 * 2**30) -> None:
        self._allowed: tuple[str, ...] | None = None
        self._touched: list[str] = []
        if sys.platform.startswith("linux"):
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            most = pages * resource.getpagesize() + extra_bytes
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        warnings.resetwarnings()
        signal.signal(signal.SIGALRM, _stop)
        sys.addaudithook(self._hook)

    def run(
        self,
        arguments: Sequence[str],
        *,
        folder: Path,
        temporary: Path,
        writable: Sequence[Path],
        watched: Path,
        seconds: float,
    ) -> Outcome:
        """Run ``landscape ARGUMENTS``.

        Args:
            arguments: Of the command line.
            folder: The working directory.
            temporary: The folder of temporary files.
            writable: Folders that may be written to, beside that.
            watched: A folder whose files elsewhere must stay as they are.
            seconds: After so many the command is stopped; what does not stop ends the process.
        """
        free = [temporary, *writable]
        os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
        os.chdir(folder)
        before = _snapshot(watched, free)
        for number, name in ((1, "stdout"), (2, "stderr")):
            handle = os.open(temporary / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, number)
            os.close(handle)
        _reset_peak()
        self._touched.clear()
        self._allowed = tuple(f"{os.path.realpath(path)}/" for path in free)
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, seconds, _ENDLESS)
        try:
            code = _call(arguments)
        except TooLongError:
            code = None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._allowed = None
        spent, peak = time.monotonic() - began, _peak_mb()
        sys.stdout.flush()
        sys.stderr.flush()
        changed = sorted(dict(before.items() ^ _snapshot(watched, free).items()))
        return Outcome(
            code=code,
            seconds=spent,
            peak_mb=peak,
            out=(temporary / "stdout").read_text(errors="replace"),
            err=(temporary / "stderr").read_text(errors="replace"),
            touched=(*self._touched, *(f"changed: {name}" for name in changed)),
        )

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note writes elsewhere, programs started, connections made: Python announces them."""
        if self._allowed is None:
            return
        said = ""
        if event == "open" and arguments[2] & _WRITES and self._elsewhere(arguments[0]):
            said = f"{event}: {arguments[0]}"
        elif event in _PATHS:
            paths = [
                arguments[k]
                for k, at in _PATHS[event]
                if self._elsewhere(arguments[k], None if at is None else arguments[at])
            ]
            said = f"{event}: {paths[0]}" if paths else ""
        elif event in _FORBIDDEN:
            said = f"{event}: {arguments[:2]}"
        if said:
            self._touched.append(said[:300])

    def _elsewhere(self, path: object, handle: object = None) -> bool:
        if not isinstance(path, str | bytes | os.PathLike) or self._allowed is None:
            return False
        below = f"/proc/self/fd/{handle}" if isinstance(handle, int) and handle >= 0 else ""
        whole = os.path.realpath(os.path.join(below, os.fsdecode(path)))
        return not f"{whole}/".startswith(self._allowed) and not whole.startswith(
            ("/dev/", "/proc/")
        )


def _stop(*_: Any) -> None:
    raise TooLongError


def _call(arguments: Sequence[str]) -> int:
    from landscape.run.commands.cli import main

    sys.argv = ["landscape", *arguments]
    try:
        main()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except TooLongError:
        raise
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _reset_peak() -> None:
    if sys.platform.startswith("linux"):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    if not sys.platform.startswith("linux"):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _snapshot(folder: Path, but: Sequence[Path]) -> dict[str, tuple[int, int, int]]:
    """Mode, size and time of every file, links not followed."""
    found = {}
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if Path(root, name) not in but]
        for name in (*folders, *names):
            path = Path(root, name)
            about = path.lstat()
            size = 0 if path.is_dir() else about.st_size
            found[str(path)] = (about.st_mode, size, 0 if path.is_dir() else about.st_mtime_ns)
    return found
