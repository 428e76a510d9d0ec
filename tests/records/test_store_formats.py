"""Stores of every released format are read."""

from __future__ import annotations

import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from landscape.analysis.barriers import convexity_gap
from landscape.core.errors import StoreError
from landscape.records import ENCODING_VERSION, FORMATS, NO_PLAN, read_store

RELEASED = sorted(Path(__file__).parents[1] / "data".glob("store-*.h5"))


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_stores_of_released_formats_are_read(path: Path) -> None:
    from landscape.analysis.analysis import analysis_options, analyze

    contents = read_store(path)
    assert contents.attributes["encoding-version"] == path.stem.removeprefix("store-")
    assert contents.models == ("member-0", "member-1", "member-2")
    assert (contents.status == 1).all()
    analysis = analyze(contents, **analysis_options(contents))
    for k, (a, b) in enumerate(contents.pairs):
        curve = contents.datasets["dev"].losses[k].mean(1, dtype=np.float64)[contents.exact[k]]
        assert analysis.gaps.estimate[a, b] >= max(curve) - max(curve[0], curve[-1]) - 1e-12
    if path.stem == "store-0.1.0":
        assert (contents.formats == 1).all()
        assert (contents.tolerance == 0).all()
        assert all(np.isnan(data.screened).all() for data in contents.datasets.values())
        assert np.isnan(contents.largest_difference)


def test_the_store_of_format_0_2_has_missing_and_screened_points() -> None:
    contents = read_store(Path(__file__).parents[1] / "data" / "store-0.2.0.h5")
    kept = ("fffffffff", "f.b.f.b.f", "f.f.bbf.f")
    codes = {"f": FORMATS.index("fp32"), "b": FORMATS.index("bf16"), ".": 0}
    assert contents.formats.tolist() == [[codes[point] for point in line] for line in kept]
    dev = contents.datasets["dev"]
    for data in contents.datasets.values():
        means = data.losses.mean(2, dtype=np.float64)
        np.testing.assert_array_equal(np.isnan(means), contents.formats == 0)
        np.testing.assert_array_equal(np.isnan(data.screened), contents.formats == 0)
        np.testing.assert_array_equal(np.isnan(data.difference), contents.formats != 1)
        only = contents.formats == codes["b"]
        np.testing.assert_allclose(data.screened[only], means[only], rtol=1e-7)
        both = contents.formats == codes["f"]
        off = np.abs(data.screened - means)[both]
        assert (off > 0).all()  # bf16 is another number than fp32
        assert (off <= data.difference[both]).all()
        assert data.difference[both].max() < 0.1
        np.testing.assert_array_equal(data.losses[:, 0], data.model_losses[contents.pairs[:, 0]])
        np.testing.assert_array_equal(
            data.screened[:, -1], data.model_screened[contents.pairs[:, 1]]
        )
    # what the screened points add to the gap is within the tolerance that was reached
    for k, exact in enumerate(contents.exact):
        t, curve = contents.positions, dev.losses[k].mean(1, dtype=np.float64)
        gap = convexity_gap(curve[exact], t[exact])
        known = contents.evaluated[k]
        assert convexity_gap(curve[known], t[known]) - gap <= contents.tolerance[k] + 0.01
    assert contents.tolerance[0] == 0 < contents.largest_tolerance < 0.05


def test_the_store_of_format_0_3_has_a_way_and_a_surface() -> None:
    contents = read_store(Path(__file__).parents[1] / "data" / "store-0.3.0.h5")
    assert list(contents.points) == ["straight", "square"]
    way, square = contents.points.values()
    assert (way.kind, way.models, way.shape) == ("line", ("member-1", "member-2"), (5,))
    assert way.evaluated.tolist() == [True, True, True, False, True]
    assert way.notes == {"between": ["member-1", "member-2"]}
    assert (square.kind, square.shape) == ("plane", (2, 2))
    for name, data in contents.datasets.items():
        # its ends are models that were measured on their own
        np.testing.assert_allclose(way.losses[name][[0, -1]], data.model_losses[1:], rtol=1e-5)
        np.testing.assert_allclose(square.losses[name][:3], data.model_losses, rtol=1e-4)
        np.testing.assert_array_equal(way.predictions[name][[0, -1]], data.model_predictions[1:])
        assert np.isnan(way.mean_losses(name)).tolist() == (~way.evaluated).tolist()
        accuracy = (data.model_predictions[1] == data.labels).mean()
        assert way.accuracies(name, data.labels)[0] == accuracy
        # the line is the pair's own
        pair = data.losses[contents.pairs.tolist().index([1, 2])]
        both = [0, 2, 4], [0, 4, 8]
        known = contents.exact[2][both[1]]
        np.testing.assert_allclose(
            way.losses[name][both[0]][known], pair[both[1]][known], rtol=1e-5
        )


def test_the_store_of_format_0_4_has_texts_and_distances() -> None:
    contents = read_store(Path(__file__).parents[1] / "data" / "store-0.4.0.h5")
    older = read_store(Path(__file__).parents[1] / "data" / "store-0.3.0.h5")
    assert (contents.chosen, contents.never_measured) == ("all", 0)
    for name, data in contents.datasets.items():
        (texts,) = data.texts.values()
        assert list(data.texts) == ["text"]
        # the task's own label is whether the text holds "not"
        assert ["not" in text.split() for text in texts] == data.labels.astype(bool).tolist()
        assert older.datasets[name].texts == {}
        assert not data.aggregated
        np.testing.assert_array_equal(data.labels, older.datasets[name].labels)
    distances = contents.distances
    np.testing.assert_array_equal(distances, distances.T)
    assert np.diag(distances).tolist() == [0, 0, 0]
    way = contents.points["straight"]
    assert way.lengths[-1] == pytest.approx(distances[1, 2], rel=1e-6)
    assert np.isnan(older.distances).all()
    assert older.distances.shape == (3, 3)
    assert older.given_scores.shape == (3, 0)


def test_the_store_of_format_0_5_has_checksums_and_plans() -> None:
    path = Path(__file__).parents[1] / "data" / "store-0.5.0.h5"
    contents, older = read_store(path), read_store(path.with_name("store-0.4.0.h5"))
    assert contents.plans == [
        {"texts at a time": 1, "screened in": "bf16"}, {"texts at a time": 1},
    ]  # fmt: skip
    assert contents.plan.tolist() == [0, 0, 0]
    assert contents.model_plan.tolist() == [0, 0, 0]
    assert contents.points["straight"].plan.tolist() == [1, 1, 1, NO_PLAN, 1]
    assert older.plans == []
    assert older.plan.tolist() == older.model_plan.tolist() == [NO_PLAN] * 3
    assert older.points["straight"].plan.tolist() == [NO_PLAN] * 5
    for name, data in contents.datasets.items():  # the same numbers
        np.testing.assert_allclose(data.losses, older.datasets[name].losses, rtol=1e-5, atol=1e-6)
    whole = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        for each in ("pairs/tolerance", "datasets/dev/labels", "checkpoints/seal"):
            place = file[each].id.get_offset()
            whole[place] ^= 1
            with pytest.raises(StoreError, match="is damaged"):
                _read(bytes(whole))
            whole[place] ^= 1
    _read(bytes(whole))


def _read(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.h5"
        path.write_bytes(content)
        read_store(path)


def test_there_is_a_store_of_this_format() -> None:
    assert RELEASED[-1].stem == f"store-{ENCODING_VERSION}"
