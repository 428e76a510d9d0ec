from __future__ import annotations

import contextlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from landscape.run.commands_import import import_store
from typer.testing import CliRunner

from landscape.analysis.barriers import convexity_gap
from landscape.core.errors import ConfigError, DataError, LandscapeError, StoreError
from landscape.importers import import_published, read_published
from landscape.importers.sources import recognize
from landscape.records import MEASURED, read_store
from tests.data import make_published as made

DATA = Path(__file__).parents[1] / "data" / "published"
LOGS = DATA / "mnli_interpol"
T = np.linspace(0, 1, made.N_POINTS)
WHOLE = [pair for k, pair in enumerate(made.PAIRS) if k != 7]  # of the eighth a log breaks off


def expected(hump: float = 0.2) -> np.ndarray:
    return np.array([[made.loss(a, b, t, hump) for t in T] for a, b in WHOLE])


def named(models: tuple[str, ...], pairs: np.ndarray) -> list[tuple[str, ...]]:
    return [tuple(models[i] for i in pair) for pair in pairs]


def test_logs_and_pickles_come_back_from_the_store(tmp_path: Path) -> None:
    lines: list[str] = []
    out = import_published(
        LOGS,
        out=tmp_path / "new" / "published.h5",
        scores=DATA / "scores.csv",
        challenge_losses={"hans": DATA / "hans_interpol"},
        report=lines.append,
    )
    store = read_store(out)
    assert store.models == made.MODELS
    assert named(store.models, store.pairs) == WHOLE
    assert (store.status == MEASURED).all()
    np.testing.assert_allclose(store.positions, T, atol=1e-12)
    # four digits in the logs, float32 in the store
    mnli, hans = store.datasets["mnli"], store.datasets["hans"]
    np.testing.assert_allclose(mnli.losses[..., 0], expected(), atol=5.2e-5)
    np.testing.assert_allclose(mnli.accuracies, 1 - expected() / 2, atol=5.2e-5)
    np.testing.assert_allclose(hans.losses[..., 0], expected(1.0), atol=5.2e-5)
    ends = [0.4 + int(model) / 1000 for model in made.MODELS]
    np.testing.assert_allclose(mnli.model_losses[:, 0], ends, atol=5.2e-5)
    assert (mnli.role, hans.role) == ("in_domain", "challenge")
    scores = store.given_scores
    np.testing.assert_allclose(scores["paws"], [0.3 + int(m) / 200 for m in made.MODELS])
    assert store.score_roles == {"mnli": "in_domain", "paws": "challenge"}
    assert store.attributes["curves"] == "as published"
    assert "model-losses" not in store.attributes
    files = {file["name"]: file["kind"] for file in store.config["imported"]["files"]}
    assert files == {
        "rest.pkl": "pickle",
        "first.log": "log",
        "second.out": "log",
        "scores.csv": "scores",
        "all.log": "log",
    }
    assert store.config["imported"]["report"] == lines
    assert (
        lines
        == [
            "files: 1 pickles, 2 logs, 1 CSV of scores",
            "left out, without a loss at both ends: 22 - 33",
            "left out: 10 points of 100 on 'hans'",
            "models: 5",
            "pairs: 9 of 10",
            "points: 10 a pair, 90 of 90 known",
            "data sets: mnli (in_domain), hans (challenge)",
            "scores: mnli, paws",
            "left out, of no known form: job.err",
            "mnli: 3 curves are of pairs that an earlier curve has",
            "mnli: 3 of 100 points are missing, in 1 of 10 pairs",
        ]
        or lines[9] == "mnli: 3 curves are of pairs that an earlier curve has"
    )
    assert str(tmp_path) not in json.dumps(store.config)


def test_exact_numbers_of_pickles_go_before_rounded_logs(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(made.section("7", "98", "mnli", 0.2))
    value = made.dictionary((("7", "98"),))
    (tmp_path / "z.bin").write_bytes(pickle.dumps(value, protocol=0))
    found = read_published(tmp_path)
    np.testing.assert_array_equal(
        found.datasets["mnli"].losses, [[made.loss("7", "98", t) for t in 1 - (1 - T)]]
    )


def test_what_disagrees_is_said_without_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(made.section("7", "98", "mnli", 0.2))
    (tmp_path / "b.log").write_text(made.section("98", "7", "mnli", 0.3))
    found = read_published(tmp_path)
    np.testing.assert_allclose(
        found.datasets["mnli"].losses, [[made.loss("7", "98", t) for t in T]], atol=5.1e-5
    )
    # 0.1 x 4t(1-t) at t = 4/9
    assert found.lines[-2] == (
        "mnli: 7 - 98: the losses in b.log, line 1 differ from earlier ones by up to 0.0988 nats; "
        "the earlier are kept"
    )
    assert str(tmp_path) not in json.dumps(found.config)


def test_gaps_become_curves_of_that_gap(tmp_path: Path) -> None:
    for name in ("gaps.csv", "gaps_long.csv"):
        out = import_published(DATA / name, dataset="mnli", out=tmp_path / f"{name}.h5")
        store = read_store(out)
        assert named(store.models, store.pairs) == list(made.PAIRS)
        losses = store.datasets["mnli"].losses[..., 0]
        gaps = convexity_gap(losses.astype(np.float64), store.positions)
        np.testing.assert_allclose(gaps, [made.gap(a, b) for a, b in made.PAIRS], rtol=1e-6)
        assert store.attributes["curves"] == "made from gaps"
        assert store.attributes["model-losses"] == "zeros that stand for no measurement"
        np.testing.assert_array_equal(store.datasets["mnli"].model_losses, 0)
    with pytest.raises(ConfigError, match="Which data set are the gaps of"):
        read_published(DATA / "gaps.csv")


def test_predictions_and_tables_are_joined_by_name() -> None:
    found = read_published([LOGS, DATA / "evaluations"], scores=DATA / "scores.csv")
    assert list(found.scores.index) == list(found.models)
    right = [
        np.mean(
            [
                (made.hans(m, k) >= 0.5) == (s[2] == "entailment")
                for k, s in enumerate(made.SENTENCES)
            ]
        )
        for m in found.models
    ]
    np.testing.assert_allclose(found.scores["hans"], right)
    assert found.roles["mnli"] == "in_domain"
    assert found.roles["hans: entailment"] == "challenge"


def test_a_table_in_memory_and_roles() -> None:
    table = pd.DataFrame({"x": [1, 2, 3, 4, 5], "mnli: matched": 0.5}, index=made.MODELS[::-1])
    found = read_published(LOGS, scores=table, roles={"x": "covariate"})
    assert found.roles == {"x": "covariate", "mnli: matched": "in_domain"}
    assert found.scores["x"].tolist() == [5, 4, 3, 2, 1]
    for bad in (table.assign(x="a"), table.set_axis(["a"] * 5)):
        with pytest.raises(DataError, match="The table of scores cannot be used"):
            read_published(LOGS, scores=bad)
    with pytest.raises(ConfigError, match="There is no score 'y'"):
        read_published(LOGS, scores=table, roles={"y": "challenge"})
    with pytest.raises(ConfigError, match="There is no role 'main'"):
        read_published(LOGS, scores=table, roles={"x": "main"})
    with pytest.raises(DataError, match="The score 'mnli' stands in two tables"):
        read_published([LOGS, DATA / "scores.jsonl"], scores=DATA / "scores.csv")


def test_models_that_do_not_match_are_named_with_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "scores.csv"
    file.write_text("model,x\n7,1\nseed-11,2\n22,3\n33,4\n980,5\n44,6\n")
    with pytest.raises(DataError) as caught:
        read_published(LOGS, scores=file)
    said = str(caught.value)
    assert "The curves and the scores do not name the same models." in said
    assert "not in the scores: '11' (nearest: 'seed-11'), '98' (nearest: '980')" in said
    assert "only in the scores: '44'" in said
    assert "'980' (nearest: '98')" in said
    found = read_published(LOGS, scores=file, allow_missing=True)
    assert found.models == ("7", "22", "33")
    assert named(found.models, found.pairs) == [("7", "22"), ("7", "33")]
    wanted = [[made.loss("7", b, t) for t in T] for b in ("22", "33")]
    np.testing.assert_allclose(found.datasets["mnli"].losses, wanted, atol=5.1e-5)
    assert found.scores["x"].tolist() == [1, 3, 4]
    assert "left out, not in the scores: 11, 98" in found.lines
    assert "left out, only in the scores: seed-11, 980, 44" in found.lines
    file.write_text("model,x\n7,1\na,2\n")
    with pytest.raises(DataError, match="No pair of models is left"):
        read_published(LOGS, scores=file, allow_missing=True)


def test_challenge_curves_are_brought_to_the_points_of_the_main_set(tmp_path: Path) -> None:
    rows = ["model_a,model_b,t,loss"]
    rows += [f"98,7,{t},{made.loss('98', '7', t)}" for t in (0, 0.5, 1)]
    rows += [f"7,22,{t},{made.loss('7', '22', t)}" for t in T.tolist()]
    main = tmp_path / "main.csv"
    main.write_text("\n".join(rows))
    hard = tmp_path / "hard.csv"
    hard.write_text(
        "\n".join(
            ["model_a,model_b,t,loss"]
            + [
                f"{a},{b},{t},{made.loss(a, b, t, 1.0)}"
                for a, b in (("7", "98"), ("98", "22"))
                for t in (0, 0.25, 0.5, 1)
            ]
        )
    )
    found = read_published(main, dataset="mnli", challenge_losses={"hard": hard})
    assert named(found.models, found.pairs) == [("7", "22"), ("7", "98")]
    known = np.isin(found.positions, [0, 0.5, 1])
    losses = np.asarray(found.datasets["hard"].losses)
    assert np.isnan(losses[0]).all()
    np.testing.assert_array_equal(np.isfinite(losses[1]), known)
    np.testing.assert_allclose(
        losses[1, known], [made.loss("7", "98", t, 1.0) for t in (0, 0.5, 1)]
    )
    ends = [0.4 + int(m) / 1000 for m in ("7", "22", "98")]
    np.testing.assert_allclose(found.datasets["hard"].model_losses, ends)  # type: ignore[arg-type]
    assert "left out: 5 points of 10 on 'hard'" in found.lines


def test_several_data_sets_in_the_logs() -> None:
    both = [LOGS / "first.log", DATA / "hans_interpol"]
    with pytest.raises(ConfigError, match=r"There are several sets\.(.|\n)*mnli, hans"):
        read_published(both)
    with pytest.raises(ConfigError, match="There is no data set 'mnl'"):
        read_published(both, dataset="mnl")
    found = read_published(both, dataset="hans")
    assert {name: data.role for name, data in found.datasets.items()} == {
        "hans": "in_domain",
        "mnli": "challenge",
    }
    assert len(found.pairs) == 10
    mnli = np.asarray(found.datasets["mnli"].losses)
    assert np.isfinite(mnli).all(1).tolist() == [True] * 6 + [False] * 4
    other = read_published(LOGS / "first.log", dataset="matched")
    assert list(other.datasets) == ["matched"]
    assert "the curves are of 'mnli', stored as 'matched'" in other.lines


def test_kinds_are_known_by_content(tmp_path: Path) -> None:
    kinds = {
        "mnli_interpol/first.log": "log",
        "mnli_interpol/rest.pkl": "pickle",
        "mnli_interpol/job.err": None,
        "evaluations/hans_eval_bert_7.json": "evaluation",
        "scores.csv": "scores",
        "scores.json": "evaluation",
        "scores.jsonl": "evaluation",
        "gaps.csv": "gaps",
        "gaps_long.csv": "gaps",
        "curves.csv": "curves",
    }
    for name, kind in kinds.items():
        copy = tmp_path / "copy"  # whatever it is called
        copy.write_bytes((DATA / name).read_bytes())
        assert recognize(copy) == kind
    for protocol in range(6):
        copy.write_bytes(pickle.dumps({("a", "b"): [1.0, 2.0]}, protocol))
        assert recognize(copy) == "pickle"


def test_what_cannot_be_imported(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"of no known form\.\n  where: .*job\.err\n  expected: logs"
    ):
        read_published(LOGS / "job.err")
    (tmp_path / "broken.json").write_text('{"samples": [')
    with pytest.raises(DataError, match=r"neither JSON nor JSON lines\.; where: .*line 1"):
        read_published(tmp_path / "broken.json")
    with pytest.raises(DataError, match="There are curves and gaps"):
        read_published([LOGS, DATA / "gaps.csv"], dataset="mnli")
    with pytest.raises(DataError, match="no curves and no gaps"):
        read_published(DATA / "scores.csv")
    with pytest.raises(DataError, match="hold no scores, or more than scores"):
        read_published(LOGS, scores=LOGS)
    with pytest.raises(DataError, match=r"There are no curves on 'x'(.|\n)*1 CSV of scores"):
        read_published(LOGS, challenge_losses={"x": DATA / "scores.csv"})
    with pytest.raises(ConfigError, match="Which data set are the curves of"):
        read_published(LOGS / "rest.pkl")
    with pytest.raises(ConfigError, match="data set's name cannot be used"):
        read_published(LOGS, dataset="a/b")
    with pytest.raises(ConfigError, match="There is no role 'main'"):
        read_published(LOGS, role="main")  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="There is a file already"):
        import_published(LOGS, out=DATA / "scores.csv")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        import_published(LOGS, out=tmp_path / "file" / "store.h5")
    with pytest.raises(StoreError, match="No in-domain data set is given"):
        import_published(LOGS, out=tmp_path / "store.h5", role="challenge")
    assert not (tmp_path / "store.h5").exists()


class Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def test_nothing_in_a_folder_is_run(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(made.section("7", "98", "mnli", 0.2))
    for protocol in (0, 4):
        data = pickle.dumps({("7", "98"): Payload(tmp_path / "mark")}, protocol)
        (tmp_path / "a.txt").write_bytes(data)
        with pytest.raises(StoreError, match=r"the name posix\.system"):
            read_published(tmp_path)
        assert not (tmp_path / "mark").exists()


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_any_file_is_read_or_ends_in_one_kind_of_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any_file"
    file.write_bytes(data)
    with contextlib.suppress(LandscapeError):
        read_published(file, dataset="x")
    with contextlib.suppress(LandscapeError):
        read_published(LOGS / "first.log", scores=file)


app = typer.Typer()
app.command("import")(import_store)
app.command("other")(lambda: None)  # two commands, so that each has its name


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["import", *map(str, arguments)])


def test_the_command(tmp_path: Path) -> None:
    out = tmp_path / "store.h5"
    done = run(
        LOGS,
        DATA / "evaluations",
        "--scores",
        DATA / "scores.csv",
        "--dataset",
        "mnli",
        "--challenge",
        f"hans curves={DATA / 'hans_interpol'}",
        "--covariate",
        "paws",
        "--out",
        out,
    )
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{out}\n"
    assert "models: 5\npairs: 9 of 10\npoints: 10 a pair, 90 of 90 known\n" in done.stderr
    store = read_store(out)
    assert list(store.datasets) == ["mnli", "hans curves"]
    assert store.score_roles["paws"] == "covariate"
    assert {"mnli", "paws", "hans", "hans: entailment"} <= set(store.given_scores.columns)


def test_the_command_knows_the_groups_of_examples(tmp_path: Path) -> None:
    rows = ["premise\thypothesis\tlabel\tsubcase", *("\t".join(s) for s in made.SENTENCES)]
    (tmp_path / "hans.tsv").write_text("\n".join(rows) + "\n")
    (tmp_path / "task.yaml").write_text(
        """
        name: nli
        labels: [entailment, non-entailment]
        texts: [premise, hypothesis]
        train: {file: hans.tsv}
        in_domain: {hans: {file: hans.tsv, groups: [subcase]}}
        """
    )
    done = run(
        LOGS,
        "--scores",
        DATA / "evaluations",
        "--examples",
        f"{tmp_path / 'task.yaml'}:hans",
        "--data-root",
        tmp_path,
        "--out",
        tmp_path / "store.h5",
    )
    assert done.exit_code == 0, done.output + str(done.exception)
    found = read_store(tmp_path / "store.h5").given_scores
    assert {"hans: swap", "hans: clause", "hans: phrase"} <= set(found.columns)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--challenge", "hans"], "expected: NAME=PATH"),
        (["--in-domain", "a", "--covariate", "a"], "A score has two roles"),
        (["--metric", "f1"], "The metric is not known"),
        (["--examples", "hans"], "Examples need a task"),
    ],
)
def test_the_command_refuses(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = run(LOGS, "--out", tmp_path / "store.h5", *arguments)
    assert isinstance(done.exception, ConfigError)
    assert said in str(done.exception)
