"""Exported points: the weights that were mixed in memory, in a folder that transformers loads."""

from __future__ import annotations

import json
import subprocess
import sys
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import replace
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
from landscape.run.commands import main
from landscape.run.export import export, read_numbers
from tests.conftest import KINDS
from tests.tiny import LABELS, make_model, make_tokenizer

HEAD = "classifier.weight"
POINTS: dict[str, list[float]] = {
    "one member": [1, 0, 0],
    "the last member": [0, 0, 1],
    "a line": [0.7, 0.3, 0],
    "beyond an end": [-0.5, 0, 1.5],
    "a soup": uniform(3).tolist(),
    "task arithmetic": [0.2, 0.4, 0.4],
    "one scaled": [0, 0.5, 0],
    "two that do not sum to 1": [0.9, 0.4, 0],
    "nothing": [0, 0, 0],
}


def members_of(folder: Path, labels: tuple[str, ...] = LABELS) -> tuple[Checkpoint, ...]:
    return load_population([f"{folder}/member-*"], labels).checkpoints


def mixed_in_memory(members: tuple[Checkpoint, ...], row: list[float]) -> dict[str, Tensor]:
    """What ``evaluate`` runs at this point."""
    mixer = Mixer(build_model(members[0]), torch.float32, torch.device("cpu"))
    weights = mixer.mix(mixer.load(members), np.array([row]))
    return {name: tensor[0].clone() for name, tensor in weights.items()}


def inputs_of(kind: str) -> dict[str, Tensor]:
    texts = ["the old dog runs", "cats near the cat run and run", "not a dog"]
    given = make_tokenizer()(texts, padding=True, return_tensors="pt")
    return {name: given[name] for name in ("input_ids", "attention_mask")}


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("kind", KINDS)
def test_exported_weights_are_those_that_evaluate_mixes(
    kind: str, point: str, populations: dict[str, Path], tmp_path: Path
) -> None:
    members = members_of(populations[kind])
    out = export_point(members, POINTS[point], tmp_path / "out", {"kind": point})
    expected = mixed_in_memory(members, POINTS[point])
    tensors = load_file(out / "model.safetensors")
    assert set(tensors) == set(members[0].params)
    for name, parameter in build_model(members[0]).named_parameters():
        assert tensors[name].dtype == torch.float32
        assert tensors[name].shape == parameter.shape
        assert torch.equal(tensors[name], expected[name])
    if POINTS[point].count(1) == 1:
        own = members[POINTS[point].index(1)].params
        assert all(torch.equal(tensors[name], own[name]) for name in own)


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
    inputs = inputs_of(kind)
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
    again = load_population([str(out), f"{populations[kind]}/member-0"], LABELS).checkpoints[0]
    assert all(torch.equal(again.params[name], p) for name, p in model.named_parameters())


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


def test_labels_follow_the_rows_of_the_head(population: Path, tmp_path: Path) -> None:
    turned = LABELS[::-1]
    members = members_of(population, turned)
    out = export_point(members, [0, 1, 0], tmp_path / "out", {"kind": "member"})
    exported = load_checkpoint(out)
    assert exported.label_names == turned
    assert exported.config["label2id"] == {"yes": 0, "no": 1}
    own = load_checkpoint(population / "member-1").params[HEAD]
    assert torch.equal(exported.params[HEAD], own[[1, 0]])


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


class Spied(Mapping[str, Tensor]):
    """A member's tensors, that counts how many are alive, and can fail."""

    alive: dict[int, weakref.ref[Any]] = {}
    most = 0

    def __init__(self, params: Mapping[str, Tensor], fails_after: int = 10**9) -> None:
        self.params_, self.left = params, fails_after

    def __getitem__(self, name: str) -> Tensor:
        self.left -= 1
        if self.left < 0:
            raise OSError("the disk is gone")
        array = self.params_[name].numpy().copy()  # the tensor keeps it alive, however it is cast
        Spied.alive[id(array)] = weakref.ref(array)
        Spied.most = max(Spied.most, sum(kept() is not None for kept in Spied.alive.values()))
        return torch.from_numpy(array)

    def __contains__(self, name: object) -> bool:
        return name in set(self.params_)

    def __iter__(self) -> Iterator[str]:
        return iter(self.params_)

    def __len__(self) -> int:
        return len(self.params_)


def test_one_tensor_of_each_member_is_in_memory(population: Path, tmp_path: Path) -> None:
    members = members_of(population)
    Spied.most = 0
    spied = [Spied(member.params) for member in members]
    export_point(spied, [0.2, 0.3, 0.5], tmp_path / "out", {}, like=members[0])
    # the next tensor is read while the last one still has its name
    assert 3 <= Spied.most <= 2 * len(members)


def test_an_export_that_fails_half_way_leaves_nothing(population: Path, tmp_path: Path) -> None:
    members = members_of(population)
    before = set(tmp_path.iterdir())
    n = len(members[0].params)
    broken = Spied(members[1].params, fails_after=n // 2)
    with pytest.raises(CheckpointError, match=r"cannot be written[\s\S]*the disk is gone"):
        export_point([members[0], broken], [0.5, 0.5], tmp_path / "out", {})
    assert broken.left < 0
    assert set(tmp_path.iterdir()) == before
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CheckpointError, match="cannot be written"):
        export_point([members[0], Spied(members[1].params, 3)], [0.5, 0.5], empty, {})
    assert list(empty.iterdir()) == []
    export_point(members[:2], [0.5, 0.5], empty, {})
    assert (empty / "model.safetensors").is_file()


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


def without(params: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {other: tensor for other, tensor in params.items() if other != name}


MISTAKES: dict[str, tuple[Any, str]] = {
    "one coefficient too many": (
        lambda m: (m[:2], [0.2, 0.3, 0.5]),
        r"finite coefficient for each[\s\S]*expected: 2 of them",
    ),
    "no members": (lambda m: ([], []), "at least one member"),
    "a coefficient that is NaN": (lambda m: (m[:1], [np.nan]), r"found: \[nan\]"),
    "tensors alone": (lambda m: ([dict(m[0].params)], [1]), "no configuration and no tokenizer"),
    "a tensor is missing": (
        lambda m: ([m[0], without(m[1].params, HEAD)], [0.5, 0.5]),
        rf"lacks the tensor '{HEAD}'[\s\S]*found: no such tensor[\s\S]*load_population",
    ),
    "a tensor of another shape": (
        lambda m: ([m[0], {**m[1].params, HEAD: torch.zeros(3, 16)}], [0.5, 0.5]),
        rf"'{HEAD}', or has it in another shape[\s\S]*\(2, 16\)[\s\S]*found: shape \(3, 16\)",
    ),
    "NaN": (
        lambda m: ([m[0], {**m[1].params, HEAD: torch.full((2, 16), np.nan)}], [0.5, 0.5]),
        rf"'{HEAD}' holds NaN or infinite values at this point[\s\S]*found: 32 of 32",
    ),
    "only some rows": (
        lambda m: ([replace(m[0], params=m[0].params.with_rows({HEAD: [1]}))], [1]),
        rf"only chosen rows are there[\s\S]*{HEAD}",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_write_nothing(name: str, populations: dict[str, Path], tmp_path: Path) -> None:
    make, message = MISTAKES[name]
    members, coefficients = make(members_of(populations["bert"]))
    with pytest.raises((CheckpointError, ConfigError), match=message):
        export_point(members, coefficients, tmp_path / "out", {"kind": "mistake"})
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(populations: dict[str, Path], tmp_path: Path) -> None:
    members = members_of(populations["bert"])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("all of it")
    with pytest.raises(CheckpointError, match=r"not empty[\s\S]*full[\s\S]*choose another folder"):
        export_point(members, uniform(3), tmp_path / "full", {})
    assert (tmp_path / "full" / "thesis.tex").read_text() == "all of it"
    with pytest.raises(CheckpointError, match="not a folder"):
        export_point(members, uniform(3), tmp_path / "full" / "thesis.tex", {})
    with pytest.raises(CheckpointError, match=r"cannot be written"):
        export_point(members, uniform(3), tmp_path / "full" / "thesis.tex" / "out", {})


def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    """Exit code, output and complaints of ``landscape ...``."""
    monkeypatch.setattr(sys, "argv", ["landscape", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def test_the_command_writes_the_point_that_is_asked_for(
    populations: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refs = [f"{populations['bert']}/member-{i}" for i in range(3)]
    members = members_of(populations["bert"])
    angle = weight_angle(members[0].params, members[1].params)
    cases: dict[str, tuple[list[str], list[str], list[float]]] = {
        "line": (refs[:2], ["--at", "0.3"], [0.7, 0.3, 0]),
        "slerp": (refs[:2], ["--slerp", "0.3"], [*slerp(angle, 0.3)[0], 0]),
        "weighted soup": (refs, ["--weights", "2,3,5"], [0.2, 0.3, 0.5]),
        "uniform soup": ([f"{populations['bert']}/*"], [], [1 / 3] * 3),
    }
    for kind, (given, options, row) in cases.items():
        out = tmp_path / kind
        code, said, complaints = command(
            monkeypatch, capsys, "export", *given, "--out", out, *options
        )
        assert code == 0, complaints
        assert said.strip() == str(out)
        notes = json.loads((out / "landscape.json").read_text())["recipe"]
        assert notes["kind"] == kind
        np.testing.assert_allclose(notes["coefficients"], row[: len(notes["coefficients"])])
        expected = mixed_in_memory(members, [*notes["coefficients"], 0][:3])
        found = load_file(out / "model.safetensors")
        assert all(torch.equal(found[name], expected[name]) for name in found)
    line = load_file(tmp_path / "line" / "model.safetensors")[HEAD]
    a, b = (member.params[HEAD] for member in members[:2])
    torch.testing.assert_close(line, 0.7 * a + 0.3 * b)
    code, said, _ = command(
        monkeypatch, capsys, "export", *refs, "--out", tmp_path / "mean", "--soup", "uniform"
    )
    assert code == 0
    means = load_file(tmp_path / "mean" / "model.safetensors")
    uniform_soup = load_file(tmp_path / "uniform soup" / "model.safetensors")
    assert all(torch.equal(means[name], uniform_soup[name]) for name in means)


@pytest.mark.parametrize(
    ("n", "options", "message"),
    [
        (2, ["--at", "0.5", "--slerp", "0.5"], "More than one recipe"),
        (3, ["--at", "0.5"], "--at is a position between two checkpoints"),
        (3, ["--slerp", "0.5"], "--slerp is a position between two"),
        (2, ["--at", "1.5"], "lies from 0 to 1"),
        (2, ["--at", "nan"], "lies from 0 to 1"),
        (3, ["--weights", "0.5,0.5"], "a weight for each checkpoint"),
        (2, ["--weights", "0.5;0.5"], "numbers with commas"),
        (2, ["--weights", "1,-1"], "positive sum"),
        (3, ["--soup", "greedy"], "There is no soup 'greedy'"),
        (1, [], "at least two checkpoints"),
        (2, ["--at", "half"], "--at takes numbers with commas"),
        (2, ["--at", "0.1,0.2"], "A position on a line is one number"),
        (2, ["--at", "0.1", "--of", "line"], "needs one store and a position"),
    ],
)
def test_mistakes_on_the_command_line_exit_with_2(
    n: int,
    options: list[str],
    message: str,
    populations: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refs = [f"{populations['bert']}/member-{i}" for i in range(n)]
    code, _, said = command(
        monkeypatch, capsys, "export", *refs, "--out", tmp_path / "out", *options
    )
    assert code == 2
    assert message in " ".join(said.replace("│", " ").split())
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_populations_that_do_not_match_are_refused(
    populations: dict[str, Path],
    population: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    first = population / "member-0"
    code, _, said = command(
        monkeypatch, capsys, "export", first, populations["roberta"] / "member-0", "--out", out
    )
    assert (code, "different architectures" in said) == (2, True)
    config = population / "member-1" / "config.json"
    content = json.loads(config.read_text())
    config.write_text(json.dumps({**content, "id2label": {"0": "nein", "1": "ja"}}))
    code, _, said = command(
        monkeypatch, capsys, "export", first, population / "member-1", "--out", out
    )
    assert (code, "labels cannot be matched" in said) == (2, True)
    assert not out.exists()


def test_weights_are_read() -> None:
    assert read_numbers("0.2, 3,-1e-1", "--weights") == [0.2, 3.0, -0.1]
    with pytest.raises(ConfigError, match="numbers with commas"):
        read_numbers("1,,2", "--at")
