"""Experiments and populations to finetune."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.malformed.inputs import Inputs

Refused = Callable[..., None]
HEAD = "name: a\ncheckpoints: [a]\ntask: mnli\n"


def _keys(n: int, length: int = 1) -> str:
    return HEAD + "".join(f"{'key' * length}{k}: {k}\n" for k in range(n))


TEXTS: dict[str, tuple[str | bytes, str]] = {
    "an unknown tag": ("name: !own x\n", "!own"),
    "a key that stands twice": (f"name: b\n{HEAD}", "name"),
    "a NUL": ("name: a\0b\n", "YAML"),
    "Latin-1": ("name: Müller\n".encode("latin-1"), "YAML"),
    "UTF-16": ("name: a\n".encode("utf-16"), "YAML"),
    "a terminal's control characters": ("\x1b]0;name\x07: 1\n", "YAML"),
    "half of a character": (HEAD.replace(" a", ' "\\ud800"', 1), "YAML"),
    "tabs": ("name: a\npath:\n\tpoints: 3\n", "YAML"),
    "binary": (bytes(range(256)) * 40, "YAML"),
    "empty": ("", "mapping"),
    "a list": ("- a\n- b\n", "mapping"),
    "two documents": ("name: a\n---\nname: b\n", "YAML"),
    "a key that is a list": ("? [a, b]\n: 1\n", "YAML"),
    "a key that is a number": ("1: 1\n", "1"),
    "a date that is none": ("name: 2001-99-99\n", "YAML"),
    "a number that is none": ("examples: !!int x\n", "YAML"),
    "a truth that is none": ("name: !!bool maybe\n", "YAML"),
    "a number of 5,000 digits": (f"examples: {'9' * 5000}\n", "YAML"),
    "5,000 unknown keys": (_keys(5000), "5000"),
    "an unknown key of 1 MB": (_keys(1, 300_000), "key"),
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


PLANE = {"kind": "plane", "through": ["member-0", "member-1", "member-2"]}
KEYS: dict[str, tuple[dict[str, Any], str]] = {
    "a name with a path": ({"name": "../../x"}, "'name'"),
    "a name that leads up": ({"name": ".."}, "'name'"),
    "a name of a dot": ({"name": "."}, "'name'"),
    "a name with a line break": ({"name": "a\n"}, "'name'"),
    "a name of 10,000 letters": ({"name": "a" * 10_000}, "'name'"),
    "a name that is a number": ({"name": 3}, "'name'"),
    "a surface's name that leads up": ({"paths": [PLANE | {"name": ".."}]}, "paths[0]"),
    "checkpoints that are a mapping": ({"checkpoints": {"a": "b"}}, "'checkpoints'"),
    "no checkpoints": ({"checkpoints": []}, "'checkpoints'"),
    "a negative seed": ({"seed": -1}, "'seed'"),
    "a seed of 10^30": ({"seed": 10**30}, "seed"),
    "a negative seed of the analysis": ({"analysis": {"seed": -1}}, "'analysis.seed'"),
    "a memory of 9^400 bytes": ({"evaluate": {"memory_budget": "9" * 400 + "GB"}}, "budget'"),
    "a memory with two points": ({"evaluate": {"memory_budget": "1.2.3GB"}}, "budget'"),
    "a negative memory": ({"evaluate": {"memory_budget": -5}}, "'evaluate.memory_budget'"),
    "a device that is a command": ({"evaluate": {"device": "cpu; rm"}}, "'evaluate.device'"),
    "10^12 resamples": ({"analysis": {"n_resamples": 10**12}}, "'analysis.n_resamples'"),
    "a label map of lists": ({"label_map": {"a": ["b"]}}, "'label_map"),
    "an out with a NUL": ({"out": "a\0b"}, "'out'"),
    "an out that is a list": ({"out": ["a"]}, "'out'"),
    "a data root that is a file": ({"data_root": "config.yaml"}, "config.yaml"),
    "a data root with a NUL": ({"data_root": "a\0b"}, "data_root"),
    "a task that is not there": ({"task": "../../config.yaml"}, "in/../../"),
    "a task with a NUL": ({"task": "a\0.yaml"}, "task"),
    "a task that is a number": ({"task": 3}, "'task"),
    "checkpoints with a NUL": ({"checkpoints": ["a\0b"]}, "'checkpoints.0'"),
    "ten thousand datasets": ({"datasets": ["a"] * 10_000}, "datasets"),
    "a dataset named twice": ({"datasets": ["dev", "dev"]}, "dev"),
}
POINTS = {"2^62 points": 2**62, "no points": 0, "points that are text": "many"}


@pytest.mark.parametrize(("changes", "piece"), KEYS.values(), ids=KEYS)
def test_keys(changes: dict[str, Any], piece: str, inputs: Inputs, refused: Refused) -> None:
    refused("check", inputs.config(**changes), naming=("config.yaml", piece))


@pytest.mark.parametrize("points", POINTS.values(), ids=POINTS)
def test_points(points: object, inputs: Inputs, refused: Refused) -> None:
    refused(
        "check",
        inputs.config(paths=[{"kind": "line", "points": points}]),
        naming=("config.yaml", "points'"),
    )


@pytest.mark.parametrize("tolerance", [float("inf"), float("nan"), -1.0])
def test_tolerances(tolerance: float, inputs: Inputs, refused: Refused) -> None:
    config = inputs.config(paths=[{"kind": "line", "adaptive": True, "tolerance": tolerance}])
    refused("check", config, naming=("config.yaml", "tolerance'"))


@pytest.mark.parametrize("below", ["", "/below"])
def test_an_out_that_is_a_file(below: str, inputs: Inputs, refused: Refused) -> None:
    for verb in ("check", "run"):
        refused(verb, inputs.config(out=f"{inputs.secret}{below}"), naming="secret.txt")


POPULATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "10^9 seeds": ({"seeds": 10**9}, "'seeds'"),
    "a negative seed": ({"seeds": [-1]}, "'seeds"),
    "a seed that stands twice": ({"seeds": [1, 1]}, "seeds"),
    "a device that is none": ({"device": "abacus"}, "'device'"),
    "a base that is nowhere": ({"base": "./nowhere"}, "nowhere"),
    "an out with a NUL": ({"out": "a\0b"}, "'out'"),
    "a learning rate without end": ({"learning_rate": float("inf")}, "'learning_rate'"),
}


@pytest.mark.parametrize(("changes", "piece"), POPULATIONS.values(), ids=POPULATIONS)
def test_finetuning(changes: dict[str, Any], piece: str, inputs: Inputs, refused: Refused) -> None:
    refused("finetune", inputs.finetune_config(**changes), naming=piece)
