"""Checkpoint folders: configurations, tokenizers, references."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.malformed.inputs import Inputs, edit_json, nested

Refused = Callable[..., None]
Command = Callable[..., str]
CONFIG, SETTINGS, TOKENIZER = "config.json", "tokenizer_config.json", "tokenizer.json"
FILES: dict[str, tuple[str, str | bytes | Callable[[Path], Any]]] = {
    "nested 10,000 deep": (CONFIG, nested(10_000)),
    "a folder": (CONFIG, Path.mkdir),
    "half a tokenizer": (TOKENIZER, '{"model": '),
    "a tokenizer nested 100,000 deep": (TOKENIZER, nested(100_000)),
    "settings that are a list": (SETTINGS, "[]"),
}


@pytest.mark.parametrize(("name", "content"), FILES.values(), ids=FILES)
def test_files(
    name: str,
    content: str | bytes | Callable[[Path], Any],
    inputs: Inputs,
    refused: Refused,
) -> None:
    """Of one classifier of two."""
    member, other = inputs.members()
    (member / name).unlink()
    if callable(content):
        content(member / name)
    else:
        (member / name).write_bytes(content.encode() if isinstance(content, str) else content)
    refused("check", member, other, naming=("member-0", name.partition(".")[0].partition("_")[0]))


KEYS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown architecture": ({"model_type": "gigaformer"}, "gigaformer"),
    "an architecture that is a list": ({"model_type": ["bert"]}, CONFIG),
    "a width of 0": ({"hidden_size": 0}, CONFIG),
    "a width of 10^9": ({"hidden_size": 10**9}, "embeddings"),
    "two labels of one number": ({"id2label": {"0": "no", "00": "yes"}}, CONFIG),
}


@pytest.mark.parametrize(("changes", "piece"), KEYS.values(), ids=KEYS)
def test_keys(changes: dict[str, Any], piece: str, inputs: Inputs, refused: Refused) -> None:
    """The same in both."""
    for member in inputs.members():
        edit_json(member / CONFIG, changes)
    refused("check", "population/member-*", naming=("member-0", piece))


def test_a_token_beyond_the_rows_of_the_model(inputs: Inputs, refused: Refused) -> None:
    config = inputs.config()
    for member in inputs.members():
        content = json.loads((member / TOKENIZER).read_text())
        content["model"]["vocab"]["cat"] = 10**6
        (member / TOKENIZER).write_text(json.dumps(content))
    refused("check", config, naming=("member-0", "vocab_size"))


@pytest.mark.parametrize("file", [CONFIG, SETTINGS])
def test_code_beside_the_weights_is_never_run(
    file: str, inputs: Inputs, command: Command, refused: Refused
) -> None:
    """Where a tokenizer asks for it, its known class is used instead."""
    config = inputs.config()
    names = {"AutoConfig": "own.Own", "AutoModelForSequenceClassification": "own.Own"}
    for member in inputs.members():
        (member / "own.py").write_text(f"open({str(inputs.canary)!r}, 'w')\nclass Own: ...\n")
        edit_json(member / file, {"auto_map": {**names, "AutoTokenizer": ["own.Own"] * 2}})
        edit_json(member / SETTINGS, {"tokenizer_class": "os.system"})
    if file == SETTINGS:
        command("check", config)
    else:
        refused("check", config, naming=("member-0", "own.Own"))


@pytest.mark.parametrize("notes", [{"step": [1]}, {"seed": 10**400}, {"recipe": [1]}])
def test_notes_of_finetuning(notes: dict[str, Any], inputs: Inputs, refused: Refused) -> None:
    config = inputs.config()
    (inputs.members()[1] / "landscape.json").write_text(json.dumps(notes))
    refused("run", config, naming=("landscape.json", *notes))


REFERENCES: dict[str, str] = {
    "a NUL": "population/\0",
    "10,000 letters": "x" * 10_000,
    "a package with a path": "package:os/../../etc",
    "a package that runs when it is looked for": "package:this.x/a",
    "a hub id that leads out": "../..@../../secret",
}


@pytest.mark.parametrize("ref", REFERENCES.values(), ids=REFERENCES)
def test_references(ref: str, inputs: Inputs, refused: Refused) -> None:
    refused("check", ref, inputs.members()[0], naming=ref[:100].rstrip("\0"))
