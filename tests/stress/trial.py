"""A run, what happens to it, and what must be true afterwards."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from landscape.core.errors import StoreError
from landscape.records import Results, read_store
from landscape.records.record import read_arrays
from tests.runs import differences
from tests.stress.runs import Plan, Run, workers

_RESUMES = 4
# between numbers of batches of other sizes: ties may be predicted otherwise
_LOOSELY: dict[str, Any] = {
    "within": 1e-5,
    "but": ("plan", "plans", "model_plan", "predictions", "model_predictions", "notes"),
}
_STORE = ("path", "created", "content-sha256")


def records(out: Path) -> dict[str, Path]:
    """The records of a run that have their names."""
    paths = (out / "records").rglob("[!.]*.npz")
    return {str(path.relative_to(out)): path for path in sorted(paths)}


def content_of(record: Path) -> dict[str, Any]:
    """All arrays and notes of a record."""
    return dict(zip(("arrays", "notes"), read_arrays(record), strict=True))


@dataclass(frozen=True)
class Reference:
    """An uninterrupted run.

    Attributes:
        config: The experiment's file.
        records: Of each record its content.
        store: What the store holds.
        files: All in the output folder.
        changes: How often the run changed one of them.
        seconds: That it took.
    """

    config: Path
    records: Mapping[str, dict[str, Any]] = field(repr=False)
    store: Results | None = field(repr=False)
    files: frozenset[str]
    changes: int
    seconds: float


def files_in(out: Path) -> frozenset[str]:
    """All but the lock."""
    names = (str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir())
    return frozenset(name for name in names if not name.endswith(".lock"))


class Trial:
    """One fault.

    Args:
        reference: What the run must come to.
        executor: local, or process, with two workers.
        folder: For this trial alone.
        rng: Decides all that is random.
    """

    def __init__(
        self, reference: Reference, executor: str, folder: Path, rng: np.random.Generator
    ) -> None:
        self.reference, self.executor, self.folder, self.rng = reference, executor, folder, rng
        self.out, self.config = folder / "out", reference.config
        self.loose = False
        self.failures: list[str] = []
        self.n_records = self.resumes = self.lost = 0
        self._workers = ["--workers", "2"] if executor == "process" else []
        folder.mkdir(parents=True)

    def fail(self, what: str) -> None:
        """Note what is not as it must be."""
        self.failures.append(what)

    def copy_models(self) -> Path:
        """Models that may be changed."""
        models = self.folder / "population"
        shutil.copytree(self.config.parent, models)
        self.config = models / self.config.name
        return models

    def start(self, plan: Plan | None = None) -> Run:
        """Begin the command."""
        arguments = ["run", str(self.config), "--out", str(self.out), "--executor", self.executor]
        return self.command(arguments + self._workers, plan)

    def command(self, arguments: list[str], plan: Plan | None = None) -> Run:
        """Begin any command."""
        return Run(arguments, self.out, plan or Plan())

    def strike(self, act: Callable[[Run], Any]) -> Run | None:
        """Begin the command and act at a random moment; None where the run ended before.

        Moments are before a change of a file, some time, or once so many records are there.
        """
        inner = self.rng.random() < 0.6
        stop = int(self.rng.integers(1, self.reference.changes + 1)) if inner else 0
        run = self.start(Plan(stop) if inner else None)
        wait = self.rng.random() * self.reference.seconds
        n = int(self.rng.integers(1, len(self.reference.records) + 1))
        by_records, began = self.rng.random() < 0.5, time.monotonic()
        while run.poll():
            due = len(records(self.out)) >= n if by_records else time.monotonic() - began > wait
            if run.stopped or (not inner and due):
                self.n_records = len(records(self.out))
                act(run)
                run.go_on()
                return run
            time.sleep(0.002)
        return None

    def end(self, run: Run, *codes: int) -> int:
        """Wait for a run's end: with one of these codes, one error at most."""
        code, said = run.wait(), run.said()
        errors = re.findall(r"(?:^|[\]\r])error: ", said, re.MULTILINE)
        if code not in codes:
            self.fail(f"exit code {code}: {' '.join(said.splitlines()[-3:])[-300:]}")
        if "Traceback" in said or len(errors) != (code == 2):
            self.fail(f"{len(errors)} errors, or a traceback: {said[-500:]}")
        return code

    def broken(self) -> set[str]:
        """The records that cannot be read; all others must be as in the reference."""
        found = set()
        for name, path in records(self.out).items():
            try:
                content = content_of(path)
            except StoreError:
                found.add(name)
                continue
            reference = self.reference.records.get(name, {})
            if wrong := differences(content, reference, **_LOOSELY if self.loose else {}):
                self.fail(f"{name} is read as something else: {wrong[:3]}")
        return found

    def check(self) -> None:
        """All that is there is right."""
        if broken := self.broken():
            self.fail(f"damaged: {sorted(broken)[:3]}")

    def resume(self, damaged: frozenset[str] = frozenset()) -> None:
        """The plain command comes to the reference, and measures nothing sound again."""
        before = {name: path.stat() for name, path in records(self.out).items()}
        for _ in range(_RESUMES):
            self.resumes += 1
            if self.end(self.start(), 0) == 0:
                break
        after = {name: path.stat() for name, path in records(self.out).items()}
        sound = {name for name in before.keys() - damaged if "/examples/" not in name}
        kept = sound & after.keys()
        again = {n for n in kept if (before[n].st_ino, before[n].st_mtime_ns)
                 != (after[n].st_ino, after[n].st_mtime_ns)}  # fmt: skip
        self.lost += len(again) + len(sound - after.keys())
        self.compare()

    def compare(self) -> None:
        """The run is finished, and as the uninterrupted one; nothing else is left of it."""
        self.check()
        if self.lost:
            self.fail(f"{self.lost} sound records are lost")
        odd = files_in(self.out) ^ self.reference.files
        if odd := {n for n in odd if not (self.loose and n.startswith("records/plans/"))}:
            self.fail(f"files: {sorted(odd)[:5]}")
        deadline = time.monotonic() + 30
        while (left := workers()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in left:
            self.fail("a worker is left")
            os.kill(pid, signal.SIGKILL)
        if (self.out / "store.h5").is_file():
            options = dict(_LOOSELY) if self.loose else {"but": ()}
            options["but"] += _STORE
            if self.config != self.reference.config:  # of files that were copied
                options["but"] += ("fingerprint",)
            store = read_store(self.out / "store.h5")
            if wrong := differences(store, self.reference.store, **options):
                self.fail(f"the store: {wrong[:5]}")
