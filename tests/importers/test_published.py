from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import landscape
from landscape.core.errors import ConfigError, DataError, StoreError
from landscape.importers import import_published
from landscape.output.plots import figures_of
from landscape.output.report import write_report
from landscape.records import Results
from landscape.run.commands import app
from tests.data import make_published as made

DATA = Path(__file__).parents[1] / "data" / "published"
LOGS = DATA / "mnli_interpol"
T = np.linspace(0, 1, made.N_POINTS)
WHOLE = [pair for k, pair in enumerate(made.PAIRS) if k != 7]  # of the eighth a log breaks off


def expected(hump: float = 0.2) -> np.ndarray:
    return np.array([[made.loss(a, b, t, hump) for t in T] for a, b in WHOLE])


def named(models: tuple[str, ...], pairs: np.ndarray) -> list[tuple[str, ...]]:
    return [tuple(models[i] for i in pair) for pair in pairs]


def read_published(paths: Any, **options: Any) -> Results:
    with tempfile.TemporaryDirectory() as folder:
        path = import_published(paths, out=Path(folder) / "store.h5", **options)
        return landscape.read_store(path)


def losses_of(results: Results, name: str = "mnli") -> np.ndarray:
    return np.asarray(results.datasets[name].losses[..., 0])


def lines_of(results: Results) -> list[str]:
    return list(results.config["imported"]["report"])


def run(arguments: str) -> Any:
    return CliRunner().invoke(app, ["import", *arguments.split()])


def test_logs_and_pickles_come_back_from_the_store(tmp_path: Path) -> None:
    out = tmp_path / "new" / "published.h5"
    done = run(
        f"{LOGS} --scores {DATA}/scores.csv --dataset mnli --covariate paws "
        f"--challenge hans={DATA}/hans_interpol --out {out}"
    )
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{out}\n"
    store = landscape.read_store(out)
    assert store.models == made.MODELS
    assert named(store.models, store.pairs) == WHOLE
    assert (store.status == 1).all()
    assert store.given_gaps is None
    np.testing.assert_allclose(store.positions, T, atol=1e-12)
    # four digits in the logs, float32 in the store
    mnli, hans = store.datasets["mnli"], store.datasets["hans"]
    np.testing.assert_allclose(losses_of(store), expected(), atol=5.2e-5)
    np.testing.assert_allclose(mnli.accuracies, 1 - expected() / 2, atol=5.2e-5)
    np.testing.assert_allclose(losses_of(store, "hans"), expected(1.0), atol=5.2e-5)
    ends = np.array([0.4 + int(model) / 1000 for model in made.MODELS])
    np.testing.assert_allclose(mnli.model_losses[:, 0], ends, atol=5.2e-5)
    np.testing.assert_allclose(mnli.model_accuracies, 1 - ends / 2, atol=5.2e-5)
    assert (mnli.role, hans.role) == ("in_domain", "challenge")
    scores = store.given_scores
    np.testing.assert_allclose(scores["paws"], [0.3 + int(m) / 200 for m in made.MODELS])
    assert store.score_roles == {"mnli": "in_domain", "paws": "covariate"}
    files = {file["name"]: file["kind"] for file in store.config["imported"]["files"]}
    assert files == {
        "rest.pkl": "pickle",
        "first.log": "log",
        "second.out": "log",
        "scores.csv": "scores",
        "all.log": "log",
    }
    lines = lines_of(store)
    assert "models: 5\npairs: 9 of 10\npoints: 10 a pair, 90 of 90 known\n" in done.stderr
    assert all(line in done.stderr for line in lines)
    assert "left out, of no known form: job.err" in lines
    assert "mnli: left out, without a loss at both ends: 22 - 33" in lines
    assert str(tmp_path) not in json.dumps(store.config)


def test_gaps_without_curves_are_not_drawn_as_curves(tmp_path: Path) -> None:
    path = tmp_path / "gaps.h5"
    import_published(DATA / "gaps.csv", dataset="mnli", scores=DATA / "scores.csv", out=path)
    store = landscape.read_store(path)
    assert named(store.models, store.pairs) == list(made.PAIRS)
    wanted = [[0 if a == b else made.gap(a, b) for a in made.MODELS] for b in made.MODELS]
    np.testing.assert_array_equal(store.given_gaps, wanted)
    assert not store.evaluated.any()
    mnli = store.datasets["mnli"]
    assert np.isnan(mnli.losses).all()
    assert np.isnan(mnli.model_losses).all()
    analysis = landscape.analyze(store)
    np.testing.assert_array_equal(analysis.gaps.estimate, wanted)
    assert np.isnan(analysis.gaps.low[0, 1])
    small = np.isin(made.MODELS, made.SMALL)
    assert (analysis.basins.labels[small] != analysis.basins.labels[~small][0]).all()
    assert not analysis.curves["mnli"].measured.any()
    drawn = {kind.name for kind in figures_of(analysis)}
    assert drawn == {
        "gap_matrix",
        "centroid_distance",
        "basin_histogram",
        "evidence",
        "tolerance",
    }
    write_report(analysis, tmp_path / "page.html")
    with pytest.raises(ConfigError, match="expected: convexity_gap"):
        landscape.analyze(store, rule="barrier_height")
    with pytest.raises(ConfigError, match="where: dataset"):
        read_published(DATA / "gaps.csv")


def test_gaps_of_some_pairs(tmp_path: Path) -> None:
    rows = "model_a,gap,model_b\nb,.5,a\na,.25,b\na,nan,c\nc,,b\nc,1e-1,d\na,0,a\n"
    (tmp_path / "g.csv").write_text(rows)
    found = read_published(tmp_path / "g.csv", dataset="dev")
    assert named(found.models, found.pairs) == [("a", "b"), ("c", "d")]
    assert found.given_gaps is not None
    assert found.given_gaps[0, 1] == found.given_gaps[1, 0] == 0.5  # the first
    assert found.given_gaps[2, 3] == 0.1
    assert np.isnan(found.given_gaps[0, 2])
    assert found.chosen == "active"
    assert any("a - b" in line and "0.25" in line for line in found.config["imported"]["report"])


def write_scores(path: Path, **scores: dict[str, object]) -> Path:
    rows = [f"{model},{name},{x}" for name, row in scores.items() for model, x in row.items()]
    path.write_text("\n".join(["model,score,value", *rows]))
    return path


def test_roles(tmp_path: Path) -> None:
    x = dict(zip(made.MODELS[::-1], range(5), strict=True))
    table = write_scores(tmp_path / "s.csv", x=x, **{"mnli: matched": x})
    found = read_published(LOGS, scores=table, roles={"x": "covariate"})
    assert found.score_roles == {"x": "covariate", "mnli: matched": "in_domain"}
    assert found.given_scores["x"].tolist() == [4, 3, 2, 1, 0]
    for roles in ({"y": "challenge"}, {"x": "main"}):
        with pytest.raises(ConfigError, match="expected: one of"):
            read_published(LOGS, scores=table, roles=roles)
    with pytest.raises(DataError, match="score 'mnli'"):
        read_published([LOGS, DATA / "scores.csv"], scores=DATA / "scores.csv")


def test_models_that_do_not_match_are_named(tmp_path: Path) -> None:
    models = ("7", "seed-11", "22", "33", "980", "44")
    file = write_scores(tmp_path / "s.csv", x=dict(zip(models, range(1, 7), strict=True)))
    lines = [
        "left out, not in the scores: 11, 98",
        "left out, only in the scores: 44, 980, seed-11",
    ]
    with pytest.raises(DataError) as caught:
        read_published(LOGS, scores=file)
    assert caught.value.parts["found"] == "; ".join(lines)
    found = read_published(LOGS, scores=file, allow_missing=True)
    assert named(found.models, found.pairs) == [("7", "22"), ("7", "33")]
    wanted = [[made.loss("7", b, t) for t in T] for b in ("22", "33")]
    np.testing.assert_allclose(losses_of(found), wanted, atol=5.1e-5)
    assert found.given_scores["x"].tolist() == [1, 3, 4]
    assert lines_of(found)[1:3] == lines
    with pytest.raises(DataError, match="two models or more"):
        read_published(LOGS, scores=write_scores(file, x={"7": 1, "a": 2}), allow_missing=True)


def test_challenge_curves_are_brought_to_the_points_of_the_main_set(tmp_path: Path) -> None:
    rows = ["model_a,model_b,t,loss"]
    rows += [f"98,7,{t},{made.loss('98', '7', t)}" for t in (0, 0.5, 1)]
    rows += [f"7,22,{t},{made.loss('7', '22', t)}" for t in T.tolist()]
    main, hard = tmp_path / "main.csv", tmp_path / "hard.csv"
    main.write_text("\n".join(rows))
    rows = [
        f"{a},{b},{t},{made.loss(a, b, t, 1.0)}"
        for a, b in (("7", "98"), ("98", "22"))
        for t in (0, 0.25, 0.5, 1)
    ]
    hard.write_text("\n".join(["model_a,model_b,t,loss", *rows]))
    found = read_published(main, dataset="mnli", challenge_losses={"hard": hard})
    assert named(found.models, found.pairs) == [("7", "22"), ("7", "98")]
    known = np.isin(found.positions, [0, 0.5, 1])
    losses = losses_of(found, "hard")
    assert np.isnan(losses[0]).all()
    np.testing.assert_array_equal(np.isfinite(losses[1]), known)
    wanted = [made.loss("7", "98", t, 1.0) for t in (0, 0.5, 1)]
    np.testing.assert_allclose(losses[1, known], wanted, rtol=1e-6)
    ends = [0.4 + int(m) / 1000 for m in ("7", "22", "98")]
    np.testing.assert_allclose(found.datasets["hard"].model_losses[:, 0], ends, rtol=1e-6)
    assert any(line.startswith("hard: left out: 5 points") for line in lines_of(found))


def test_several_data_sets_in_the_logs() -> None:
    both = [LOGS / "first.log", DATA / "hans_interpol"]
    with pytest.raises(ConfigError, match="found: mnli, hans"):
        read_published(both)
    with pytest.raises(ConfigError, match="did you mean 'mnli'"):
        read_published(both, dataset="mnl")
    found = read_published(both, dataset="hans")
    assert {name: data.role for name, data in found.datasets.items()} == {
        "hans": "in_domain",
        "mnli": "challenge",
    }
    assert len(found.pairs) == 10
    assert np.isfinite(losses_of(found)).all(1).tolist() == [True] * 6 + [False] * 4
    assert list(read_published(LOGS / "first.log", dataset="matched").datasets) == ["matched"]


def test_curves_in_csv(tmp_path: Path) -> None:
    found = read_published(DATA / "curves.csv", dataset="dev")
    t = np.linspace(0, 1, 5)
    wanted = np.array([[made.loss(a, b, x) for x in t] for a, b in made.PAIRS])
    np.testing.assert_array_equal(losses_of(found, "dev"), wanted.astype(np.float32))
    np.testing.assert_array_equal(found.positions, t)
    np.testing.assert_allclose(found.datasets["dev"].accuracies, 1 - wanted / 2, rtol=1e-6)
    # another order of columns, the other metric, quotes and empty cells, two data sets
    file = tmp_path / "c.csv"
    rows = 'loss,"dataset", t,model_b,model_a,matthews\r\n1,x,0,b, a ,-0.5\r\n'
    rows += '2,x,1,b,"a",NA\r\n3,y,0,b,a,\r\n9,x,.5,b,a,1e-1\r\n'
    file.write_bytes(b"\xef\xbb\xbf" + rows.encode())
    found = read_published(file, dataset="x")
    np.testing.assert_array_equal(losses_of(found, "x"), [[1, 9, 2]])
    assert found.datasets["x"].metric == "matthews"
    np.testing.assert_array_equal(
        found.datasets["x"].accuracies, np.array([[-0.5, 0.1, np.nan]], np.float32)
    )
    np.testing.assert_array_equal(losses_of(found, "y"), [[3, np.nan, np.nan]])


@pytest.mark.parametrize(
    "text",
    [
        "model,mnli,paws\n7,1,2\n",
        "model_a,model_b,gap\n",
        "model_a,model_b,gap\na,b,1,2\n",
        "model_a,model_b,gap,gap\na,b,1,1\n",
        "model_a,model_b,gap\n\na,b,x\n",
        "model_a,model_b,gap\na,b,1\na,b,-1\n",
    ],
)
def test_tables_that_cannot_be_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        read_published(tmp_path / "x.csv", dataset="dev")
    assert "x.csv" in str(caught.value.parts["where"])


def test_what_cannot_be_imported(tmp_path: Path) -> None:
    for name in ("job.err", "absent"):
        with pytest.raises(DataError, match=rf"where: .*{name}"):
            read_published(LOGS / name)
    for paths, options in (
        ([LOGS, DATA / "gaps.csv"], {}),
        (DATA / "scores.csv", {}),
        (LOGS, {"scores": LOGS}),
        (DATA / "gaps.csv", {"challenge_losses": {"x": DATA / "hans_interpol"}}),
    ):
        with pytest.raises(DataError, match=r"expected: (curves|only|gaps)(.|\n)*found: files: "):
            read_published(paths, dataset="mnli", **options)
    with pytest.raises(ConfigError, match="where: dataset"):
        read_published(LOGS / "rest.pkl")
    with pytest.raises(ConfigError, match="found: a/b"):
        read_published(LOGS, dataset="a/b")
    with pytest.raises(StoreError, match=f"where: {DATA}"):
        import_published(LOGS, out=DATA / "scores.csv")


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
        f"{LOGS} --scores {DATA}/evaluations --examples {tmp_path}/task.yaml:hans "
        f"--data-root {tmp_path} --out {tmp_path}/store.h5"
    )
    assert done.exit_code == 0, done.output + str(done.exception)
    found = landscape.read_store(tmp_path / "store.h5").given_scores
    for case in ("swap", "clause", "phrase"):
        rows = [k for k, sentence in enumerate(made.SENTENCES) if sentence[3] == case]
        entails = np.array([made.SENTENCES[k][2] == "entailment" for k in rows])
        p = np.array([[made.hans(model, k) for k in rows] for model in made.MODELS])
        np.testing.assert_array_equal(found[f"hans: {case}"], ((p >= 0.5) == entails).mean(1))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--challenge hans", "expected: NAME=PATH"),
        ("--in-domain a --covariate a", "found: a"),
        ("--examples hans", "expected: TASK:SET"),
    ],
)
def test_the_command_refuses(arguments: str, said: str, tmp_path: Path) -> None:
    done = run(f"{LOGS} --out {tmp_path}/store.h5 {arguments}")
    assert isinstance(done.exception, ConfigError)
    assert said in str(done.exception)
