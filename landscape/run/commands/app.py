"""The command line: exit code 0, 2 for the user's mistakes, 1 for ours."""

from __future__ import annotations

import errno
import io
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer, main_thread
from typing import Annotated, NoReturn

import typer

from landscape.core.errors import LandscapeError

# what the user can mend where a path cannot be read or written
_BLOCKED = {
    errno.EACCES, errno.EDQUOT, errno.EEXIST, errno.EFBIG, errno.EIO, errno.EISDIR, errno.ELOOP,
    errno.ENAMETOOLONG, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS,
}  # fmt: skip

app = typer.Typer(
    help="Loss landscapes and basins of finetuned text classifiers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
"""Every function in this folder that it decorates is a command."""
Config = Annotated[Path, typer.Argument(help="The experiment's YAML file.")]
Store = Annotated[Path, typer.Argument(help="The store, an HDF5 file; or a run's folder.")]
DataRoot = Annotated[
    Path | None,
    typer.Option("--data-root", help="Where data files lie (or the LANDSCAPE_DATA variable)."),
]


def say(line: str) -> None:
    """A line of progress."""
    typer.echo(line, err=True)


class _Terminated(BaseException):
    """SIGTERM, as batch systems send it before they kill."""


@contextmanager
def resumable() -> Iterator[None]:
    """Ctrl-C, or a batch system's end of time, says how to go on."""
    timers: list[Timer] = []
    before, hook = signal.getsignal(signal.SIGTERM), sys.unraisablehook

    def terminate(*_: object) -> NoReturn:
        raise _Terminated

    def drop(dropped: sys.UnraisableHookArgs) -> None:
        kinds = {_Terminated: signal.SIGTERM, KeyboardInterrupt: signal.SIGINT}
        if dropped.exc_type not in kinds:
            hook(dropped)
            return
        # it came within a callback of Python's memory, where nothing can be raised: once more
        to = main_thread().ident
        timers.append(Timer(0.05, signal.pthread_kill, [to, kinds[dropped.exc_type]]))
        timers[-1].start()

    signal.signal(signal.SIGTERM, terminate)
    sys.unraisablehook = drop
    try:
        yield
    except (KeyboardInterrupt, _Terminated) as stopped:
        say("\nStopped. What was finished is kept; the same command goes on from there.")
        raise typer.Exit(143 if isinstance(stopped, _Terminated) else 130) from None
    finally:
        for timer in timers:
            timer.cancel()
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before)


def quiet() -> None:
    """Keep other libraries' bars and reports out of ours."""
    import os

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):  # paths need not be text
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except LandscapeError as error:
        _fail(error)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        if error.errno not in _BLOCKED:
            raise
        _fail(
            LandscapeError(
                "A file or folder cannot be used.",
                where=error.filename,
                found=error.strerror,
                fix="check the path, who may write there, and the room on the disk",
            )
        )


def _fail(error: LandscapeError) -> NoReturn:
    """Say it in lines that a terminal can show, whatever names and texts they quote."""
    plain = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(error))
    lines = [f"{line[:2000]}..." if len(line) > 2000 else line for line in plain.split("\n")[:200]]
    say("error: " + "\n".join(lines))
    sys.exit(2)
