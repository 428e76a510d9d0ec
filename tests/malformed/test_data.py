"""Task files, and the data files that they name."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest

from tests.malformed.inputs import Inputs

Refused = Callable[..., None]
HEAD = b"text\tlabel\tsize\n"
ROW = b"a cat\tno\t1\n"
JSON_ROW = b'{"text": "a cat", "label": "no", "size": "1"}\n'


def _json(text: str, label: str) -> bytes:
    return f'{{"text": {text}, "label": {label}}}\n'.encode()


FILES: dict[str, tuple[str, bytes, str]] = {
    "a row that is too long": ("x.tsv", HEAD + ROW + b"a\tno\t1\t2\t3\n", "line 3"),
    "binary": ("x.tsv", bytes(range(256)) * 100, ""),
    "CSV: a quote that does not close": ("x.csv", b'text,label\n"a cat,no\nb,no\n', ""),
    "JSONL: a row that is none": ("x.jsonl", JSON_ROW + b"{\n", "line 2"),
    "JSONL: half of a character": ("x.jsonl", _json('"\\ud800"', '"no"'), "data row 1"),
    "JSONL: 100,000 deep": ("x.jsonl", _json("[" * 10**5 + "]" * 10**5, "1"), "line 1"),
    "gzip: a wrong checksum": ("x.tsv.gz", gzip.compress(HEAD + ROW)[:-8] + bytes(8), ""),
    "a pickle": ("x.pkl", b"\x80\x04N.", "pkl"),
}


@pytest.mark.parametrize(("name", "content", "piece"), FILES.values(), ids=FILES)
def test_files(name: str, content: bytes, piece: str, inputs: Inputs, refused: Refused) -> None:
    config = inputs.config()
    inputs.write(f"task/{name}", content)
    inputs.task(in_domain={"dev": {"file": name}})
    refused("check", config, naming=(name, piece))


def _dev(name: str = "dev", **spec: Any) -> dict[str, Any]:
    return {"in_domain": {name: {"file": "dev.tsv", **spec}}}


TASKS: dict[str, tuple[dict[str, Any], str]] = {
    "a file above the data root": (_dev(file="../../secret.txt"), "'..'"),
    "a file without an end": (_dev(file="/dev/zero"), "zero"),
    "a set named ../x": (_dev("../x"), "../x"),
    "1,000 labels": ({"labels": [f"label {k}" for k in range(1000)]}, "'labels'"),
    "folds of 10^18": (_dev(folds={"n": 10**18, "use": [0]}), "folds"),
    "a map to an unknown label": (_dev(labels={"a": "b"}), "'b'"),
    "a hub data set that is a path": ({"in_domain": {"dev": {"datasets": "../x"}}}, "../x"),
    "a hub data set to be fetched": ({"in_domain": {"dev": {"datasets": "nobody/x"}}}, "nobody/x"),
}


@pytest.mark.parametrize(("changes", "piece"), TASKS.values(), ids=TASKS)
def test_tasks(changes: dict[str, Any], piece: str, inputs: Inputs, refused: Refused) -> None:
    config = inputs.config()
    inputs.task(**changes)
    refused("check", config, naming=piece)


def test_a_hub_data_set_of_broken_tables(inputs: Inputs, refused: Refused) -> None:
    config = inputs.config()
    folder = inputs.write("broken/train.json", "{]").parent
    inputs.task(in_domain={"dev": {"datasets": str(folder), "split": "train"}})
    refused("check", config, naming="broken")
