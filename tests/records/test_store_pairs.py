"""Pairs that a run chooses: free slots of the pair table."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import h5py
import landscape.records.store.rows as reading
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landscape.core.errors import StoreError
from landscape.records import ENCODING_VERSION, StoreWriter, create_store, read_store
from landscape.run.inspect import describe
from tests.records.test_store import POSITIONS, by_hand, examples

N = 5
FREE = (-1, -1)
ALL = list(combinations(range(N), 2))
PER_PAIR = ("losses", "predictions", "screened", "difference")


def make(path: Path, rows: list[tuple[int, int]], **attributes: str) -> Path:
    names = [f"m{i}" for i in range(N)]
    table = pd.DataFrame({"name": names, "ref": names, "sha256": "", "labels": "", "revision": ""})
    create_store(
        path,
        config={"name": "x"},
        attributes=attributes,
        checkpoints=table.assign(fingerprint="", seed=np.nan, step=np.nan),
        pairs=np.array(rows),
        positions=POSITIONS,
        datasets=[("in_domain", examples("dev", 4)), ("challenge", examples("hard", 3))],
    )
    return path


def outputs(seed: int, *shape: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return {
        name: (rng.random((*shape, n)).astype("f4"), rng.integers(0, 2, (*shape, n)))
        for name, n in (("dev", 4), ("hard", 3))
    }


def measure(writer: StoreWriter, rows: np.ndarray) -> None:
    """Losses that depend on the pair alone."""
    for row in rows:
        first, second = writer.pairs()[row]
        screened = {name: (np.full(2, first), np.full(2, second)) for name in ("dev", "hard")}
        writer.write_pair(int(row), outputs(10 * first + second, 2), screened=screened)


def models(writer: StoreWriter) -> None:
    for model in range(N):
        writer.write_model(model, outputs(100 + model))


def test_slots_are_given_to_pairs_in_order(tmp_path: Path) -> None:
    path = make(tmp_path / "store.h5", [(1, 3), FREE, FREE, (0, 4), FREE])
    with StoreWriter(path) as writer:
        assert writer.pairs().tolist() == [[1, 3], [-1, -1], [-1, -1], [0, 4]]
        assert writer.pairs_to_measure().tolist() == [0, 3]
        assert writer.assign_pairs(np.array([(2, 4), (0, 4), (0, 1)])).tolist() == [1, 3, 2]
        assert writer.assign_pairs([(0, 1)]).tolist() == [2]
        assert writer.assign_pairs(np.empty((0, 2))).tolist() == []
        # it is in the file before the call returns
        assert read_store(path).pairs.tolist() == [[1, 3], [2, 4], [0, 1], [0, 4]]
        assert writer.pairs_to_measure().tolist() == [0, 1, 2, 3]
        with pytest.raises(StoreError, match=r"not been given(?s:.*)row 4(?s:.*)assign_pairs"):
            writer.write_pair(4, outputs(0, 2))
    with h5py.File(path) as file:
        assert file["pairs/models"].shape == (5, 2)  # there was room
        assert file.attrs["pairs"] == "active"


@pytest.mark.parametrize("finish", [False, True])
def test_what_is_read_is_a_store_of_the_assigned_pairs(tmp_path: Path, finish: bool) -> None:
    active = make(tmp_path / "active.h5", [FREE, (1, 3), FREE, FREE, (0, 4), FREE])
    with StoreWriter(active) as writer:
        models(writer)
        measure(writer, writer.assign_pairs([(2, 3), (1, 3)]))
        if finish:
            writer.finish({"name": "x"})
    plain = make(tmp_path / "plain.h5", [(2, 3), (1, 3), (0, 4)], pairs="active")
    with StoreWriter(plain) as writer:
        models(writer)
        measure(writer, np.array([0, 1]))
        if finish:
            writer.finish({"name": "x"})
    one, other = read_store(active), read_store(plain)
    assert one.pairs.tolist() == [[2, 3], [1, 3], [0, 4]]
    assert one.chosen == "active"
    assert one.never_measured == len(ALL) - 3
    assert one.attributes == other.attributes
    for name in ("pairs", "status", "formats", "tolerance", "exact", "model_status"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name, data in one.datasets.items():
        assert data.losses.shape == (3, 4, len(data.labels))
        assert np.isfinite(data.losses[:2]).all()
        for kind in (*PER_PAIR, "model_losses", "model_predictions"):
            found, expected = getattr(data, kind), getattr(other.datasets[name], kind)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
    assert "  pairs      2 of 3 measured" in describe(active)
    assert "  chosen     active, 7 never measured; weight distances not known" in describe(active)
    with h5py.File(active) as file:
        n_rows = 3 if finish else 6
        for array in (file["pair"], file["pairs/models"], file["datasets/hard/losses"]):
            assert len(array) == n_rows
        if finish:
            assert file["pair"][:].tolist() == [0, 1, 2]
            assert [dim[0].name for dim in file["datasets/dev/losses"].dims][:2] == [
                "/pair", "/position",
            ]  # fmt: skip


def test_rows_that_no_pair_has_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "store.h5", [(0, 1), FREE, (0, 2), (0, 3), *[FREE] * 6])
    shapes = []
    plain = h5py.Dataset.__getitem__

    def watch(self: h5py.Dataset, key: object, **options: object) -> object:
        value = plain(self, key, **options)
        if self.name.startswith("/datasets/dev/") and self.name.endswith("/losses"):
            shapes.append(value.shape)
        return value

    monkeypatch.setattr(reading.h5py.Dataset, "__getitem__", watch)
    assert read_store(path).pairs.tolist() == [[0, 1], [0, 2], [0, 3]]
    assert shapes == [(1, 4, 4), (2, 4, 4)]


@pytest.mark.parametrize("finish", [False, True])
def test_a_full_table_grows(tmp_path: Path, finish: bool) -> None:
    """Also that of a finished store; what was measured stays, and writing moves nothing again."""
    path = make(tmp_path / "store.h5", [(0, 1), FREE, FREE])
    with StoreWriter(path) as writer:
        models(writer)
        writer.write_distances(np.arange(25).reshape(5, 5))
        measure(writer, writer.assign_pairs([(0, 1), (3, 4)]))
        if finish:
            writer.finish({"name": "x"})
    before = read_store(path)
    with StoreWriter(path) as writer:
        assert writer.assign_pairs([(0, 2), (0, 3), (0, 1)]).tolist() == [2, 3, 0]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["store.h5"]
    with h5py.File(path) as file:
        assert len(file["pairs/models"]) == (4 if finish else 6)
        assert file["pair"][:].tolist() == list(range(4 if finish else 6))
        fresh = slice(2, None)
        assert (file["pairs/models"][fresh][-1] == FREE).all() or finish
        for group in file["datasets"].values():
            assert np.isnan(group["losses"][fresh]).all()
            assert (group["predictions"][fresh] == 255).all()
            for name in ("losses", "predictions", "model_losses"):
                assert group[name].chunks is None
                assert group[name].id.get_offset() is not None  # allocated
    contents = read_store(path)
    assert contents.attributes == {
        **before.attributes, "finished": "no", "encoding-version": ENCODING_VERSION,
    }  # fmt: skip
    assert contents.pairs.tolist() == [[0, 1], [3, 4], [0, 2], [0, 3]]
    assert contents.status.tolist() == [1, 1, 0, 0]
    np.testing.assert_array_equal(contents.distances, np.arange(25).reshape(5, 5))
    pd.testing.assert_frame_equal(contents.checkpoints, before.checkpoints)
    for name, data in contents.datasets.items():
        assert data.texts.keys() == {"text"}
        for kind in PER_PAIR:
            expected = getattr(before.datasets[name], kind)[:2]
            np.testing.assert_array_equal(getattr(data, kind)[:2], expected)
        np.testing.assert_array_equal(data.model_losses, before.datasets[name].model_losses)
    size = path.stat().st_size
    with StoreWriter(path) as writer:
        measure(writer, writer.pairs_to_measure())
    assert path.stat().st_size == size
    assert (read_store(path).status == 1).all()


def test_assigning_and_writing_changes_no_structure(tmp_path: Path) -> None:
    path = make(tmp_path / "store.h5", [FREE] * 6)
    before = path.read_bytes()
    with h5py.File(path) as file:
        spans = []
        for name in ("models", "status", "formats", "tolerance", "checksum", "seal", "plan"):
            array = file["pairs"][name]
            spans.append((array.id.get_offset(), array.id.get_storage_size()))
        for group in file["datasets"].values():
            for name in PER_PAIR:
                for array in (group[name], group[f"model_{name}"]):
                    spans.append((array.id.get_offset(), array.id.get_storage_size()))
        for name in ("status", "checksum", "seal", "plan"):
            array = file["checkpoints"][name]
            spans.append((array.id.get_offset(), array.id.get_storage_size()))
    with StoreWriter(path) as writer:
        models(writer)
        measure(writer, writer.assign_pairs([(0, 1), (2, 3)]))
    after = path.read_bytes()
    assert len(after) == len(before)
    inside = np.zeros(len(before), dtype=bool)
    for start, size in spans:
        inside[start : start + size] = True
    changed = np.frombuffer(before, "u1") != np.frombuffer(after, "u1")
    assert changed.sum() > 100
    assert inside[changed].all()


@settings(deadline=None, max_examples=10)
@given(
    st.lists(st.lists(st.sampled_from(ALL), max_size=4, unique=True), max_size=4),
    st.integers(0, 3),
)
def test_the_table_is_the_list_of_pairs_in_the_order_they_were_asked_for(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[int, int]]], slots: int
) -> None:
    path = make(tmp_path_factory.mktemp("pairs") / "store.h5", [FREE] * slots)
    expected: list[tuple[int, int]] = []
    for batch in batches:
        expected += [pair for pair in batch if pair not in expected]
        with StoreWriter(path) as writer:
            rows = writer.assign_pairs(np.array(batch, dtype=int).reshape(-1, 2))
            assert rows.tolist() == [expected.index(pair) for pair in batch]
            assert [tuple(pair) for pair in writer.pairs().tolist()] == expected
    contents = read_store(path)
    assert [tuple(pair) for pair in contents.pairs.tolist()] == expected
    assert contents.never_measured == len(ALL) - len(expected)
    with h5py.File(path) as file:
        assert len(file["pairs/models"]) <= max(len(ALL), slots)


def test_half_a_row_that_a_killed_writer_left_is_free(tmp_path: Path) -> None:
    path = make(tmp_path / "store.h5", [FREE, FREE])
    with h5py.File(path, "r+") as file:
        file["pairs/models"][0, 0] = 3
    assert read_store(path).pairs.shape == (0, 2)
    with StoreWriter(path) as writer:
        assert writer.pairs().shape == (0, 2)
        assert writer.assign_pairs([(1, 2)]).tolist() == [0]
    assert read_store(path).pairs.tolist() == [[1, 2]]


def test_a_store_of_all_pairs_says_so(tmp_path: Path) -> None:
    path = make(tmp_path / "store.h5", ALL)
    contents = read_store(path)
    assert (contents.chosen, contents.never_measured) == ("all", 0)
    assert "  chosen     all pairs of models; weight distances not known" in describe(path)
    with by_hand(path) as file:
        del file.attrs["pairs"]  # as in older formats
    assert read_store(path).chosen == "all"


def test_a_store_without_pairs_can_be_finished(tmp_path: Path) -> None:
    path = make(tmp_path / "store.h5", [FREE])
    with StoreWriter(path) as writer:
        writer.finish({"name": "x"})
    contents = read_store(path)
    assert contents.datasets["dev"].losses.shape == (0, 4, 4)
    assert contents.attributes["finished"] == "yes"


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([(0, 1), (1, 0)], r"ascending order(?s:.*)pairs\[1\](?s:.*)found: \(1, 0\)"),
        ([(0, 0)], "ascending order"),
        ([(0, 5)], r"second < 5(?s:.*)found: \(0, 5\)"),
        ([(-1, 2)], r"found: \(-1, 2\)"),
        ([(0, 1), (1, 2), (0, 1)], r"in the table twice(?s:.*)found: \(0, 1\)"),
        ([(0, 1, 2)], r"integers \(n_pairs, 2\)"),
        ([(0.0, 1.0)], "float64"),
    ],
)
def test_what_is_no_pair_is_refused(
    tmp_path: Path, pairs: list[tuple[int, int]], message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        make(tmp_path / "other.h5", pairs)
    assert not list(tmp_path.iterdir())
    with StoreWriter(make(tmp_path / "store.h5", [FREE] * 3)) as writer:
        with pytest.raises(StoreError, match=message):
            writer.assign_pairs(np.array(pairs))
        with pytest.raises(StoreError, match="cannot be given to no pair"):
            writer.assign_pairs([FREE])
        assert writer.pairs().shape == (0, 2)
