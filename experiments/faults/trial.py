"""One fault: a run, what happens to it, and what must be true afterwards."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from compare import compare, rows_of
from launch import Running, start
from world import Snapshot, World, arguments, finish, names_in

from landscape.core.errors import StoreError
from landscape.records import read_store

_RESUMES = 4
_PLACES = (
    ("draws", "drawing"),
    ("packs", "packing"),
    ("distances", "packing"),
    ("adds plane", "surface"),
    ("adds", "ways"),
    ("trains", "ways"),
    ("measures pair", "pairs"),
    ("wrote pair", "pairs"),
    ("measures model", "models"),
    ("wrote model", "models"),
)


@dataclass(frozen=True)
class Case:
    """Which fault, on which run.

    Attributes:
        number: From 0.
        kind: A name in ``KINDS``.
        executor: local or process.
        variant: Of the experiment.
        cold: Whether the run is a program of its own.
        drawing: Whether the fault comes while figures and report are made.
        seed: Of all that is random in it.
    """

    number: int
    kind: str
    executor: str
    variant: str
    cold: bool
    drawing: bool
    seed: int


@dataclass
class Result:
    """What came of a fault.

    Attributes:
        case: Which it was.
        place: What the run was doing.
        how: More about the fault.
        resumes: How often the plain command was given until the run was finished.
        rows: Finished rows when the fault came: of models, pairs and points.
        lost: Of these, whose bytes were not hit, but which had to be measured again.
        hit: Of these, whose bytes were hit.
        detected: Whether damage of the store was found; None where there was none.
        mended: Whether it was repaired.
        failures: What is not as it must be.
        seconds: In all.
    """

    case: Case
    place: str = ""
    how: str = ""
    resumes: int = 0
    rows: int = 0
    lost: int = 0
    hit: int = 0
    detected: bool | None = None
    mended: bool | None = None
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Moment:
    """When a fault comes: at the n-th event, write or file operation, or after some seconds."""

    at: str
    n: int = 0
    part: float = 0.0
    seconds: float = 0.0

    def stop(self, role: str = "driver") -> dict[str, Any] | None:
        """As a plan has it."""
        if self.at == "time":
            return None
        return {"role": role, "at": self.at, "n": self.n, "part": self.part}


class Trial:
    """A fault's run and its checks; kinds of faults are functions of it.

    Args:
        case: Which fault.
        world: What all share.
        folder: For this trial alone.
        rng: Goes on where the last attempt left it.
    """

    def __init__(self, case: Case, world: World, folder: Path, rng: np.random.Generator) -> None:
        self.case, self.world, self.folder, self.rng = case, world, folder, rng
        self.result = Result(case)
        self.population = world.population
        self.out = folder / "out"
        self.reference = world.references[case.variant]
        self.loose = False
        self._known: dict[Path, set[str]] = {}
        self._runs = 0
        snapshots = world.snapshots[case.variant]
        self.finished = next(one for one in snapshots if one.finished)
        early = [one for one in snapshots if not one.finished]
        fresh = rng.random() < 0.3
        self.start: Snapshot = early[0] if fresh else early[int(rng.integers(len(early)))]
        if case.drawing:
            self.start = self.finished

    @property
    def store(self) -> Path:
        """The run's store."""
        return self.out / "store.h5"

    def fail(self, what: str) -> None:
        """Note what is not as it must be."""
        self.result.failures.append(what)

    def own_population(self) -> None:
        """Models that may be changed."""
        self.population = self.folder / "population"
        shutil.copytree(self.world.population, self.population)

    def lay_out(self, folder: Path | None = None) -> None:
        """The output folder as a run would have left it that was stopped at the start."""
        self.out = folder or self.out
        shutil.copytree(self.start.folder, self.out, dirs_exist_ok=True)

    def moment(self, *kinds: str) -> Moment:
        """A random one of what is left of the run."""
        left = self.start.left[self.case.executor]
        at = str(self.rng.choice(kinds or ("event", "write", "file", "time")))
        n = int(self.rng.integers(1, max(2, left.get(at, 0) + 1)))
        seconds = float(self.rng.random() * self.start.seconds * (3 if self.case.cold else 1))
        return Moment(at, n, float(self.rng.random()), seconds)

    def run(
        self,
        plan: Mapping[str, Any] | None = None,
        executor: str | None = None,
        cold: bool | None = None,
    ) -> Running:
        """Begin the command; it is drawn where the case says so."""
        self._runs += 1
        chosen = executor or self.case.executor
        command = arguments(self.population, self.case.variant, self.out, chosen)
        folder = self.folder / f"run{self._runs}"
        known = self._rows()
        whole = {"draw": self.case.drawing, "slow": 0.02, **(plan or {})}
        running = start(command, folder, self.out, whole, self.case.cold if cold is None else cold)
        self._known[folder] = known
        return running

    def command(self, *words: str) -> Running:
        """Give another command, and wait for its end."""
        self._runs += 1
        folder = self.folder / f"run{self._runs}"
        self._known[folder] = self._rows()
        running = start(list(words), folder, self.out, {}, False)
        finish(running)
        return running

    def _rows(self) -> set[str]:
        try:
            return rows_of(read_store(self.store))
        except (StoreError, OSError):
            return set()

    def strike(self, running: Running, moment: Moment, act: Callable[[int], None]) -> bool:
        """Do something to a run at a moment; False where it had ended before.

        Args:
            running: The run.
            moment: When.
            act: Takes the process that waits, or the driver.
        """
        began = time.monotonic()
        pid = running.pid
        while running.poll() is None:
            events = running.events()
            held = [line for line in events if line["says"] == "held"]
            if held or (moment.at == "time" and time.monotonic() - began > moment.seconds):
                pid = held[0]["pid"] if held else pid
                self.result.place = self.result.place or phase(events)
                self.result.how = self.result.how or moment.at
                self.result.rows = len(self._rows())
                act(pid)
                (running.folder / "go").touch()
                return True
            if time.monotonic() - began > 600:
                running.kill()
            time.sleep(0.003)
        return False

    def end(self, running: Running, *codes: int) -> int:
        """Wait for the end of a run; its code, which must be one of these."""
        if not finish(running):
            self.fail("hangs")
        code, said = running.code, running.said()
        assert code is not None
        last = said.strip().splitlines()[-1:] or ["nothing"]
        if code not in codes:
            self.fail(f"ended with {code}: {last[0]}")
        if "Traceback" in said:
            self.fail(f"a traceback: {last[0]}")
        errors = len(re.findall(r"^error: ", said, re.MULTILINE))
        if errors != (code == 2):
            self.fail(f"{errors} errors with code {code}")
        self._no_strays(running)
        self._nothing_twice(running)
        return code

    def _no_strays(self, running: Running) -> None:
        for _ in range(600):
            if not (left := running.processes()):
                return
            time.sleep(0.05)
        self.fail(f"{len(left)} processes are left")
        running.kill()

    def _nothing_twice(self, running: Running) -> None:
        events = [event["says"] for event in running.events()]
        known, lost = self._known[running.folder], running.said().count(" was lost ")
        for begin, most in (("measures ", 1 + lost), ("wrote ", 1)):
            said = [line.removeprefix(begin) for line in events if line.startswith(begin)]
            for name, n in Counter(said).items():
                if name in known:
                    self.fail(f"{begin}{name}, though it was finished")
                elif n > most:
                    self.fail(f"{begin}{name} {n} times")

    def check(self) -> None:
        """What the store says is finished is there, and is right."""
        if not self.store.is_file():
            return
        try:
            found = compare(self.store, self.reference, whole=False, loose=self.loose)
        except StoreError as error:
            self.fail(f"the store cannot be read: {error}".replace("\n", ";"))
            return
        self._note(found.differences)

    def _note(self, differences: list[str]) -> None:
        if differences:
            self.fail(f"not as in the uninterrupted run: {', '.join(differences[:5])}")

    def resume(self) -> None:
        """Give the plain command until the run is finished."""
        while self.result.resumes < _RESUMES:
            self.result.resumes += 1
            executor = str(self.rng.choice(("local", "process")))
            if self.end(self.run(executor=executor, cold=False), 0) == 0:
                return
        self.fail(f"not finished after {_RESUMES} more runs")

    def finale(self) -> None:
        """Everything is as in the uninterrupted run, and nothing else is left."""
        if not self.store.is_file():
            self.fail("there is no store")
            return
        found = compare(self.store, self.reference, whole=True, loose=self.loose)
        self._note(found.differences)
        wanted = self.world.files[self.case.variant]
        wanted = wanted | (self.world.figures if self.case.drawing else set())
        if names_in(self.out) != wanted:
            self.fail(f"other files: {sorted(names_in(self.out) ^ wanted)[:5]}")
        if self.case.drawing and not (self.out / "report.html").read_text().endswith("</html>\n"):
            self.fail("the report is not whole")

    def one_of(self, *choices: Any) -> Any:
        """A random one."""
        return choices[int(self.rng.integers(len(choices)))]


def phase(events: list[dict[str, Any]]) -> str:
    """What a run is doing, by what it said last."""
    for line in reversed(events):
        for begin, name in _PLACES:
            if line["says"].startswith(begin):
                return name
    return "start"


def signal_to(running: Running, number: int, group: bool = False) -> None:
    """Send a signal to the driver, or as a terminal does to all."""
    if group:
        os.killpg(running.pid, number)
    else:
        os.kill(running.pid, number)
