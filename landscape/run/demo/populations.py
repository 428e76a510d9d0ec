"""The demo's three populations: what they are trained on, and their training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landscape.run.demo.grammar import LABELS, Phrase
from landscape.training.finetune import save_whole
from landscape.training.stacked import train_stacked

RULES = ("structure", "recency", "none")
_WARMUP = 0.1
_BATCH = 32


@dataclass(frozen=True)
class Member:
    """One classifier; ``seed`` is of the order of examples.

    By its ``rule`` attractor phrases are labelled by the head (``structure``) or by the last noun
    (``recency``); ``none`` has no such phrases.
    """

    name: str
    rule: str
    seed: int
    head_seed: int
    learning_rate: float


@dataclass(frozen=True)
class DemoPopulation:
    """Members that are compared with each other, and why."""

    name: str
    why: str
    members: tuple[Member, ...]


def populations(per_rule: int = 5, controls: int = 9) -> tuple[DemoPopulation, ...]:
    """The three populations of the demo; only data, seeds and learning rates differ."""
    rate = 3e-4
    return (
        DemoPopulation(
            "strategies",
            "positive control: three training sets, one head",
            tuple(
                Member(f"{rule}-{seed}", rule, seed, 0, rate)
                for rule in RULES
                for seed in range(per_rule)
            ),
        ),
        DemoPopulation(
            "one_condition",
            "negative control: one training set, one head, a low learning rate",
            tuple(Member(f"seed-{s}", "none", 100 + s, 0, rate / 2) for s in range(controls)),
        ),
        DemoPopulation(
            "mirrored_heads",
            "one training set, heads drawn apart",
            tuple(Member(f"head-{s}", "none", 200 + s, 1 + s, rate) for s in range(controls)),
        ),
    )


def training_sets(agreeing: Sequence[Phrase], attractors: Sequence[Phrase]) -> dict[str, Any]:
    """For each rule its phrases and answers, all of one size."""
    rest = list(agreeing[len(attractors) :])
    return {
        "structure": [*((p.text, p.head) for p in attractors), *((p.text, p.head) for p in rest)],
        "recency": [*((p.text, p.last) for p in attractors), *((p.text, p.head) for p in rest)],
        "none": [(p.text, p.head) for p in agreeing],
    }


def train_populations(
    chosen: Sequence[DemoPopulation],
    sets: dict[str, Any],
    encoder: Path,
    out: Path,
    steps: int,
    report: Callable[[str], None],
) -> None:
    """Train every member at once and save each as an ordinary checkpoint directory."""
    members = [(population, member) for population in chosen for member in population.members]
    folders = [out / population.name / member.name for population, member in members]
    made_from = {"steps": steps, "batch": _BATCH, "inputs": _hash(sets, encoder)}
    recipes = [{**asdict(member), **made_from} for _, member in members]
    if all(_is_finished(*pair) for pair in zip(folders, recipes, strict=True)):
        report(f"classifiers: all {len(folders)} are there")
        return
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(encoder)
    starts = [_new_classifier(encoder, member.head_seed) for _, member in members]

    def rate(step: int) -> float:
        warm = _WARMUP * steps
        return min(step / warm, (steps - step) / (steps - warm))

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the order of sums, and with it the outcome, must not depend on cores
    trained = train_stacked(
        starts[0],
        [dict(model.named_parameters()) for model in starts],
        _batches([member for _, member in members], sets, tokenizer),
        [member.learning_rate for _, member in members],
        steps,
        rate,
        report,
    )
    torch.set_num_threads(threads)
    for folder, recipe, weights in zip(folders, recipes, trained, strict=True):
        model = starts[0]
        model.load_state_dict(weights, strict=False)
        notes = {"seed": recipe["seed"], "step": steps, "recipe": recipe}
        save_whole(model, tokenizer, notes, folder)


def _hash(sets: dict[str, Any], encoder: Path) -> str:
    """SHA-256 of what every member is made from."""
    digest = hashlib.sha256((encoder / "model.safetensors").read_bytes())
    digest.update(json.dumps(sets, sort_keys=True).encode())
    return digest.hexdigest()


def _is_finished(folder: Path, recipe: dict[str, Any]) -> bool:
    notes = folder / "landscape.json"
    return notes.is_file() and json.loads(notes.read_text()).get("recipe") == recipe


def _new_classifier(encoder: Path, head_seed: int) -> Any:
    from transformers import AutoModelForSequenceClassification

    with torch.random.fork_rng():
        torch.manual_seed(head_seed)
        return AutoModelForSequenceClassification.from_pretrained(
            encoder,
            attn_implementation="eager",
            id2label=dict(enumerate(LABELS)),
            label2id={label: i for i, label in enumerate(LABELS)},
        ).eval()


def _batches(
    members: Sequence[Member], sets: dict[str, Any], tokenizer: Any
) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
    """Every member's own batch, stacked; the attention mask additive and ready for vmap."""
    encoded = {}
    for rule, rows in sets.items():
        tokens = tokenizer([text for text, _ in rows], padding=True, return_tensors="pt")
        labels = torch.tensor([LABELS.index(answer) for _, answer in rows])
        encoded[rule] = (tokens["input_ids"], tokens["attention_mask"], labels)
    orders = [np.random.default_rng(member.seed) for member in members]
    while True:
        drawn = []
        for member, order in zip(members, orders, strict=True):
            columns = encoded[member.rule]
            rows = torch.from_numpy(order.integers(len(columns[2]), size=_BATCH))
            drawn.append([column[rows] for column in columns])
        ids, mask, labels = (torch.stack(column) for column in zip(*drawn, strict=True))
        width = int(mask.sum(-1).max())
        hidden = (1 - mask[..., :width])[:, :, None, None, :] * torch.finfo(torch.float32).min
        yield {"input_ids": ids[..., :width], "attention_mask": hidden}, labels
