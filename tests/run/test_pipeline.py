"""The main job, end to end on tiny checkpoints; killed, resumed, refused."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import landscape
from landscape.analysis.analysis import analysis_options, analyze
from landscape.analysis.barriers import convexity_gap
from landscape.core.errors import ConfigError, LandscapeError
from landscape.records import read_store
from landscape.run.check import check_config
from landscape.run.inputs import open_experiment
from landscape.run.measure.pairs import tiled
from landscape.run.pipeline import run_experiment
from tests.tiny import make_model, make_tokenizer, save_population, write_experiment

ROOT = Path(__file__).parents[2]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "landscape.run", *map(str, arguments)]


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, populations: dict[str, Path], task_file: Path
) -> Path:
    """A configuration whose run has finished."""
    folder = tmp_path_factory.mktemp("finished")
    config = write_experiment(folder / "config.yaml", populations["bert"], task_file)
    run_experiment(config, root=task_file.parent, report=lambda line: None)
    return config


def test_the_store_holds_what_single_forwards_give(finished: Path, task_file: Path) -> None:
    contents = read_store(finished.parent / "out" / "store.h5")
    assert contents.attributes["finished"] == "yes"
    assert contents.pairs.tolist() == [[0, 1], [0, 2], [1, 2]]
    experiment = open_experiment(finished, root=task_file.parent)
    tokenizer = make_tokenizer()
    models = [make_model("bert", seed=i) for i in range(3)]
    for _, examples in experiment.examples:
        data = contents.datasets[examples.name]
        for k, (a, b) in enumerate(contents.pairs):
            for p, t in enumerate(contents.positions):
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
    contents = read_store(finished.parent / "out" / "store.h5")
    analysis = analyze(contents, **analysis_options(contents))
    dev = contents.datasets["dev"]
    for k, (a, b) in enumerate(contents.pairs):
        curve = dev.losses[k].mean(1, dtype=np.float64)
        # the definition, spelled out
        brute = max(
            curve[m]
            - curve[i]
            - (curve[j] - curve[i]) * (contents.positions[m] - contents.positions[i])
            / (contents.positions[j] - contents.positions[i])
            for i, m, j in itertools.combinations(range(5), 3)
        )  # fmt: skip
        assert analysis.gaps.estimate[a, b] == pytest.approx(max(brute, 0), abs=1e-12)
        assert analysis.gaps.estimate[b, a] == analysis.gaps.estimate[a, b]
        np.testing.assert_allclose(analysis.curves["dev"].losses[k], curve)
        right = (dev.predictions[k] == dev.labels).mean(1)
        np.testing.assert_allclose(analysis.curves["dev"].accuracy[k], right)
    for i, name in enumerate(contents.models):
        right = dev.model_predictions[i] == dev.labels
        assert analysis.scores.loc[name, "dev"] == pytest.approx(right.mean())
        hard = contents.datasets["hard"]
        rows = hard.groups["label"] == "yes"
        right = (hard.model_predictions[i] == hard.labels)[rows]
        assert analysis.scores.loc[name, "hard: yes"] == pytest.approx(right.mean())
    assert set(analysis.relation.table["group"]) == set(analysis.scores.columns)


def test_figures_and_report_are_there(finished: Path) -> None:
    out = finished.parent / "out"
    assert "<html" in (out / "report.html").read_text()
    names = {path.name for path in (out / "figures").iterdir()}
    assert {"loss_curves.pdf", "gap_matrix.png"} <= names


def test_a_finished_run_is_a_no_op(finished: Path, task_file: Path) -> None:
    files = sorted(path for path in (finished.parent / "out").rglob("*") if path.is_file())
    before = [path.stat().st_mtime_ns for path in files]
    run_experiment(finished, root=task_file.parent, report=lambda line: None)
    assert [path.stat().st_mtime_ns for path in files] == before


def test_another_configuration_is_refused_with_the_difference(
    finished: Path, task_file: Path
) -> None:
    content = yaml.safe_load(finished.read_text())
    other = finished.with_name("other.yaml")
    other.write_text(yaml.safe_dump({**content, "paths": {"points": 7}, "seed": 4}))
    with pytest.raises(LandscapeError, match=r"(?s)path\.points: 5 -> 7.*seed: 0 -> 4"):
        run_experiment(other, root=task_file.parent)
    other.write_text(
        yaml.safe_dump({**content, "checkpoints": content["checkpoints"][:-1] + "[01]"})
    )
    with pytest.raises(LandscapeError, match="checkpoints"):
        run_experiment(other, root=task_file.parent)


def test_another_analysis_of_the_same_store_measures_nothing(
    tmp_path: Path, populations: dict[str, Path], task_file: Path
) -> None:
    config = write_experiment(tmp_path / "c.yaml", populations["bert"], task_file)
    store = run_experiment(config, root=task_file.parent, report=lambda line: None)
    created = read_store(store).attributes["created"]
    content = yaml.safe_load(config.read_text())
    content["analysis"]["rule"] = "barrier_height"
    config.write_text(yaml.safe_dump(content))
    left = store.with_name(".store.h5.lock")
    left.touch()  # as by a run that was killed once all was done
    run_experiment(config, root=task_file.parent, report=lambda line: None)
    assert not left.exists()
    contents = read_store(store)
    assert contents.attributes["created"] == created
    assert contents.config["analysis"]["rule"] == "barrier_height"
    assert "barrier height" in (tmp_path / "out" / "report.html").read_text().lower()


def test_a_checkpoint_that_changed_is_refused(
    tmp_path: Path, population: Path, task_file: Path
) -> None:
    config = write_experiment(tmp_path / "c.yaml", population, task_file)
    run_experiment(config, root=task_file.parent, report=lambda line: None)
    weights = population / "member-1" / "model.safetensors"
    os.utime(weights)  # touched only: the same bytes are the same checkpoint
    run_experiment(config, root=task_file.parent, report=lambda line: None)
    make_model("bert", seed=99).save_pretrained(population / "member-1")
    with pytest.raises(LandscapeError, match="has changed since the store was made"):
        run_experiment(config, root=task_file.parent, report=lambda line: None)


def test_killed_at_any_moment_it_goes_on_and_ends_the_same(tmp_path: Path, task_file: Path) -> None:
    population = save_population(tmp_path / "p", "bert", 5)
    config = write_experiment(
        tmp_path / "c.yaml", population, task_file, evaluate={"token_budget": 16}
    )
    whole = tmp_path / "whole"
    run_experiment(config, root=task_file.parent, out=whole, report=lambda line: None)
    out = tmp_path / "out"
    rng = np.random.default_rng(0)
    seen: list[int] = []
    for _ in range(4):
        process = subprocess.Popen(
            command("run", config, "--data-root", task_file.parent),
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        target = seen[-1] + 1 if seen else 0  # at least one pair more each time
        while process.poll() is None:
            if (out / "store.h5").is_file():
                done = int(read_store(out / "store.h5").status.sum())
                if done >= target:
                    time.sleep(float(rng.uniform(0, 0.05)))
                    break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        contents = read_store(out / "store.h5")  # readable whenever it was killed
        seen.append(int(contents.status.sum()))
        for data in contents.datasets.values():
            assert np.isfinite(data.losses[contents.status == 1]).all()
        if contents.attributes["finished"] == "yes":
            break
    assert seen == sorted(seen)
    assert len(seen) > 1
    run_experiment(config, root=task_file.parent, report=lambda line: None)
    one, two = read_store(whole / "store.h5"), read_store(out / "store.h5")
    for name in one.datasets:
        for array in ("losses", "predictions", "model_losses", "model_predictions"):
            np.testing.assert_array_equal(
                getattr(one.datasets[name], array), getattr(two.datasets[name], array)
            )


def test_unfinished_stores_are_inspected_but_not_analysed(
    tmp_path: Path,
    populations: dict[str, Path],
    task_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from landscape.records.store import StoreWriter
    from landscape.run.inspect import describe

    config = write_experiment(tmp_path / "c.yaml", populations["bert"], task_file)
    write = StoreWriter.write_pair

    def stop(self: StoreWriter, pair: int, *args: Any, **settings: Any) -> None:
        if pair == 2:
            raise KeyboardInterrupt
        write(self, pair, *args, **settings)

    with monkeypatch.context() as context:
        context.setattr(StoreWriter, "write_pair", stop)
        with pytest.raises(KeyboardInterrupt):
            run_experiment(config, root=task_file.parent, report=lambda line: None)
    store = tmp_path / "out" / "store.h5"
    assert "2 of 3 measured, unfinished" in describe(store)
    with pytest.raises(ConfigError, match="1 of 3 pairs are not measured yet"):
        analyze(read_store(store))
    lines: list[str] = []
    run_experiment(config, root=task_file.parent, report=lines.append)
    assert "2 of 3 pairs measured" in " ".join(lines)
    with StoreWriter(store) as writer:
        assert not len(writer.pairs_to_measure())


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
    run_experiment(config, root=data, report=said.append)
    assert any(line.startswith("warning: member-1 on dev") for line in said)


def test_gap_rules_are_computed_from_the_stored_curves(finished: Path) -> None:
    contents = read_store(finished.parent / "out" / "store.h5")
    curves = contents.datasets["dev"].losses.mean(-1, dtype=np.float64)
    analysis = analyze(contents, rule="convexity_gap", n_resamples=100)
    expected = convexity_gap(curves, contents.positions)
    np.testing.assert_allclose(analysis.gaps.estimate[tuple(contents.pairs.T)], expected)
    with pytest.raises(ConfigError, match="did you mean 'barrier_height'"):
        analyze(contents, rule="barier_height")
    with pytest.raises(ConfigError, match="There is no focus 'nothing'"):
        analyze(contents, focus="nothing")


def test_tiled_pairs_are_all_there_and_read_few_checkpoints() -> None:
    pairs = np.array(list(itertools.combinations(range(20), 2)))
    order = tiled(pairs, 8)
    assert sorted(order) == list(range(len(pairs)))

    def reads(sequence: np.ndarray, capacity: int = 8) -> int:
        kept: list[int] = []
        count = 0
        for model in pairs[sequence].ravel():
            if model in kept:
                kept.remove(model)
            else:
                count += 1
            kept = [*kept, model][-capacity:]
        return count

    assert reads(order) < 0.5 * reads(np.arange(len(pairs)))


def test_library_and_command_share_their_names() -> None:
    assert landscape.run_experiment is run_experiment


@pytest.mark.parametrize("how", ["max", "logsumexp"])
def test_labels_that_a_set_does_not_tell_apart_are_joined_as_chosen(
    tmp_path: Path, task_file: Path, how: str
) -> None:
    """In check, in the run and in the store alike, also on the in-domain set."""
    population = save_population(tmp_path / "p", "bert", 2, labels=("no", "yes", "maybe"))
    task = yaml.safe_load(task_file.read_text())
    task["labels"] = ["no", "yes", "maybe"]
    for data in (*task["in_domain"].values(), *task["challenge"].values()):
        data["labels"] = {"no": "no", "yes": ["yes", "maybe"]}
    del task["train"]
    config = write_experiment(tmp_path / "c.yaml", population, task_file, collapse=how)
    config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "task": task}))
    lines = check_config(config, root=task_file.parent)
    store = run_experiment(config, root=task_file.parent, report=lambda line: None)
    contents = read_store(store)
    opened = open_experiment(config, root=task_file.parent)
    examples = {data.name: data for _, data in opened.examples}
    model = make_model("bert", seed=1, labels=("no", "yes", "maybe"))
    dev = contents.datasets["dev"]
    for e in range(0, 40, 5):
        inputs = make_tokenizer()(examples["dev"].texts[0][e], return_tensors="pt")
        with torch.no_grad():
            a, b, c = model(**inputs).logits[0].double().tolist()
        joined = max(b, c) if how == "max" else np.logaddexp(b, c)
        right = (a, joined)[dev.labels[e]]
        assert dev.model_losses[1, e] == pytest.approx(np.logaddexp(a, joined) - right, abs=2e-5)
        assert dev.model_predictions[1, e] == int(joined > a)
    accuracy = (dev.model_predictions == dev.labels).mean(1)
    assert f"{accuracy.min():.3f} to {accuracy.max():.3f}" in " ".join(lines)
