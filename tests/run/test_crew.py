"""The same store whoever measures: one process, several, shards of an array, a plan kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from landscape.run.measure.crew import Crew, read_shard, shard_of

from landscape.core.errors import ConfigError, StoreError
from landscape.records import Results, StoreWriter, read_store
from landscape.run.pipeline import run_experiment
from tests.tiny import save_population, write_experiment

ROOT = Path(__file__).parents[2]
ARRAYS = ("losses", "predictions", "model_losses", "model_predictions", "screened", "difference")


def quiet(line: str) -> None:
    pass


def assert_same(one: Results, other: Results) -> None:
    """Byte for byte, whatever the order of the pairs."""
    assert {tuple(p) for p in one.pairs.tolist()} == {tuple(p) for p in other.pairs.tolist()}
    rows = [other.pairs.tolist().index(pair) for pair in one.pairs.tolist()]
    np.testing.assert_array_equal(one.formats, other.formats[rows])
    np.testing.assert_array_equal(one.tolerance, other.tolerance[rows])
    for name, data in one.datasets.items():
        for array in ARRAYS:
            mine, theirs = getattr(data, array), getattr(other.datasets[name], array)
            if not array.startswith("model_"):
                theirs = theirs[rows]
            np.testing.assert_array_equal(mine, theirs, err_msg=f"{name} {array}")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, task_file: Path) -> Path:
    folder = tmp_path_factory.mktemp("crew")
    population = save_population(folder / "p", "bert", 5)
    return write_experiment(
        folder / "c.yaml", population, task_file, evaluate={"token_budget": 16}, path={"points": 7}
    )


@pytest.fixture(scope="module")
def whole(config: Path, task_file: Path) -> Results:
    out = config.with_name("whole")
    return read_store(run_experiment(config, root=task_file.parent, out=out, report=quiet))


def test_the_plan_is_in_the_store(whole: Results) -> None:
    (plan,) = whole.plans
    assert plan["threads"] == torch.get_num_threads()
    assert plan["tokens"] == 16
    assert plan["exact"] == "fp32"
    assert plan["plans"]["fp32"]["strategy"] in ("loop", "vmap")
    assert set(whole.plan.tolist()) == set(whole.model_plan.tolist()) == {0}


def test_two_processes_write_what_one_writes(
    config: Path, whole: Results, task_file: Path, tmp_path: Path
) -> None:
    crew = Crew("process", workers=2)
    store = run_experiment(config, root=task_file.parent, out=tmp_path, crew=crew, report=quiet)
    found = read_store(store)
    assert_same(whole, found)
    assert found.plans == whole.plans


def test_a_run_with_a_killed_worker_is_whole_and_another_crew_goes_on(
    config: Path, whole: Results, task_file: Path, tmp_path: Path
) -> None:
    """A worker is killed, then the driver: its workers end; one process finishes the rest."""
    log = (tmp_path / "log").open("w")
    arguments = ["run", config, "--data-root", task_file.parent, "--out", tmp_path / "out"]
    arguments += ["--executor", "process", "--workers", "2"]
    code = (
        "import sys, time\nfrom landscape.records.store import StoreWriter\n"
        "write = StoreWriter.write_pair\n"
        "def slowly(*a, **k):\n    write(*a, **k)\n    time.sleep(0.4)\n"
        "StoreWriter.write_pair = slowly\n"
        "from landscape.run.commands import main\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    script = tmp_path / "driver.py"
    script.write_text(code)
    driver = subprocess.Popen(
        [sys.executable, script, *map(str, arguments)], cwd=ROOT, stdout=log, stderr=log
    )
    store = tmp_path / "out" / "store.h5"

    def wait_for(n_pairs: int) -> None:
        for _ in range(1200):
            if store.is_file() and read_store(store, verify=False).status.sum() >= n_pairs:
                return
            assert driver.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.05)
        raise AssertionError((tmp_path / "log").read_text())

    wait_for(2)
    children = Path(f"/proc/{driver.pid}/task/{driver.pid}/children")
    if not children.exists():
        driver.kill()
        pytest.skip("this system does not list a process's children")
    workers = [
        int(pid)
        for pid in children.read_text().split()
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    wait_for(6)
    driver.kill()
    driver.wait()
    assert "was lost at the pair of models" in (tmp_path / "log").read_text()
    before = read_store(store)
    assert 6 <= before.status.sum() < 10
    run_experiment(config, root=task_file.parent, out=tmp_path / "out", report=quiet)
    assert_same(whole, read_store(store))
    log.close()


def test_shards_put_together_are_the_whole(
    config: Path, whole: Results, task_file: Path, tmp_path: Path
) -> None:
    from landscape.records.merge import merge

    stores = [
        run_experiment(config, root=task_file.parent, out=tmp_path, shard=(i, 3), report=quiet)
        for i in (1, 2, 3)
    ]
    counts = [len(read_store(store).pairs) for store in stores]
    assert sum(counts) == 10
    out = tmp_path / "merged" / "store.h5"
    merge(stores, out)
    run_experiment(config, root=task_file.parent, out=out.parent, report=quiet)
    merged = read_store(out)
    assert_same(whole, merged)
    np.testing.assert_array_equal(whole.distances, merged.distances)
    assert (out.parent / "report.html").is_file()


def test_the_stored_plan_is_used_again_whatever_is_measured_now(
    config: Path, whole: Results, task_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, seen = StoreWriter.write_pair, []

    def stop(self: StoreWriter, pair: int, *args: Any, **settings: Any) -> None:
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(pair)
        write(self, pair, *args, **settings)

    with monkeypatch.context() as context:
        context.setattr(StoreWriter, "write_pair", stop)
        with pytest.raises(KeyboardInterrupt):
            run_experiment(config, root=task_file.parent, out=tmp_path, report=quiet)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        run_experiment(config, root=task_file.parent, out=tmp_path, report=quiet)
        assert torch.get_num_threads() == threads + 1  # as it was found
    finally:
        torch.set_num_threads(threads)
    found = read_store(tmp_path / "store.h5")
    assert found.plans == whole.plans
    assert_same(whole, found)


def test_another_plan_is_recorded_with_its_difference(
    config: Path, whole: Results, task_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Larger batches, asked for in the middle of a run."""
    write = StoreWriter.write_pair
    seen: list[int] = []

    def stop(self: StoreWriter, pair: int, *args: Any, **settings: Any) -> None:
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(pair)
        write(self, pair, *args, **settings)

    with monkeypatch.context() as context:
        context.setattr(StoreWriter, "write_pair", stop)
        with pytest.raises(KeyboardInterrupt):
            run_experiment(config, root=task_file.parent, out=tmp_path, report=quiet)
    other = config.with_name("larger.yaml")
    other.write_text(config.read_text().replace("token_budget: 16", "token_budget: 64"))
    run_experiment(other, root=task_file.parent, out=tmp_path, report=quiet)
    found = read_store(tmp_path / "store.h5")
    assert [plan["tokens"] for plan in found.plans] == [16, 64]
    assert 0 <= found.plans[1]["difference"] < 1e-4
    assert sorted(set(found.plan.tolist())) == [0, 1]
    assert int((found.plan == 0).sum()) == 3
    for name, data in whole.datasets.items():
        np.testing.assert_allclose(data.losses, found.datasets[name].losses, atol=1e-4)


def test_numbers_that_are_not_those_of_the_store_are_refused(
    config: Path, task_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from landscape.run.measure import crew as room

    write = StoreWriter.write_pair

    def stop(self: StoreWriter, pair: int, *args: Any, **settings: Any) -> None:
        write(self, pair, *args, **settings)
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(StoreWriter, "write_pair", stop)
        with pytest.raises(KeyboardInterrupt):
            run_experiment(config, root=task_file.parent, out=tmp_path, report=quiet)
    other = config.with_name("larger.yaml")
    other.write_text(config.read_text().replace("token_budget: 16", "token_budget: 64"))
    monkeypatch.setattr(room, "_ROUNDING", {"fp32": -1.0})
    with pytest.raises(StoreError, match=r"(?s)does not give the numbers.*a difference of"):
        run_experiment(other, root=task_file.parent, out=tmp_path, report=quiet)
    assert int(read_store(tmp_path / "store.h5").status.sum()) == 1


@pytest.mark.parametrize(("n_pairs", "n_shards"), [(45, 4), (4950, 10), (3, 5), (1, 1)])
def test_shards_are_all_pairs_once_and_need_few_models(n_pairs: int, n_shards: int) -> None:
    n = int((1 + np.sqrt(1 + 8 * n_pairs)) / 2)
    pairs = np.column_stack(np.triu_indices(n, 1))
    shards = [shard_of(pairs, (i + 1, n_shards)) for i in range(n_shards)]
    assert sorted(np.concatenate(shards).tolist()) == list(range(n_pairs))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    if n_pairs == 4950:  # 495 pairs of at least 32 models; at random it would be all 100
        assert max(len(np.unique(pairs[shard])) for shard in shards) <= 75


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3", "1/2/3"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    assert read_shard("3/10") == (3, 10)
    with pytest.raises(ConfigError, match=r"(?s)Which shard of the pairs\?.*as 3/10"):
        read_shard(text)


def test_a_crew_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="local or process or ray"):
        Crew("threads")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="at least one worker"):
        Crew("process", workers=0)
    with pytest.raises(ConfigError, match="--executor process"):
        Crew("local", workers=2)
    with pytest.raises(ConfigError, match="--executor ray"):
        Crew("process", address="auto")


def test_a_run_that_chooses_its_pairs_has_no_shards(config: Path, task_file: Path) -> None:
    with pytest.raises(ConfigError, match="depends on all answers"):
        run_experiment(
            config,
            root=task_file.parent,
            out=config.with_name("active"),
            changes={"pairs": "active"},
            shard=(1, 2),
            report=quiet,
        )
    assert json.dumps(read_shard("1/2")) == "[1, 2]"
