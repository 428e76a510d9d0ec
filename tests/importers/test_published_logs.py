from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landscape.core.errors import DataError
from landscape.importers.curves import POINT_COLUMNS, Curves, gather_curves
from landscape.importers.interpolations import pickled_points, read_interpolation_log
from tests.data import make_published as made

DATA = Path(__file__).parents[1] / "data" / "published"
LOG, PICKLE = Path("a.log"), Path("x.pkl")
T = np.linspace(0, 1, made.N_POINTS)


def expected(pairs: tuple[tuple[str, str], ...], hump: float = 0.2) -> np.ndarray:
    return np.array([[made.loss(a, b, t, hump) for t in T] for a, b in pairs])


def from_logs(text: str) -> Curves:
    return gather_curves(read_interpolation_log(text, LOG))


def from_pickle(value: Any) -> Curves:
    return gather_curves(pickled_points(value, PICKLE, "accuracy"))


def test_the_files_are_what_the_script_makes(tmp_path: Path) -> None:
    made.make(tmp_path)
    files = {p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {p.relative_to(DATA) for p in DATA.rglob("*") if p.is_file()}
    for file in files:
        if file.suffix != ".pkl":  # numpy's modules change their names
            assert (DATA / file).read_bytes() == (tmp_path / file).read_bytes()


def test_other_metrics_and_losses_that_are_missing() -> None:
    text = "Interpolating between a model and b/c on cola\r\n"
    rows = [(0, 0.5, -0.2), (0.5, float("nan"), 0.1), (1, 0.25, 0.4)]
    for k, (t, loss, score) in enumerate(rows):
        text += f"[{t}, {1 - t}]\r\n  point_num  loss  matthews_correlation  f1\r\n"
        text += f"---  ---  ---  ---\r\n {k}  {loss}  {score}  0.5\r\nsomething else\r\n"
    curves = from_logs(text)
    assert curves.models == ("a model", "b/c")
    assert curves.metric == "matthews"
    np.testing.assert_array_equal(curves.losses, [[0.25, np.nan, 0.5]])
    np.testing.assert_array_equal(curves.accuracies, [[0.4, 0.1, -0.2]])


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("          2    0.6160", "          2    0.6x60", 14),
        ("point_num      loss", "point_num     score", 6),
        ("[0.0, 1.0]", "0.0, 1.0", 6),
        ("Interpolating between 7 and 98 on mnli", "", 6),
    ],
)
def test_a_malformed_line_is_named(old: str, new: str, line: int) -> None:
    text = made.section("7", "98", "mnli", 0.2)
    assert old in text
    with pytest.raises(DataError) as caught:
        read_interpolation_log(text.replace(old, new, 1), LOG)
    assert caught.value.parts["where"] == f"a.log, line {line}"


def points(*curves: tuple[str, str, list[float]], source: str = "", **more: Any) -> pd.DataFrame:
    rows = [
        (a, b, t, loss)
        for a, b, losses in curves
        for t, loss in zip(np.linspace(0, 1, len(losses)), losses, strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["model_a", "model_b", "t", "loss"])
    rest = {"dataset": "", "accuracy": np.nan, "matthews": np.nan, "source": source}
    return frame.assign(**(rest | more))[list(POINT_COLUMNS)]


def test_the_first_of_two_records_is_kept_and_a_disagreement_noted() -> None:
    parts = (
        points(("a", "b", [0.1, float("nan"), 0.2]), ("b", "a", [0.2005, 0.7, 0.1])),
        points(("a", "b", [0.1, 0.702, 0.2]), ("a", "a", [0.1, 0.1]), source="late.log"),
    )
    found = gather_curves(pd.concat(parts))
    np.testing.assert_array_equal(found.losses, [[0.1, 0.7, 0.2]])
    (note,) = found.notes
    assert "a - b" in note
    assert "late.log" in note
    assert "0.002 nats" in note


def test_positions_that_differ_leave_gaps() -> None:
    found = gather_curves(points(("a", "b", [1.0, 2, 3]), ("c", "a", [4.0, 5, 6, 7, 1])))
    nan = np.nan
    np.testing.assert_array_equal(found.positions, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_array_equal(found.losses, [[1, nan, 2, nan, 3], [1, 7, 6, 5, 4]])
    assert found.notes == ("2 of 10 points are missing",)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (points(("a", "a", [1.0, 2])), "pairs of models"),
        (points(("a", "b", [1.0, 2]), t=[0, 1.5]), "0 to 1"),
        (points(("a", "b", [1.0, 2]), accuracy=[-0.5, 0.5]), "0 to 1"),
        (points(("a", "b", [1.0, 2]), accuracy=[0.5, 0.5], matthews=0.5), "accuracy or matthews"),
        (points(("a", "b", [1.0, np.inf])), None),
    ],
)
def test_curves_that_cannot_be_gathered(table: pd.DataFrame, expected: str | None) -> None:
    with pytest.raises(DataError) as caught:
        gather_curves(table)
    assert caught.value.parts.get("expected") == expected


@settings(max_examples=20, deadline=None)
@given(st.data(), st.integers(2, 5), st.integers(2, 6))
def test_order_direction_and_cuts_do_not_matter(data: st.DataObject, n: int, many: int) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    names = [f"m-{k}" for k in rng.permutation(20)[:n]]
    ordered = sorted(names, key=lambda name: int(name[2:]))
    pairs = list(itertools.combinations(ordered, 2))
    truth = rng.random((len(pairs), many))
    curves = [(a, b, losses.tolist()) for (a, b), losses in zip(pairs, truth, strict=True)]
    table = points(*curves)
    back = pd.Series(rng.random(len(table)) < 0.5)
    turned = table.assign(model_a=table["model_b"], model_b=table["model_a"], t=1 - table["t"])
    found = gather_curves(table.mask(back, turned).iloc[rng.permutation(len(table))])
    assert found.models == tuple(ordered)
    np.testing.assert_array_equal(found.losses, truth)
    np.testing.assert_allclose(found.positions, np.linspace(0, 1, many), atol=1e-9)


def test_pickled_logs_go_from_the_first_model() -> None:
    losses = np.array([0.1, 0.5, 0.2])
    for value in ((3.5, losses.tolist()), (3.5, losses), (0, tuple(losses))):
        found = from_pickle({("b", "a"): value, ("b", "b"): (0, [0.1] * 3)})
        assert found.models == ("a", "b")
        np.testing.assert_array_equal(found.losses, [losses[::-1]])


@pytest.mark.parametrize(
    "value",
    [
        [1, 2],
        {"a": 1.0},
        {("a", "b", "c"): (1.0, [0.1, 0.2])},
        {("a", "b"): "text"},
        {("a", "b"): (1.0, [0.1])},
        {("a", "b"): ([[0, 1.0], [1]], 1.0)},
        {("a", "b"): ([[0, 0.1], [2, 0.2]], 1.0)},
        {("a", "b"): (1.0, np.zeros((2, 2)))},
    ],
)
def test_pickles_of_other_things(value: object) -> None:
    with pytest.raises(DataError):
        from_pickle(value)
