"""Make a population: many seeds finetuned from one pretrained encoder.

Every seed draws its own classification head, order of examples and dropout. A killed run goes on
from its last saved state; finished members are kept.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from landscape.checkpoints import load_checkpoint, resolve
from landscape.core.errors import ConfigError
from landscape.core.schema import Device, PathText, Seed, Strict, read_yaml, validate
from landscape.tasks import load_examples, load_task, sample_examples
from landscape.tasks.batches import Encoded, make_batches, tokenize
from landscape.training.loop import InPlace, RandomState, Report, batch_rows, train

_STATE = "state.pt"
_MOST_SEEDS = 100_000
_HELD_OUT = 1000  # examples that a finished member is tried on
_RECENT = 100  # steps whose mean loss is reported


class FinetuneConfig(Strict):
    """What ``landscape finetune`` takes.

    Attributes:
        base: The pretrained encoder: a directory, a hub id, or ``package:NAME/FOLDER``.
        task: A task with training data.
        out: The folder that the members go to, one directory each.
        seeds: The members; a number n stands for 0 to n-1.
        learning_rate: The peak; linear warm-up from 0, linear decay to 0.
        warmup: The share of steps that warm up.
        examples: Training examples in a stratified sample; all when absent.
        precision: bf16 means autocast; the weights stay fp32.
    """

    name: str
    base: PathText
    task: PathText | dict[str, Any]
    data_root: PathText | None = None
    out: PathText = Field(min_length=1)
    seeds: tuple[Seed, ...] = Field(min_length=1, max_length=_MOST_SEEDS)
    steps: int = Field(gt=0)
    batch_size: int = Field(default=32, gt=0)
    learning_rate: float = Field(default=2e-5, gt=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0)
    clip: float = Field(default=1.0, gt=0)
    max_length: int = Field(default=128, gt=0)
    examples: int | None = Field(default=None, gt=0)
    precision: Literal["fp32", "bf16"] = "fp32"
    device: Device = "cpu"

    @field_validator("seeds", mode="before")
    @classmethod
    def _count(cls, value: Any) -> Any:
        if isinstance(value, int) and 0 <= value <= _MOST_SEEDS:
            return tuple(range(value))
        return value

    @field_validator("seeds")
    @classmethod
    def _once_each(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed stands there twice: its member would be made twice")
        return seeds

    def recipe(self, seed: int) -> dict[str, Any]:
        """Everything that decides one member's weights."""
        free = {"name", "out", "seeds", "data_root", "device"}
        return {**self.model_dump(mode="json", exclude=free), "seed": seed}


def load_finetune_config(path: Path) -> FinetuneConfig:
    """Read a population's YAML."""
    return validate(FinetuneConfig, read_yaml(path), path)


def finetune(
    config: FinetuneConfig,
    base: Path,
    report: Report = print,
    data: Path | None = None,
) -> list[Path]:
    """Train every member that is not there yet; their directories, in the order of the seeds.

    ``base`` is the folder that relative paths start from, ``data`` the data root.

    Raises:
        LandscapeError: The encoder, the task or a file cannot be used, or ``out`` holds members
            of another recipe, finished or not.
    """
    task = load_task(config.task, base)
    members = [base / config.out / f"seed-{seed:02d}" for seed in config.seeds]
    missing = [
        (seed, member)
        for seed, member in zip(config.seeds, members, strict=True)
        if not _is_finished(member, config.recipe(seed))
    ]
    if not missing:
        return members
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    source = resolve(config.base, base)
    tokenizer = AutoTokenizer.from_pretrained(source.path)
    first = next(iter(task.in_domain))
    encoded = []
    for name, n in (("train", config.examples), (first, _HELD_OUT)):
        examples = load_examples(task, name, data, base)
        examples = sample_examples(examples, n, np.random.default_rng(0))
        encoded.append(tokenize(tokenizer, examples, config.max_length))
    training, dev = encoded
    for number, (seed, member) in enumerate(missing, start=1):
        report(f"{member.name}: member {number} of {len(missing)} to train")
        with torch.random.fork_rng():
            torch.manual_seed(seed)  # the head's initial values, then dropout
            model = AutoModelForSequenceClassification.from_pretrained(
                source.path,
                dtype=torch.float32,
                id2label=dict(enumerate(task.labels)),
                label2id={label: i for i, label in enumerate(task.labels)},
            ).to(config.device)
            state = _partial(member) / _STATE
            losses = _train(config, seed, model, training, state, report)
        accuracy = _accuracy(model, dev, config)
        report(f"{member.name}: held-out accuracy {accuracy:.3f} on {len(dev)} of {first}")
        notes = {
            "recipe": config.recipe(seed),
            "seed": seed,
            "step": config.steps,
            "train_loss": float(np.mean(losses[-_RECENT:])),
            "held_out_accuracy": accuracy,
            "base_sha256": load_checkpoint(source).content_hash(),
        }
        save_whole(model, tokenizer, notes, member)
    return members


def save_whole(model: Any, tokenizer: Any, notes: dict[str, Any], folder: Path) -> None:
    """Write a checkpoint directory; it appears when it is complete, without a training's state."""
    partial = _partial(folder)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    (partial / "landscape.json").write_text(json.dumps(notes, indent=2))
    (partial / _STATE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)


def _partial(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.partial")


def _is_finished(member: Path, recipe: dict[str, Any]) -> bool:
    notes = member / "landscape.json"
    if not notes.is_file():
        return False
    its_recipe = json.loads(notes.read_text())["recipe"]
    if its_recipe != recipe:
        keys = its_recipe.keys() | recipe.keys()
        differ = sorted(key for key in keys if its_recipe.get(key) != recipe.get(key))
        raise ConfigError(
            "The output folder holds a member that was trained by another recipe.",
            where=member,
            expected={key: recipe.get(key) for key in differ},
            found={key: its_recipe.get(key) for key in differ},
            fix="choose another 'out', or remove the member",
        )
    return True


def _train(
    config: FinetuneConfig,
    seed: int,
    model: nn.Module,
    training: Encoded,
    state: Path,
    report: Report,
) -> np.ndarray:
    """Train a model in place; (n_steps,) losses in nats."""
    from transformers import get_linear_schedule_with_warmup

    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    ahead = max(1, round(config.warmup * config.steps))
    schedule = get_linear_schedule_with_warmup(optimizer, ahead, config.steps)
    rows = batch_rows(training.lengths, config.batch_size, seed)
    losses = np.full(config.steps, np.nan)

    def step(number: int) -> float:
        inputs, labels = training.pad(rows(number))
        logits = _forward(model, inputs, config)
        loss = nn.functional.cross_entropy(logits, labels.to(config.device))
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses[number] = loss.item()
        return float(np.mean(losses[max(0, number + 1 - _RECENT) : number + 1]))

    parts = {
        "model": model,
        "optimizer": optimizer,
        "schedule": schedule,
        "dropout": RandomState(),
        "losses": InPlace({"losses": losses}),
    }
    model.train()
    train(
        f"seed-{seed:02d}",
        config.steps,
        step,
        parts,
        recipe=config.recipe(seed),
        state=state,
        report=report,
    )
    return losses


def _forward(model: nn.Module, inputs: dict[str, Tensor], config: FinetuneConfig) -> Tensor:
    kind = torch.device(config.device).type
    with torch.autocast(kind, torch.bfloat16, enabled=config.precision == "bf16"):
        output = model(**{name: tensor.to(config.device) for name, tensor in inputs.items()})
    return output.logits.float()


@torch.no_grad()
def _accuracy(model: nn.Module, dev: Encoded, config: FinetuneConfig) -> float:
    model.eval()
    right = sum(
        int((_forward(model, inputs, config).argmax(-1).cpu() == labels).sum())
        for inputs, labels in make_batches(dev)
    )
    return right / len(dev)
