"""Damage is named by the run, deleted by repair, and measured again by the same command."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from landscape.core.errors import StoreError
from landscape.records import lock_run, read_store
from landscape.records.repair import repair
from tests.runs import assert_same, assert_same_stores, landscape, measured


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "out"))


def flip(path: Path) -> None:
    """Forty bytes: one alone may be harmless."""
    content, middle = path.read_bytes(), path.stat().st_size // 2
    other = bytes(byte ^ 0xFF for byte in content[middle : middle + 40])
    path.write_bytes(content[:middle] + other + content[middle + 40 :])


@pytest.mark.parametrize("name", ["pairs/0000-0002.loss", "models/0001.loss", "paths/line/path"])
def test_a_damaged_record_is_named_deleted_and_measured_again(
    config: Path, root: Path, whole: Path, run: Path, name: str
) -> None:
    path = run / "records" / f"{name}.npz"
    flip(path)
    (run / "store.h5").unlink()  # else the run is whole, and no record is read
    with pytest.raises(StoreError) as error:
        measured(config, root, run)
    assert f"where: {path}" in str(error.value)
    assert f"landscape repair {run}" in str(error.value)
    said = landscape("repair", run)
    assert said.code == 0
    assert str(path) in said.out + said.err
    assert not path.exists()
    measured(config, root, run)
    assert_same(whole, run)


def test_damaged_examples_are_written_anew_by_the_run(
    config: Path, root: Path, whole: Path, run: Path
) -> None:
    path = run / "records" / "examples" / "dev.npz"
    flip(path)
    assert repair(run) == (path,)
    assert not (run / "store.h5").exists()  # without texts there is none
    measured(config, root, run)
    assert_same(whole, run)


def test_a_damaged_store_is_written_anew(whole: Path, run: Path) -> None:
    flip(run / "store.h5")
    with pytest.raises(StoreError, match=f"landscape repair {run}"):
        read_store(run / "store.h5")
    repaired = repair(run / "store.h5")
    assert repaired == (run / "store.h5",)
    assert_same_stores(whole, run, "finished")


def test_a_sound_run_is_left_as_it_is(whole: Path, run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert "nothing is damaged" in "".join(landscape("repair", run)[1:])
    after = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.name != ".lock"}
    assert after.items() <= before.items()


def test_what_cannot_be_repaired_is_refused(whole: Path, run: Path, tmp_path: Path) -> None:
    with lock_run(run), pytest.raises(StoreError, match=rf"where: {run}"):
        repair(run)
    lonely = tmp_path / "lonely" / "store.h5"
    lonely.parent.mkdir()
    shutil.copy(whole / "store.h5", lonely)
    with pytest.raises(
        StoreError, match=rf"where: {lonely}(?s:.*)expected: run\.json and records/"
    ):
        repair(lonely)
    flip(run / "run.json")
    with pytest.raises(StoreError, match=r"where: \S*run\.json"):
        repair(run)
