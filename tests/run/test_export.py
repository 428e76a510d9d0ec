"""Exported points: the weights that were mixed in memory, in a folder that transformers loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.func import functional_call

import landscape
from landscape.checkpoints import Checkpoint, build_model, load_checkpoint, load_population
from landscape.checkpoints.export import export_point
from landscape.checkpoints.mix import Mixer
from landscape.checkpoints.soups import slerp, uniform, weight_angle
from landscape.core.errors import CheckpointError, ConfigError
from landscape.records import read_store
from landscape.run.export import export
from tests.conftest import KINDS
from tests.runs import landscape as run_command
from tests.runs import measured
from tests.tiny import LABELS, make_model, make_tokenizer, write_experiment

HEAD = "classifier.weight"


def members_of(folder: Path, labels: tuple[str, ...] = LABELS) -> tuple[Checkpoint, ...]:
    return load_population([f"{folder}/member-*"], labels).checkpoints


@pytest.fixture
def members(populations: dict[str, Path]) -> tuple[Checkpoint, ...]:
    return members_of(populations["bert"])


def mixed_in_memory(members: tuple[Checkpoint, ...], row: list[float]) -> dict[str, Tensor]:
    """What ``evaluate`` runs at this point."""
    mixer = Mixer(build_model(members[0]), torch.float32, torch.device("cpu"))
    weights = mixer.mix(mixer.load(members), np.array([row]))
    return {name: tensor[0].clone() for name, tensor in weights.items()}


@pytest.mark.parametrize("row", [[0, 1, 0], [0.7, 0.3, 0], [-0.5, 0, 1.5], [0, 0.5, 0], [0, 0, 0]])
def test_exported_weights_are_those_that_evaluate_mixes(
    row: list[float], members: tuple[Checkpoint, ...], tmp_path: Path
) -> None:
    out = export_point(members, row, tmp_path / "out", {})
    expected = mixed_in_memory(members, row)
    tensors = load_file(out / "model.safetensors")
    assert set(tensors) == set(members[0].params)
    for name, _ in build_model(members[0]).named_parameters():
        assert torch.equal(tensors[name], expected[name])
        if row[1] == 1:
            assert torch.equal(tensors[name], members[1].params[name])


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_loads_the_folder_with_the_same_logits(
    kind: str, populations: dict[str, Path], tmp_path: Path
) -> None:
    members = members_of(populations[kind])
    row = [0.2, 0.5, 0.3]
    out = export_point(members, row, tmp_path / "out", {"kind": "soup"})
    model, info = transformers.AutoModelForSequenceClassification.from_pretrained(
        out, output_loading_info=True
    )
    assert not any(info.values())
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model.config.id2label == dict(enumerate(LABELS))
    texts = ["the old dog runs", "cats near the cat run and run", "not a dog"]
    encoded = make_tokenizer()(texts, padding=True, return_tensors="pt")
    inputs = {name: encoded[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        logits = model.eval()(**inputs).logits
        skeleton = build_model(members[0])
        same = functional_call(skeleton, mixed_in_memory(members, row), kwargs=inputs).logits
    assert torch.equal(logits, same)
    batches = [(inputs, torch.zeros(3, dtype=torch.int64))]
    found = landscape.evaluate(skeleton, members, np.array([row]), batches).logits[0]
    np.testing.assert_allclose(logits.numpy(), found, atol=1e-5)
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    assert tokenizer("the old dog")["input_ids"] == make_tokenizer()("the old dog")["input_ids"]


def test_the_file_is_the_one_that_safetensors_writes(tmp_path: Path, population: Path) -> None:
    like = load_checkpoint(population / "member-0")
    rng = torch.Generator().manual_seed(0)
    tensors: dict[str, Tensor] = {
        name: torch.randn(tensor.shape, generator=rng) for name, tensor in like.params.items()
    }
    save_file(
        {**tensors, "ids": torch.arange(5), "on": torch.tensor([True]), "é": torch.ones(())},
        population / "member-0" / "model.safetensors",
        metadata={"format": "pt"},
    )
    like = load_checkpoint(population / "member-0")
    given = {name: tensor for name, tensor in like.params.items() if tensor.is_floating_point()}
    out = export_point([given], [1.0], tmp_path / "out", {"kind": "control point"}, like=like)
    assert (out / "model.safetensors").read_bytes() == like.files[0].read_bytes()
    assert json.loads((out / "landscape.json").read_text())["recipe"] == {
        "kind": "control point",
        "members": [{"ref": "tensors in memory"}],
        "coefficients": [1.0],
    }


def test_the_recipe_stands_beside_the_weights(population: Path, tmp_path: Path) -> None:
    members = members_of(population)
    out = export_point(
        members, [0.5, 0.25, 0.25], tmp_path / "out", {"kind": "x", "n": np.int64(3)}
    )
    notes = load_checkpoint(out).notes
    assert notes["recipe"] == {
        "kind": "x",
        "n": 3,
        "members": [{"ref": m.ref, "revision": "", "sha256": m.content_hash()} for m in members],
        "coefficients": [0.5, 0.25, 0.25],
    }
    assert notes["like"] == members[0].ref
    assert notes["versions"]["landscape"] == landscape.__version__
    assert notes["versions"]["transformers"] == transformers.__version__
    assert str(torch.__version__).startswith(notes["versions"]["torch"].split("+")[0])
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    again = export_point(members, [0.5, 0.25, 0.25], tmp_path / "again", {"kind": "x", "n": 3})
    assert {path.name: path.read_bytes() for path in again.iterdir()} == first


def test_half_precision_checkpoints_are_exported_as_fp32(population: Path, tmp_path: Path) -> None:
    for i in range(3):
        make_model("bert", seed=i).to(torch.bfloat16).save_pretrained(population / f"member-{i}")
    members = members_of(population)
    assert "bfloat16" in members[0].config.values()
    out = export_point(members, [0.5, 0.5, 0], tmp_path / "out", {"kind": "line"})
    model = transformers.AutoModelForSequenceClassification.from_pretrained(out)
    expected = mixed_in_memory(members, [0.5, 0.5, 0])
    assert all(torch.equal(p, expected[name]) for name, p in model.named_parameters())


def test_members_with_labels_in_other_orders_are_brought_in_line_or_refused(
    population: Path, tmp_path: Path
) -> None:
    config = population / "member-1" / "config.json"
    content = json.loads(config.read_text())
    config.write_text(json.dumps({**content, "id2label": {"0": "Yes", "1": "No"}}))
    refs = [f"{population}/member-{i}" for i in (0, 1)]
    out = export(refs, tmp_path / "out", at=1.0)
    own = load_checkpoint(refs[1]).params[HEAD]
    assert torch.equal(load_checkpoint(out).params[HEAD], own[[1, 0]])
    with pytest.raises(CheckpointError, match=r"different orders[\s\S]*member-1[\s\S]*Yes, No"):
        export_point([load_checkpoint(ref) for ref in refs], [0.5, 0.5], tmp_path / "raw", {})


KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from landscape.checkpoints import Weights, load_checkpoint
from landscape.checkpoints.export import export_point
member = load_checkpoint(sys.argv[1])
out = Path(sys.argv[2])
def read(name):
    if (out.parent / ".out.partial").is_dir() and "layer.1" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    return member.params.read(name)
export_point([replace(member, params=Weights(member.params.shapes, read))], [0.5], out, {})
"""


@pytest.mark.slow
def test_a_killed_export_leaves_no_folder_and_the_next_one_goes_through(
    population: Path, tmp_path: Path
) -> None:
    member, out = population / "member-0", tmp_path / "target" / "out"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(member), str(out)], cwd=Path(__file__).parents[2]
    )
    assert done.returncode == -9
    assert not out.exists()
    assert [path.name for path in out.parent.iterdir()] == [".out.partial"]
    export_point([load_checkpoint(member)], [0.5], out, {})
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert torch.equal(
        load_checkpoint(out).params[HEAD], 0.5 * load_checkpoint(member).params[HEAD]
    )


MISTAKES: dict[str, tuple[Any, str]] = {
    "one coefficient too many": (
        lambda m: (m[:2], [0.2, 0.3, 0.5]),
        r"finite coefficient for each[\s\S]*expected: 2 of them",
    ),
    "a tensor is missing": (
        lambda m: ([m[0], {"x": torch.zeros(1)}], [0.5, 0.5]),
        r"lacks the tensor[\s\S]*found: no such tensor[\s\S]*load_population",
    ),
    "a tensor of another shape": (
        lambda m: ([m[0], {**m[1].params, HEAD: torch.zeros(3, 16)}], [0.5, 0.5]),
        rf"'{HEAD}', or has it in another shape[\s\S]*\(2, 16\)[\s\S]*found: shape \(3, 16\)",
    ),
    "NaN": (
        lambda m: ([m[0], {**m[1].params, HEAD: torch.full((2, 16), np.nan)}], [0.5, 0.5]),
        rf"'{HEAD}' holds NaN or infinite values at this point[\s\S]*found: 32 of 32",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_write_nothing(name: str, members: tuple[Checkpoint, ...], tmp_path: Path) -> None:
    make, message = MISTAKES[name]
    members, coefficients = make(members)
    with pytest.raises((CheckpointError, ConfigError), match=message):
        export_point(members, coefficients, tmp_path / "out", {"kind": "mistake"})
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(members: tuple[Checkpoint, ...], tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("all of it")
    with pytest.raises(CheckpointError, match=r"not empty[\s\S]*full[\s\S]*choose another folder"):
        export_point(members, uniform(3), tmp_path / "full", {})
    assert (tmp_path / "full" / "thesis.tex").read_text() == "all of it"
    with pytest.raises(CheckpointError, match="not a folder"):
        export_point(members, uniform(3), tmp_path / "full" / "thesis.tex", {})
    with pytest.raises(CheckpointError, match=r"cannot be written"):
        export_point(members, uniform(3), tmp_path / "full" / "thesis.tex" / "out", {})


def test_the_command_writes_the_point_that_is_asked_for(
    populations: dict[str, Path], members: tuple[Checkpoint, ...], tmp_path: Path
) -> None:
    refs = [member.ref for member in members]
    angle = weight_angle(members[0].params, members[1].params)
    cases: dict[str, tuple[list[str], list[str], list[float]]] = {
        "line": (refs[:2], ["--at", "0.3"], [0.7, 0.3, 0]),
        "slerp": (refs[:2], ["--slerp", "0.3"], [*slerp(angle, 0.3)[0], 0]),
        "weighted soup": (refs, ["--weights", "2,3,5"], [0.2, 0.3, 0.5]),
        "uniform soup": ([f"{populations['bert']}/*"], ["--soup", "uniform"], [1 / 3] * 3),
    }
    for kind, (given, options, row) in cases.items():
        out = tmp_path / kind
        said = run_command("export", *given, "--out", out, *options)
        assert said.code == 0, said.err
        assert said.out.strip() == str(out)
        notes = json.loads((out / "landscape.json").read_text())["recipe"]
        assert notes["kind"] == kind
        np.testing.assert_allclose(notes["coefficients"], row[: len(notes["coefficients"])])
        expected = mixed_in_memory(members, [*notes["coefficients"], 0][:3])
        found = load_file(out / "model.safetensors")
        assert all(torch.equal(found[name], expected[name]) for name in found)


def test_a_greedy_soup_of_an_experiment(
    populations: dict[str, Path], task_file: Path, tmp_path: Path
) -> None:
    config = write_experiment(tmp_path / "c.yaml", populations["bert"], task_file)
    options = ("--soup", "greedy", "--data-root", task_file.parent, "--out", tmp_path / "soup")
    said = run_command("export", config, *options)
    assert said.code == 0, said.err
    recipe = load_checkpoint(tmp_path / "soup").notes["recipe"]
    dev = read_store(measured(config, task_file.parent) / "store.h5").datasets["dev"]
    assert recipe["accuracy"] >= (dev.model_predictions == dev.labels).mean(1).max() - 1e-9
    assert sum(recipe["coefficients"]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("n", "options", "message"),
    [
        (2, ["--at", "0.5", "--slerp", "0.5"], "More than one recipe"),
        (3, ["--at", "0.5"], "--at is a position between two checkpoints"),
        (2, ["--at", "1.5"], "lies from 0 to 1"),
        (3, ["--weights", "0.5,0.5"], "a weight for each checkpoint"),
        (2, ["--weights", "1,-1"], "positive sum"),
        (3, ["--soup", "greedy"], "There is no soup 'greedy'"),
        (1, [], "at least two checkpoints"),
        (2, ["--at", "half"], "--at takes numbers with commas"),
        (2, ["--at", "0.1", "--of", "line"], "needs one store and a position"),
    ],
)
def test_mistakes_on_the_command_line_exit_with_2(
    n: int, options: list[str], message: str, populations: dict[str, Path], tmp_path: Path
) -> None:
    refs = [f"{populations['bert']}/member-{i}" for i in range(n)]
    said = run_command("export", *refs, "--out", tmp_path / "out", *options)
    assert said.code == 2
    assert message in " ".join(said.err.replace("│", " ").split())
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []
