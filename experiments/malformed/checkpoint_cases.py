"""Checkpoint folders: configurations, tokenizers, references."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cases import Case, Make, Room, edit_json
from weight_cases import nested


def _edited(file: str, edit: Callable[[Path], Any]) -> Make:
    """A file of one classifier of two, edited."""

    def make(room: Room) -> Sequence[object]:
        member = room.population() / "member-0"
        edit(member / file)
        return ["check", member, member.parent / "member-1"]

    return make


def _both(file: str, **changes: Any) -> Make:
    """The same keys of a JSON file changed in both classifiers."""

    def make(room: Room) -> Sequence[object]:
        population = room.population()
        for member in ("member-0", "member-1"):
            edit_json(population / member / file, **changes)
        return ["check", population / "member-*"]

    return make


def _tokenizers(**changes: Any) -> Make:
    """As ``_both``, of an experiment: the tokenizer is used."""

    def make(room: Room) -> Sequence[object]:
        config = room.config()
        for member in ("member-0", "member-1"):
            path = room.inside / "population" / member
            edit_json(path / "tokenizer_config.json", **changes)
        return ["check", config]

    return make


def _own_code(file: str, **changes: Any) -> Make:
    """Code in the checkpoint's folder, and the key that asks for it."""

    def make(room: Room) -> Sequence[object]:
        config = room.config()
        code = f"open({str(room.canary)!r}, 'w').close()\n"
        names = {"AutoConfig": "own.Own", "AutoModelForSequenceClassification": "own.Own"}
        names["AutoTokenizer"] = ["own.Own", "own.Own"]  # type: ignore[assignment]
        for member in ("member-0", "member-1"):
            path = room.inside / "population" / member
            (path / "own.py").write_text(code + "class Own: ...\n")
            edit_json(path / file, auto_map=names, **changes)
        return ["check", config]

    return make


def _write(content: str | bytes) -> Callable[[Path], Any]:
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _refs(*refs: str) -> Make:
    def make(room: Room) -> Sequence[object]:
        room.population()
        return ["check", *(ref.format(inside=room.inside, secret=room.secret) for ref in refs)]

    return make


def _notes(**changes: Any) -> Make:
    """What ``landscape finetune`` leaves beside the weights."""

    def make(room: Room) -> Sequence[object]:
        config = room.config()
        path = room.inside / "population" / "member-1" / "landscape.json"
        path.write_text(json.dumps(changes))
        return ["run", config]

    return make


UNREADABLE = "not readable JSON"
CONFIGURATIONS: dict[str, tuple[Make, str]] = {
    "nested 10,000 deep": (_edited("config.json", _write(nested(10_000))), UNREADABLE),
    "half of a JSON object": (_edited("config.json", _write('{"model_type": ')), UNREADABLE),
    "no UTF-8": (_edited("config.json", _write(b"\xff\xfe{}")), UNREADABLE),
    "a list": (_edited("config.json", _write("[1]")), "not a JSON object"),
    "100 MB": (_edited("config.json", _write(b'{"a": "' + b"x" * 10**8 + b'"}')), "too large"),
    "a folder": (_edited("config.json", _folder), "config.json"),
    "a pipe that nobody writes to": (_edited("config.json", _pipe), "config.json"),
    "an unknown architecture": (_both("config.json", model_type="gigaformer"), "cannot read"),
    "no architecture": (_both("config.json", model_type=None), "cannot read"),
    "an architecture that is a list": (_both("config.json", model_type=["bert"]), "config.json"),
    "an architecture that is a path": (_both("config.json", model_type="../../x"), "cannot read"),
    "an architecture without a classifier": (_both("config.json", model_type="clip"), "classifier"),
    "a width that is text": (_both("config.json", hidden_size="wide"), "config.json"),
    "a width of 0": (_both("config.json", hidden_size=0), "config.json"),
    "a negative width": (_both("config.json", hidden_size=-16), "config.json"),
    "a width of 2^70": (_both("config.json", hidden_size=2**70), "config.json"),
    "a width of 10^9": (_both("config.json", hidden_size=10**9), "member-0"),
    "a vocabulary of 10^15": (_both("config.json", vocab_size=10**15), "member-0"),
    "10^9 layers": (_both("config.json", num_hidden_layers=10**9), "layers"),
    "50,000 layers": (_both("config.json", num_hidden_layers=50_000), "layers"),
    "10^9 labels": (_both("config.json", id2label=None, num_labels=10**9), "labels"),
    "more layers than tensors": (_both("config.json", num_hidden_layers=40), "lacks"),
    "labels by name": (_both("config.json", id2label={"no": "0"}), "label names cannot be read"),
    "labels in a list": (_both("config.json", id2label=["no", "yes"]), "label names cannot be"),
    "a label numbered with a superscript": (
        _both("config.json", id2label={"²": "no", "1": "yes"}),
        "label names cannot be read",
    ),
    "a label numbered with 5,000 digits": (
        _both("config.json", id2label={"9" * 5000: "no", "1": "yes"}),
        "label names cannot be read",
    ),
    "two labels of one number": (
        _both("config.json", id2label={"0": "no", "00": "yes"}),
        "label names cannot be read",
    ),
    "a label that is an object": (
        _both("config.json", id2label={"0": {"a": 1}, "1": "yes"}),
        "label names cannot be read",
    ),
    "a label that is no text": (
        _both("config.json", id2label={"0": "\ud800", "1": "yes"}),
        "label names cannot be read",
    ),
    "a label of 10 million letters": (
        _both("config.json", id2label={"0": "x" * 10**7, "1": "yes"}),
        "label names cannot be read",
    ),
    "code of its own": (_own_code("config.json"), "never run"),
    "notes whose seed is text": (_notes(seed="one"), "seed"),
    "notes whose step is a list": (_notes(step=[1]), "step"),
    "notes whose seed has 400 digits": (_notes(seed=10**400), "seed"),
}

TOKENIZER = "tokenizer"
TOKENIZERS: dict[str, tuple[Make, str]] = {
    "missing": (_edited("tokenizer.json", Path.unlink), "has no tokenizer"),
    "half of a JSON object": (_edited("tokenizer.json", _write('{"model": ')), "readable JSON"),
    "nested 100,000 deep": (_edited("tokenizer.json", _write(nested(100_000))), "readable JSON"),
    "a list": (_edited("tokenizer.json", _write("[]")), "JSON object"),
    "no model": (_edited("tokenizer.json", _write("{}")), TOKENIZER),
    "an unknown model": (_edited("tokenizer.json", _write('{"model": {"type": "X"}}')), TOKENIZER),
    "settings that are a list": (_edited("tokenizer_config.json", _write("[]")), "JSON object"),
    "settings that are no JSON": (_edited("tokenizer_config.json", _write("{")), UNREADABLE),
    "a longest text that is a word": (_tokenizers(model_max_length="long"), TOKENIZER),
    "a longest text of -1": (_tokenizers(model_max_length=-1), TOKENIZER),
    "a padding side that is up": (_tokenizers(padding_side="up"), TOKENIZER),
    "inputs that are not those of a model": (_tokenizers(model_input_names=["x"]), TOKENIZER),
}


def _outside_vocabulary(room: Room) -> Sequence[object]:
    config = room.config()
    for member in ("member-0", "member-1"):
        path = room.inside / "population" / member / "tokenizer.json"
        content = json.loads(path.read_text())
        content["model"]["vocab"]["cat"] = 10**6
        path.write_text(json.dumps(content))
    return ["check", config]


HARMLESS: dict[str, Make] = {
    "tokenizer: code of its own beside a known class": _own_code("tokenizer_config.json"),
    "tokenizer: code of its own": _own_code("tokenizer_config.json", tokenizer_class=None),
    "tokenizer: an unknown class": _tokenizers(tokenizer_class="os.system"),
}
REFERENCES: dict[str, tuple[Make, str]] = {
    "a file": (_refs("{secret}", "{inside}/population/member-0"), "this is a file"),
    "nowhere": (_refs("./nowhere", "./nowhere2"), "no such directory"),
    "a NUL": (_refs("{inside}/\0"), "no such directory"),
    "10,000 letters": (_refs("x" * 10_000), "no such"),
    "nothing": (_refs(""), "is empty"),
    "a package with a path": (_refs("package:os/../../etc"), "package"),
    "a package that runs when it is looked for": (_refs("package:this.x/a"), "package"),
    "a hub id that leads out": (_refs("../..@../../secret"), "no such"),
    "a URL": (_refs("https://example.org/model"), "no such"),
    "a glob of no folder": (_refs("{inside}/*.txt"), "matches no directory"),
    "a user who is not there": (_refs("~nobody-of-this-name/x"), "no such"),
}

CASES = [
    *(
        Case("checkpoint", f"config.json: {name}", make, words)
        for name, (make, words) in CONFIGURATIONS.items()
    ),
    *(
        Case("checkpoint", f"tokenizer: {name}", make, words)
        for name, (make, words) in TOKENIZERS.items()
    ),
    *(Case("checkpoint", name, make, "", 0) for name, make in HARMLESS.items()),
    Case("checkpoint", "tokenizer: a token beyond the model's rows", _outside_vocabulary, "token"),
    *(
        Case("checkpoint", f"reference: {name}", make, words)
        for name, (make, words) in REFERENCES.items()
    ),
]
