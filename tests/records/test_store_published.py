"""Stores of losses that others published: means over examples, and scores that came with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from landscape.analysis.barriers import convexity_gap
from landscape.core.errors import ConfigError, StoreError
from landscape.records.store import (
    ENCODING_VERSION,
    Published,
    StoreWriter,
    read_store,
    write_published,
)
from landscape.run.inspect import describe

MODELS = ("a", "b/c", "d")
PAIRS = np.array([(0, 1), (1, 2)])
T = np.array([0, 0.3, 1])
LOSSES = np.array([[0.5, 0.9, 0.6], [0.62, 0.7, 0.4]])


def given(**changes: Any) -> dict[str, Any]:
    """What ``write_published`` takes."""
    return {
        "models": MODELS,
        "pairs": PAIRS,
        "positions": T,
        "datasets": {
            "hard": Published("challenge", "matthews", np.full((2, 3), 1.5), LOSSES - 0.5),
            "dev": Published("in_domain", "accuracy", LOSSES, None, [0.5, 0.61, 0.4]),
        },
        "scores": pd.DataFrame({"hard: a/b %": [0.1, np.nan, 0.3], "steps": [1, 2, 3]}),
        "roles": {"hard: a/b %": "challenge", "steps": "covariate"},
        "attributes": {"source": "a paper"},
        "config": {"name": "imported", "analysis": {"rule": "convexity_gap"}},
        **changes,
    }


def test_what_was_published_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "store.h5"
    write_published(path, **given())
    assert [file.name for file in path.parent.iterdir()] == ["store.h5"]
    contents = read_store(path)
    assert contents.models == MODELS
    assert contents.attributes == {
        "encoding-type": "landscape",
        "encoding-version": ENCODING_VERSION,
        "finished": "yes",
        "pairs": "active",
        "source": "a paper",
    }
    assert contents.config == given()["config"]
    np.testing.assert_array_equal(contents.pairs, PAIRS)
    np.testing.assert_array_equal(contents.positions, T)
    assert (contents.chosen, contents.never_measured) == ("active", 1)
    assert contents.status.tolist() == [1, 1]
    assert contents.model_status.tolist() == [1, 1, 1]
    assert contents.exact.all()
    assert contents.tolerance.tolist() == [0, 0]
    assert np.isnan(contents.distances).all()
    assert list(contents.datasets) == ["dev", "hard"]  # in-domain first
    dev, hard = contents.datasets.values()
    for data in (dev, hard):
        assert data.aggregated
        assert data.losses.shape == (2, 3, 1)
        assert data.losses.dtype == data.accuracies.dtype == np.float32
        assert (data.predictions == 255).all()
        assert (data.model_predictions == 255).all()
        assert (data.labels.shape, data.label_names, data.groups) == ((1,), (), {})
        assert (data.texts, data.content_hash) == ({}, "")
    np.testing.assert_array_equal(dev.losses[..., 0], LOSSES.astype("f4"))
    np.testing.assert_array_equal(dev.model_losses[:, 0], np.float32([0.5, 0.61, 0.4]))
    assert np.isnan(dev.accuracies).all()
    assert dev.accuracies.shape == (2, 3)
    assert np.isnan(dev.model_accuracies).all()
    assert (hard.role, hard.metric) == ("challenge", "matthews")
    np.testing.assert_array_equal(hard.accuracies, (LOSSES - 0.5).astype("f4"))
    # the second model is the end of both pairs
    np.testing.assert_allclose(hard.model_accuracies, [0.0, 0.11, -0.1], atol=1e-7)
    np.testing.assert_array_equal(hard.model_losses, np.full((3, 1), 1.5))
    gaps = convexity_gap(dev.losses.mean(-1, dtype=np.float64), contents.positions)
    np.testing.assert_allclose(gaps, [0.4 - 0.3 * 0.1, 0.08 + 0.3 * 0.22], atol=1e-7)
    expected = given()["scores"].set_axis(pd.Index(MODELS, name="model")).astype(float)
    pd.testing.assert_frame_equal(contents.given_scores, expected)
    assert contents.score_roles == given()["roles"]
    table = contents.checkpoints
    assert table["ref"].tolist() == ["", "", ""]
    assert table[["seed", "step"]].isna().all().all()
    write_published(path, **given(scores=None, roles=None))  # takes the place of what is there
    contents = read_store(path)
    assert contents.given_scores.shape == (3, 0)
    assert contents.score_roles == {}


def test_inspect_says_what_is_known(tmp_path: Path) -> None:
    path = tmp_path / "logs.h5"
    write_published(path, **given(config=None))
    lines = describe(path).splitlines()
    assert lines[0].startswith("logs: ")
    assert "  chosen     active, 1 never measured; weight distances not known" in lines
    assert "  evaluated  6 of 6 points (fp32 6), tolerance reached 0 nats" in lines
    rows = [line.split() for line in lines]
    assert ["dev", "in_domain", "accuracy", "means", "0", "no"] in rows
    assert ["hard:", "a/b", "%", "challenge", "2", "of", "3"] in rows
    assert any("nothing is known of single ones" in line for line in lines)


def test_missing_numbers(tmp_path: Path) -> None:
    """A pair without an end in any set is not measured; elsewhere the losses are NaN."""
    losses = np.array([[0.5, np.nan, 0.6], [0.6, 0.7, np.nan]])
    other = np.array([[1.0, np.nan, 1.0], [np.nan, 1.0, 1.0]])
    sets = {
        "dev": Published("in_domain", "accuracy", losses, other),
        "hard": Published("challenge", "accuracy", other),
    }
    path = tmp_path / "store.h5"
    write_published(
        path, **given(models=("a", "b", "c", "d"), datasets=sets, scores=None, roles=None)
    )
    contents = read_store(path)
    assert contents.status.tolist() == [1, 0]
    assert contents.formats.tolist() == [[1, 0, 1], [0, 0, 0]]
    assert contents.tolerance[0] == 0
    assert np.isnan(contents.tolerance[1])
    dev, hard = contents.datasets.values()
    np.testing.assert_array_equal(dev.losses[0, :, 0], losses[0].astype("f4"))
    for values in (dev.losses, dev.accuracies, hard.losses):
        assert np.isnan(values[1]).all()
    np.testing.assert_allclose(dev.model_losses[:, 0], [0.5, 0.6, np.nan, np.nan])
    assert contents.model_status.tolist() == [1, 1, 1, 0]
    assert contents.never_measured == 4


def test_a_complete_table_is_of_all_pairs(tmp_path: Path) -> None:
    path = tmp_path / "store.h5"
    sets = {"dev": Published("in_domain", "accuracy", np.ones((3, 3)))}
    write_published(path, **given(pairs=[(0, 1), (0, 2), (1, 2)], datasets=sets))
    assert read_store(path).chosen == "all"


@pytest.mark.parametrize("grow", [False, True])
def test_a_writer_keeps_it_whole(tmp_path: Path, grow: bool) -> None:
    path = tmp_path / "store.h5"
    write_published(path, **given())
    before = read_store(path)
    with StoreWriter(path) as writer:
        if grow:
            assert writer.assign_pairs([(0, 2)]).tolist() == [2]
        writer.write_distances(np.ones((3, 3)))
        writer.finish(before.config)
    after = read_store(path)
    pd.testing.assert_frame_equal(after.given_scores, before.given_scores)
    assert after.score_roles == before.score_roles
    assert after.pairs.tolist() == [*PAIRS.tolist(), *[[0, 2]] * grow]
    for name, data in before.datasets.items():
        found = after.datasets[name]
        assert found.aggregated
        np.testing.assert_array_equal(found.accuracies[:2], data.accuracies)
        np.testing.assert_array_equal(found.losses[:2], data.losses)
        np.testing.assert_array_equal(found.model_accuracies, data.model_accuracies)
    assert (after.distances == 1).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ("a", "b", "a")}, r"unique names(?s:.*)a, b, a"),
        ({"pairs": [(0, 1), (2, 1)]}, "ascending order"),
        ({"pairs": [(0, 1), (-1, -1)]}, "no free slots"),
        ({"positions": [0, 0.5, 0.5]}, "ascending from 0 to 1"),
        ({"positions": [0, 0.5, 0.9]}, "ascending from 0 to 1"),
        ({"positions": [0, 1]}, r"losses of the data set 'hard'(?s:.*)shape \(2, 2\)"),
        ({"datasets": {}}, "No in-domain data set"),
        (
            {"datasets": {"x": Published("in_domain", "accuracy", LOSSES, None, [1.0])}},
            r"model_losses of the data set 'x'(?s:.*)shape \(3,\)(?s:.*)shape \(1,\)",
        ),
        ({"roles": {}}, "a role for each"),
        ({"scores": pd.DataFrame({"steps": [1, 2]}), "roles": {"steps": "covariate"}}, "3 rows"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        write_published(tmp_path / "store.h5", **given(**changes))
    assert not list(tmp_path.iterdir())


def test_roles_that_there_are_not_are_refused(tmp_path: Path) -> None:
    roles = {"hard: a/b %": "chalenge", "steps": "covariate"}
    with pytest.raises(ConfigError, match="did you mean 'challenge'"):
        write_published(tmp_path / "store.h5", **given(roles=roles))
    sets = {
        "dev": Published("in_domain", "accuracy", LOSSES),
        "x": Published("covariate", "accuracy", LOSSES),  # type: ignore[arg-type]
    }
    with pytest.raises(ConfigError, match=r"role 'covariate'(?s:.*)data set 'x'"):
        write_published(tmp_path / "store.h5", **given(datasets=sets))
    assert not list(tmp_path.iterdir())


def test_the_published_store_of_this_format_is_read() -> None:
    contents = read_store(Path(__file__).parents[1] / "data" / "published-0.4.0.h5")
    assert contents.models == ("a", "b", "c", "d")
    assert (contents.chosen, contents.never_measured) == ("active", 1)
    assert contents.score_roles == {"hard: x/y": "challenge", "sharpness": "covariate"}
    assert contents.given_scores["hard: x/y"].tolist() == [0.2, 0.3, 0.7, 0.8]
    dev, hard = contents.datasets.values()
    gaps = convexity_gap(dev.losses[..., 0].astype(float), contents.positions)
    np.testing.assert_allclose(gaps, [0, 0.4, 0.4, 0.4, 0.4], atol=1e-6)
    np.testing.assert_allclose(dev.accuracies, 1.05 - dev.losses[..., 0] / 2, atol=1e-6)
    assert np.argwhere(np.isnan(hard.losses[..., 0])).tolist() == [[4, 2]]
    assert np.isnan(hard.accuracies).all()


def test_xarray_opens_it_as_a_tree(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray", reason="xarray is an extra")
    pytest.importorskip("h5netcdf", reason="h5netcdf is an extra")
    path = tmp_path / "store.h5"
    write_published(path, **given())
    with h5py.File(path) as file:
        assert file["scores/steps"].attrs["role"] == "covariate"
    with xarray.open_datatree(path, engine="h5netcdf") as tree:
        assert tree["datasets/dev/losses"].dims == ("pair", "position", "example")
        assert tree["datasets/hard/accuracies"].dims == ("pair", "position")
        assert tree["scores/steps"].dims == ("model",)
        assert tree["checkpoints/distances"].dims == ("model", "other_model")
