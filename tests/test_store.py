from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from landscape.errors import StoreError
from landscape.store import ENCODING_VERSION, StoreWriter, create_store, read_store
from landscape.tasks import Examples

POSITIONS = np.array([0, 0.25, 0.5, 1])
PAIRS = np.array([(0, 1), (0, 2), (1, 2)])


def examples(name: str, n: int) -> Examples:
    return Examples(
        name,
        (tuple("abcdefgh"[:n]),),
        np.arange(n) % 2,
        ("no", "yes"),
        ((0,), (1,)),
        {"kind/of": np.array(["x", "y é"] * n)[:n]},
        "accuracy",
    )


def make(path: Path) -> Path:
    rows = pd.DataFrame(
        {
            "name": ["m0", "m1", "m2"],
            "ref": ["dir/m0", "dir/m1", "dir/m2"],
            "sha256": "0" * 64,
            "labels": "no, yes",
            "revision": "",
            "fingerprint": "[]",
            "seed": [0, 1, 2],
            "step": np.nan,
        }
    )
    create_store(
        path,
        config={"name": "x", "list": [1, 2]},
        attributes={"device": "cpu"},
        checkpoints=rows,
        pairs=PAIRS,
        positions=POSITIONS,
        datasets=[
            ("challenge", examples("hard", 3)),
            ("in_domain", examples("zdev", 5)),
            ("in_domain", examples("adev", 2)),
        ],
    )
    return path


def outputs(seed: int, *shape: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return {
        name: (rng.random((*shape, n)).astype(np.float32), rng.integers(0, 2, (*shape, n)))
        for name, n in (("zdev", 5), ("hard", 3), ("adev", 2))
    }


def fill(path: Path, finish: bool = True) -> None:
    with StoreWriter(path) as writer:
        for i in writer.models_to_measure():
            writer.write_model(i, outputs(i))
        for k in writer.pairs_to_measure():
            writer.write_pair(k, outputs(10 + k, 2))
        if finish:
            writer.finish({"name": "y"})


@pytest.mark.parametrize("finish", [False, True])
def test_what_was_written_is_read(tmp_path: Path, finish: bool) -> None:
    path = make(tmp_path / "deep" / "store.h5")
    fill(path, finish)
    contents = read_store(path)
    assert contents.models == ("m0", "m1", "m2")
    assert contents.checkpoints["seed"].tolist() == [0, 1, 2]
    assert contents.checkpoints["step"].isna().all()
    assert contents.config["name"] == ("y" if finish else "x")
    assert contents.attributes["finished"] == ("yes" if finish else "no")
    assert (contents.status == 1).all()
    np.testing.assert_array_equal(contents.positions, POSITIONS)
    assert [(d.name, d.role) for d in contents.datasets.values()] == [
        ("zdev", "in_domain"), ("adev", "in_domain"), ("hard", "challenge"),
    ]  # fmt: skip
    for name, data in contents.datasets.items():
        own = examples(name, len(data.labels))
        assert data.content_hash == own.content_hash()
        assert data.label_names == ("no", "yes")
        assert data.groups["kind/of"].tolist() == own.groups["kind/of"].tolist()
        for i in range(3):
            np.testing.assert_array_equal(data.model_losses[i], outputs(i)[name][0])
            np.testing.assert_array_equal(data.model_predictions[i], outputs(i)[name][1])
        for k, (a, b) in enumerate(PAIRS):
            losses, predictions = outputs(10 + k, 2)[name]
            np.testing.assert_array_equal(data.losses[k, 1:3], losses)
            np.testing.assert_array_equal(data.predictions[k, 1:3], predictions)
            np.testing.assert_array_equal(data.losses[k, 0], data.model_losses[a])
            np.testing.assert_array_equal(data.losses[k, 3], data.model_losses[b])
            np.testing.assert_array_equal(data.predictions[k, 3], data.model_predictions[b])


def test_missing_is_nan_with_a_status_and_a_finished_file_is_smaller(tmp_path: Path) -> None:
    path = make(tmp_path / "store.h5")
    with StoreWriter(path) as writer:
        for i in range(3):
            writer.write_model(i, outputs(i))
        writer.write_pair(1, outputs(1, 2))
        assert writer.pairs_to_measure().tolist() == [0, 2]
        assert writer.models_to_measure().tolist() == []
    contents = read_store(path)
    assert contents.status.tolist() == [0, 1, 0]
    assert np.isnan(contents.datasets["zdev"].losses[[0, 2]]).all()
    assert np.isfinite(contents.datasets["zdev"].losses[1]).all()


@pytest.mark.parametrize("finish", [False, True])
def test_plain_h5py_sees_named_dimensions(tmp_path: Path, finish: bool) -> None:
    path = make(tmp_path / "store.h5")
    fill(path, finish)
    with h5py.File(path) as file:
        losses = file["datasets/hard/losses"]
        assert [dim[0].name for dim in losses.dims] == [
            "/pair", "/position", "/datasets/hard/example",
        ]  # fmt: skip
        assert file.attrs["encoding-type"] == "landscape"
        assert (losses.compression == "gzip") == finish


def test_writing_a_pair_changes_no_structure(tmp_path: Path) -> None:
    """Killed while it writes, the file still reads: bytes change only inside the arrays."""
    path = make(tmp_path / "store.h5")
    before = path.read_bytes()
    with h5py.File(path) as file:
        spans = []
        for name in ("datasets/zdev", "datasets/hard", "datasets/adev"):
            for array in ("losses", "predictions", "model_losses", "model_predictions"):
                item = file[name][array]
                spans.append((item.id.get_offset(), item.id.get_storage_size()))
        for name in ("pairs/status", "checkpoints/status"):
            spans.append((file[name].id.get_offset(), file[name].id.get_storage_size()))
    fill(path, finish=False)
    after = path.read_bytes()
    assert len(after) == len(before)
    changed = np.flatnonzero(np.frombuffer(before, "u1") != np.frombuffer(after, "u1"))
    inside = np.zeros(len(before), dtype=bool)
    for start, size in spans:
        inside[start : start + size] = True
    assert len(changed) > 100
    assert inside[changed].all()


def test_two_writers_are_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "store.h5")
    code = (
        "from landscape.store import ENCODING_VERSION, StoreWriter; from pathlib import Path;"
        f"StoreWriter(Path({str(path)!r}))"
    )
    with StoreWriter(path):
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode != 0
    assert "Another process is writing to the store" in run.stderr


def test_what_is_not_a_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store"):
        read_store(tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(StoreError, match="cannot be read"):
        read_store(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w"):
        pass
    with pytest.raises(StoreError, match="not a landscape store"):
        read_store(tmp_path / "other.h5")
    path = make(tmp_path / "store.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["encoding-version"] = "99.0.0"
    with pytest.raises(StoreError, match=r"newer version(?s:.*)found: 99\.0\.0"):
        read_store(path)


@pytest.mark.parametrize("finish", [False, True])
def test_xarray_opens_it_as_a_tree(tmp_path: Path, finish: bool) -> None:
    xarray = pytest.importorskip("xarray", reason="xarray is an extra")
    pytest.importorskip("h5netcdf", reason="h5netcdf is an extra")
    path = make(tmp_path / "store.h5")
    fill(path, finish)
    with xarray.open_datatree(path, engine="h5netcdf") as tree:
        losses = tree["datasets/hard/losses"]
        assert losses.dims == ("pair", "position", "example")
        expected = read_store(path).datasets["hard"].losses
        np.testing.assert_array_equal(losses.values, expected)
        assert tree["checkpoints/ref"].dims == ("model",)
        assert tree["pairs/models"].dims == ("pair", "end")


RELEASED = sorted(Path(__file__).with_name("data").glob("store-*.h5"))


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_stores_of_released_formats_are_read(path: Path) -> None:
    from landscape.analysis import analysis_options, analyze

    contents = read_store(path)
    assert contents.attributes["encoding-version"] == path.stem.removeprefix("store-")
    assert contents.models == ("member-0", "member-1", "member-2")
    assert (contents.status == 1).all()
    analysis = analyze(contents, **analysis_options(contents))
    for k, (a, b) in enumerate(contents.pairs):
        curve = contents.datasets["dev"].losses[k].mean(1, dtype=np.float64)
        assert analysis.gaps.estimate[a, b] >= max(curve) - max(curve[0], curve[-1]) - 1e-12


def test_there_is_a_store_of_this_format() -> None:
    assert RELEASED[-1].stem == f"store-{ENCODING_VERSION}"
