"""Experiments and populations to finetune."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.malformed.inputs import Inputs

Refused = Callable[..., None]
HEAD = "name: a\ncheckpoints: [a]\ntask: mnli\n"


TEXTS: dict[str, tuple[str | bytes, str]] = {
    "a key that stands twice": (f"name: b\n{HEAD}", "name"),
    "a terminal's control characters": ("\x1b]0;name\x07: 1\n", "YAML"),
    "binary": (bytes(range(256)) * 40, "YAML"),
    "a date that is none": ("name: 2001-99-99\n", "YAML"),
    "a number of 5,000 digits": (f"examples: {'9' * 5000}\n", "YAML"),
    "5,000 unknown keys": (HEAD + "".join(f"key{k}: {k}\n" for k in range(5000)), "5000"),
    "JSON cut short": ('{"name": "a", ', "YAML"),
}


@pytest.mark.parametrize(("text", "piece"), TEXTS.values(), ids=TEXTS)
def test_texts(text: str | bytes, piece: str, inputs: Inputs, refused: Refused) -> None:
    refused("check", inputs.write("config.yaml", text), naming=("config.yaml", piece))


def test_a_python_object(inputs: Inputs, refused: Refused) -> None:
    call = f"!!python/object/apply:os.system ['touch {inputs.canary}']"
    refused("check", inputs.write("config.yaml", HEAD + f"out: {call}\n"), naming="config.yaml")


@pytest.mark.parametrize("target", [None, "/dev/zero", "config.yaml"])
def test_no_file(target: str | None, inputs: Inputs, refused: Refused) -> None:
    """A folder, a file without an end, a link to itself."""
    path = inputs.write("x", "").with_name("config.yaml")
    path.mkdir() if target is None else os.symlink(target, path)
    refused("check", path, naming="config.yaml")


LINE = {"kind": "line", "adaptive": True}
PLANE = {"kind": "plane", "through": ["member-0", "member-1", "member-2"]}
KEYS: dict[str, tuple[dict[str, Any], str]] = {
    "a name of 10,000 letters": ({"name": "a" * 10_000}, "'name'"),
    "a surface's name that leads up": ({"paths": [PLANE | {"name": ".."}]}, "paths[0]"),
    "2^62 points": ({"paths": [LINE | {"points": 2**62}]}, "points'"),
    "a tolerance without end": ({"paths": [LINE | {"tolerance": float("inf")}]}, "tolerance'"),
    "a seed of 10^30": ({"seed": 10**30}, "seed"),
    "a device that is a command": ({"evaluate": {"device": "cpu; rm"}}, "'evaluate.device'"),
    "a data root that is a file": ({"data_root": "config.yaml"}, "config.yaml"),
    "a focus that is not there": ({"analysis": {"focus": "hard: maybe"}}, "hard: maybe"),
    "a dataset named twice": ({"datasets": ["dev", "dev"]}, "dev"),
}


@pytest.mark.parametrize(("changes", "piece"), KEYS.values(), ids=KEYS)
def test_keys(changes: dict[str, Any], piece: str, inputs: Inputs, refused: Refused) -> None:
    refused("check", inputs.config(**changes), naming=("config.yaml", piece))


def test_an_out_below_a_file(inputs: Inputs, refused: Refused) -> None:
    for verb in ("check", "run"):
        refused(verb, inputs.config(out=f"{inputs.secret}/below"), naming="secret.txt")
