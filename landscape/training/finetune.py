"""Make a population: many seeds finetuned from one pretrained encoder.

Every seed draws its own classification head, order of examples and dropout. A killed run goes on
from its last saved state; finished members are kept.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor

from landscape.checkpoints import load_checkpoint, resolve
from landscape.checkpoints.torch_files import write_torch_file
from landscape.core.errors import ConfigError
from landscape.core.schema import Device, PathText, Seed, Strict, read_yaml, validate
from landscape.tasks import Task, load_examples, load_task, sample_examples
from landscape.tasks.batches import Encoded, make_batches, tokenize

_LENGTH_POOL = 50  # batches sorted by length together; random beyond that
_MOST_SEEDS = 100_000


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
    """Read a population's YAML.

    Raises:
        ConfigError: Every problem in one message, with the nearest key for an unknown one.
    """
    return validate(FinetuneConfig, read_yaml(path), path)


def finetune(
    config: FinetuneConfig,
    base: Path,
    report: Callable[[str], None] = print,
    data: Path | None = None,
    save_seconds: float = 120.0,
) -> list[Path]:
    """Train every member that is not there yet.

    Args:
        config: The population.
        base: The folder that relative paths start from.
        report: Takes one line of progress at a time.
        data: The data root.
        save_seconds: How often the state of training is saved.

    Returns:
        The members' directories, in the order of the seeds.

    Raises:
        LandscapeError: The encoder, the task or a file cannot be used, or ``out`` holds members
            of another recipe.
    """
    task = load_task(config.task, base)
    out = base / config.out
    members = [out / f"seed-{seed:02d}" for seed in config.seeds]
    missing = []
    for seed, member in zip(config.seeds, members, strict=True):
        if not _is_finished(member, config.recipe(seed)):
            missing.append((seed, member))
    if not missing:
        return members
    from transformers import AutoTokenizer

    source = resolve(config.base, base)
    tokenizer = AutoTokenizer.from_pretrained(source.path)
    examples = load_examples(task, "train", data, base)
    examples = sample_examples(examples, config.examples, np.random.default_rng(0))
    train = tokenize(tokenizer, examples, config.max_length)
    first = next(iter(task.in_domain))
    held_out = load_examples(task, first, data, base)
    held_out = sample_examples(held_out, 1000, np.random.default_rng(0))
    dev = tokenize(tokenizer, held_out, config.max_length)
    for number, (seed, member) in enumerate(missing, start=1):
        report(f"{member.name}: member {number} of {len(missing)} to train")
        model, loss = _train(config, task, source.path, seed, member, train, report, save_seconds)
        accuracy = _accuracy(model, dev, torch.device(config.device), config.precision)
        report(f"{member.name}: held-out accuracy {accuracy:.3f} on {len(dev)} of {first}")
        notes = {
            "recipe": config.recipe(seed),
            "seed": seed,
            "step": config.steps,
            "train_loss": loss,
            "held_out_accuracy": accuracy,
            "base_sha256": load_checkpoint(source).content_hash(),
        }
        _save(model, tokenizer, notes, member)
    return members


def _is_finished(member: Path, recipe: dict[str, Any]) -> bool:
    notes = member / "landscape.json"
    if not notes.is_file():
        return False
    found = json.loads(notes.read_text())["recipe"]
    if found != recipe:
        keys = sorted(k for k in found.keys() | recipe.keys() if found.get(k) != recipe.get(k))
        raise ConfigError(
            "The output folder holds a member that was trained by another recipe.",
            where=member,
            expected={key: recipe.get(key) for key in keys},
            found={key: found.get(key) for key in keys},
            fix="choose another 'out', or remove the member",
        )
    return True


def batch_rows(lengths: np.ndarray, batch_size: int, seed: int) -> Iterator[np.ndarray]:
    """Endless batches of row numbers, an epoch's order a function of the seed and the epoch.

    Batches hold examples of like length (fewer pads): each pool of batches is sorted by length,
    then the batches are shuffled.
    """
    epoch = 0
    while True:
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(lengths))
        batches = []
        for start in range(0, len(order), batch_size * _LENGTH_POOL):
            pool = order[start : start + batch_size * _LENGTH_POOL]
            pool = pool[np.argsort(lengths[pool], kind="stable")]
            batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
        yield from (batches[i] for i in rng.permutation(len(batches)))
        epoch += 1


def _rate(step: int, steps: int, warmup: float) -> float:
    ahead = max(1, round(warmup * steps))
    return step / ahead if step < ahead else (steps - step) / max(1, steps - ahead)


def _partial(member: Path) -> Path:
    return member.with_name(f".{member.name}.partial")


def _train(
    config: FinetuneConfig,
    task: Task,
    source: Path,
    seed: int,
    member: Path,
    train: Encoded,
    report: Callable[[str], None],
    save_seconds: float,
) -> tuple[torch.nn.Module, float]:
    """One member's model and the mean loss of its last steps."""
    partial = _partial(member)
    partial.mkdir(parents=True, exist_ok=True)
    device = torch.device(config.device)
    recipe = json.dumps(config.recipe(seed), sort_keys=True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # the head's initial values, then dropout
        model = _new_classifier(source, task).to(device)
        optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        done, recent = _resume(partial, recipe, model, optimizer)
        if done:
            report(f"{member.name}: going on from step {done}")
        model.train()
        began = saved = time.monotonic()
        rows_of = batch_rows(train.lengths, config.batch_size, seed)
        for step, rows in zip(range(config.steps), rows_of, strict=False):
            if step < done:
                continue
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * _rate(step, config.steps, config.warmup)
            inputs, labels = train.pad(rows)
            logits = _forward(model, inputs, device, config.precision)
            loss = torch.nn.functional.cross_entropy(logits, labels.to(device))
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
            optimizer.step()
            optimizer.zero_grad()
            recent = [*recent[-99:], loss.item()]
            now = time.monotonic()
            if (step + 1) % 50 == 0 or step + 1 == config.steps:
                left = (now - began) / (step + 1 - done) * (config.steps - step - 1)
                report(
                    f"{member.name}: step {step + 1}/{config.steps}, "
                    f"loss {np.mean(recent):.3f}, {left / 60:.1f} min left"
                )
            if now - saved >= save_seconds:
                saved = now
                content = {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "rng": torch.get_rng_state(),
                    "step": step + 1,
                    "recent": recent,
                    "recipe": recipe,
                }
                write_torch_file(content, partial / "state.pt")
    return model, float(np.mean(recent))


def _resume(
    partial: Path, recipe: str, model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, list[float]]:
    """Load the saved state of the same recipe: steps done and their last losses."""
    file = partial / "state.pt"
    if not file.is_file():
        return 0, []
    state = torch.load(file, weights_only=True)
    if state["recipe"] != recipe:
        return 0, []
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["rng"])
    return state["step"], state["recent"]


def _save(model: Any, tokenizer: Any, notes: dict[str, Any], member: Path) -> None:
    """Put a finished member in place, whole or not at all."""
    partial = _partial(member)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    (partial / "landscape.json").write_text(json.dumps(notes, indent=2))
    (partial / "state.pt").unlink(missing_ok=True)
    if member.exists():
        shutil.rmtree(member)
    os.replace(partial, member)


def _new_classifier(source: Path, task: Task) -> torch.nn.Module:
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(
        source,
        dtype=torch.float32,
        id2label=dict(enumerate(task.labels)),
        label2id={label: i for i, label in enumerate(task.labels)},
    )


def _forward(
    model: torch.nn.Module, inputs: dict[str, Tensor], device: torch.device, precision: str
) -> Tensor:
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        output = model(**{name: tensor.to(device) for name, tensor in inputs.items()})
    return output.logits.float()


@torch.no_grad()
def _accuracy(model: torch.nn.Module, dev: Encoded, device: torch.device, precision: str) -> float:
    model.eval()
    right = sum(
        int((_forward(model, inputs, device, precision).argmax(-1).cpu() == labels).sum())
        for inputs, labels in make_batches(dev)
    )
    return right / len(dev)
