"""Tiny models and experiments on them, and their uninterrupted runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from landscape.records import read_store
from tests.runs import differences
from tests.stress.trial import Reference, Trial, content_of, files_in, records
from tests.tiny import save_population, write_task

_FIT = {"examples": 16, "batch_size": 8, "steps": 4, "learning_rate": 0.01}
_OTHER_PATHS = [
    {"kind": "line", "name": "straight", "between": ["m0", "m1"], "points": 3},
    {"kind": "bezier", "between": ["m0", "m2"], "points": 3, "fit": _FIT},
    {"kind": "plane", "through": ["m0", "m1", "m2"], "points": 3},
]


def _paths(**pairs: Any) -> list[dict[str, Any]]:
    return [{"kind": "line", "between": "all", **pairs}, *_OTHER_PATHS]


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"paths": _paths(points=5)},
    "adaptive": {"paths": _paths(points=9, adaptive=True)},
    "active": {"paths": _paths(points=5), "pairs": "active", "pairs_budget": 15},
}


def references(work: Path, executors: tuple[str, ...], n: int | None = None) -> list[Reference]:
    """Run the first ``n`` experiments without a fault, twice, with these executors."""
    folder = work / "population"
    save_population(folder / "models", "bert", 6)
    for path in (folder / "models").iterdir():
        path.rename(path.with_name(path.name.replace("member-", "m")))
    write_task(folder, n=40)
    found = []
    for name, changes in list(VARIANTS.items())[:n]:
        content = {
            "name": "tiny",
            "checkpoints": "models/m*",
            "task": "task.yaml",
            "data_root": ".",
            "evaluate": {"device": "cpu", "token_budget": 256},
            "analysis": {"n_resamples": 100},
            **changes,
        }
        config = folder / f"{name}.yaml"
        config.write_text(yaml.safe_dump(content))
        found.append(_reference(config, work / f"reference-{name}", executors))
    return found


def _reference(config: Path, folder: Path, executors: tuple[str, ...]) -> Reference:
    empty = Reference(config, {}, None, frozenset(), 0, 0.0)
    stores, rng = [], np.random.default_rng(0)
    for number, executor in enumerate((executors[-1], "local")):
        trial = Trial(empty, executor, folder / str(number), rng)
        began = time.monotonic()
        run = trial.start()
        if run.wait():
            raise SystemExit(f"the uninterrupted run failed:\n{run.said()}")
        stores.append(read_store(trial.out / "store.h5"))
    if wrong := differences(*stores, but=("path", "created", "content-sha256")):
        raise SystemExit(f"two executors give different numbers: {wrong}")
    return Reference(
        config=config,
        records={name: content_of(path) for name, path in records(trial.out).items()},
        store=stores[1],
        files=files_in(trial.out),
        changes=run.changes,
        seconds=time.monotonic() - began,
    )
