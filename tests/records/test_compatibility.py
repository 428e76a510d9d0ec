"""Stores that the code of each earlier format made: read, analysed, gone on with; newer: refused.

What they hold is what that code's own reader made of them, kept beside each (tests/stores).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from landscape.analysis.analysis import analysis_options, analyze
from landscape.core.errors import StoreError
from landscape.records import ENCODING_VERSION, Results, StoreWriter, read_store
from landscape.run.inspect import describe
from tests.stores.flat import flat
from tests.stores.make import HERE, RUNS, experiment

STORES = {path.stem: path for path in sorted(HERE.glob("*.h5"))}
UNFINISHED = [name for name, (_, flushes) in RUNS.items() if flushes]
OF_PAIRS = {"losses", "predictions", "screened", "difference", "accuracies"}
OF_PAIRS |= {"formats", "tolerance"}
UNINTERRUPTED = {name: name.replace("unfinished", "finished") for name in UNFINISHED}
UNINTERRUPTED["0.4.0-unfinished"] = "0.1.0-finished"  # of the same experiment


def numbers(name: str) -> dict[str, np.ndarray]:
    """What the code of the time read and computed."""
    with np.load(STORES[name].with_suffix(".npz")) as content:
        return {key.replace("|", "/"): content[key] for key in content.files}


def as_read(name: str) -> dict[str, np.ndarray]:
    return {key: x for key, x in numbers(name).items() if not key.startswith("analysis/")}


def measured(key: str, values: np.ndarray, content: dict[str, np.ndarray]) -> np.ndarray:
    """The rows that their status vouches for; what stands in others means nothing."""
    parts = key.split("/")
    if parts[0] == "points" and parts[2:3] in (["losses"], ["predictions"]):
        return values[content[f"points/{parts[1]}/status"] == 1]
    if parts[-1].startswith("model_") and key != "model_status":
        return values[content["model_status"] == 1]
    if parts[-1] in OF_PAIRS:
        return values[content["status"] == 1]
    return values


def same_measurements(contents: Results, expected: dict[str, np.ndarray]) -> int:
    """Compare all that was measured on pairs and models, pair by pair; how many pairs."""
    row = {tuple(pair): k for k, pair in enumerate(contents.pairs.tolist())}
    was = np.flatnonzero(expected["status"] == 1)
    now = [row[tuple(expected["pairs"][k].tolist())] for k in was]
    models = expected["model_status"] == 1
    for name, data in contents.datasets.items():
        for kind in ("losses", "predictions"):
            old = expected[f"datasets/{name}/{kind}"][was]
            np.testing.assert_array_equal(getattr(data, kind)[now], old)
            old = expected[f"datasets/{name}/model_{kind}"][models]
            np.testing.assert_array_equal(getattr(data, f"model_{kind}")[models], old)
    for kind in ("formats", "tolerance"):
        if kind in expected:  # not in format 0.1
            np.testing.assert_array_equal(getattr(contents, kind)[now], expected[kind][was])
    return len(now)


def test_every_format_has_finished_and_unfinished_stores() -> None:
    assert set(STORES) == {*RUNS, "0.4.0-published"}
    for name, path in STORES.items():
        with h5py.File(path) as file:
            assert file.attrs["encoding-version"] == name.split("-")[0]
            half = name in UNFINISHED
            assert file.attrs["finished"] == ("no" if half else "yes")
            left = file["pairs/status"][:] != 1
            points = [group["status"][:] for group in file.get("points", {}).values()]
            assert (left.any() or any((status != 1).any() for status in points)) == half


@pytest.mark.parametrize("name", STORES)
def test_each_is_read_as_the_code_of_its_time_read_it(name: str) -> None:
    contents, expected = read_store(STORES[name]), as_read(name)
    found = flat(contents)
    assert expected.keys() <= found.keys()
    for key, values in expected.items():
        now = found[key]
        assert now.dtype.kind == values.dtype.kind, key
        np.testing.assert_array_equal(
            measured(key, now, expected), measured(key, values, expected), err_msg=key
        )
    assert contents.attributes["encoding-version"] in describe(STORES[name])


@pytest.mark.parametrize("name", [name for name in STORES if name not in UNFINISHED])
def test_each_is_analysed_as_it_was(name: str) -> None:
    contents = read_store(STORES[name])
    analysis = analyze(contents, **analysis_options(contents))
    old = {key: values for key, values in numbers(name).items() if key.startswith("analysis/")}
    np.testing.assert_allclose(analysis.gaps.estimate, old.pop("analysis/gaps"), atol=1e-12)
    scores = flat(analysis.scores, "analysis/scores")
    assert old.keys() <= scores.keys()
    for key, values in old.items():
        np.testing.assert_allclose(scores[key], values, atol=1e-12, err_msg=key)
    assert len(analysis.basins.labels) == len(contents.models)


@pytest.mark.parametrize("name", UNFINISHED)
def test_a_writer_goes_on_with_each_and_loses_nothing(name: str, tmp_path: Path) -> None:
    path, expected = shutil.copy(STORES[name], tmp_path / "store.h5"), as_read(name)
    before = read_store(path)
    shape = len(before.positions) - 2
    given: dict[int, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    with StoreWriter(path) as writer:
        left = writer.pairs_to_measure()
        assert left.tolist() == np.flatnonzero(expected["status"] != 1).tolist()
        assert len(writer.models_to_measure()) == 0
        for pair in left.tolist():
            rng = np.random.default_rng(pair)
            given[pair] = {
                set_: (
                    rng.random((shape, len(data.labels))).astype(np.float32),
                    rng.integers(0, 2, (shape, len(data.labels))),
                )
                for set_, data in before.datasets.items()
            }
            writer.write_pair(pair, given[pair])
        writer.finish(before.config)
    contents = read_store(path)
    assert contents.attributes["finished"] == "yes"
    assert contents.attributes["encoding-version"] in (name.split("-")[0], ENCODING_VERSION)
    assert contents.config == before.config
    assert (contents.status == 1).all()
    assert same_measurements(contents, expected) == (expected["status"] == 1).sum()
    for pair, outputs in given.items():
        for set_, (losses, predictions) in outputs.items():
            np.testing.assert_array_equal(contents.datasets[set_].losses[pair, 1:-1], losses)
            np.testing.assert_array_equal(
                contents.datasets[set_].predictions[pair, 1:-1], predictions
            )
    for kind, points in contents.points.items():
        whole = points.status == 1
        for set_, losses in points.losses.items():
            old = expected[f"points/{kind}/losses/{set_}"]
            np.testing.assert_array_equal(losses[whole], old[whole])


@pytest.mark.parametrize("name", RUNS)
def test_a_run_goes_on_with_each_as_if_never_killed(name: str, tmp_path: Path) -> None:
    """And adds to a finished one what older formats have not."""
    from landscape.run.inputs import open_experiment
    from landscape.run.pipeline import measure

    work = shutil.copytree(HERE / "inputs", tmp_path / "work")
    config = work / "tiny.yaml"
    config.write_text(yaml.safe_dump(experiment(RUNS[name][0])))
    (work / "out").mkdir()
    store = shutil.copy(STORES[name], work / "out" / "store.h5")
    measure(open_experiment(config), lambda line: None)
    contents, expected = read_store(store), as_read(name)
    assert contents.attributes["finished"] == "yes"
    assert np.isfinite(contents.distances).all()
    assert all(list(data.texts) == ["text"] for data in contents.datasets.values())
    assert same_measurements(contents, expected) == (expected["status"] == 1).sum()
    whole = read_store(STORES[UNINTERRUPTED.get(name, name)])
    own, other = by_pair(contents), by_pair(whole)
    assert own.keys() == other.keys()
    for pair, sets in own.items():
        for set_, losses in sets.items():
            np.testing.assert_allclose(losses, other[pair][set_], rtol=1e-4, atol=1e-5)
    assert contents.points.keys() == whole.points.keys()
    for kind, points in contents.points.items():
        for set_, losses in points.losses.items():
            known = whole.points[kind].losses[set_]
            np.testing.assert_allclose(losses, known, rtol=1e-4, atol=1e-5)


def by_pair(contents: Results) -> dict[tuple[int, ...], dict[str, np.ndarray]]:
    assert (contents.status == 1).all()
    return {
        tuple(pair): {name: data.losses[k] for name, data in contents.datasets.items()}
        for k, pair in enumerate(contents.pairs.tolist())
    }


@pytest.mark.parametrize("name", STORES)
def test_a_newer_one_is_refused_with_the_version_that_it_needs(name: str, tmp_path: Path) -> None:
    path = Path(shutil.copy(STORES[name], tmp_path / "store.h5"))
    major, minor, _ = map(int, ENCODING_VERSION.split("."))
    for newer in (f"{major}.{minor + 1}.0", f"{major + 1}.0.0"):
        with h5py.File(path, "r+") as file:
            file.attrs["encoding-version"] = newer
        kept = path.read_bytes()
        message = (
            rf"newer version(?s:.*)up to {ENCODING_VERSION}(?s:.*)found: {newer}(?s:.*)--upgrade"
        )
        for use in (read_store, StoreWriter):
            with pytest.raises(StoreError, match=message):
                use(path)
        assert path.read_bytes() == kept
