"""Small real checkpoints and data for every test."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# small arrays: more threads only get in each other's way, here and in the programs that are run
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
# plans that an earlier run measured must not decide what a test does
os.environ["LANDSCAPE_CACHE"] = tempfile.mkdtemp(prefix="landscape-tests-")

from tests.runs import measured
from tests.tiny import save_population, write_experiment, write_task

# how long an example takes says what else the machine does
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
KINDS = ("bert", "distilbert", "roberta")


@pytest.fixture(scope="session")
def populations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three classifiers of each architecture, in <folder>/member-<i>. Do not change them."""
    root = tmp_path_factory.mktemp("populations")
    for kind in KINDS:
        save_population(root / kind, kind, 3)
    return {kind: root / kind for kind in KINDS}


@pytest.fixture
def population(tmp_path: Path) -> Path:
    """Three BERT classifiers of one's own, to break."""
    return save_population(tmp_path / "population", "bert", 3)


@pytest.fixture(scope="session")
def task_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small two-label task with grouped challenge data."""
    return write_task(tmp_path_factory.mktemp("task"))


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory, task_file: Path) -> Path:
    """Of four models and six pairs, of which a line between two is measured beside the others."""
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


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets, where there is one."""
    given = os.environ.get("LANDSCAPE_DATA") or Path(__file__).parents[2] / "shared" / "data"
    if not Path(given).is_dir():
        pytest.skip("the real data sets are absent: set LANDSCAPE_DATA to their folder")
    return Path(given)
