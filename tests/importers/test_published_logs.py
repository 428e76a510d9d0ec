from __future__ import annotations

import contextlib
import itertools
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landscape.core.errors import DataError, LandscapeError
from landscape.importers import (
    MeasuredCurve,
    gather_curves,
    pickled_curves,
    read_interpolation_logs,
    read_pickle,
)
from landscape.importers.interpolation_logs import parse_interpolation_log
from tests.data import make_published as made

DATA = Path(__file__).parents[1] / "data" / "published"
T = np.linspace(0, 1, made.N_POINTS)


def expected(pairs: tuple[tuple[str, str], ...], hump: float = 0.2) -> np.ndarray:
    return np.array([[made.loss(a, b, t, hump) for t in T] for a, b in pairs])


def test_the_files_are_what_the_script_makes(tmp_path: Path) -> None:
    made.make(tmp_path)
    files = {p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {p.relative_to(DATA) for p in DATA.rglob("*") if p.is_file()}
    for file in files:
        if file.suffix != ".pkl":  # numpy's modules change their names
            assert (DATA / file).read_bytes() == (tmp_path / file).read_bytes()


def test_a_folder_of_logs() -> None:
    found = read_interpolation_logs(DATA / "mnli_interpol")
    assert list(found) == ["mnli"]
    curves = found["mnli"]
    assert curves.models == made.MODELS  # numbers in the order of numbers
    np.testing.assert_allclose(curves.positions, T, atol=1e-12)
    assert curves.positions[[0, -1]].tolist() == [0, 1]
    pairs = made.PAIRS[:8]
    named = [tuple(curves.models[i] for i in pair) for pair in curves.pairs]
    assert named == list(pairs)
    wanted = expected(pairs)
    wanted[-1, :3] = np.nan  # killed after point 6, and point 0 is the second model
    np.testing.assert_allclose(curves.losses, wanted, atol=5.1e-5)
    assert curves.metric == "accuracy"
    assert curves.accuracies is not None
    np.testing.assert_allclose(curves.accuracies, 1 - wanted / 2, atol=5.1e-5)
    np.testing.assert_allclose(curves.distances, [10 + int(a) / 7 for a, _ in pairs])
    np.testing.assert_allclose(
        curves.model_losses, [0.4 + int(m) / 1000 for m in made.MODELS], atol=5.1e-5
    )
    assert curves.notes == (
        "1 curves are of pairs that an earlier curve has",
        "3 of 80 points are missing, in 1 of 8 pairs",
    )


def test_files_and_patterns() -> None:
    one = read_interpolation_logs(str(DATA / "mnli_interpol" / "fi*.log"))["mnli"]
    two = read_interpolation_logs([DATA / "mnli_interpol" / "first.log", DATA / "hans_interpol"])
    assert list(two) == ["mnli", "hans"]
    np.testing.assert_array_equal(one.losses, two["mnli"].losses)
    np.testing.assert_allclose(two["hans"].losses, expected(made.PAIRS, 1.0), atol=5.1e-5)
    with pytest.raises(DataError, match=r"There is no file\.\n  where: .*absent"):
        read_interpolation_logs(DATA / "absent*")
    with pytest.raises(DataError, match="There are no logs of interpolation"):
        read_interpolation_logs(DATA / "scores.csv")


def test_point_0_is_the_model_named_second() -> None:
    text = made.section("7", "98", "mnli", 0.2)
    (curve,) = parse_interpolation_log(text, "a.log")
    assert (curve.first, curve.second) == ("7", "98")
    assert curve.positions[0] == 1
    assert curve.losses[0] == pytest.approx(0.498)
    # without its coefficients a table is placed by its number
    bare = "\n".join(line for line in text.split("\n") if not line.startswith("["))
    (again,) = parse_interpolation_log(bare, "a.log")
    np.testing.assert_allclose(again.positions, curve.positions, atol=1e-12)
    assert again.losses == curve.losses


def test_the_other_direction_is_the_same_curve_backwards() -> None:
    text = made.section("98", "7", "mnli", 0.2)
    curves = gather_curves(parse_interpolation_log(text, "a.log"))
    assert curves.models == ("7", "98")
    np.testing.assert_allclose(curves.losses[0], expected((("7", "98"),))[0], atol=5.1e-5)
    assert curves.notes == ()


def test_a_table_of_several_rows_and_other_metrics() -> None:
    text = (
        "Interpolating between a model and b/c on cola\r\n"
        "[0.0, 1.0]\r\n"
        "  point_num      loss    matthews_correlation\r\n"
        "-----------  --------  ----------------------\r\n"
        "          0    0.5000                 -0.2000\r\n"
        "          1       nan                  1e-1\r\n"
        "          2    0.2500                  0.4000\r\n"
        "something else\r\n"
    )
    curves = gather_curves(parse_interpolation_log(text, "a.log"))
    assert curves.models == ("a model", "b/c")
    assert curves.metric == "matthews"
    np.testing.assert_array_equal(curves.losses, [[0.25, np.nan, 0.5]])
    np.testing.assert_array_equal(curves.accuracies, [[0.4, 0.1, -0.2]])
    assert np.isnan(curves.distances).all()


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("          2    0.6160", "          2    0.6x60", 14, "numbers for point_num, loss, acc"),
        ("          2    0.6160      0.6920", "          2    0.6160", 14, "numbers for point_num"),
        ("          2    0.6160", "       2.5    0.6160", 14, "numbers for point_num"),
        ("-----------  --------  ----------", "", 5, "dashes under the names"),
        ("point_num      loss", "point_num     score", 4, "columns point_num, loss"),
        ("[0.0, 1.0]", "[0.0, 0.5]", 3, "two coefficients from 0 to 1 whose sum is 1"),
        ("[0.0, 1.0]", "[-1.0, 2.0]", 3, "two coefficients from 0 to 1 whose sum is 1"),
        ("and 98: ", "and 98 is ", 1, "'Euclidean distance between A and B: 1.5.'"),
        ("between 7 and 98 on", "between 7 and 97 on", 2, "the pair 7 and 98 of line 1"),
    ],
)
def test_a_malformed_line_is_named(
    old: str, new: str, line: int, said: str, tmp_path: Path
) -> None:
    text = made.section("7", "98", "mnli", 0.2)
    assert old in text
    file = tmp_path / "a.log"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError) as caught:
        read_interpolation_logs(file)
    assert f"where: {file}, line {line}\n" in str(caught.value)
    assert said in str(caught.value)


def test_many_malformed_lines_are_counted() -> None:
    text = made.section("7", "98", "mnli", 0.2).replace("    0.", "    O.")
    with pytest.raises(DataError, match=r"cannot be read \(9 more lines like it\)"):
        parse_interpolation_log(text, "a.log")
    table = "\n".join(made.table(["point_num", "loss"], [0, 0.5]))
    with pytest.raises(DataError, match="the two models' names before their first table"):
        parse_interpolation_log(f"{table}\nEuclidean distance between a and b: 1.0.\n", "a.log")


def curve(first: str, second: str, losses: list[float], **more: object) -> MeasuredCurve:
    positions = np.linspace(0, 1, len(losses)).tolist()
    return MeasuredCurve(first, second, positions, losses, **more)  # type: ignore[arg-type]


def test_the_first_of_two_records_is_kept_and_a_disagreement_noted() -> None:
    found = gather_curves(
        [
            curve("a", "b", [0.1, float("nan"), 0.2]),
            curve("b", "a", [0.2005, 0.7, 0.1]),
            curve("a", "b", [0.1, 0.702, 0.2], where="late.log"),
            curve("a", "a", [0.1, 0.1]),
        ]
    )
    np.testing.assert_array_equal(found.losses, [[0.1, 0.7, 0.2]])
    assert found.notes == (
        "1 curves from a model to itself left out",
        "a - b: the losses in late.log differ from earlier ones by up to 0.002 nats; the earlier "
        "are kept",
        "2 curves are of pairs that an earlier curve has",
    )


def test_positions_that_differ_leave_gaps() -> None:
    found = gather_curves([curve("a", "b", [1.0, 2.0, 3.0]), curve("c", "a", [4.0, 5, 6, 7, 1])])
    nan = np.nan
    np.testing.assert_array_equal(found.positions, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_array_equal(found.losses, [[1, nan, 2, nan, 3], [1, 7, 6, 5, 4]])
    assert found.notes == ("2 of 10 points are missing, in 1 of 2 pairs",)


def test_ends_that_disagree_are_noted() -> None:
    found = gather_curves([curve("a", "b", [1.0, 2.0]), curve("a", "c", [1.5, 2.0])])
    assert found.model_losses.tolist() == [1, 2, 2]
    assert "a: the curves that end in it differ there by up to 0.5 nats" in found.notes[0]


@pytest.mark.parametrize(
    ("curves", "said"),
    [
        ([], "no curves between two models"),
        ([curve("a", "a", [1.0, 2])], "no curves between two models"),
        ([MeasuredCurve("a", "b", [0, 1], [1.0])], "lengths 1, 2"),
        ([MeasuredCurve("a", "b", [0, 1.5], [1, 2])], "expected: 0 to 1\n  found: 1.5"),
        ([MeasuredCurve("a", "b", [0, float("nan")], [1, 2])], "found: nan"),
        ([curve("a", "b\n", [1, 2.0]), curve("\x07", "b", [1, 2])], "name of a model cannot"),
        (
            [
                curve("a", "b", [1, 2.0], accuracies=[1, 1]),
                curve("a", "c", [1, 2.0], accuracies=[1, 1], metric="matthews"),
            ],
            "accuracy and matthews",
        ),
    ],
)
def test_curves_that_cannot_be_gathered(curves: list[MeasuredCurve], said: str) -> None:
    with pytest.raises(DataError, match=said):
        gather_curves(curves)


@given(st.data(), st.integers(2, 5), st.integers(2, 6))
def test_order_direction_and_cuts_do_not_matter(data: st.DataObject, n: int, points: int) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    names = [f"m-{k}" for k in rng.permutation(20)[:n]]
    ordered = sorted(names, key=lambda name: int(name[2:]))
    pairs = list(itertools.combinations(ordered, 2))
    truth = rng.random((len(pairs), points))
    grid = np.linspace(0, 1, points)
    parts = []
    for (a, b), losses in zip(pairs, truth, strict=True):
        cut = rng.integers(0, points + 1)
        for some in (np.arange(points)[:cut], np.arange(points)[cut:]):
            if len(some):
                back = rng.random() < 0.5
                parts.append(
                    MeasuredCurve(
                        *((b, a) if back else (a, b)),
                        (1 - grid[some] if back else grid[some]).tolist(),
                        losses[some].tolist(),
                    )
                )
    found = gather_curves([parts[k] for k in rng.permutation(len(parts))])
    assert found.models == tuple(ordered)
    np.testing.assert_array_equal(found.losses, truth)
    np.testing.assert_allclose(found.positions, grid, atol=1e-9)


LINES = st.sampled_from(
    [
        "Euclidean distance between a and b: 1.5.",
        "Euclidean distance between b and a: nan",
        "Euclidean distance between  and : 1",
        "Interpolating between a and b on x",
        "Interpolating between \x00 and \ud7ff on x",
        "[0.5, 0.5]",
        "[1e999, -1e999]",
        "point_num loss accuracy",
        "point_num loss",
        "point_num loss loss",
        "---  ---",
        "-----  -----  -----",
        "0 1.5",
        "1 inf 2",
        "nan nan nan",
        "7 1e400 0",
        "99999999999999999999 1",
        "",
    ]
)


@given(st.lists(LINES | st.text(max_size=20), max_size=25))
def test_any_text_is_read_or_ends_in_one_kind_of_error(lines: list[str]) -> None:
    with contextlib.suppress(LandscapeError):
        curves = parse_interpolation_log("\n".join(lines), "a.log")
        for _, some in itertools.groupby(curves, key=lambda c: c.dataset):
            assert gather_curves(list(some)).losses.ndim == 2


def test_pickles_have_their_rows_from_the_second_model() -> None:
    value = read_pickle(DATA / "mnli_interpol" / "rest.pkl")
    found = gather_curves(pickled_curves(value, "rest.pkl"))  # type: ignore[arg-type]
    pairs = made.PAIRS[8:]
    np.testing.assert_array_equal(found.losses, expected(pairs))
    assert found.accuracies is not None
    np.testing.assert_allclose(found.accuracies, 1 - expected(pairs) / 2)
    np.testing.assert_allclose(found.distances, [10 + int(a) / 7 for a, _ in pairs])


def test_other_forms_of_pickled_curves() -> None:
    losses = np.array([0.1, 0.5, 0.2])
    forms = [((3.5, losses.tolist()), 3.5), ((3.5, losses), 3.5), (losses, np.nan)]
    for value, distance in [*forms, (tuple(losses), np.nan)]:
        whole = {("b", "a"): value, ("b", "b"): (0, [0.1] * 3), (1, "a"): [0.5, 0.2]}
        found = gather_curves(pickled_curves(whole, "x"))  # type: ignore[arg-type]
        assert found.models == ("1", "a", "b")
        np.testing.assert_array_equal(found.losses[1], losses[::-1])
        np.testing.assert_array_equal(found.distances, [np.nan, distance])
    gaps = pickled_curves({("a", "b"): 0.5, ("a", "c"): np.float32(1)}, "x")
    assert [gap.gap for gap in gaps] == [0.5, 1.0]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([1, 2], "no dictionary of pairs"),
        ({}, "no dictionary of pairs"),
        (np.zeros((2, 2)), "no dictionary of pairs"),
        ({"a": 1.0}, "no pair of models"),
        ({("a", "b", "c"): 1.0}, "no pair of models"),
        ({("a", 1.5): 1.0}, "name of a model cannot"),
        ({("a", "b"): "text"}, "no curve"),
        ({("a", "b"): ["0.1", "0.2"]}, "no curve"),
        ({("a", "b"): ([[0, 1.0], [1]], 1.0)}, "no curve"),
        ({("a", "b"): ([[], []], 1.0)}, "not numbered"),
        ({("a", "b"): [0.1]}, "no curve"),
        ({("a", "b"): np.array(0.5)}, "no curve"),
        ({("a", "b"): np.zeros((2, 2, 2))}, "no curve"),
        ({("a", "b"): ([[0, 0.1], [2, 0.2]], 1.0)}, "0 to 1, or back"),
        ({("a", "b"): ([[0, 0.1, -0.5], [1, 0.2, 0.5]], 1.0)}, "say the metric"),
        ({("a", "b"): 1.0, ("a", "c"): [1.0, 2.0]}, "1 curves, 1 gaps"),
    ],
)
def test_pickles_of_other_things(value: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        pickled_curves(pickle.loads(pickle.dumps(value)), "x.pkl")
