"""Stores of one experiment as one, and how their numbers were computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from landscape.records.store.tables import tables
from typer.testing import CliRunner

from landscape.core.errors import StoreError
from landscape.records import NO_PLAN, StoreWriter, create_store, read_store, write_published
from landscape.records.merge import merge
from landscape.run.commands import app
from tests.records.test_store import POSITIONS, bare, by_hand, examples
from tests.records.test_store_damage import build, everything, flip, measured_rows, way
from tests.records.test_store_pairs import ALL, FREE, N, make, outputs
from tests.records.test_store_published import given as published

DISTANCES = np.arange(25.0).reshape(5, 5)


def fill(writer: StoreWriter, pairs: list[tuple[int, int]], models: list[int], plan: int) -> None:
    """Numbers that depend on the pair and the model alone."""
    rows = {tuple(pair): row for row, pair in enumerate(writer.pairs().tolist())}
    for model in models:
        writer.write_model(model, outputs(100 + model), plan=plan)
    for a, b in pairs:
        screened = {name: (np.full(2, a), np.full(2, b)) for name in ("dev", "hard")}
        values = outputs(10 * a + b, 2)
        writer.write_pair(rows[a, b], values, formats=[1, 3], screened=screened, plan=plan)


def one_run(path: Path) -> Path:
    make(path, ALL)
    with StoreWriter(path) as writer:
        fill(writer, ALL, list(range(N)), writer.add_plan({"threads": 1}))
        writer.add_points(way())
        for at in range(4):
            writer.write_points("way", [at], outputs(50 + at, 1), plan=0)
        writer.write_distances(DISTANCES)
        writer.finish({"name": "x"})
    return path


@settings(deadline=None, max_examples=12)
@given(data=st.data())
def test_shards_together_are_a_single_run(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever shard has which pairs, points and distances, finished or not, in any order."""
    folder = tmp_path_factory.mktemp("shards")
    whole = one_run(folder / "whole.h5")
    n = data.draw(st.integers(1, 4))
    shard = st.sampled_from(range(n))
    own = [data.draw(shard) for _ in ALL]
    points = [data.draw(shard) for _ in range(4)]
    paths = []
    for k in range(n):
        pairs = [pair for pair, of in zip(ALL, own, strict=True) if of == k]
        table = data.draw(st.sampled_from([ALL, pairs])) if pairs else ALL
        path = make(folder / f"{k}.h5", table, pairs="all")
        models = sorted({model for pair in pairs for model in pair}) if n > 1 else list(range(N))
        with StoreWriter(path) as writer:
            fill(writer, pairs, models, writer.add_plan({"threads": 1}))
            if k in points:
                writer.add_points(way())
            for at in (at for at, of in enumerate(points) if of == k):
                writer.write_points("way", [at], outputs(50 + at, 1), plan=0)
            if k == n - 1:
                writer.write_distances(DISTANCES)
            if data.draw(st.booleans()):
                writer.finish({"name": "other", "out": f"shard-{k}"})
        paths.append(path)
    order = data.draw(st.permutations(paths))
    made = merge(order, folder / "merged.h5")
    assert (made.pairs, made.measured, made.models) == (10, 10, 5)
    assert made.difference == 0
    contents, expected = read_store(made.path), read_store(whole)
    assert made.finished
    assert contents.attributes["finished"] == "yes"
    assert contents.attributes["merged-stores"] == str(n)
    differ = {"text"}  # the attributes of the merge, and the first store's own configuration
    found, wanted = everything(contents), everything(expected)
    assert found.keys() == wanted.keys()
    assert [key for key in wanted if found[key] != wanted[key]] in ([], list(differ))
    assert contents.plans == [{"threads": 1}]
    with h5py.File(whole) as one, h5py.File(made.path) as two:
        for table in tables(one):
            for name in ("status", "checksum", "seal", "plan"):
                path = table.path(name)
                np.testing.assert_array_equal(one[path][:], two[path][:])
    assert not [path for path in folder.iterdir() if path.name[0] == "."]


def test_what_is_lacking_is_measured_by_a_run_that_goes_on(tmp_path: Path) -> None:
    first, second = make(tmp_path / "1.h5", ALL), make(tmp_path / "2.h5", ALL)
    with StoreWriter(first) as writer:
        fill(writer, ALL[:3], [0, 1, 2, 3], writer.add_plan({"threads": 1}))
    with StoreWriter(second) as writer:
        plan = [writer.add_plan({"threads": threads}) for threads in (4, 1)]
        assert plan == [0, 1]
        fill(writer, ALL[2:5], [0, 1, 2, 3], 0)
        fill(writer, ALL[5:6], [4], 1)
    made = merge([first, second], tmp_path / "all.h5")
    assert not made.finished
    assert (made.measured, made.twice) == (6, 5)  # a pair and four models
    contents = read_store(made.path)
    assert contents.attributes["finished"] == "no"
    assert contents.plans == [{"threads": 1}, {"threads": 4}]
    assert contents.plan.tolist() == [0, 0, 0, 1, 1, 0, *[NO_PLAN] * 4]
    assert contents.model_plan.tolist() == [0, 0, 0, 0, 0]
    with StoreWriter(made.path) as writer:
        assert writer.pairs_to_measure().tolist() == [6, 7, 8, 9]
        fill(writer, ALL[6:], [], 1)
    assert read_store(made.path).status.all()


def test_pairs_that_were_chosen_keep_their_order_and_room(tmp_path: Path) -> None:
    first, second = make(tmp_path / "1.h5", [FREE] * 4), make(tmp_path / "2.h5", [FREE] * 6)
    for path, pairs in ((first, [(2, 3), (0, 1)]), (second, [(1, 4), (0, 1), (0, 2)])):
        with StoreWriter(path) as writer:
            writer.assign_pairs(pairs)
            fill(writer, pairs[:2], list(range(N)), NO_PLAN)
    contents = read_store(merge([first, second], tmp_path / "all.h5").path)
    assert contents.chosen == "active"
    assert contents.pairs.tolist() == [[2, 3], [0, 1], [1, 4], [0, 2]]
    assert contents.status.tolist() == [1, 1, 1, 0]
    with StoreWriter(tmp_path / "all.h5") as writer:
        assert writer.assign_pairs([(3, 4), (1, 2)]).tolist() == [4, 5]
    with h5py.File(tmp_path / "all.h5") as file:
        assert len(file["pair"]) == 6


def test_rounding_is_recorded_and_more_is_refused(tmp_path: Path) -> None:
    first, second = make(tmp_path / "1.h5", ALL), make(tmp_path / "2.h5", ALL)
    with StoreWriter(first) as writer:
        fill(writer, ALL[:2], list(range(N)), NO_PLAN)
    off = {name: (losses + 2e-4, labels) for name, (losses, labels) in outputs(1, 2).items()}
    other = {name: (losses + 5e-4, labels) for name, (losses, labels) in outputs(104).items()}
    with StoreWriter(second) as writer:
        fill(writer, [(0, 2)], list(range(N)), NO_PLAN)
        writer.write_model(4, other)
        writer.write_pair(0, off)
        writer.write_pair(3, outputs(4, 2))
    made = merge([first, second], tmp_path / "all.h5")
    assert made.difference == pytest.approx(5e-4, rel=1e-3)
    contents = read_store(made.path)
    assert float(contents.attributes["merge-difference"]) == pytest.approx(made.difference)
    for name, data in contents.datasets.items():  # the first store's, also at the ends of pairs
        np.testing.assert_array_equal(data.losses[0, 1:3], outputs(1, 2)[name][0])
        np.testing.assert_array_equal(data.model_losses[4], outputs(104)[name][0])
        np.testing.assert_array_equal(data.losses[3, -1], data.model_losses[4])
    run = CliRunner().invoke(app, ["merge", str(made.path), "--out", str(tmp_path / "again.h5")])
    assert run.exit_code == 0
    assert "3 of 10 pairs measured, 5 models; 0 measured more than once" in run.stdout
    assert "apart by up to 0.0005 nats" in run.stdout  # what an earlier merge has seen is kept
    with StoreWriter(second) as writer:
        losses, labels = outputs(1, 2)["hard"]
        writer.write_pair(0, {**off, "hard": (losses + 0.01, labels)})
    message = r"do not agree(?s:.*)pair m0 - m1(?s:.*)0\.01 nats"
    with pytest.raises(StoreError, match=message) as error:
        merge([first, second], tmp_path / "more.h5")
    assert str(first) in str(error.value)
    assert str(second) in str(error.value)
    assert not (tmp_path / "more.h5").exists()
    assert not [path for path in tmp_path.iterdir() if path.name[0] == "."]


def test_points_in_other_formats_are_not_compared(tmp_path: Path) -> None:
    """What one run has screened and another evaluated differs by more than rounding."""
    first, second = make(tmp_path / "1.h5", ALL), make(tmp_path / "2.h5", ALL)
    off = {
        name: (losses + np.array([[0], [1]]), labels)
        for name, (losses, labels) in outputs(1, 2).items()
    }
    for path, values, formats in ((first, outputs(1, 2), [1, 3]), (second, off, [1, 1])):
        with StoreWriter(path) as writer:
            writer.write_pair(0, values, formats=formats)
    assert merge([first, second], tmp_path / "all.h5").difference == 0


def unlike(path: Path, **changes: Any) -> Path:
    table = read_store(Path(__file__).parents[1] / "data" / "store-0.4.0.h5").checkpoints
    create_store(
        path,
        **{
            "config": {"name": "x", "evaluate": {"max_length": 128}},
            "attributes": {},
            "checkpoints": table,
            "pairs": np.array([(0, 1)]),
            "positions": POSITIONS,
            "datasets": [("in_domain", examples("dev", 4))],
            **changes,
        },
    )
    return path


def test_stores_of_other_experiments_are_refused(tmp_path: Path) -> None:
    table = read_store(Path(__file__).parents[1] / "data" / "store-0.4.0.h5").checkpoints
    other = table.assign(sha256=["0" * 64, *table["sha256"][1:]])
    cases = {
        r"evaluate\.max_length: 128 -> 64": {"config": {"evaluate": {"max_length": 64}}},
        r"number format: 1 -> 3": {"attributes": {"precision": "bf16"}},
        rf"sha256 of checkpoint 0: {table['sha256'][0]} -> 0000": {"checkpoints": other},
        r"number of checkpoints: 3 -> 2": {"checkpoints": table[:2]},
        r"name of checkpoint 0: member-0 -> member-2": {"checkpoints": table[::-1]},
        r"examples of data set 'dev'": {"datasets": [("in_domain", examples("dev", 5))]},
        r"data sets: dev -> dev, hard": {
            "datasets": [("in_domain", examples("dev", 4)), ("challenge", examples("hard", 3))]
        },
        r"role of data set 'dev': in_domain -> challenge": {
            "datasets": [("challenge", examples("dev", 4))]
        },
        r"positions: \[0.*\] -> \[0. *0.5": {"positions": np.array([0, 0.5, 0.75, 1])},
    }
    first = unlike(tmp_path / "first.h5")
    for number, (message, changes) in enumerate(cases.items()):
        second = unlike(tmp_path / f"{number}.h5", **changes)
        expected = rf"not of one experiment(?s:.*)found: {message}"
        with pytest.raises(StoreError, match=expected) as error:
            merge([first, second], tmp_path / "all.h5")
        assert f"where: {first} and {second}" in str(error.value)
    free = {"name": "y", "out": "elsewhere", "evaluate": {"max_length": 128}, "analysis": {}}
    last = unlike(tmp_path / "last.h5", config=free)
    assert merge([first, last], tmp_path / "all.h5").measured == 0
    with pytest.raises(StoreError, match=r"The store to write exists(?s:.*)another --out"):
        merge([first, last], tmp_path / "all.h5")
    with pytest.raises(StoreError, match="There is no store"):
        merge([first, tmp_path / "absent.h5"], tmp_path / "new.h5")
    with pytest.raises(StoreError, match="nothing to merge"):
        merge([], tmp_path / "new.h5")


def test_other_surfaces_of_one_name_are_refused(tmp_path: Path) -> None:
    first, second = make(tmp_path / "1.h5", ALL), make(tmp_path / "2.h5", ALL)
    with StoreWriter(first) as writer:
        writer.add_points(way())
    longer = way()
    longer.positions[1] = 0.4
    with StoreWriter(second) as writer:
        writer.add_points(longer)
    with pytest.raises(StoreError, match="positions of 'way'"):
        merge([first, second], tmp_path / "all.h5")


@pytest.mark.parametrize("array", ["datasets/dev/losses", "pairs/status", "checkpoints/distances"])
def test_a_damaged_store_is_refused_and_named(tmp_path: Path, array: str) -> None:
    first, second = build(tmp_path / "1.h5", "all"), build(tmp_path / "2.h5", "all")
    flip(second, array, 3)
    with pytest.raises(StoreError, match=r"is damaged(?s:.*)landscape repair") as error:
        merge([first, second], tmp_path / "all.h5")
    assert f"where: {second}" in str(error.value)
    whole = bytearray(first.read_bytes())
    whole[-1 - whole[::-1].index(0xC3)] ^= 1  # a text
    first.write_bytes(bytes(whole))
    with pytest.raises(StoreError, match=r"is damaged(?s:.*)landscape repair"):
        merge([first], tmp_path / "all.h5")


def test_older_formats_are_merged(tmp_path: Path) -> None:
    first, second = build(tmp_path / "1.h5", "all"), build(tmp_path / "2.h5", "packed")
    with StoreWriter(second) as writer:
        fill(writer, [(0, 2)], [], NO_PLAN)
    expected = measured_rows(read_store(second))
    before = bare(second).read_bytes()
    contents = read_store(merge([first, second], tmp_path / "all.h5").path)
    assert second.read_bytes() == before
    assert contents.status.tolist() == [1, 1, 1, 1, 0, 1]
    found = measured_rows(contents)
    assert found.keys() == expected.keys()
    for row, values in found.items():  # in older formats nobody noted the plan
        assert values[3:] == expected[row][3:]


def test_published_stores_are_merged(tmp_path: Path) -> None:
    one, two = tmp_path / "1.h5", tmp_path / "2.h5"
    write_published(one, **published())
    write_published(two, **published())
    contents = read_store(merge([one, two], tmp_path / "all.h5").path)
    expected = read_store(one)
    assert contents.pairs.tolist() == expected.pairs.tolist()
    for name, data in expected.datasets.items():
        for kind in ("losses", "accuracies", "model_losses", "model_accuracies"):
            found = getattr(contents.datasets[name], kind)
            np.testing.assert_array_equal(found, getattr(data, kind))
    scores = published()["scores"].assign(steps=[1, 2, 4])
    write_published(two, **published(scores=scores))
    with pytest.raises(StoreError, match="score 'steps'"):
        merge([one, two], tmp_path / "other.h5")


def test_texts_and_ways_of_any_store_are_kept(tmp_path: Path) -> None:
    whole = read_store(make(tmp_path / "whole.h5", ALL))
    first = unlike(tmp_path / "1.h5", texts=False)
    second = unlike(tmp_path / "2.h5")
    merged = read_store(merge([first, second], tmp_path / "all.h5").path)
    expected = whole.datasets["dev"].texts["text"].tolist()
    assert merged.datasets["dev"].texts["text"].tolist() == expected
    one, two = make(tmp_path / "3.h5", ALL), make(tmp_path / "4.h5", ALL)
    with StoreWriter(two) as writer:
        writer.add_points(way())
        writer.write_points("way", [1], outputs(3, 1))
    merged = read_store(merge([one, two], tmp_path / "ways.h5").path)
    assert merged.points["way"].status.tolist() == [0, 1, 0, 0]
    assert merged.points["way"].lengths.tolist() == way().lengths.tolist()


def test_plans_are_noted_once_and_kept(tmp_path: Path) -> None:
    path = make(tmp_path / "store.h5", ALL)
    contents = read_store(path)
    assert contents.plans == []
    assert (contents.plan == NO_PLAN).all()
    assert (contents.model_plan == NO_PLAN).all()
    with StoreWriter(path) as writer:
        assert writer.add_plan({"batch": 4, "list": (1, 2)}) == 0
        before = path.stat().st_ino
        assert writer.add_plan({"list": [1, 2], "batch": 4}) == 0
        assert path.stat().st_ino == before  # nothing was written
        assert writer.add_plan({"batch": 8}) == 1
        assert writer.plans() == [{"batch": 4, "list": [1, 2]}, {"batch": 8}]
        writer.write_model(1, outputs(1), plan=1)
        writer.write_pair(2, outputs(2, 2), plan=0)
        writer.write_pair(3, outputs(3, 2))
        writer.add_points(way())
        writer.write_points("way", [0, 3], outputs(4, 2), plan=1)
        points = writer.points("way")
        assert points is not None
        assert points.plan.tolist() == [1, NO_PLAN, NO_PLAN, 1]
    for finish in (False, True):
        if finish:
            with StoreWriter(path) as writer:
                writer.finish({"name": "x"})
        contents = read_store(path)
        assert contents.plans == [{"batch": 4, "list": [1, 2]}, {"batch": 8}]
        assert contents.plan.tolist()[:5] == [NO_PLAN, NO_PLAN, 0, NO_PLAN, NO_PLAN]
        assert contents.model_plan.tolist() == [NO_PLAN, 1, NO_PLAN, NO_PLAN, NO_PLAN]
        assert contents.points["way"].plan.tolist() == [1, NO_PLAN, NO_PLAN, 1]
    full = unlike(tmp_path / "full.h5", plans=[{"number": k} for k in range(255)])
    with StoreWriter(full) as writer:
        assert writer.add_plan({"number": 254}) == 254
        with pytest.raises(StoreError, match=r"no room for another plan(?s:.*)255 plans"):
            writer.add_plan({"number": 255})
    with pytest.raises(StoreError, match=r"too many ways(?s:.*)256 plans so far"):
        merge([full, unlike(tmp_path / "more.h5", plans=[{"x": 1}])], tmp_path / "all.h5")
    with by_hand(path) as file:
        assert json.loads(file["plans"].asstr()[()])[1] == {"batch": 8}
