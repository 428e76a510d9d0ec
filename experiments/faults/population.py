"""Tiny models and experiments on them: seconds to run, yet with every kind of row and file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

WORDS = ("cat", "dog", "cats", "dogs", "the", "a", "near", "old", "runs", "run", "not", "and")
LABELS = ("no", "yes")
VARIANTS = ("plain", "adaptive", "active")
N_MODELS, N_FEW = 9, 5
POINTS = 7


def make_population(folder: Path, seed: int, *, quick: bool) -> None:
    """Write classifiers as ``folder/models/m0`` and so on, a task and experiments beside them.

    Args:
        folder: A new one.
        seed: Of weights and data.
        quick: Whether to make fewer models and one experiment only.
    """
    for number in range(N_FEW if quick else N_MODELS):
        make_model(seed + number).save_pretrained(folder / f"models/m{number}")
        _tokenizer().save_pretrained(folder / f"models/m{number}")
    rng = np.random.default_rng(seed)
    for name, count in (("train", 64), ("dev", 64), ("hard", 40)):
        rows = ["text\tlabel"]
        for _ in range(count):
            words = rng.choice(WORDS, size=rng.integers(2, 9)).tolist()
            rows.append(f"{' '.join(words)}\t{LABELS['not' in words]}")
        (folder / f"{name}.tsv").write_text("\n".join(rows) + "\n")
    task = {
        "name": "tiny",
        "labels": list(LABELS),
        "texts": ["text"],
        "train": {"file": "train.tsv"},
        "in_domain": {"dev": {"file": "dev.tsv"}},
        "challenge": {"hard": {"file": "hard.tsv", "groups": ["label"]}},
    }
    (folder / "task.yaml").write_text(yaml.safe_dump(task))
    for variant in VARIANTS[:1] if quick else VARIANTS:
        (folder / f"{variant}.yaml").write_text(yaml.safe_dump(_experiment(variant, quick)))


def make_model(seed: int) -> BertForSequenceClassification:
    """A classifier of two layers with weights far from zero."""
    config = BertConfig(
        vocab_size=len(WORDS) + 4,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
        id2label=dict(enumerate(LABELS)),
        label2id={label: i for i, label in enumerate(LABELS)},
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = BertForSequenceClassification(config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.3 * torch.randn_like(parameter)
    return model.eval()


def _tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=32,
    )


def _experiment(variant: str, quick: bool) -> dict[str, Any]:
    steps, points = (4, 3) if quick else (8, 5)
    fit = {"examples": 32, "batch_size": 8, "steps": steps, "learning_rate": 0.01}
    content: dict[str, Any] = {
        "name": "tiny",
        "checkpoints": f"models/m[0-{N_FEW - 1 if quick else 6}]",
        "task": "task.yaml",
        "data_root": ".",
        "examples": None,
        "path": {"points": POINTS},
        "evaluate": {"device": "cpu", "token_budget": 1024},
        "ways": [
            {"kind": "line", "name": "straight", "between": ["m0", "m1"], "points": points},
            {"kind": "bezier", "between": ["m0", "m2"], "points": points, "fit": fit},
        ],
        "surface": {"kind": "plane", "through": ["m0", "m1", "m2"], "points": 3},
        "analysis": {"n_resamples": 100},
    }
    if variant == "adaptive":
        content["path"] = {"points": 9, "adaptive": True}
    if variant == "active":
        content |= {"checkpoints": "models/m*", "pairs": "active", "pairs_budget": 32}
    return content
