"""Makes the stores here, each with the code of its format: ``python -m tests.stores.make``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COMMITS = {"0.1.0": "550897d", "0.2.0": "88b9255", "0.3.0": "80ebc51", "0.4.0": "18795f3"}
"""The last commit of each format."""

_FIT = {"examples": 16, "batch_size": 8, "steps": 4, "learning_rate": 0.01}
_ADAPTIVE = {
    "checkpoints": "population/member-[0-4]",
    "path": {"points": 9, "adaptive": True, "tolerance": 0.2},
}
_WAY = {"kind": "bezier", "between": ["member-0", "member-3"], "points": 5, "fit": _FIT}
_WAYS = {
    "datasets": ["dev"],
    "ways": [_WAY],
    "surface": [{"kind": "plane", "through": ["member-0", "member-1", "member-2"], "points": 3}],
}
_ACTIVE = {
    "checkpoints": "population/member-*",
    "examples": 8,
    "path": {"points": 3},
    "pairs": "active",
    "pairs_budget": 32,
}
RUNS: dict[str, tuple[dict[str, Any], int]] = {
    "0.1.0-finished": ({}, 0),
    "0.1.0-unfinished": ({}, 15),
    "0.2.0-finished": (_ADAPTIVE, 0),
    "0.2.0-unfinished": (_ADAPTIVE, 27),
    "0.3.0-finished": (_WAYS, 0),
    "0.3.0-unfinished": (_WAYS, 37),
    "0.4.0-finished": (_WAYS, 0),
    "0.4.0-unfinished": ({}, 15),
    "0.4.0-active-finished": (_ACTIVE, 0),
    "0.4.0-active-unfinished": (_ACTIVE, 60),
}
"""What differs from ``experiment``, and after how many flushes of the file the run is killed."""


def experiment(changes: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a run; all paths are relative to the folder ``inputs``."""
    return {
        "name": "tiny",
        "checkpoints": "population/member-[0-3]",
        "task": "task.yaml",
        "examples": 12,
        "path": {"points": 5},
        "evaluate": {"device": "cpu"},
        "analysis": {"n_resamples": 100},
        "out": "out",
        **changes,
    }


def make_inputs(folder: Path) -> None:
    """Ten classifiers and a task; those that are committed are what all stores were made of."""
    from tests.tiny import make_model, make_tokenizer, write_task

    folder.mkdir()
    write_task(folder, 24)
    for i in range(10):
        member = folder / "population" / f"member-{i}"
        make_model("bert", seed=i, hidden=8).save_pretrained(member)
        make_tokenizer().save_pretrained(member)


def main() -> None:
    """Make what is not there yet."""
    if not (HERE / "inputs").exists():
        make_inputs(HERE / "inputs")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for run, (changes, flushes) in RUNS.items():
            if not (HERE / f"{run}.h5").exists():
                _make(folder, run, changes, flushes)
        if not (HERE / "0.4.0-published.h5").exists():
            store = HERE / "0.4.0-published.h5"
            shutil.copytree(ROOT / "tests" / "data" / "published", folder / "published")
            tree = _tree(folder, "0.4.0")
            _old(tree, folder, "published", "published", store)
            _old(tree, folder, "read", store, store.with_suffix(".npz"))


def _make(folder: Path, run: str, changes: dict[str, Any], flushes: int) -> None:
    tree = _tree(folder, run.split("-")[0])
    work = folder / run
    shutil.copytree(HERE / "inputs", work)
    config = work / "tiny.yaml"
    config.write_text(yaml.safe_dump(experiment(changes)))
    _old(tree, work, "measure", "tiny.yaml", flushes, killed=bool(flushes))
    store = HERE / f"{run}.h5"
    shutil.copy(work / "out" / "store.h5", store)
    _old(tree, work, "read", store, store.with_suffix(".npz"))
    print(store.name, store.stat().st_size)


def _old(tree: Path, folder: Path, *arguments: object, killed: bool = False) -> None:
    done = subprocess.run(
        [sys.executable, HERE / "old_code.py", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(tree), "HF_HUB_OFFLINE": "1"},
    )
    if done.returncode != (-9 if killed else 0):
        raise SystemExit(f"{arguments} ended with {done.returncode}")


def _tree(folder: Path, version: str) -> Path:
    tree = folder / version
    if not tree.exists():
        packed = subprocess.run(
            ["git", "archive", COMMITS[version]], cwd=ROOT, capture_output=True, check=True
        )
        with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
            archive.extractall(tree, filter="data")
    return tree


if __name__ == "__main__":
    main()
