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

import h5py
import numpy as np

from tests.stress.runs import Plan, Run, workers

ROUNDING = 1e-5  # nats, between numbers of batches of other sizes
_RESUMES = 4
Arrays = dict[str, np.ndarray]


def records(out: Path) -> dict[str, Path]:
    """The records of a run that have their names."""
    paths = (out / "records").rglob("[!.]*.npz")
    return {str(path.relative_to(out)): path for path in sorted(paths)}


def arrays_of(record: Path) -> Arrays:
    """All arrays of a record."""
    with np.load(record, allow_pickle=False) as content:
        return {name: content[name] for name in content.files}


def store_of(path: Path) -> Arrays:
    """All arrays and attributes of a store."""
    found: Arrays = {}

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        scales = ("DIMENSION_LIST", "REFERENCE_LIST")  # places in the file
        found.update(
            {f"{name}@{k}": np.asarray(v) for k, v in item.attrs.items() if k not in scales}
        )
        if isinstance(item, h5py.Dataset) and item.dtype.kind != "O":
            found[name] = item[()]
        elif isinstance(item, h5py.Dataset):
            found[name] = np.asarray(item.asstr()[()], dtype=str)

    with h5py.File(path) as file:
        add("", file)
        file.visititems(add)
    return found


def differences(arrays: Arrays, reference: Arrays, loose: bool = False) -> list[str]:
    """The names of what is not the same; loosely, numbers may differ by rounding."""
    names = set(arrays.keys() ^ reference.keys())
    for name in arrays.keys() & reference.keys():
        if loose and "plan" in name:
            continue
        first, second = arrays[name], reference[name]
        same = first.shape == second.shape and first.dtype == second.dtype
        if same and loose and first.dtype.kind == "f":
            same = np.allclose(first, second, rtol=ROUNDING, atol=ROUNDING, equal_nan=True)
        elif same and not (loose and first.dtype.kind == "u"):  # predictions of ties, names
            same = np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
        if not same:
            names |= {name}
    return sorted(names)


@dataclass(frozen=True)
class Reference:
    """An uninterrupted run.

    Attributes:
        config: The experiment's file.
        records: Of each record its arrays.
        store: The store's arrays.
        volatile: Names in the store that differ from run to run, as its time.
        files: All in the output folder.
        changes: How often the run changed one of them.
        seconds: That it took.
    """

    config: Path
    records: Mapping[str, Arrays] = field(repr=False)
    store: Arrays = field(repr=False)
    volatile: frozenset[str]
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
                arrays = arrays_of(path)
            except Exception:  # whatever numpy and zlib raise
                found.add(name)
                continue
            if wrong := differences(arrays, self.reference.records.get(name, {}), self.loose):
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
            store = differences(store_of(self.out / "store.h5"), self.reference.store, self.loose)
            volatile = set(self.reference.volatile)
            if self.config != self.reference.config:  # of files that were copied
                volatile.add("checkpoints/fingerprint")
            if wrong := sorted(set(store) - volatile):
                self.fail(f"the store: {wrong[:5]}")
