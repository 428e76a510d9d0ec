"""Runs put together are the one that was never cut, or are refused with the reason."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from landscape.core.errors import StoreError
from landscape.records import Record, read_store
from landscape.records.merge import merge
from landscape.records.record import read_record, write_record
from landscape.run.pipeline import run_experiment
from tests.runs import (
    assert_same,
    assert_same_stores,
    landscape,
    measured,
    n_measured,
    quiet,
    stop_after,
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory, config: Path, root: Path) -> tuple[Path, Path]:
    out = tmp_path_factory.mktemp("shards")
    first, second = (
        run_experiment(config, root=root, out=out, shard=(i, 2), report=quiet).parent
        for i in (1, 2)
    )
    return first, second


@pytest.mark.slow
def test_shards_together_are_a_whole_run(
    config: Path, root: Path, whole: Path, shards: tuple[Path, Path], tmp_path: Path
) -> None:
    assert [n_measured(shard) for shard in shards] == [3, 3]
    merged = merge([shards[1] / "store.h5", shards[0]], tmp_path / "out")
    assert len(merged.results.models) == 4
    assert merged.results.status.tolist() == [1] * 6
    assert merged.twice > 0  # models
    assert merged.difference == 0
    assert read_store(merged.results.path).status.all()
    measured(config, root, tmp_path / "out")
    assert_same(whole, tmp_path / "out")


def test_what_none_has_is_measured_by_the_run_that_goes_on(
    config: Path,
    root: Path,
    whole: Path,
    shards: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = tmp_path / "part"
    with monkeypatch.context() as context:
        stop_after(context, 2)
        with pytest.raises(KeyboardInterrupt):
            measured(config, root, part)
    said = landscape("merge", part, shards[1], "--out", tmp_path / "out" / "store.h5")
    assert said.code == 0, said.err
    results = read_store(tmp_path / "out" / "store.h5")
    assert results.attributes["finished"] == "no"
    assert f"{results.status.sum()} of 6 pairs measured, 4 models" in said.out
    measured(config, root, tmp_path / "out")
    assert_same_stores(whole, tmp_path / "out")


def changed(run: Path, tmp_path: Path, **changes: object) -> Path:
    """A copy of a run, with another configuration."""
    out = tmp_path / "changed"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(run, out)
    content = json.loads((out / "run.json").read_text())
    content.pop("sha256")
    content = {**content, **{key: value for key, value in changes.items() if key in content}}
    content["config"] |= {key: value for key, value in changes.items() if key not in content}
    from landscape.records.folder import Manifest, RunFolder

    RunFolder(out).note(Manifest(**content))
    return out


def test_runs_of_other_experiments_are_refused_with_the_key(
    config: Path, root: Path, whole: Path, tmp_path: Path
) -> None:
    content = yaml.safe_load(config.read_text())
    manifest = json.loads((whole / "run.json").read_text())
    rows = [{**row} for row in manifest["checkpoints"]]
    rows[1]["sha256"] = "0" * 64
    cases = {
        "seed: 0 -> 4": {"seed": 4},
        "sha256 of checkpoint 1": {"checkpoints": rows},
        "examples of dev": {"datasets": {**manifest["datasets"], "dev": "0"}},
    }
    for part, changes in cases.items():
        other = changed(whole, tmp_path, **changes)
        with pytest.raises(StoreError, match=rf"found: {part}") as error:
            merge([whole, other], tmp_path / "out")
        assert f"where: {whole} and {other}" in str(error.value)
    assert not (tmp_path / "out").exists()
    free = changed(whole, tmp_path, name="y", analysis={**content["analysis"], "rule": "saddle"})
    assert merge([whole, free], tmp_path / "out").results.status.all()


def test_what_cannot_be_merged_is_refused(whole: Path, tmp_path: Path) -> None:
    for runs in ([tmp_path / "absent"], [whole, tmp_path]):
        with pytest.raises(StoreError):
            merge(runs, tmp_path / "out")
    with pytest.raises(StoreError, match=rf"where: {whole}\n(?s:.*)another --out"):
        merge([whole], whole)
    assert not (tmp_path / "out").exists()


def edited(run: Path, name: str, by: float) -> None:
    path = run / "records" / f"{name}.loss.npz"
    record = read_record(path)
    arrays = {**record.arrays, "dev/losses": record.arrays["dev/losses"] + np.float32(by)}
    write_record(path, Record(**{**vars(record), "arrays": arrays}))


def test_rounding_is_told_and_more_is_refused(whole: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(whole, other)
    edited(other, "pairs/0000-0002", 1e-3)
    merged = merge([whole, other], tmp_path / "out")
    assert merged.difference == pytest.approx(1e-3, rel=0.01)
    assert_same_stores(whole, tmp_path / "out", "finished")  # the first one's numbers
    edited(other, "pairs/0000-0002", 1.0)
    with pytest.raises(StoreError, match=r"where: \S*pairs/0000-0002(?s:.*)found: a difference of"):
        merge([whole, other], tmp_path / "new")
    edited(other, "pairs/0000-0002", np.nan)
    with pytest.raises(StoreError, match=r"where: \S*pairs/0000-0002"):
        merge([whole, other], tmp_path / "newer")
    (other / "records" / "pairs" / "0000-0002.loss.npz").write_bytes(b"PK")
    with pytest.raises(StoreError, match=rf"landscape repair {other}"):
        merge([other], tmp_path / "newest")
