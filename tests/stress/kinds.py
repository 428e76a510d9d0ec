"""All kinds of faults: each is done to a trial's run; False where the run had ended before."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tests.stress.runs import Plan, Run, failing, workers
from tests.stress.trial import Trial, records
from tests.tiny import make_model

_BATCHES = 16  # more than one point has
BOTH, LOCAL, PROCESS = ("local", "process"), ("local",), ("process",)


@dataclass(frozen=True)
class Kind:
    """A fault, the executors with which it can happen, and whether in the plain run alone."""

    act: Callable[[Trial], bool]
    executors: tuple[str, ...]
    plain: bool


KINDS: dict[str, Kind] = {}


def kind(
    name: str, executors: tuple[str, ...] = BOTH, *, plain: bool = False
) -> Callable[..., Callable[[Trial], bool]]:
    """Make a function a kind of faults."""

    def add(act: Callable[[Trial], bool]) -> Callable[[Trial], bool]:
        KINDS[name] = Kind(act, executors, plain)
        return act

    return add


def _signalled(trial: Trial, number: int, code: int) -> bool:
    run = trial.strike(lambda run: os.kill(run.pid, number))
    if run is None:
        return False
    trial.end(run, code, 0)  # the last of what a run does may be over before a signal comes
    trial.check()
    trial.resume()
    return True


@kind("kill -9 of the driver")
def _kill(trial: Trial) -> bool:
    return _signalled(trial, signal.SIGKILL, -signal.SIGKILL)


@kind("SIGTERM")
def _terminate(trial: Trial) -> bool:
    return _signalled(trial, signal.SIGTERM, 143)


@kind("SIGINT")
def _interrupt(trial: Trial) -> bool:
    return _signalled(trial, signal.SIGINT, 130)


@kind("kill -9 of workers", PROCESS)
def _kill_workers(trial: Trial) -> bool:
    """One or both: others take their places, and the run goes on."""
    killed: list[int] = []

    def kill(_: Run) -> None:
        for pid in workers()[: int(trial.rng.integers(1, 3))]:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    run = trial.strike(kill)
    if run is None:
        return False
    trial.end(run, 0)
    trial.compare()
    return bool(killed)


def _hindered(trial: Trial, close: Callable[[Run], Any], reopen: Callable[[], Any]) -> bool:
    """What the run needs is gone from some moment on: one error, or it needs it no more."""
    try:
        run = trial.strike(close)
        if run is None:
            return False
        code = trial.end(run, 0, 2)
    finally:
        reopen()
    trial.check()
    trial.resume() if code else trial.compare()
    return True


def _call(*command: object) -> None:
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


def _on_small_disk(trial: Trial, act: Callable[[Path], bool]) -> bool:
    disk = trial.folder / "disk"
    disk.mkdir()
    _call("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk)
    trial.out = disk / "out"
    try:
        return act(disk)
    finally:
        _call("umount", "--lazy", disk)


@kind("full disk")
def _full(trial: Trial) -> bool:
    """Other data fills it, to a few free bytes."""

    def on(disk: Path) -> bool:
        filler, free = disk / "other", int(trial.rng.choice([0, 4096, 16384]))

        def fill(_: Run) -> None:
            with filler.open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(bytes(4096))
            os.truncate(filler, max(0, filler.stat().st_size - free))

        return _hindered(trial, fill, lambda: filler.unlink(missing_ok=True))

    return _on_small_disk(trial, on)


@kind("limit on the size of files")
def _limit(trial: Trial) -> bool:
    most = int(trial.rng.integers(2**8, 2**13))
    limits = (most, most)
    return _hindered(
        trial, lambda run: resource.prlimit(run.pid, resource.RLIMIT_FSIZE, limits), lambda: None
    )


@kind("read-only disk")
def _read_only_disk(trial: Trial) -> bool:
    def on(disk: Path) -> bool:
        def remount(how: str) -> None:
            with suppress(subprocess.CalledProcessError):  # a file is open
                _call("mount", "-o", f"remount,{how}", disk)

        return _hindered(trial, lambda _: remount("ro"), lambda: remount("rw"))

    return _on_small_disk(trial, on)


@kind("read-only folder")
def _read_only_folder(trial: Trial) -> bool:
    """Of the run, or of some of its records."""
    closed: list[Path] = []

    def close(_: Run) -> None:
        folders = [trial.out, *(p for p in trial.out.rglob("*") if p.is_dir())]
        closed.append(folders[int(trial.rng.integers(len(folders)))])
        _call("chattr", "+i", closed[0])

    return _hindered(trial, close, lambda: [_call("chattr", "-i", path) for path in closed])


def _reads(trial: Trial, times: int) -> bool:
    model = str(trial.rng.choice(["", "m1", "m2", "m3"]))
    first = int(trial.rng.integers(1, 30 if model else 200))
    run = trial.start(Plan(reading=failing(first, times, model)))
    code = trial.end(run, 0, 2)
    if "(a reading fails)" not in run.said():
        return False
    if code and "models/m" not in run.said():
        trial.fail("the checkpoint is not named")
    trial.n_records = len(records(trial.out))
    trial.check()
    trial.resume() if code else trial.compare()
    return True


@kind("readings of weights fail, then work", LOCAL)
def _some_reads(trial: Trial) -> bool:
    return _reads(trial, int(trial.rng.integers(1, 4)))


@kind("readings of weights fail for good", LOCAL)
def _all_reads(trial: Trial) -> bool:
    return _reads(trial, 10**9)


@kind("file of a checkpoint removed")
def _removed(trial: Trial) -> bool:
    """And later put back."""
    name = str(trial.rng.choice(["model.safetensors", "config.json", "tokenizer.json"]))
    file = trial.copy_models() / f"models/m{trial.rng.integers(5)}" / name
    away = trial.folder / name
    run = trial.strike(lambda _: os.rename(file, away))
    if run is None:
        return False
    code = trial.end(run, 0, 2)
    if code and file.parent.name not in run.said():
        trial.fail("the checkpoint is not named")
    os.rename(away, file)
    trial.check()
    trial.resume() if code else trial.compare()
    return True


@kind("checkpoint replaced")
def _replaced(trial: Trial) -> bool:
    """By other weights: refused by name, then and later, until the right ones are back."""
    folder = trial.copy_models() / f"models/m{trial.rng.integers(5)}"
    file, kept, other = folder / "model.safetensors", trial.folder / "kept", trial.folder / "other"
    shutil.copy2(file, kept)
    make_model("bert", int(trial.rng.integers(10**6, 10**9))).save_pretrained(other)  # type: ignore[operator]
    in_place = trial.rng.random() < 0.3

    def replace(_: Run) -> None:
        if in_place:
            file.write_bytes((other / file.name).read_bytes())
        else:
            os.replace(other / file.name, file)

    run = trial.strike(replace)
    if run is None or not (trial.out / "run.json").is_file():
        return False  # before the run had looked at it
    codes = [trial.end(run, 0, 2)]
    trial.check()
    again = trial.start()
    codes.append(trial.end(again, 2))
    for code, each in zip(codes, (run, again), strict=True):
        if code and folder.name not in each.said().split("error:", 1)[-1]:
            trial.fail("the checkpoint is not named")
    trial.check()
    (shutil.copyfile if trial.rng.random() < 0.5 else shutil.copy2)(kept, file)
    trial.resume() if codes[0] else trial.compare()
    return True


def _jump(trial: Trial) -> float:
    return float(trial.rng.choice([-1, 1]) * 10 ** trial.rng.uniform(0, 8))  # up to three years


@kind("clock jumps", LOCAL)
def _clock(trial: Trial) -> bool:
    jumps = {int(n): _jump(trial) for n in trial.rng.integers(1, trial.reference.changes, size=3)}
    trial.end(trial.start(Plan(clock=jumps)), 0)
    trial.compare()
    return True


@kind("file times of past and future")
def _times(trial: Trial) -> bool:
    """Of a killed run, and of its checkpoints."""
    models = trial.copy_models()

    def shift(run: Run) -> None:
        os.kill(run.pid, signal.SIGKILL)
        for file in [*trial.out.rglob("*"), *models.rglob("*.safetensors")]:
            when = time.time() + _jump(trial)
            with suppress(OSError):
                os.utime(file, (when, when))

    run = trial.strike(shift)
    if run is None:
        return False
    trial.end(run, -signal.SIGKILL)
    trial.check()
    trial.resume()
    return True


def _both(trial: Trial, first: Run, second: Run) -> bool:
    codes = [trial.end(first, 0, 2), trial.end(second, 0, 2)]
    if 0 not in codes:
        trial.fail("neither of two drivers has finished")
    for code, run in zip(codes, (first, second), strict=True):
        if code == 2 and "Another process" not in run.said():
            trial.fail(f"refused for another reason: {run.said()[-200:]}")
    trial.compare()
    return True


@kind("two drivers from the start")
def _two(trial: Trial) -> bool:
    first = trial.start()
    time.sleep(float(trial.rng.random()) * 0.1)
    return _both(trial, first, trial.start())


@kind("second driver under way")
def _second(trial: Trial) -> bool:
    second: list[Run] = []
    first = trial.strike(lambda _: second.append(trial.start()))
    return first is not None and _both(trial, first, second[0])


def _damaged(trial: Trial, damage: Callable[[bytearray], Any]) -> bool:
    """Of a killed or a finished run, a record or the store: it is found, and repair mends it."""
    if trial.rng.random() < 0.6:
        run = trial.strike(lambda run: os.kill(run.pid, signal.SIGKILL))
        if run is None:
            return False
        run.wait()
    else:
        trial.end(trial.start(), 0)
    trial.check()
    paths, store = list(records(trial.out).values()), trial.out / "store.h5"
    if store.is_file() and trial.rng.random() < 0.3:
        paths = [store]
    if not paths:
        return False
    file = paths[int(trial.rng.integers(len(paths)))]
    content = bytearray(file.read_bytes())
    damage(content)
    file.write_bytes(content)
    trial.n_records = len(records(trial.out))
    damaged = trial.broken()
    if file == store:
        code = trial.end(trial.command(["inspect", str(store)]), 0, 2)
        damaged |= {"store.h5"} if code else set()
    elif damaged and not store.is_file():
        run = trial.start()
        if trial.end(run, 0, 2) and file.name not in run.said():
            trial.fail("the damaged record is not named")
        damaged = trial.broken()  # examples are written anew
    if (trial.out / "run.json").is_file():
        repair = trial.command(["repair", str(trial.out)])
        trial.end(repair, 0)
        if damaged and file.name not in repair.said():
            trial.fail("repair does not name what was damaged")
    trial.resume(frozenset(damaged))
    return True


@kind("a file cut")
def _cut(trial: Trial) -> bool:
    def cut(content: bytearray) -> None:
        del content[int(trial.rng.integers(len(content))) :]

    return _damaged(trial, cut)


@kind("bytes flipped")
def _flipped(trial: Trial) -> bool:
    def flip(content: bytearray) -> None:
        for place in trial.rng.integers(len(content), size=int(10 ** trial.rng.uniform(0, 2))):
            content[place] ^= 1 << int(trial.rng.integers(8))

    return _damaged(trial, flip)


@kind("NaN or infinite losses", LOCAL, plain=True)
def _not_finite(trial: Trial) -> bool:
    """Of a batch: kept as they are, and said; all else is as it was."""
    at = int(trial.rng.integers(20, 500))
    value = float(trial.rng.choice([float("nan"), float("inf")]))
    run = trial.start(Plan(forward=lambda n, _: value if n == at else 1.0))
    code = trial.end(run, 0, 2)
    wrong = list(trial.failures)
    trial.check()
    if code == 0 and trial.failures == wrong:
        return False  # nothing that is kept was computed by it
    odd = [each for each in trial.failures if "something else" in each]
    trial.failures = [each for each in trial.failures if each not in odd]
    if code:
        trial.resume()
        return True
    page = trial.folder / "page.html"
    store = str(trial.out / "store.h5")
    drawn = trial.end(trial.command(["report", store, "--out", str(page)]), 0) == 0
    of_pairs = any("/pairs/" in each for each in odd)
    if drawn and of_pairs and "finite" not in page.read_text():
        trial.fail("the report does not say it")
    return True


def _memory(trial: Trial, forward: Callable[[int, int], float]) -> bool:
    run = trial.start(Plan(forward=forward))
    trial.end(run, 0)
    trial.compare()
    return "(out of memory)" in run.said()


def _no_memory() -> None:
    print("(out of memory)", flush=True)
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@kind("out of memory once", LOCAL)
def _memory_once(trial: Trial) -> bool:
    """Single forwards: tried again, the numbers are the same."""
    gaps = trial.rng.integers(_BATCHES, 3 * _BATCHES, size=int(trial.rng.integers(1, 4)))
    calls = set((gaps.cumsum() - trial.rng.integers(_BATCHES)).tolist())

    def forward(n: int, _: int) -> float:
        if n in calls:
            _no_memory()
        return 1.0

    return _memory(trial, forward)


@kind("out of memory for a while", LOCAL, plain=True)
def _memory_short(trial: Trial) -> bool:
    """No more than so many examples fit: batches are halved, and numbers equal to rounding."""
    trial.loose = True
    first, most, left = trial.rng.integers([1, 3, 2], [50, 40, 41]).tolist()

    def forward(n: int, examples: int) -> float:
        nonlocal left
        if n >= first and left and examples > most:
            left -= 1
            _no_memory()
        return 1.0

    return _memory(trial, forward)
