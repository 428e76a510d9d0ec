"""A tiny run, whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs import measured
from tests.tiny import save_population, write_experiment


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory, task_file: Path) -> Path:
    """Four models, six pairs, of which a line between two is measured beside the others."""
    folder = tmp_path_factory.mktemp("run")
    line = {"kind": "line", "between": ["member-0", "member-3"], "points": 3}
    return write_experiment(
        folder / "c.yaml",
        save_population(folder / "p", "bert", 4, hidden=8),
        task_file,
        evaluate={"token_budget": 512},
        paths=[{"points": 5}, line],
    )


@pytest.fixture(scope="session")
def root(task_file: Path) -> Path:
    """The data root."""
    return task_file.parent


@pytest.fixture(scope="session")
def whole(config: Path, root: Path) -> Path:
    """The folder of a run that was never interrupted. Do not change it."""
    return measured(config, root)
