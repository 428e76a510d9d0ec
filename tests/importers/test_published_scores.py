from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss, matthews_corrcoef

from landscape.core.errors import DataError, LandscapeError
from landscape.importers import (
    gather_curves,
    gather_gaps,
    read_curve_table,
    read_evaluations,
    read_gaps,
    read_scores,
)
from landscape.importers.evaluations import is_evaluation, parse_json
from landscape.importers.names import names_of_files, natural_key
from landscape.importers.samples import score_samples
from landscape.importers.tables import curves_of, gaps_of, read_rows, scores_of, table_kind
from landscape.tasks import Examples
from tests.data import make_published as made

DATA = Path(__file__).parents[1] / "data" / "published"
LABELS = np.array([made.HANS_LABELS.index(row[2]) for row in made.SENTENCES])


def entailment(model: str) -> np.ndarray:
    return np.array([made.hans(model, k) for k in range(len(made.SENTENCES))])


def hans_examples(order: list[int]) -> Examples:
    rows = [made.SENTENCES[k] for k in order]
    return Examples(
        name="hans",
        texts=(tuple(r[0] for r in rows), tuple(r[1] for r in rows)),
        labels=np.array([made.HANS_LABELS.index(r[2]) for r in rows]),
        label_names=made.HANS_LABELS,
        classes=((0,), (1, 2)),
        groups={"subcase": np.array([r[3] for r in rows])},
        metric="accuracy",
    )


def test_scores_of_predictions() -> None:
    found = read_evaluations(DATA / "evaluations")
    assert found.index.name == "model"
    assert list(found.index) == list(made.MODELS)
    for model in made.MODELS:
        p = entailment(model)
        guesses = (p < 0.5).astype(int)
        assert found.loc[model, "hans"] == accuracy_score(LABELS, guesses)
        for k, name in enumerate(made.HANS_LABELS):
            rows = np.equal(LABELS, k)
            score = accuracy_score(LABELS[rows], guesses[rows])
            assert found.loc[model, f"hans: {name}"] == score
        loss = log_loss(LABELS, np.stack([p, 1 - p], 1))
        assert found.loc[model, "hans (loss)"] == pytest.approx(loss)


def test_scores_of_each_subcase_are_found_by_the_text() -> None:
    found = read_evaluations(DATA / "evaluations", examples=hans_examples([3, 5, 0, 1, 4, 2]))
    for model in made.MODELS:
        right = (entailment(model) < 0.5).astype(int) == LABELS
        for case in ("swap", "clause", "phrase"):
            rows = [row[3] == case for row in made.SENTENCES]
            assert found.loc[model, f"hans: {case}"] == right[rows].mean()


def test_matthews_correlation_of_predictions() -> None:
    found = read_evaluations(DATA / "evaluations", metric="matthews", name="h")
    assert list(found.columns) == ["h", "h (loss)"]
    for model in made.MODELS:
        guesses = (entailment(model) < 0.5).astype(int)
        assert found.loc[model, "h"] == pytest.approx(matthews_corrcoef(LABELS, guesses))


def test_texts_that_stand_twice_are_matched_in_turn() -> None:
    rows = [("A.", "B.", "entailment", g) for g in ("x", "y")]
    examples = Examples(
        "hans",
        (("A.", "A."), ("B.", "B.")),
        np.zeros(2, int),
        made.HANS_LABELS,
        ((0,), (1,)),
        {"subcase": np.array([r[3] for r in rows])},
        "accuracy",
    )
    samples = [
        {"probabilities": [p, 1 - p], "label": 0, "sentence": "[CLS] a . [SEP] b. [SEP]"}
        for p in (0.9, 0.2)
    ]
    found = score_samples({"samples": samples}, "hans", "f", examples=examples)
    assert (found["hans: x"], found["hans: y"]) == (1, 0)
    assert found["hans: label 0"] == 0.5
    with pytest.raises(DataError, match=r"1 of 2 samples are not in the set 'hans'") as caught:
        score_samples(
            {"samples": [samples[0], {**samples[1], "sentence": "else"}]},
            "hans",
            "f",
            examples=examples,
        )
    assert "f, sample 2" in str(caught.value)


def test_a_label_of_probability_0_has_no_finite_loss() -> None:
    found = score_samples({"samples": [{"probabilities": [0, 1], "label": 0}]}, "x", "f")
    assert math.isinf(found["x (loss)"])


GOOD = {"probabilities": [0.5, 0.5], "label": 0}


@pytest.mark.parametrize(
    "sample",
    [
        None,
        {},
        {"probabilities": [0.5, 0.5]},
        {"probabilities": [0.5, 0.5], "label": 2},
        {"probabilities": [0.5, 0.5], "label": -1},
        {"probabilities": [0.5, 0.5], "label": True},
        {"probabilities": [0.5, 0.5], "label": "0"},
        {"probabilities": [0.5, 0.25, 0.25], "label": 0},
        {"probabilities": [0.5, "0.5"], "label": 0},
        {"probabilities": [0.5, None], "label": 0},
        {"probabilities": [0.5, math.nan], "label": 0},
        {"probabilities": [-0.5, 1.5], "label": 0},
        {"probabilities": 0.5, "label": 0},
    ],
)
def test_samples_that_cannot_be_read_are_named(sample: Any) -> None:
    with pytest.raises(DataError, match="f, sample 2\n  expected: 2 'probabilities' from 0 to 1"):
        score_samples({"samples": [GOOD, sample]}, "x", "f")


@pytest.mark.parametrize("names", [{"a": 0}, {"a": 0, "b": 2}, {"a": 0, "b": 0}, [], {"a": "0"}])
def test_label_names_that_do_not_fit(names: Any) -> None:
    with pytest.raises(DataError, match="f, label_dict\n  expected: names of 0 to 1"):
        score_samples({"samples": [GOOD], "label_dict": names}, "x", "f")


def test_tables_of_scores_in_json() -> None:
    nested = read_evaluations(DATA / "scores.json")
    assert list(nested.columns) == ["mnli", "paws: dup", "paws: not"]
    assert nested["paws: not"].isna().all()
    lines = read_evaluations(DATA / "scores.jsonl")
    table = read_scores(DATA / "scores.csv")
    pd.testing.assert_frame_equal(lines, table)
    np.testing.assert_array_equal(nested["paws: dup"], table["paws"])
    assert list(table.index) == list(made.MODELS)
    assert table.loc["98", "paws"] == pytest.approx(0.79)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": {"x": "high"}}', "The score 'x' is no number"),
        ('{"a": {"x": [1]}}', "The score 'x' is no number"),
        ('{"a": "high"}', "The scores cannot be read"),
        ('{"a": {"x": true}}', "The score 'x' is no number"),
        ('{"a": {"\\ud800": 1}}', "name of a score cannot be used"),
        ('{"a\\u0000": {"x": 1}}', "name of a model cannot be used"),
        ("[]", "There are no scores"),
        ("{}", "There are no scores"),
        ("[1]", "name no model"),
        ('"text"', "name no model"),
        ('{"model": "a", "x": 1}\n{"model": "a", "x": 2}', "has the score 'x' twice"),
        ('{"model": "a", "x": 1}\n{"model": "b", "x"', "line 2"),
        ("{" * 100_000, "neither JSON nor JSON lines"),
        ("[" * 100_000, "neither JSON nor JSON lines"),
        ('{"a": {"x": ' + "1" * 5000 + "}}", "neither JSON nor JSON lines"),
        ('{"a": ' + '{"x": ' * 30 + "1" + "}" * 31, "is no number"),
        ('{"samples": []}', "There are no samples"),
    ],
)
def test_json_of_other_things(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "hans_eval_7.json"
    file.write_text(text)
    with pytest.raises(DataError, match=said):
        read_evaluations(file)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["model", "samples", "probabilities", "label", "label_dict", "sentence"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(json_values, st.text(max_size=10))
def test_any_json_is_read_or_ends_in_one_kind_of_error(
    tmp_path_factory: pytest.TempPathFactory, value: Any, tail: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any_eval_1.json"
    for text in (json.dumps(value), json.dumps(value) + "\n" + tail):
        file.write_bytes(text.encode("utf-8", errors="surrogatepass"))
        with contextlib.suppress(LandscapeError):
            is_evaluation(parse_json(text, file))
        with contextlib.suppress(LandscapeError):
            assert read_evaluations(file).index.name == "model"


def test_gaps_square_and_long() -> None:
    square = gather_gaps(read_gaps(DATA / "gaps.csv"))
    long = gather_gaps(read_gaps(DATA / "gaps_long.csv"))
    assert square.models == long.models == made.MODELS
    named = [tuple(square.models[i] for i in pair) for pair in square.pairs]
    assert named == list(made.PAIRS)
    np.testing.assert_array_equal(square.gaps, [made.gap(a, b) for a, b in made.PAIRS])
    np.testing.assert_array_equal(long.gaps, square.gaps)
    np.testing.assert_array_equal(long.pairs, square.pairs)
    assert square.notes == long.notes == ()


def table(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_gaps_that_disagree_or_are_missing(tmp_path: Path) -> None:
    file = table(tmp_path / "g.csv", ",b,a,c\na,.5,0,nan\nb,0,.25,\nc,,,\n")
    found = gather_gaps(read_gaps(file))
    assert found.models == ("a", "b", "c")
    assert found.pairs.tolist() == [[0, 1]]
    assert found.gaps.tolist() == [0.5]
    assert found.notes == (
        "a - b: 0.5 and 0.25 nats; the first is kept",
        "2 pairs have no number",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (",a,b\na,1,0\nb,0,1\n", "The gap from a to itself is not 0"),
        (",a,b\na,0,-1\nb,0,0\n", "g.csv, line 2\n  expected: a number of nats, 0 or more"),
        (",a,b\na,0,1e999\nb,0,0\n", "A cell in the column 'b' is no number"),
        (",a,b\na,0,1_0\nb,0,0\n", "line 2\n  expected: a finite number, or nothing"),
        (",a,b\na,0,x\nb,0,0\n", "found: 'x'"),
        (",a,b\na,0,\nb,,0\n", "no known gap"),
        (",a,b\na,0,1\n", "not square"),
        (",a,a\na,0,1\na,0,1\n", "stands twice"),
        (",a,b\na,0,1,5\nb,0,0\n", "line 2\n  expected: 3 cells\n  found: 4 cells"),
        ("model_a,model_b,t\na,b,1\n", "no column gap"),
        ("model_a,model_b,gap,gap\na,b,1,1\n", "stands twice"),
        ("model_a,model_b,gap\n,b,1\n", "name of a model cannot be used"),
        ("", "no rows"),
        ("model_a,model_b,gap\n", "no rows"),
    ],
)
def test_gaps_that_cannot_be_read(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        gather_gaps(read_gaps(table(tmp_path / "g.csv", text)))


def test_curves_in_long_form() -> None:
    found = gather_curves(read_curve_table(DATA / "curves.csv"))
    t = np.linspace(0, 1, 5)
    wanted = [[made.loss(a, b, x) for x in t] for a, b in made.PAIRS]
    np.testing.assert_array_equal(found.losses, wanted)
    np.testing.assert_array_equal(found.positions, t)
    np.testing.assert_allclose(found.accuracies, 1 - np.array(wanted) / 2)  # type: ignore[arg-type]


def test_signs_between_cells_and_ends_of_lines(tmp_path: Path) -> None:
    for text in ("model;x\r\n a ; 1.5\r\n\r\n;\r\nb;NA\r\n", 'model\tx\n"a"\t1.5\nb\t\n'):
        found = read_scores(table(tmp_path / "s.txt", "\ufeff" + text))
        assert list(found.index) == ["a", "b"]
        np.testing.assert_array_equal(found["x"], [1.5, np.nan])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model,x\na,1\na,2\n", "The model 'a' stands twice"),
        ("model,x,x\na,1,2\n", "The column 'x' stands twice"),
        ("model,x\na,high\n", "s.csv, line 2\n"),
        ("model\na\n", "no scores"),
        ('model,x\na,"1\n', "s.csv, line"),
        ("model,x\na,inf\n", "is no number"),
        ("model,x\na,1\x00\n", "is no number|line contains NUL"),
    ],
)
def test_scores_that_cannot_be_read(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        read_scores(table(tmp_path / "s.csv", text))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="no text"):
        read_scores(tmp_path / "s.csv")


CELLS = st.sampled_from(["a", "b", "model_a", "model_b", "gap", "t", "loss", "1", "-1", "nan", '"'])


@given(
    st.lists(st.lists(CELLS | st.text(max_size=4), max_size=4), max_size=5), st.text(max_size=30)
)
def test_any_table_is_read_or_ends_in_one_kind_of_error(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.csv"
    for content in ("\n".join(",".join(row) for row in rows), text):
        file.write_bytes(content.encode("utf-8", errors="surrogatepass"))
        for read in (scores_of, gaps_of, curves_of):
            with contextlib.suppress(LandscapeError):
                found = read_rows(file)
                table_kind(found)
                result = read(found, file)
                if read is gaps_of:
                    gather_gaps(result)  # type: ignore[arg-type]
                if read is curves_of:
                    gather_curves(result)  # type: ignore[arg-type]


def test_names_of_files() -> None:
    def names(stems: list[str], known: tuple[str, ...] = ()) -> list[str]:
        return list(names_of_files([Path(f"{stem}.json") for stem in stems], known).values())

    assert names(["hans_eval_bert_7", "hans_eval_bert_22"], ("2", "7", "22")) == ["7", "22"]
    # what the names share ends before the number
    assert names(["bert_10", "bert_11"]) == ["10", "11"]
    assert names(["run-7", "run-7b"], ("7", "7b")) == ["7", "7b"]
    assert names(["one"]) == ["one"]
    with pytest.raises(DataError, match="Two files are about the model '7'"):
        names(["a_7", "b_7"], ("7",))


def test_natural_order() -> None:
    names = ["seed-10", "seed-9", "b", "10", "9", "seed", "a1b2", "a1b10"]
    assert sorted(names, key=natural_key) == [
        "9", "10", "a1b2", "a1b10", "b", "seed", "seed-9", "seed-10",
    ]  # fmt: skip
