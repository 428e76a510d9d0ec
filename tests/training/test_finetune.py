from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModel, AutoModelForSequenceClassification

from landscape.checkpoints import load_checkpoint
from landscape.core.errors import LandscapeError
from landscape.training import loop
from landscape.training.finetune import finetune, load_finetune_config
from landscape.training.loop import batch_rows
from tests.runs import quiet
from tests.tiny import LABELS, make_model, make_tokenizer


@pytest.fixture
def config(tmp_path: Path, task_file: Path) -> Path:
    """Two seeds of a tiny encoder without a head."""
    encoder = make_model("bert", seed=7).bert
    encoder.save_pretrained(tmp_path / "encoder")
    make_tokenizer().save_pretrained(tmp_path / "encoder")
    content = {
        "name": "tiny", "base": "encoder", "task": str(task_file), "out": "members",
        "data_root": str(task_file.parent), "seeds": 2, "steps": 30, "batch_size": 8,
        "learning_rate": 0.01,
    }  # fmt: skip
    path = tmp_path / "finetune.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def train(config: Path, report: Callable[[str], None] = quiet) -> list[Path]:
    settings = load_finetune_config(config)
    assert settings.data_root is not None
    return finetune(settings, config.parent, report, Path(settings.data_root))


def test_members_are_ordinary_directories_that_differ_by_seed(config: Path) -> None:
    members = train(config)
    assert [member.name for member in members] == ["seed-00", "seed-01"]
    states = []
    for i, member in enumerate(members):
        model, info = AutoModelForSequenceClassification.from_pretrained(
            member, output_loading_info=True
        )
        assert not info["missing_keys"]
        assert model.config.id2label == dict(enumerate(LABELS))
        notes = json.loads((member / "landscape.json").read_text())
        assert notes["seed"] == i
        assert load_checkpoint(member).notes == notes
        states.append(model.state_dict())
    start = AutoModel.from_pretrained(config.parent / "encoder").state_dict()
    moved = [max((s[f"bert.{k}"] - start[k]).abs().max() for k in start) for s in states]
    assert all(distance > 1e-3 for distance in moved)
    assert (states[0]["classifier.weight"] - states[1]["classifier.weight"]).abs().max() > 1e-3


def test_training_learns_and_repeats_itself(config: Path) -> None:
    first = train(config)[0]
    loss = json.loads((first / "landscape.json").read_text())["train_loss"]
    assert loss < 0.69  # the two labels by chance
    weights = dict(load_checkpoint(first).params)
    content = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**content, "out": "again", "seeds": [0]}))
    again = load_checkpoint(train(config)[0]).params
    assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_killed_training_goes_on_to_the_same_weights(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_checkpoint(train(config)[0]).params
    content = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**content, "out": "killed", "seeds": [0]}))
    clip, steps = torch.nn.utils.clip_grad_norm_, count()

    def killed(*args: Any) -> torch.Tensor:
        if next(steps) == 9:
            raise KeyboardInterrupt
        return clip(*args)

    with monkeypatch.context() as context:
        context.setattr(loop, "SAVE_SECONDS", 0.0)
        context.setattr(torch.nn.utils, "clip_grad_norm_", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config)
    lines: list[str] = []
    resumed = load_checkpoint(train(config, lines.append)[0]).params
    assert any("going on from step 9 of 30" in line for line in lines)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_finished_members_are_kept_and_another_recipe_is_refused(config: Path) -> None:
    members = train(config)
    stamps = [(m / "model.safetensors").stat().st_mtime_ns for m in members]
    assert [(m / "model.safetensors").stat().st_mtime_ns for m in train(config)] == stamps
    content = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**content, "learning_rate": 0.02}))
    with pytest.raises(LandscapeError, match=r"another recipe(?s:.*)0.02(?s:.*)0.01"):
        train(config)


@pytest.mark.parametrize("seeds", [10**9, [1, 1], [2**70]])
def test_seeds_that_cannot_be_are_refused(config: Path, seeds: object) -> None:
    content = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**content, "seeds": seeds}))
    with pytest.raises(LandscapeError, match="seeds"):
        train(config)


def test_an_epoch_holds_every_row_once_in_batches_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, size=1000)
    source = batch_rows(lengths, 10, seed=3)
    epochs = [[source(100 * epoch + step) for step in range(100)] for epoch in range(2)]
    for epoch in epochs:
        assert sorted(np.concatenate(epoch)) == list(range(1000))
    assert not np.array_equal(epochs[0][0], epochs[1][0])
    longest = sum(lengths[rows].max() for rows in epochs[0])
    blind = sum(lengths[i : i + 10].max() for i in range(0, 1000, 10))
    assert longest < 0.7 * blind
    again = batch_rows(lengths, 10, seed=3)(0)
    assert np.array_equal(again, epochs[0][0])
    assert not np.array_equal(batch_rows(lengths, 10, seed=4)(0), again)
