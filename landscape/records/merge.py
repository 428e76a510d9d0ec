"""``landscape merge``: runs of one experiment, made in shards or on several machines, as one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from landscape.core.errors import StoreError
from landscape.records.collect import collect
from landscape.records.folder import Manifest, RunFolder
from landscape.records.lock import lock_run
from landscape.records.record import MODEL, PAIR, read_record
from landscape.records.results import Results
from landscape.records.same import differences, largest_difference, measured_part
from landscape.records.store import write_store
from landscape.records.writing import writing

_MOST = 0.5
"""Nats that rounding may make of one example's loss, in the least exact number format."""


@dataclass(frozen=True)
class Merged:
    """What several runs hold together, as it is in the new store.

    ``twice`` is how many records were in more than one run, ``difference`` the largest of one
    example's loss between two of these, in nats.
    """

    results: Results
    twice: int
    difference: float


def merge(runs: Sequence[Path], out: Path) -> Merged:
    """Unite what several runs of one experiment have measured: their records are copied.

    What two of them have measured is taken from the first, and must agree but for rounding. The
    new run is gone on with like any other. Each is a folder, or the store in it.

    Raises:
        StoreError: Runs that are damaged, of other experiments or that contradict each other; or
            the new one exists or cannot be written.
    """
    sources = [RunFolder(run) for run in runs]
    for source, run in zip(sources, runs, strict=True):
        if not source.exists():
            raise StoreError(
                "There is no run.",
                where=run,
                expected="its folder, with run.json and records/, or the store in it",
            )
    manifests = [source.manifest() for source in sources]
    for source, manifest in zip(sources[1:], manifests[1:], strict=True):
        _refuse_unlike(manifests[0], manifest, (sources[0].path, source.path))
    target = RunFolder(out)
    with lock_run(target.path):
        if target.exists() or target.store.exists():
            raise StoreError(
                "A run has begun where the new one shall be.",
                where=target.path,
                fix="remove it, or give another --out",
            )
        with writing(target.path):
            counts = [_copy(source, target) for source in sources]
        target.note(_united(manifests))
        results = collect(target)
        finished = results.status.all() and np.isfinite(np.trace(results.distances))
        write_store(results, target.store, finished=bool(finished))
    twice, apart = zip(*counts, strict=True)
    return Merged(results, sum(twice), max(apart))


def _refuse_unlike(first: Manifest, other: Manifest, paths: tuple[Path, Path]) -> None:
    def facts(manifest: Manifest) -> dict[str, object]:
        rows = {
            f"{key} of checkpoint {number}": row[key]
            for number, row in enumerate(manifest.checkpoints)
            for key in ("name", "ref", "sha256", "labels")
        }
        return measured_part(manifest.config, manifest.datasets) | rows

    lines = differences(facts(first), facts(other))
    if lines:
        raise StoreError(
            "The runs are not of one experiment.",
            where=f"{paths[0]} and {paths[1]}",
            found=lines[0],
            fix="merge runs of one configuration, its checkpoints and its data",
        )


def _united(manifests: Sequence[Manifest]) -> Manifest:
    """Of all pairs, where every pair is to be measured."""
    first = manifests[0]
    if first.pairs is None:
        return first
    pairs = sorted({(i, j) for manifest in manifests for i, j in manifest.pairs or ()})
    return replace(first, pairs=[list(pair) for pair in pairs])


def _copy(source: RunFolder, target: RunFolder) -> tuple[int, float]:
    """How many files were there already, and by how much one example's losses differ, nats."""
    twice, difference = 0, 0.0
    for path in sorted(source.records.rglob("*")):
        if not path.is_file() or path.name.startswith("."):
            continue
        place = target.records / path.relative_to(source.records)
        place.parent.mkdir(parents=True, exist_ok=True)
        measured = path.suffix == ".npz" and path.parent.name in (MODEL, PAIR)
        if measured:
            record = read_record(path)  # a damaged one is not spread
        if not place.exists():
            shutil.copyfile(path, place)
        elif measured:
            twice += 1
            before = read_record(place)
            for name in record.arrays:
                if name.endswith("/losses"):
                    gap = largest_difference(record.arrays[name], before.arrays[name])
                    difference = max(difference, gap)
            if difference >= _MOST:
                raise StoreError(
                    "Two runs have measured the same, and do not agree.",
                    where=f"{path} and {place}",
                    expected=f"losses of examples equal to within {_MOST} nats",
                    found=f"a difference of {difference:.3g} nats",
                )
    return twice, difference
