"""The main job, end to end on tiny checkpoints; killed, resumed, refused."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from landscape.analysis.analysis import analysis_options, analyze
from landscape.checkpoints import load_population
from landscape.core.errors import ConfigError, LandscapeError
from landscape.records import read_store
from landscape.run.check import check_config
from landscape.run.inputs import open_experiment
from landscape.run.inspect import describe
from landscape.run.pipeline import run_experiment
from landscape.run.provenance import checkpoint_rows
from tests.runs import assert_same, measured, n_measured, stop_after
from tests.tiny import make_model, make_tokenizer, save_population, write_experiment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, populations: dict[str, Path], task_file: Path
) -> Path:
    """A configuration whose run has finished."""
    folder = tmp_path_factory.mktemp("finished")
    config = write_experiment(
        folder / "config.yaml", populations["bert"], task_file, evaluate={"token_budget": 128}
    )
    measured(config, task_file.parent)
    return config


def test_the_store_holds_what_single_forwards_give(finished: Path, task_file: Path) -> None:
    results = read_store(finished.parent / "out" / "store.h5")
    assert results.attributes["finished"] == "yes"
    assert results.pairs.tolist() == [[0, 1], [0, 2], [1, 2]]
    experiment = open_experiment(finished, root=task_file.parent)
    tokenizer = make_tokenizer()
    models = [make_model("bert", seed=i) for i in range(3)]
    for _, examples in experiment.examples:
        data = results.datasets[examples.name]
        for k, (a, b) in enumerate(results.pairs):
            for p, t in enumerate(results.positions):
                one, two = models[a].state_dict(), models[b].state_dict()
                mixed = make_model("bert", seed=0)
                mixed.load_state_dict({name: (1 - t) * one[name] + t * two[name] for name in one})
                for e in (0, 7, len(examples) - 1):
                    inputs = tokenizer(examples.texts[0][e], return_tensors="pt")
                    with torch.no_grad():
                        logits = mixed(**inputs).logits
                    loss = torch.nn.functional.cross_entropy(
                        logits, torch.tensor([examples.labels[e]])
                    )
                    np.testing.assert_allclose(data.losses[k, p, e], loss.item(), atol=2e-5)
                    assert data.predictions[k, p, e] == logits.argmax()


def test_the_analysis_is_that_of_the_curves(finished: Path) -> None:
    results = read_store(finished.parent / "out" / "store.h5")
    analysis = analyze(results, **analysis_options(results))
    dev = results.datasets["dev"]
    for k, (a, b) in enumerate(results.pairs):
        curve = dev.losses[k].mean(1, dtype=np.float64)
        # the definition, spelled out
        brute = max(
            curve[m]
            - curve[i]
            - (curve[j] - curve[i]) * (results.positions[m] - results.positions[i])
            / (results.positions[j] - results.positions[i])
            for i, m, j in itertools.combinations(range(5), 3)
        )  # fmt: skip
        assert analysis.gaps.estimate[a, b] == pytest.approx(max(brute, 0), abs=1e-12)
        assert analysis.gaps.estimate[b, a] == analysis.gaps.estimate[a, b]
        np.testing.assert_allclose(analysis.curves["dev"].losses[k], curve)
        right = (dev.predictions[k] == dev.labels).mean(1)
        np.testing.assert_allclose(analysis.curves["dev"].accuracy[k], right)
    for i, name in enumerate(results.models):
        right = dev.model_predictions[i] == dev.labels
        assert analysis.scores.loc[name, "dev"] == pytest.approx(right.mean())
        hard = results.datasets["hard"]
        rows = hard.groups["label"] == "yes"
        right = (hard.model_predictions[i] == hard.labels)[rows]
        assert analysis.scores.loc[name, "hard: yes"] == pytest.approx(right.mean())
    assert set(analysis.relation.table["group"]) == set(analysis.scores.columns)


def test_recipes_of_checkpoints_are_noted(tmp_path: Path, populations: dict[str, Path]) -> None:
    folder = tmp_path / "members"
    shutil.copytree(populations["bert"], folder)
    (folder / "member-1" / "landscape.json").write_text(json.dumps({"recipe": {"rule": "last"}}))
    rows = checkpoint_rows(load_population([f"{folder}/member-*"], ["yes", "no"]))
    assert [row["recipe"] for row in rows] == [{}, {"rule": "last"}, {}]


def test_another_configuration_is_refused_with_the_difference(
    finished: Path, task_file: Path
) -> None:
    content = yaml.safe_load(finished.read_text())
    other = finished.with_name("other.yaml")
    other.write_text(yaml.safe_dump({**content, "paths": {"points": 7}, "seed": 4}))
    with pytest.raises(LandscapeError, match=r"(?s)path\.points: 5 -> 7.*seed: 0 -> 4"):
        run_experiment(other, root=task_file.parent)


def test_another_analysis_of_the_same_store_measures_nothing(
    tmp_path: Path, populations: dict[str, Path], task_file: Path
) -> None:
    config = write_experiment(tmp_path / "c.yaml", populations["bert"], task_file)
    store = measured(config, task_file.parent) / "store.h5"
    created = read_store(store).attributes["created"]
    content = yaml.safe_load(config.read_text())
    content["analysis"]["rule"] = "barrier_height"
    config.write_text(yaml.safe_dump(content))
    measured(config, task_file.parent)
    results = read_store(store)
    assert results.attributes["created"] == created
    assert results.config["analysis"]["rule"] == "barrier_height"


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_and_ends_the_same(tmp_path: Path, task_file: Path) -> None:
    population = save_population(tmp_path / "p", "bert", 5)
    config = write_experiment(
        tmp_path / "c.yaml", population, task_file, evaluate={"token_budget": 16}
    )
    whole = measured(config, task_file.parent, tmp_path / "whole")
    out = tmp_path / "out"
    rng = np.random.default_rng(0)
    seen = [0]
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-m", "landscape.run", "run", config, "--data-root", task_file.parent],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        while process.poll() is None and n_measured(out) <= seen[-1]:
            time.sleep(0.005)
        time.sleep(float(rng.uniform(0, 0.05)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        results = read_store(out)  # readable whenever it was killed
        seen.append(int(results.status.sum()))
        for data in results.datasets.values():
            assert np.isfinite(data.losses[results.status == 1]).all()
    assert 0 < seen[1] < seen[2]
    measured(config, task_file.parent)
    assert_same(whole, out)


def test_unfinished_runs_are_inspected_but_not_analysed(
    tmp_path: Path,
    populations: dict[str, Path],
    task_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = write_experiment(tmp_path / "c.yaml", populations["bert"], task_file)
    with monkeypatch.context() as context:
        stop_after(context, 2)
        with pytest.raises(KeyboardInterrupt):
            measured(config, task_file.parent)
    out = tmp_path / "out"
    assert "2 of 3 measured, unfinished" in describe(out)
    assert read_store(out / "store.h5").attributes["finished"] == "no"
    with pytest.raises(ConfigError, match="1 of 3 pairs are not measured yet"):
        analyze(read_store(out))
    lines: list[str] = []
    measured(config, task_file.parent, report=lines.append)
    assert "2 of 3 pairs measured" in " ".join(lines)
    assert read_store(out / "store.h5").status.tolist() == [1, 1, 1]


def test_a_wrong_label_map_is_caught(tmp_path: Path, task_file: Path) -> None:
    """A classifier that is nearly always right, its label names exchanged."""
    population = save_population(tmp_path / "p", "bert", 2)
    data = tmp_path / "data"
    data.mkdir()
    tokenizer, model = make_tokenizer(), make_model("bert", seed=1)
    words = [f"{a} {b}" for a in ("cat", "dog", "the", "old", "a") for b in ("runs", "not", "and")]

    def answers() -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([model(**tokenizer(w, return_tensors="pt")).logits for w in words])

    with torch.no_grad():  # so that it says yes to half of them
        model.classifier.bias[0] += (answers()[:, 1] - answers()[:, 0]).median() + 1e-3
    model.save_pretrained(population / "member-1")
    turned = [("yes", "no")[answer] for answer in answers().argmax(1)]
    assert 5 < turned.count("yes") < 10
    rows = [f"{w}\t{label}\t0" for w, label in zip(words, turned, strict=True)]
    for name in ("dev", "hard", "train"):
        (data / f"{name}.tsv").write_text("\n".join(["text\tlabel\tsize", *rows * 4]) + "\n")
    config = write_experiment(tmp_path / "c.yaml", population, task_file, examples=None)
    lines = check_config(config, root=data)
    (warning,) = [line for line in lines if line.startswith("warning: member-1")]
    assert "{no: yes, yes: no}" in warning
    said: list[str] = []
    measured(config, data, report=said.append)
    assert any(line.startswith("warning: member-1 on dev") for line in said)


def test_labels_that_a_set_does_not_tell_apart_are_joined_as_chosen(
    tmp_path: Path, task_file: Path
) -> None:
    """In check, in the run and in the store alike, also on the in-domain set."""
    population = save_population(tmp_path / "p", "bert", 2, labels=("no", "yes", "maybe"))
    task = yaml.safe_load(task_file.read_text())
    task["labels"] = ["no", "yes", "maybe"]
    for data in (*task["in_domain"].values(), *task["challenge"].values()):
        data["labels"] = {"no": "no", "yes": ["yes", "maybe"]}
    del task["train"]
    config = write_experiment(tmp_path / "c.yaml", population, task_file, collapse="logsumexp")
    config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "task": task}))
    lines = check_config(config, root=task_file.parent)
    results = read_store(measured(config, task_file.parent) / "store.h5")
    opened = open_experiment(config, root=task_file.parent)
    examples = {data.name: data for _, data in opened.examples}
    model = make_model("bert", seed=1, labels=("no", "yes", "maybe"))
    dev = results.datasets["dev"]
    for e in range(0, 40, 5):
        inputs = make_tokenizer()(examples["dev"].texts[0][e], return_tensors="pt")
        with torch.no_grad():
            a, b, c = model(**inputs).logits[0].double().tolist()
        joined = np.logaddexp(b, c)
        right = (a, joined)[dev.labels[e]]
        assert dev.model_losses[1, e] == pytest.approx(np.logaddexp(a, joined) - right, abs=2e-5)
        assert dev.model_predictions[1, e] == int(joined > a)
    accuracy = (dev.model_predictions == dev.labels).mean(1)
    assert f"{accuracy.min():.3f} to {accuracy.max():.3f}" in " ".join(lines)
