"""Tiny checkpoints of real architectures, and a tiny task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import transformers
import yaml
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

WORDS = ("cat", "dog", "cats", "dogs", "the", "a", "near", "old", "runs", "run", "not", "and")
LABELS = ("no", "yes")


def make_tokenizer(words: tuple[str, ...] = WORDS) -> PreTrainedTokenizerFast:
    """A word-level tokenizer with BERT's special tokens."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: i for i, word in enumerate([*special, *words])}
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


def make_model(
    kind: str, seed: int, labels: tuple[str, ...] = LABELS, hidden: int = 16
) -> torch.nn.Module:
    """A classifier of two layers with weights far from zero."""
    names = {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: i for i, label in enumerate(labels)},
        "vocab_size": len(WORDS) + 4,
        "pad_token_id": 0,
    }
    if kind == "distilbert":
        config = transformers.DistilBertConfig(
            dim=hidden, n_layers=2, n_heads=2, hidden_dim=32, max_position_embeddings=40, **names
        )
    else:
        family = {"bert": transformers.BertConfig, "roberta": transformers.RobertaConfig}[kind]
        config = family(
            hidden_size=hidden,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=40,
            **names,
        )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = transformers.AutoModelForSequenceClassification.from_config(config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.3 * torch.randn_like(parameter)
    return model.eval()


def save_population(folder: Path, kind: str, n: int, **options: object) -> Path:
    """Save classifiers with their tokenizer as folder/member-<i>."""
    for i in range(n):
        make_model(kind, seed=i, **options).save_pretrained(folder / f"member-{i}")  # type: ignore[arg-type]
        make_tokenizer().save_pretrained(folder / f"member-{i}")
    return folder


def write_task(folder: Path, n: int = 60) -> Path:
    """Write data files and a task that names them."""
    rng = np.random.default_rng(0)

    def rows(count: int) -> list[list[str]]:
        out = []
        for _ in range(count):
            words = list(rng.choice(WORDS, size=rng.integers(2, 9)))
            out.append([" ".join(words), LABELS[int("not" in words)], str(len(words) // 5)])
        return out

    for name, count in (("train", 64), ("dev", n), ("hard", n)):
        lines = ["\t".join(row) for row in [["text", "label", "size"], *rows(count)]]
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    task = {
        "name": "tiny",
        "labels": list(LABELS),
        "texts": ["text"],
        "train": {"file": "train.tsv"},
        "in_domain": {"dev": {"file": "dev.tsv"}},
        "challenge": {"hard": {"file": "hard.tsv", "groups": ["label", ["size", "label"]]}},
    }
    path = folder / "task.yaml"
    path.write_text(yaml.safe_dump(task))
    return path


def write_experiment(path: Path, population: Path, task: Path, /, **changes: object) -> Path:
    """Write an experiment on a population and a task."""
    content = {
        "name": "tiny",
        "checkpoints": f"{population}/member-*",
        "task": str(task),
        "examples": 40,
        "paths": {"points": 5},
        "out": str(path.parent / "out"),
        "analysis": {"n_resamples": 100},
        "indicators": [],
        **changes,
    }
    path.write_text(yaml.safe_dump(content))
    return path
