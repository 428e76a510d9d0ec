"""Experiments, populations to finetune, tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import yaml
from cases import Case, Make, Room

LAUGHS = "a0: &a0 [lol, lol]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]\n" for k in range(1, 30)
)


def _text(content: str | bytes, verb: str = "check") -> Make:
    """A file of this content."""
    return lambda room: [verb, room.write("config.yaml", content)]


def _changed(verb: str = "check", /, **changes: Any) -> Make:
    """A sound experiment with these keys changed."""
    return lambda room: [verb, room.config(**changes)]


def _code(room: Room) -> Sequence[object]:
    call = f"!!python/object/apply:os.system ['touch {room.canary}']"
    return ["check", room.write("config.yaml", f"name: {call}\ncheckpoints: [a]\ntask: mnli\n")]


def _out_is_a_file(room: Room) -> Sequence[object]:
    return ["run", room.config(out=str(room.secret))]


def _out_below_a_file(room: Room) -> Sequence[object]:
    return ["check", room.config(out=str(room.secret / "below"))]


def _folder(room: Room) -> Sequence[object]:
    (room.inside / "config.yaml").mkdir()
    return ["check", room.inside / "config.yaml"]


def _endless(room: Room) -> Sequence[object]:
    (room.inside / "config.yaml").symlink_to("/dev/zero")
    return ["check", room.inside / "config.yaml"]


def _link_to_itself(room: Room) -> Sequence[object]:
    os.symlink("config.yaml", room.inside / "config.yaml")
    return ["check", room.inside / "config.yaml"]


def _many(key: Callable[[int], str]) -> str:
    return "name: a\ncheckpoints: [a]\ntask: mnli\n" + "".join(
        f"{key(k)}: {k}\n" for k in range(5000)
    )


YAML = "cannot be read as YAML"
FILES: dict[str, tuple[Make, str]] = {
    "a billion laughs": (_text(LAUGHS), YAML),
    "an alias within itself": (_text("name: &a [*a]\n"), YAML),
    "merges of merges": (
        _text(
            "a0: &a0 {x: 1}\n"
            + "".join(
                f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 10)}]}}\n" for k in range(1, 30)
            )
        ),
        YAML,
    ),
    "a Python object": (_code, YAML),
    "an unknown tag": (_text("name: !own x\n"), YAML),
    "a key that stands twice": (_text("name: a\nname: b\ncheckpoints: [a]\ntask: mnli\n"), "twice"),
    "a NUL": (_text("name: a\0b\n"), YAML),
    "Latin-1": (_text("name: Müller\n".encode("latin-1")), YAML),
    "UTF-16": (_text("name: a\n".encode("utf-16")), YAML),
    "a terminal's control characters": (_text("\x1b]0;name\x07: 1\n"), YAML),
    "half of a character": (_text('name: "\\ud800"\ncheckpoints: [a]\ntask: mnli\n'), YAML),
    "100 MB of nothing": (_text(b"#" * 10**8), "too large"),
    "100 MB of brackets": (_text(b"[" * 10**8), "too large"),
    "nested 10,000 deep": (_text("a: " + "[" * 10_000 + "]" * 10_000), YAML),
    "nested 10,000 deep by indents": (_text("\n".join(" " * k + "a:" for k in range(1500))), YAML),
    "tabs": (_text("name: a\npath:\n\tpoints: 3\n"), YAML),
    "binary": (_text(bytes(range(256)) * 40), YAML),
    "empty": (_text(""), "not a YAML mapping"),
    "a list": (_text("- a\n- b\n"), "not a YAML mapping"),
    "two documents": (_text("name: a\n---\nname: b\n"), YAML),
    "a key that is a list": (_text("? [a, b]\n: 1\n"), YAML),
    "a key that is a number": (_text("1: 1\n"), "Keys should be strings"),
    "a date that is none": (_text("name: 2001-99-99\n"), YAML),
    "a number that is none": (_text("examples: !!int x\n"), YAML),
    "a truth that is none": (_text("name: !!bool maybe\n"), YAML),
    "a number of 5,000 digits": (_text("examples: " + "9" * 5000 + "\n"), YAML),
    "5,000 unknown keys": (_text(_many(lambda k: f"key{k}")), "5000 problems"),
    "an unknown key of 1 MB": (_text(_many(lambda k: f"key{k}")[:46] + "x" * 10**6 + ": 1"), "key"),
    "a folder": (_folder, YAML),
    "a file without an end": (_endless, "too large"),
    "a link to itself": (_link_to_itself, YAML),
    "JSON cut short": (_text('{"name": "a", '), YAML),
}

MANY = 2**62
KEYS: dict[str, tuple[dict[str, Any], str]] = {
    "a name with a path": ({"name": "../../x"}, "'name'"),
    "a name that leads up": ({"name": ".."}, "'name'"),
    "a name of a dot": ({"name": "."}, "'name'"),
    "a name with a line break": ({"name": "a\n"}, "'name'"),
    "a name of 10,000 letters": ({"name": "a" * 10_000}, "'name'"),
    "a name that is a number": ({"name": 3}, "'name'"),
    "a name of a way that leads up": ({"ways": {"kind": "layers", "name": ".."}}, "'ways.0.name'"),
    "a name of a surface that leads up": ({"surface": {"name": ".."}}, "'surface.0.name'"),
    "checkpoints that are a mapping": ({"checkpoints": {"a": "b"}}, "'checkpoints'"),
    "no checkpoints": ({"checkpoints": []}, "'checkpoints'"),
    "a negative seed": ({"seed": -1}, "'seed'"),
    "a seed of 10^30": ({"seed": 10**30}, "64 bits"),
    "a seed of the analysis below 0": ({"analysis": {"seed": -1}}, "'analysis.seed'"),
    "2^62 points": ({"path": {"points": MANY}}, "'path.points'"),
    "a tolerance without end": ({"path": {"tolerance": float("inf")}}, "'path.tolerance'"),
    "a tolerance that is no number": ({"path": {"tolerance": float("nan")}}, "'path.tolerance'"),
    "a memory of 9^400 bytes": (
        {"evaluate": {"memory_budget": "9" * 400 + "GB"}},
        "'evaluate.memory_budget'",
    ),
    "a memory with two points": (
        {"evaluate": {"memory_budget": "1.2.3GB"}},
        "'evaluate.memory_budget'",
    ),
    "a negative memory": ({"evaluate": {"memory_budget": -5}}, "'evaluate.memory_budget'"),
    "a device that is a command": ({"evaluate": {"device": "cpu; rm -rf"}}, "'evaluate.device'"),
    "10^12 resamples": ({"analysis": {"n_resamples": 10**12}}, "'analysis.n_resamples'"),
    "a label map of lists": ({"label_map": {"a": ["b"]}}, "'label_map"),
    "an out with a NUL": ({"out": "a\0b"}, "'out'"),
    "an out that is a list": ({"out": ["a"]}, "'out'"),
    "a data root that is a file": ({"data_root": "config.yaml"}, "data root"),
    "a data root with a NUL": ({"data_root": "a\0b"}, "data_root"),
    "a task that is a path to nothing": ({"task": "../../nothing.yaml"}, "does not exist"),
    "a task with a NUL": ({"task": "a\0.yaml"}, "task"),
    "a task that is a number": ({"task": 3}, "'task"),
    "checkpoints with a NUL": ({"checkpoints": ["a\0b"]}, "'checkpoints.0'"),
    "ten thousand datasets": ({"datasets": ["a"] * 10_000}, "twice"),
    "a dataset named twice": ({"datasets": ["dev", "dev"]}, "twice"),
}


def _finetune(**changes: Any) -> Make:
    """A sound population to finetune, with these keys changed."""

    def make(room: Room) -> Sequence[object]:
        room.population(), room.task()
        content = {
            "name": "tiny",
            "base": "population/member-0",
            "task": "task/task.yaml",
            "data_root": "task",
            "out": str(room.out),
            "seeds": 1,
            "steps": 1,
            **changes,
        }
        return ["finetune", room.write("config.yaml", yaml.safe_dump(content))]

    return make


POPULATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "10^9 seeds": ({"seeds": 10**9}, "'seeds'"),
    "a negative seed": ({"seeds": [-1]}, "'seeds"),
    "a seed that stands twice": ({"seeds": [1, 1]}, "seeds"),
    "a seed of 2^70": ({"seeds": [2**70]}, "64 bits"),
    "a device that is none": ({"device": "abacus"}, "'device'"),
    "a base that is nowhere": ({"base": "./nowhere"}, "no such directory"),
    "an out with a NUL": ({"out": "a\0b"}, "'out'"),
    "a learning rate without end": ({"learning_rate": float("inf")}, "'learning_rate'"),
}

CASES = [
    *(Case("configuration", name, make, words) for name, (make, words) in FILES.items()),
    *(
        Case("configuration", name, _changed(**changes), words)
        for name, (changes, words) in KEYS.items()
    ),
    Case("configuration", "an out that is a file", _out_is_a_file, "out"),
    Case("configuration", "an out below a file", _out_below_a_file, "out"),
    *(
        Case("configuration", f"finetune: {name}", _finetune(**changes), words)
        for name, (changes, words) in POPULATIONS.items()
    ),
]
