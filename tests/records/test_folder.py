"""A run's folder: gone on with whatever is missing, kept from two drivers, records in tiles."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from landscape.core.errors import StoreError
from landscape.records import folder as room
from landscape.records import lock_run, read_store
from tests.runs import (
    assert_same,
    assert_same_stores,
    differences,
    measured,
    n_measured,
    records_of,
    stop_after,
)


def test_what_was_deleted_is_measured_again(
    config: Path, root: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    for name in ("pairs/0001-0003.loss", "models/0002.loss", "paths/line/00001.loss", "distances"):
        (out / "records" / f"{name}.npz").unlink()
    (out / "store.h5").unlink()
    measured(config, root, out)
    assert_same(whole, out)


def test_the_records_say_what_the_store_says(whole: Path) -> None:
    store = read_store(whole / "store.h5")
    assert not differences(read_store(whole), store, but=("path", "attributes"))


def test_one_driver_a_run(config: Path, root: Path, tmp_path: Path) -> None:
    with lock_run(tmp_path), pytest.raises(StoreError, match=rf"where: {tmp_path}(?s:.*)wait"):
        measured(config, root, tmp_path)


def test_a_run_or_its_records_that_are_gone_are_named(
    config: Path, root: Path, whole: Path, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    shutil.copy(whole / "store.h5", tmp_path / "a")
    with pytest.raises(StoreError, match=r"where: \S*store\.h5\n(?s:.*)run\.json and records/"):
        measured(config, root, tmp_path / "a")
    shutil.copytree(whole, tmp_path / "b")
    content = (tmp_path / "b" / "run.json").read_text()
    for bad in (content[:-40], content.replace('"seed": 0', '"seed": 1', 1), ""):
        (tmp_path / "b" / "run.json").write_text(bad)
        with pytest.raises(StoreError, match=r"where: \S*run\.json"):
            measured(config, root, tmp_path / "b")


def test_pairs_that_share_a_record_give_the_same_store(
    config: Path, root: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MANY_MODELS", 2)
    monkeypatch.setattr(room, "_BLOCK", 2)
    with monkeypatch.context() as context:
        stop_after(context, 1)
        with pytest.raises(KeyboardInterrupt):
            measured(config, root, tmp_path)
    assert n_measured(tmp_path) == 1
    measured(config, root, tmp_path)
    names = {path.name for path in (tmp_path / "records" / "pairs").iterdir()}
    tiles = ("0000-0000", "0000-0001", "0001-0001")
    assert names == {f"tile-{tile}.loss.npz" for tile in tiles}
    assert_same_stores(whole, tmp_path)


@pytest.mark.slow
def test_an_indicator_that_is_added_keeps_the_losses(
    config: Path, root: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    content = yaml.safe_load(config.read_text())
    other = config.with_name("indicator.yaml")
    other.write_text(yaml.safe_dump({**content, "indicators": ["calibrated_loss"]}))
    measured(other, root, out)
    assert_same_stores(whole, out, "indicators", "config")
    results = read_store(out / "store.h5")
    table = results.indicators["calibrated_loss"]
    n_points = 4 + 6 * 3 + 3  # of models, pairs and the line
    assert len(table.path) == n_points
    assert table.dims["dev/losses"] == ("example",)
    assert table.units["dev/losses"] == "nats"
    assert table.arrays["dev/losses"].shape == (n_points, 40)
    assert np.isfinite(table.arrays["dev/temperature"]).all()
    at_once = measured(other, root, tmp_path / "at once")
    assert records_of(at_once) == records_of(out)
    (out / "records" / "pairs" / "0000-0002.loss.npz").unlink()  # as one killed before it leaves it
    (out / "store.h5").unlink()
    measured(other, root, out)
    assert records_of(at_once) == records_of(out)
