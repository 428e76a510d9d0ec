from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from landscape.records.store.structure import protect
from landscape.records.store.tables import seal_of

from landscape.core.errors import StoreError
from landscape.records import ENCODING_VERSION, StoreWriter, create_store, read_store
from landscape.run.inspect import describe
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


def make(path: Path, texts: bool = True, **attributes: str) -> Path:
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
        attributes={"device": "cpu", **attributes},
        checkpoints=rows,
        pairs=PAIRS,
        positions=POSITIONS,
        datasets=[
            ("challenge", examples("hard", 3)),
            ("in_domain", examples("zdev", 5)),
            ("in_domain", examples("adev", 2)),
        ],
        texts=texts,
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


def screened(seed: int, *shape: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(100 + seed)
    return {
        name: (rng.random(shape), rng.random(shape).astype("f4"))
        for name in ("zdev", "hard", "adev")
    }


CODES = ((1, 1), (0, 3), (3, 0))  # of the inner points of each pair


def fill_auto(path: Path, finish: bool = True) -> None:
    with StoreWriter(path) as writer:
        for i in range(3):
            writer.write_model(i, outputs(i), screened=screened(i))
        for k, codes in enumerate(CODES):
            writer.write_pair(
                k, outputs(10 + k, 2), formats=codes, tolerance=k / 10, screened=screened(10 + k, 2)
            )
        if finish:
            writer.finish({"name": "y"})


def bare(path: Path) -> Path:
    """Take from a store what format 0.4 does not have."""
    with h5py.File(path) as file:
        start = file.userblock_size
    path.write_bytes(path.read_bytes()[start:])
    with h5py.File(path, "r+") as file:
        file.attrs["encoding-version"] = "0.4.0"
        del file["plans"], file["checkpoints/distances_checksum"]
        for group in (
            "pairs",
            "checkpoints",
            *(f"points/{name}" for name in file.get("points", ())),
        ):
            for name in ("checksum", "seal", "plan"):
                del file[group][name]
    return path


def older(path: Path) -> Path:
    """Take from a store what format 0.1 does not have."""
    with h5py.File(bare(path), "r+") as file:
        file.attrs["encoding-version"] = "0.1.0"
        del file.attrs["pairs"]
        del file["pairs/formats"], file["pairs/tolerance"]
        del file["checkpoints/distances"], file["checkpoints/other_model"]
        for group in file["datasets"].values():
            del group["texts"]
            for name in ("screened", "difference"):
                del group[name], group[f"model_{name}"]
    return path


@contextmanager
def by_hand(path: Path) -> Iterator[h5py.File]:
    """Change a store as another program would that knows the format."""
    with h5py.File(path, "r+") as file:
        yield file
    protect(path)


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


@pytest.mark.parametrize("finish", [False, True])
def test_points_are_read_with_their_formats(tmp_path: Path, finish: bool) -> None:
    path = make(tmp_path / "store.h5", precision="auto")
    fill_auto(path, finish)
    contents = read_store(path)
    np.testing.assert_array_equal(contents.formats, [(1, *codes, 1) for codes in CODES])
    np.testing.assert_array_equal(contents.evaluated, contents.formats > 0)
    np.testing.assert_array_equal(contents.exact, contents.formats == 1)
    assert contents.points_by_format == {"fp32": 8, "bf16": 2}
    np.testing.assert_array_equal(contents.tolerance, [0, 0.1, 0.2])
    assert contents.largest_tolerance == 0.2
    for name, data in contents.datasets.items():
        for k, (codes, (a, b)) in enumerate(zip(CODES, PAIRS, strict=True)):
            losses, predictions = outputs(10 + k, 2)[name]
            for point, code in enumerate(codes):
                if code:
                    np.testing.assert_array_equal(data.losses[k, point + 1], losses[point])
                    np.testing.assert_array_equal(
                        data.predictions[k, point + 1], predictions[point]
                    )
                else:
                    assert np.isnan(data.losses[k, point + 1]).all()
                    assert (data.predictions[k, point + 1] == 255).all()
            means, differences = screened(10 + k, 2)[name]
            first, last = screened(a)[name], screened(b)[name]
            np.testing.assert_array_equal(data.screened[k], [first[0], *means, last[0]])
            np.testing.assert_array_equal(data.difference[k], [first[1], *differences, last[1]])
            assert (data.model_screened[a], data.model_difference[a]) == first
    assert contents.largest_difference == max(
        values.max() for data in contents.datasets.values() for values in (data.difference,)
    )


@pytest.mark.parametrize(
    ("precision", "code"),
    [("auto", 1), ("fp32", 1), ("tf32", 2), ("bf16", 3), ("fp64", 4), (None, 1)],
)
def test_exact_is_full_precision_or_what_the_run_was_asked_for(
    tmp_path: Path, precision: str | None, code: int
) -> None:
    attributes = {} if precision is None else {"precision": precision}
    path = make(tmp_path / "store.h5", **attributes)
    with StoreWriter(path) as writer:
        for i in range(3):
            writer.write_model(i, outputs(i))
        writer.write_pair(0, outputs(10, 2))
        writer.write_pair(2, outputs(12, 2), formats=[2, 3])
    contents = read_store(path)
    assert contents.formats.tolist() == [[code] * 4, [0] * 4, [code, 2, 3, code]]
    assert contents.exact[0].all()
    assert not contents.exact[1].any()
    assert contents.exact[2].tolist() == [True, code == 2, code == 3, True]
    assert contents.tolerance.tolist()[::2] == [0, 0]
    assert np.isnan(contents.tolerance[1])
    assert np.isnan(contents.largest_difference)


def test_formats_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"precision is not known(?s:.*)auto, fp32(?s:.*)int3"):
        make(tmp_path / "other.h5", precision="int3")
    assert not list(tmp_path.iterdir())
    with StoreWriter(make(tmp_path / "store.h5")) as writer:
        for formats in ([1], [1, 5], [1, 1, 1]):
            with pytest.raises(StoreError, match=r"\(2,\) codes from 0 to 4"):
                writer.write_pair(0, outputs(10, 2), formats=formats)
        assert writer.pairs_to_measure().tolist() == [0, 1, 2]


def test_a_resumed_run_reads_models_and_whole_curves(tmp_path: Path) -> None:
    path = make(tmp_path / "store.h5", precision="auto")
    with StoreWriter(path) as writer:
        assert writer.curves("zdev", []).shape == (0, 4)
        for i in range(3):
            writer.write_model(i, outputs(i))
        writer.write_pair(2, outputs(12, 2), formats=[3, 1])
        writer.write_pair(0, outputs(10, 2), formats=[1, 0])
    with StoreWriter(path) as writer:
        for name in ("zdev", "hard"):
            losses = [outputs(i)[name][0] for i in range(3)]
            np.testing.assert_array_equal(writer.model_losses(name), losses)
            middle = outputs(12, 2)[name][0].astype(float)
            expected = [
                losses[1].astype(float).mean(),
                *middle.mean(1),
                losses[2].astype(float).mean(),
            ]
            found = writer.curves(name, [2, 0])
            assert found.dtype == np.float64
            np.testing.assert_allclose(found[0], expected, rtol=1e-14)
            assert np.isnan(found[1]).tolist() == [False, False, True, False]
            assert np.isnan(writer.screening_error(name, [0, 2]))  # nothing was screened


def test_the_screening_error_is_the_largest_of_a_mean_in_both_formats(tmp_path: Path) -> None:
    path = make(tmp_path / "store.h5", precision="auto")
    with StoreWriter(path) as writer:
        for i in range(3):
            means = {name: v[0].mean(dtype=np.float64) for name, v in outputs(i).items()}
            writer.write_model(
                i, outputs(i), {name: (mean + 0.01 * i, 0.5) for name, mean in means.items()}
            )
        assert writer.screening_error("zdev", [0, 1]) == pytest.approx(0.02)
        exact = {name: v[0].mean(1, dtype=np.float64) for name, v in outputs(10, 2).items()}
        screened = {  # the second point is screened only: its loss says nothing of the error
            name: (mean + np.array([-0.04, 9.0]), np.array([0.5, np.nan]))
            for name, mean in exact.items()
        }
        writer.write_pair(0, outputs(10, 2), formats=[1, 3], screened=screened)
        assert writer.screening_error("zdev", [0, 1]) == pytest.approx(0.04)


def test_half_a_pair_that_a_killed_writer_left_is_not_read(tmp_path: Path) -> None:
    path = make(tmp_path / "store.h5", precision="auto")
    fill_auto(path, finish=False)
    with h5py.File(path, "r+") as file:  # what a kill before the last flush leaves
        file["pairs/status"][1] = 0
        file["checkpoints/status"][2] = 0
        file["pairs/seal"][1] = seal_of(0, PAIRS[1])
        file["checkpoints/seal"][2] = seal_of(0)
    contents = read_store(path)
    assert contents.formats[1].tolist() == [0, 0, 0, 0]
    assert np.isnan(contents.tolerance[1])
    for data in contents.datasets.values():
        for array in (data.losses, data.screened, data.difference):
            assert np.isnan(array[1]).all()
        for array in (data.model_losses, data.model_screened, data.model_difference):
            assert np.isnan(array[2]).all()
    with StoreWriter(path) as writer:  # and what was left is written over
        assert writer.pairs_to_measure().tolist() == [1]
        writer.write_model(2, outputs(2))
        writer.write_pair(1, outputs(11, 2))
    contents = read_store(path)
    assert contents.formats[1].tolist() == [1, 1, 1, 1]
    assert contents.tolerance[1] == 0
    assert np.isnan(contents.datasets["hard"].screened[1, 1:]).all()
    assert np.isnan(contents.datasets["hard"].model_difference[2])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_of_the_older_format_is_read_and_gone_on_with(tmp_path: Path, precision: str) -> None:
    path = make(tmp_path / "store.h5", precision=precision)
    with StoreWriter(path) as writer:
        for i in range(3):
            writer.write_model(i, outputs(i))
        writer.write_pair(1, outputs(11, 2))
    new = read_store(path)
    old = read_store(older(path))
    assert old.attributes["encoding-version"] == "0.1.0"
    with StoreWriter(path) as writer:
        assert writer.pairs_to_measure().tolist() == [0, 2]
        code = (
            "from landscape.records.store import StoreWriter; from pathlib import Path;"
            f"StoreWriter(Path({str(path)!r}))"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "Another process is writing to the store" in run.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["store.h5"]
    upgraded = read_store(path)
    assert upgraded.attributes["encoding-version"] == ENCODING_VERSION
    for contents in (old, upgraded):
        for name in ("formats", "tolerance", "exact", "status", "positions"):
            np.testing.assert_array_equal(getattr(contents, name), getattr(new, name))
        assert contents.exact.tolist() == [[False] * 4, [True] * 4, [False] * 4]
        for name, data in contents.datasets.items():
            for kind in ("losses", "predictions", "screened", "difference"):
                for prefix in ("", "model_"):
                    values = getattr(data, prefix + kind)
                    expected = getattr(new.datasets[name], prefix + kind)
                    assert values.dtype == expected.dtype
                    np.testing.assert_array_equal(values, expected)


def test_inspect_says_what_was_evaluated(tmp_path: Path) -> None:
    path = make(tmp_path / "store.h5", precision="auto")
    assert "  evaluated  0 of 12 points\n" in describe(path)
    fill_auto(path)
    contents = read_store(path)
    assert (
        "  evaluated  10 of 12 points (fp32 8, bf16 2), tolerance reached 0.2 nats, formats "
        f"differ by up to {contents.largest_difference:.2g} nats an example\n" in describe(path)
    )


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


@pytest.mark.parametrize("upgraded", [False, True])
def test_writing_a_pair_changes_no_structure(tmp_path: Path, upgraded: bool) -> None:
    """Killed while it writes, the file still reads: bytes change only inside the arrays."""
    path = make(tmp_path / "store.h5", precision="auto")
    if upgraded:
        with StoreWriter(older(path)):
            pass
    before = path.read_bytes()
    with h5py.File(path) as file:
        spans = []
        for name in ("datasets/zdev", "datasets/hard", "datasets/adev"):
            for array in ("losses", "predictions", "screened", "difference"):
                for item in (file[name][array], file[name][f"model_{array}"]):
                    spans.append((item.id.get_offset(), item.id.get_storage_size()))
        names = ["pairs/formats", "pairs/tolerance"]
        own = ("status", "checksum", "seal", "plan")
        for name in (
            *names,
            *(f"{table}/{kind}" for table in ("pairs", "checkpoints") for kind in own),
        ):
            spans.append((file[name].id.get_offset(), file[name].id.get_storage_size()))
    fill_auto(path, finish=False)
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
        "from landscape.records.store import ENCODING_VERSION, StoreWriter\n"
        "from pathlib import Path\n"
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
    with by_hand(path) as file:
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
        assert tree["checkpoints/distances"].dims == ("model", "other_model")
        assert tree["datasets/hard/texts/text"].dims == ("example",)
        assert tree["pairs/models"].dims == ("pair", "end")
        assert tree["pairs/formats"].dims == ("pair", "position")
        assert tree["pairs/tolerance"].dims == ("pair",)
        assert tree["datasets/hard/screened"].dims == ("pair", "position")
        assert tree["datasets/hard/model_difference"].dims == ("model",)


def test_points_are_added_resumed_and_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "store.h5"
    shutil.copy(Path(__file__).parents[1] / "data" / "store-0.2.0.h5", path)
    made = read_store(Path(__file__).parents[1] / "data" / "store-0.3.0.h5").points["straight"]
    with StoreWriter(path) as writer:
        assert writer.points("straight") is None
        writer.add_points(made)
        held = writer.points("straight")
        assert held is not None
        assert not held.evaluated.any()
        assert all(np.isnan(losses).all() for losses in held.losses.values())
        outputs = {n: (made.losses[n][[2]], made.predictions[n][[2]]) for n in made.losses}
        writer.write_points("straight", [2], outputs)
        writer.add_points(made)  # is there already: nothing is lost
        writer.write_notes("straight", {"tolerance": 0.5})
    contents = read_store(path)
    assert contents.attributes["encoding-version"] == ENCODING_VERSION
    assert contents.attributes["finished"] == "no"
    found = contents.points["straight"]
    assert found.evaluated.tolist() == [False, False, True, False, False]
    assert found.notes == {"tolerance": 0.5}
    for name, losses in made.losses.items():
        np.testing.assert_array_equal(found.losses[name][2], losses[2])
    with StoreWriter(path) as writer:
        writer.finish(contents.config)
    packed = read_store(path)
    np.testing.assert_array_equal(packed.points["straight"].status, found.status)
    np.testing.assert_array_equal(packed.points["straight"].lengths, made.lengths)
