"""Disks that are full or read-only, files that may not grow, clocks that jump."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trial import Moment, Trial, signal_to

_MB = 2**20


@contextmanager
def small_disk(trial: Trial) -> Iterator[Path]:
    """A file system in memory, or a folder where none can be mounted."""
    folder = trial.folder / "disk"
    folder.mkdir(parents=True)
    if not trial.world.mounts:
        yield folder
        return
    size = 48 if trial.case.drawing else 6
    _call("mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _call("umount", "--lazy", str(folder))


def full_disk(trial: Trial) -> bool:
    """Other data fills the disk; it is freed before the next run."""
    if not trial.world.mounts:
        return limit(trial)
    with small_disk(trial) as disk:
        trial.lay_out(disk / "out")
        filler, free = disk / "other", int(trial.rng.integers(0, 1 + trial.one_of(0, 2**14, 2**18)))

        def fill(_: int) -> None:
            with filler.open("wb") as file, suppress(OSError):
                while True:
                    os.write(file.fileno(), bytes(4096))
            os.truncate(filler, max(0, filler.stat().st_size - free))

        return _hindered(trial, fill, lambda: filler.unlink(missing_ok=True))


def limit(trial: Trial) -> bool:
    """RLIMIT_FSIZE: no file of the driver may grow beyond a size."""
    trial.lay_out()
    most = int(trial.rng.integers(2**15, 2**19))

    def hold_down(pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))

    return _hindered(trial, hold_down, lambda: None)


def read_only_folder(trial: Trial) -> bool:
    """The output folder cannot be written to: from the start, or from some moment on."""
    mounted = trial.world.mounts and trial.rng.random() < 0.4
    with small_disk(trial) as disk:
        trial.lay_out(disk / "out")
        trial.result.how = "mount" if mounted else "folder"
        if mounted:

            def remount(how: str) -> None:
                _call("mount", "-o", f"remount,{how}", str(disk))

            return _from_the_start(trial, lambda: remount("ro"), lambda: remount("rw"))
        close, reopen = _immutable(trial.out)
        if trial.rng.random() < 0.3:
            return _from_the_start(trial, close, reopen)
        return _hindered(trial, lambda _: close(), reopen)


def read_only_store(trial: Trial) -> bool:
    """The store itself cannot be written to."""
    with small_disk(trial) as disk:
        trial.lay_out(disk / "out")
        if not trial.store.is_file():
            return False
        close, reopen = _immutable(trial.store)
        if trial.rng.random() < 0.6:
            return _from_the_start(trial, close, reopen)

        def close_now(_: int) -> None:
            if trial.store.is_file():
                close()

        return _hindered(trial, close_now, reopen)


def _immutable(path: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    """Ways to close and to open it again; permissions mean nothing to root."""
    if os.geteuid() != 0:
        mode = path.stat().st_mode
        return lambda: path.chmod(mode & ~0o222), lambda: path.chmod(mode)

    def reopen() -> None:
        for one in (path, *path.parent.glob("store.h5")):
            if one.exists():
                _call("chattr", "-i", str(one))

    return lambda: _call("chattr", "+i", str(path)), reopen


def _from_the_start(trial: Trial, close: Callable[[], None], reopen: Callable[[], None]) -> bool:
    trial.result.place, trial.result.rows = "start", len(trial._rows())
    close()
    try:
        trial.end(trial.run(), 2)
        trial.check()
    finally:
        reopen()
    trial.resume()
    trial.finale()
    return True


def _hindered(trial: Trial, close: Callable[[int], None], reopen: Callable[[], None]) -> bool:
    """What the run needs is gone from some moment on: one error, or it is not needed any more."""
    moment = trial.moment(*(("file",) if trial.case.drawing else ()))
    running = trial.run({"stop": moment.stop()})
    try:
        if not trial.strike(running, moment, close):
            return False
        code = trial.end(running, 0, 2)
        trial.check()
    finally:
        reopen()
    if code:
        trial.resume()
    else:  # it could not be removed any more
        (trial.out / ".store.h5.lock").unlink(missing_ok=True)
    trial.finale()
    return True


def clock(trial: Trial) -> bool:
    """The clock of the driver jumps to and fro by up to three years."""
    trial.lay_out()
    n = int(trial.rng.integers(1, 4))
    most = max(2, trial.start.left["local"]["event"])
    jumps = [[int(trial.rng.integers(0, most)), _jump(trial)] for _ in range(n)]
    trial.result.place, trial.result.how = "start", f"{n} jumps"
    trial.result.rows = len(trial._rows())
    trial.end(trial.run({"clock": jumps}), 0)
    trial.finale()
    return True


def file_times(trial: Trial) -> bool:
    """Files of a killed run, its checkpoints at times too, come from the past or the future."""
    trial.lay_out()
    if of_checkpoints := trial.rng.random() < 0.5:
        trial.own_population()
    moment: Moment = trial.moment()
    running = trial.run({"stop": moment.stop()})
    under_way = trial.rng.random() < 0.5

    def shift(pid: int) -> None:
        if not under_way:
            signal_to(running, signal.SIGKILL)
            while running.poll() is None:
                time.sleep(0.005)
        files = [*trial.out.rglob("*")]
        if of_checkpoints:
            files += trial.population.glob("models/*/*.safetensors")
        for file in files:
            when = time.time() + _jump(trial)
            with suppress(OSError):
                os.utime(file, (when, when))

    if not trial.strike(running, moment, shift):
        return False
    trial.result.how += ", under way" if under_way else ", killed"
    # a checkpoint whose time has changed under way may be another one
    code = trial.end(running, *((0, 2) if under_way else (-signal.SIGKILL,)))
    if code == 2 and not (of_checkpoints and "was changed" in running.said()):
        trial.fail("refused though nothing but times has changed")
    trial.check()
    if code:
        trial.resume()
    trial.finale()
    return True


def _jump(trial: Trial) -> float:
    sign = trial.one_of(-1, 1)
    return float(sign * 10 ** (trial.rng.random() * 8))


def _call(*words: str) -> None:
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    if found.returncode:
        raise OSError(f"{' '.join(words)}: {found.stderr.strip()}")
