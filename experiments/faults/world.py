"""What all trials share: the population, and the uninterrupted runs as they were at each event."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch import Running, start
from population import VARIANTS, make_population

from landscape.records import Results, read_store

LIMIT = 900.0  # seconds of one run; a machine that is shared may need them


@dataclass(frozen=True)
class Snapshot:
    """The output folder of an uninterrupted run at an event.

    Attributes:
        folder: A copy of it.
        left: By executor, events of the driver, writes and file operations that were still to
            come; and models and pairs to measure (``work``).
        seconds: That were still to come.
        finished: Whether nothing but figures and report is left.
    """

    folder: Path
    left: dict[str, dict[str, int]]
    seconds: float
    finished: bool


@dataclass(frozen=True)
class World:
    """Of one seed.

    Attributes:
        work: The folder that trials lie in.
        population: Models, task and experiments.
        quick: Whether these are few and small.
        references: The finished stores, by variant.
        snapshots: By variant, in order; the first is that of an empty folder.
        files: What lies in a finished output folder, by variant, without figures and report.
        figures: These, of the one variant that was drawn.
        mounts: Whether this process may mount file systems.
    """

    work: Path
    population: Path
    quick: bool
    references: dict[str, Results]
    snapshots: dict[str, list[Snapshot]]
    files: dict[str, set[str]]
    figures: set[str]
    mounts: bool


def arguments(population: Path, variant: str, out: Path, executor: str) -> list[str]:
    """Of the command line, after ``landscape``."""
    own = ["run", str(population / f"{variant}.yaml"), "--out", str(out), "--executor", executor]
    return [*own, *(["--workers", "2"] if executor == "process" else [])]


def make_world(work: Path, seed: int, mounts: bool, *, quick: bool) -> World:
    """Run each experiment once, without a fault.

    Args:
        work: A folder.
        seed: Of the population.
        mounts: Whether this process may mount file systems.
        quick: Whether one small experiment is enough; else the first one is also drawn.
    """
    shutil.rmtree(work, ignore_errors=True)
    population = work / "population"
    make_population(population, seed, quick=quick)
    references, snapshots, files = {}, {}, {}
    figures: set[str] = set()
    for variant in VARIANTS[:1] if quick else VARIANTS:
        out, kept = work / variant / "out", work / variant / "snapshots"
        drawn = not quick and variant == VARIANTS[0]
        plan = {"draw": drawn, "snapshots": str(kept)}
        command = arguments(population, variant, out, "local")
        running = start(command, work / variant / "run", out, plan, False)
        finish(running)
        if running.code:
            raise SystemExit(f"the uninterrupted run failed:\n{running.said()}")
        references[variant] = read_store(out / "store.h5")
        snapshots[variant] = _snapshots(kept, running.events())
        there = names_in(out)
        files[variant] = {n for n in there if not n.startswith(("figures", "report"))}
        figures |= there - files[variant]
    return World(work, population, quick, references, snapshots, files, figures, mounts)


def finish(running: Running, seconds: float = LIMIT) -> bool:
    """Wait for the end of a run; whether it came by itself."""
    deadline = time.monotonic() + seconds
    while running.poll() is None:
        if time.monotonic() > deadline:
            running.kill()
            return False
        time.sleep(0.005)
    return True


def names_in(folder: Path) -> set[str]:
    """All files below a folder."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()}


def _snapshots(kept: Path, events: list[dict[str, Any]]) -> list[Snapshot]:
    lines = [line for line in events if line.get("event") or line["says"] == "begins"]
    last, found = lines[-1], []
    for number, line in enumerate(lines):
        if line["says"] in ("drawn", "packed"):
            continue
        there = kept / f"{line.get('event', 0):03d}"
        there.mkdir(exist_ok=True)  # of the first one
        left = {k: last.get(k, 0) - line.get(k, 0) for k in ("event", "write", "file")}
        left["work"] = sum(one["says"].startswith("measures") for one in lines[number + 1 :])
        # of a driver whose workers are elsewhere
        own = {**left, "event": left["event"] - left["work"]}
        finished = line["says"].startswith("draw")
        by = {"local": left, "process": own}
        found.append(Snapshot(there, by, last["at"] - line["at"], finished))
    return found
