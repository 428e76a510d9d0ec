"""A real Ray cluster of two nodes on this machine, one of them killed in the middle of a run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from landscape.core.errors import ConfigError
from tests.tiny import save_population, write_experiment

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_node_is_killed_and_no_pair_is_lost_or_done_twice(
    tmp_path: Path, task_file: Path
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install '.[ray]'")
    population = save_population(tmp_path / "p", "bert", 6)
    config = write_experiment(tmp_path / "c.yaml", population, task_file, paths={"points": 21})
    options = ["--data-root", task_file.parent, "--out", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "experiments/clusters/two_nodes.py", config, *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    assert re.search(r"a node is killed: \d+ of 15 pairs measured", said), said
    assert re.search(r"worker \d was lost", said), said
    assert "a node is added" in said
    assert "15 of 15 pairs measured" in said
    assert "records written more than once: 0" in said
    assert "arrays that differ from those of one process: none" in said


def test_a_cluster_that_is_not_there_is_an_error_in_words() -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install '.[ray]'")
    from landscape.run.executors.on_ray import RayExecutor

    for address in ("127.0.0.1", "nowhere.invalid:6379", "127.0.0.1:99999"):
        with pytest.raises(ConfigError, match=rf"(?s)cannot be reached.*{address}.*ray start"):
            RayExecutor(dict, 2, address)


def test_without_ray_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from landscape.run.executors.on_ray import RayExecutor

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'landscape-basins\[ray\]'"):
        RayExecutor(dict)
