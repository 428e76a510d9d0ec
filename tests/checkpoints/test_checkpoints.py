"""Populations that are right, and every way in which one can be broken."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import landscape
from landscape.checkpoints import (
    expand,
    load_checkpoint,
    load_population,
    resolve,
)
from landscape.checkpoints.labels import match_labels, suspect_labels
from landscape.core.errors import CheckpointError
from tests.conftest import KINDS
from tests.tiny import LABELS, make_model, make_tokenizer, save_population


def glob(folder: Path) -> list[str]:
    return [f"{folder}/member-*"]


@pytest.mark.parametrize("kind", KINDS)
def test_params_are_the_saved_tensors(kind: str, populations: dict[str, Path]) -> None:
    checkpoint = landscape.load_checkpoint(populations[kind] / "member-1")
    expected = make_model(kind, seed=1).state_dict()
    assert set(checkpoint.params) == set(expected)
    assert all(torch.equal(checkpoint.params[name], expected[name]) for name in expected)
    assert checkpoint.label_names == LABELS


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_files_are_read_as_fp32(population: Path, dtype: torch.dtype) -> None:
    file = population / "member-0" / "model.safetensors"
    tensors = {name: tensor.to(dtype) for name, tensor in load_file(file).items()}
    save_file(tensors, file, metadata={"format": "pt"})
    params = load_checkpoint(population / "member-0").params
    assert all(tensor.dtype == torch.float32 for tensor in params.values())
    assert all(torch.equal(params[name], tensor.float()) for name, tensor in tensors.items())


def test_sharded_and_bin_files_hold_the_same(population: Path, tmp_path: Path) -> None:
    whole = load_checkpoint(population / "member-0").params
    model = make_model("bert", seed=0)
    model.save_pretrained(tmp_path / "sharded", max_shard_size="5KB")
    assert (tmp_path / "sharded" / "model.safetensors.index.json").is_file()
    shutil.copytree(population / "member-0", tmp_path / "bin")
    (tmp_path / "bin" / "model.safetensors").unlink()
    for zipped in (True, False):  # the oldest .bin files are not zip archives
        file = tmp_path / "bin" / "pytorch_model.bin"
        torch.save(model.state_dict(), file, _use_new_zipfile_serialization=zipped)
        params = load_checkpoint(tmp_path / "bin").params
        assert all(torch.equal(params[name], whole[name]) for name in whole)
    params = load_checkpoint(tmp_path / "sharded").params
    assert len(load_checkpoint(tmp_path / "sharded").files) > 1
    assert all(torch.equal(params[name], whole[name]) for name in whole)


def test_old_layer_norm_names_are_read(population: Path) -> None:
    file = population / "member-1" / "model.safetensors"
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in load_file(file).items()
    }
    assert any("gamma" in name for name in old)
    save_file(old, file, metadata={"format": "pt"})
    member = load_population(glob(population), LABELS).checkpoints[1]
    expected = make_model("bert", seed=1).state_dict()
    assert all(torch.equal(member.params[name], expected[name]) for name in expected)


def test_heads_are_read_in_the_tasks_order_of_labels(tmp_path: Path) -> None:
    names = ("a", "b", "c")
    save_population(tmp_path / "p", "bert", 2, labels=names)
    config = tmp_path / "p" / "member-1" / "config.json"
    content = json.loads(config.read_text())
    content["id2label"] = {"0": "C", "1": "A", "2": "B"}
    config.write_text(json.dumps(content))
    population = load_population(glob(tmp_path / "p"), ("b", "a", "c"))
    for member, order in zip(population.checkpoints, ([1, 0, 2], [2, 1, 0]), strict=True):
        own = load_checkpoint(member.path).params
        assert torch.equal(member.params["classifier.weight"], own["classifier.weight"][order])
        assert torch.equal(member.params["classifier.bias"], own["classifier.bias"][order])
        name = "bert.encoder.layer.0.output.dense.weight"
        assert torch.equal(member.params[name], own[name])


def test_label_maps_for_all_by_name_and_default(population: Path) -> None:
    for i in range(3):
        config = population / f"member-{i}" / "config.json"
        content = json.loads(config.read_text())
        content["id2label"] = {"0": "LABEL_0", "1": "LABEL_1"}
        config.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="label_map"):
        load_population(glob(population), LABELS)
    there, back = {"LABEL_0": "no", "LABEL_1": "yes"}, {"LABEL_0": "yes", "LABEL_1": "no"}
    assert not load_population(glob(population), LABELS, label_map=there).checkpoints[0].params.rows
    mixed = load_population(
        glob(population), LABELS, label_map={"member-1": back, "default": there}
    )
    assert [bool(member.params.rows) for member in mixed.checkpoints] == [False, True, False]


def edit_config(**changes: Any) -> Callable[[Path], None]:
    def edit(member: Path) -> None:
        content = json.loads((member / "config.json").read_text())
        (member / "config.json").write_text(json.dumps({**content, **changes}))

    return edit


def edit_tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def edit(member: Path) -> None:
        file = member / "model.safetensors"
        tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
        change(tensors)
        save_file(tensors, file, metadata={"format": "pt"})

    return edit


def shard_missing(member: Path) -> None:
    (member / "model.safetensors").unlink()
    index = {"weight_map": {"x": "model-00001-of-00002.safetensors"}}
    (member / "model.safetensors.index.json").write_text(json.dumps(index))


def other_architecture(member: Path) -> None:
    shutil.rmtree(member)
    make_model("distilbert", 0).save_pretrained(member)
    make_tokenizer().save_pretrained(member)


HEAD = "classifier.weight"
WEIGHTS = "model.safetensors"
DENSE = "bert.encoder.layer.1.output.dense.weight"
BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no head": (
        edit_tensors(lambda t: [t.pop(HEAD), t.pop("classifier.bias")]),
        r"no classification head.*classifier\.",
    ),
    "missing tensor": (edit_tensors(lambda t: t.pop(DENSE)), rf"lacks 1 of the tensors.*{DENSE}"),
    "NaN": (edit_tensors(lambda t: t[DENSE].fill_(float("nan"))), rf"'{DENSE}' holds NaN"),
    "truncated": (lambda m: os.truncate(m / WEIGHTS, 9000), "truncated or damaged"),
    "Flax only": (
        lambda m: (m / WEIGHTS).rename(m / "flax_model.msgpack"),
        "Flax weights only",
    ),
    "adapter only": (
        lambda m: (m / WEIGHTS).rename(m / "adapter_model.safetensors"),
        "merge the adapter",
    ),
    "no weights": (lambda m: (m / "model.safetensors").unlink(), "has no weights"),
    "other vocabulary": (
        lambda m: make_tokenizer(("cat", "dog")).save_pretrained(m),
        "different vocabularies",
    ),
    "no tokenizer": (lambda m: (m / "tokenizer.json").unlink(), "has no tokenizer"),
    "other architecture": (other_architecture, "expected: bert as .*found: distilbert"),
    "other activation": (edit_config(hidden_act="relu"), "differ in 'hidden_act'"),
    "three labels": (
        lambda m: make_model("bert", 0, labels=("no", "yes", "maybe")).save_pretrained(m),
        r"wrong number of labels.*found: 3 \(no, yes, maybe\)",
    ),
    "other width": (
        lambda m: make_model("bert", 0, hidden=32).save_pretrained(m),
        "differ in 'hidden_size'",
    ),
    "head and config disagree": (
        edit_config(id2label={"0": "no", "1": "yes", "2": "maybe"}, label2id={}),
        r"'classifier.weight' has 2 labels, its config.json 3",
    ),
    "other labels": (
        edit_config(id2label={"0": "nein", "1": "ja"}, label2id={}),
        "cannot be matched.*label_map",
    ),
    "shard missing": (shard_missing, "A shard is missing"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_populations_give_one_error_that_names_the_member(
    name: str, population: Path
) -> None:
    damage, message = BROKEN[name]
    damage(population / "member-2")
    with pytest.raises(CheckpointError, match=f"(?s){message}") as caught:
        load_population(glob(population), LABELS)
    assert "member-2" in str(caught.value)


def test_references_that_lead_nowhere(population: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such directory"):
        resolve("./absent")
    with pytest.raises(CheckpointError, match=r"hf download some/model --revision v1"):
        resolve("some/model@v1")
    with pytest.raises(CheckpointError, match="matches no directory"):
        expand([str(tmp_path / "none-*")])
    with pytest.raises(CheckpointError, match="named twice"):
        expand([f"{population}/member-0", f"{population}/member-*"])
    with pytest.raises(CheckpointError, match="A checkpoint is a directory"):
        resolve(str(population / "member-0" / "config.json"))
    with pytest.raises(CheckpointError, match="pip install --no-deps not-there"):
        resolve("package:not_there/model")
    with pytest.raises(CheckpointError, match="at least two"):
        load_population([f"{population}/member-0"], LABELS)


def test_globs_count_as_people_do(tmp_path: Path) -> None:
    for i in (10, 9, 2):
        (tmp_path / f"seed-{i}").mkdir()
    names = [source.path.name for source in expand([str(tmp_path / "seed-*")])]
    assert names == ["seed-2", "seed-9", "seed-10"]


def test_content_hash_is_that_of_the_files(population: Path) -> None:
    hashes = {load_checkpoint(population / f"member-{i}").content_hash() for i in range(3)}
    files = {
        hashlib.sha256((population / f"member-{i}" / "model.safetensors").read_bytes()).hexdigest()
        for i in range(3)
    }
    assert hashes == files


def test_match_labels_ignores_case_and_underscores() -> None:
    assert match_labels(
        ["Not_Entailment", "ENTAILMENT"], ["entailment", "not-entailment"], None, ""
    )
    with pytest.raises(CheckpointError, match="wrong number"):
        match_labels(["a"], ["a", "b"], None, "")


def test_a_permuted_label_map_is_suspected_and_named() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    right = np.where(rng.random(300) < 0.8, labels, rng.integers(0, 3, 300))
    assert suspect_labels(right, labels, 3) is None
    assert suspect_labels(rng.integers(0, 3, 300), labels, 3) is None
    assert suspect_labels(np.zeros(300, int), labels, 3) is None
    turned = np.array([1, 2, 0])[right]
    found = suspect_labels(turned, labels, 3)
    assert found is not None
    assert found.permutation == (2, 0, 1)  # 1 stands for 0, 2 for 1, 0 for 2
    assert found.best_accuracy == pytest.approx((right == labels).mean())
    assert "{a: c, b: a, c: b}" in found.advice(["a", "b", "c"])


def test_hub_ids_are_found_in_the_local_cache(
    population: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layout in which hub downloads are cached, made by hand: nothing is fetched."""
    commits = {"main": "a" * 40, "v1": "b" * 40}
    cache = tmp_path / "hub" / "models--lab--classifier"
    for i, (name, commit) in enumerate(commits.items()):
        (cache / "refs").mkdir(parents=True, exist_ok=True)
        (cache / "refs" / name).write_text(commit)
        snapshot, blobs = cache / "snapshots" / commit, cache / "blobs"
        snapshot.mkdir(parents=True)
        blobs.mkdir(exist_ok=True)
        for file in (population / f"member-{i}").iterdir():
            file.rename(blobs / f"{i}-{file.name}")
            (snapshot / file.name).symlink_to(Path("../../blobs") / f"{i}-{file.name}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    latest, tagged = load_checkpoint("lab/classifier"), load_checkpoint("lab/classifier@v1")
    assert (latest.revision, tagged.revision) == ("a" * 40, "b" * 40)
    assert torch.equal(tagged.params[HEAD], make_model("bert", seed=1).state_dict()[HEAD])
    names = load_population(["lab/classifier", "lab/classifier@v1"], LABELS).names
    assert len(set(names)) == 2
