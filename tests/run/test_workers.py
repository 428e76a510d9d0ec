"""The same records whoever measures: one process, several, a plan that was kept."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from landscape.core.errors import ConfigError, StoreError
from landscape.records import Record, RunFolder, read_store
from landscape.run import workers as room
from landscape.run.pipeline import run_experiment
from landscape.run.workers import Workers, read_shard, shard_of
from tests.runs import assert_same, measured, n_measured, quiet, stop_after


def test_the_plan_is_in_the_store(whole: Path) -> None:
    results = read_store(whole / "store.h5")
    (plan,) = results.plans
    assert plan["threads"] == torch.get_num_threads()
    assert (plan["tokens"], plan["exact"]) == (512, "fp32")
    assert plan["plans"]["fp32"]["strategy"] in ("loop", "vmap")
    assert set(results.plan.tolist()) == set(results.model_plan.tolist()) == {0}


@pytest.mark.slow
def test_two_processes_of_which_one_is_killed_write_what_one_writes(
    config: Path, whole: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cores = set(range(2 * torch.get_num_threads()))  # as many threads for each of the two
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: cores)
    write, lines = RunFolder.write, list[str]()

    def kill(self: RunFolder, record: Record, name: str | None = None) -> None:
        write(self, record, name)
        if record.paths[0].startswith("pairs/"):
            monkeypatch.setattr(RunFolder, "write", write)
            os.kill(int(multiprocessing.active_children()[0].pid or 0), signal.SIGKILL)

    monkeypatch.setattr(RunFolder, "write", kill)
    workers = Workers("process", workers=2)
    measured(config, root, tmp_path, workers=workers, report=lines.append)
    assert any(" was lost" in line for line in lines)
    assert_same(whole, tmp_path)


@pytest.fixture
def stopped(config: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was interrupted after three pairs."""
    with monkeypatch.context() as context:
        stop_after(context, 3)
        with pytest.raises(KeyboardInterrupt):
            measured(config, root, tmp_path)
    assert n_measured(tmp_path) == 3
    return tmp_path


def test_the_kept_plan_is_used_again_whatever_is_measured_now(
    config: Path, whole: Path, root: Path, stopped: Path
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        measured(config, root, stopped)
        assert torch.get_num_threads() == threads + 1  # as it was before
    finally:
        torch.set_num_threads(threads)
    assert_same(whole, stopped)


@pytest.fixture
def larger(config: Path) -> Path:
    """The same with larger batches."""
    other = config.with_name("larger.yaml")
    other.write_text(config.read_text().replace("token_budget: 512", "token_budget: 256"))
    return other


def test_another_plan_is_recorded_with_its_difference(
    larger: Path, whole: Path, root: Path, stopped: Path
) -> None:
    measured(larger, root, stopped)
    results, expected = read_store(stopped / "store.h5"), read_store(whole / "store.h5")
    assert [plan["tokens"] for plan in results.plans] == [512, 256]
    assert 0 <= results.plans[1]["difference"] < 1e-4
    assert sorted(results.plan.tolist()) == [0] * 3 + [1] * 3
    for name, data in expected.datasets.items():
        np.testing.assert_allclose(data.losses, results.datasets[name].losses, atol=1e-4)


def test_numbers_that_are_not_those_of_the_run_are_refused(
    larger: Path, root: Path, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_ROUNDING", {"fp32": -1.0})
    with pytest.raises(
        StoreError, match=r"member-0 in (?s:.*)within -1 nats(?s:.*)a difference of"
    ):
        measured(larger, root, stopped)
    assert n_measured(stopped) == 3


@pytest.mark.parametrize(("n_pairs", "n_shards"), [(45, 4), (4950, 10), (3, 5)])
def test_shards_are_all_pairs_once_and_need_few_models(n_pairs: int, n_shards: int) -> None:
    n = int((1 + np.sqrt(1 + 8 * n_pairs)) / 2)
    pairs = np.column_stack(np.triu_indices(n, 1))
    shards = [shard_of(pairs, (i + 1, n_shards), n) for i in range(n_shards)]
    assert sorted(np.concatenate(shards).tolist()) == list(range(n_pairs))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    if n_pairs == 4950:  # 495 pairs of at least 32 models; at random it would be all 100
        assert max(len(np.unique(pairs[shard])) for shard in shards) <= 75


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    assert read_shard("3/10") == (3, 10)
    with pytest.raises(ConfigError, match=r"where: --shard(?s:.*)expected: I/N"):
        read_shard(text)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"kind": "process", "workers": 0}, "found: 0"),
        ({"kind": "local", "workers": 2}, "--executor process"),
        ({"kind": "process", "address": "auto"}, "--executor ray"),
    ],
)
def test_workers_that_cannot_be_are_refused(options: dict[str, object], part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        Workers(**options)  # type: ignore[arg-type]


def test_a_run_that_chooses_its_pairs_has_no_shards(config: Path, root: Path) -> None:
    with pytest.raises(ConfigError, match=r"where: --shard(?s:.*)pairs: active"):
        run_experiment(
            config,
            root=root,
            out=config.with_name("active"),
            changes={"pairs": "active"},
            shard=(1, 2),
            report=quiet,
        )
