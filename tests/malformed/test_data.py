"""Task files, and the data files that they name."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.malformed.inputs import Inputs

Refused = Callable[..., None]
HEAD = b"text\tlabel\tsize\n"
ROW = b"a cat\tno\t1\n"
JSON_ROW = b'{"text": "a cat", "label": "no", "size": "1"}\n'


def _damaged(at: slice) -> bytes:
    packed = bytearray(gzip.compress(bytes(range(256)) * 100))
    packed[at] = bytes(byte ^ 255 for byte in packed[at])
    return bytes(packed)


def _json(text: str, label: str) -> bytes:
    return f'{{"text": {text}, "label": {label}}}\n'.encode()


FILES: dict[str, tuple[str, bytes, str]] = {
    "a missing column": ("x.tsv", b"words\tlabel\na\tno\n", "'text'"),
    "a column twice": ("x.tsv", b"text\ttext\tlabel\na\tb\tno\n", "text"),
    "an unknown label": ("x.tsv", HEAD + b"a\tmaybe\t1\n", "data row 1"),
    "a label that is NaN": ("x.tsv", HEAD + b"a\tNaN\t1\n", "found: 'NaN'"),
    "no label": ("x.tsv", HEAD + b"a\t\t1\n", "found: ''"),
    "a row that is too short": ("x.tsv", HEAD + ROW + b"a cat\n", "data row 2"),
    "a row that is too long": ("x.tsv", HEAD + ROW + b"a\tno\t1\t2\t3\n", "line 3"),
    "every row is too long": ("x.tsv", HEAD + b"i\ta\tno\t1\n" * 3, "line 2"),
    "empty": ("x.tsv", b"", ""),
    "only empty lines": ("x.tsv", b"\n" * 1000, ""),
    "only a header": ("x.tsv", HEAD, ""),
    "binary": ("x.tsv", bytes(range(256)) * 100, ""),
    "Latin-1": ("x.tsv", HEAD + "Müller\tno\t1\n".encode("latin-1"), "utf-8"),
    "UTF-16": ("x.tsv", (HEAD + ROW).decode().encode("utf-16"), ""),
    "CSV: a quote that does not close": ("x.csv", b'text,label\n"a cat,no\nb,no\n', ""),
    "CSV: ragged rows": ("x.csv", b"text,label\na,no\nb\nc,no,x,y\n", "line 4"),
    "CSV: only commas": ("x.csv", b",,,\n,,,\n", "'text'"),
    "JSONL: a row that is none": ("x.jsonl", JSON_ROW + b"{\n", "line 2"),
    "JSONL: a row that is a list": ("x.jsonl", JSON_ROW + b"[1]\n", "line 2"),
    "JSONL: a row that is a number": ("x.jsonl", b"3\n", "line 1"),
    "JSONL: a row without a text": ("x.jsonl", JSON_ROW + b'{"label": "no"}\n', "data row 2"),
    "JSONL: a text that is null": ("x.jsonl", JSON_ROW + _json("null", '"no"'), "data row 2"),
    "JSONL: a label that is NaN": ("x.jsonl", _json('"a"', "NaN"), "found: 'NaN'"),
    "JSONL: half of a character": ("x.jsonl", _json('"\\ud800"', '"no"'), "data row 1"),
    "JSONL: 100,000 deep": ("x.jsonl", _json("[" * 10**5 + "]" * 10**5, "1"), "line 1"),
    "JSONL: 5,000 digits": ("x.jsonl", _json('"a"', "9" * 5000), "line 1"),
    "JSONL: empty": ("x.jsonl", b"", "column"),
    "JSONL: a list over several lines": ("x.jsonl", b"[\n{}\n]\n", "line 1"),
    "gzip: cut": ("x.tsv.gz", gzip.compress(HEAD + ROW * 99)[:-20], ""),
    "gzip: a wrong checksum": ("x.tsv.gz", _damaged(slice(-8, -4)), ""),
    "gzip: damaged inside": ("x.tsv.gz", _damaged(slice(30, 200)), ""),
    "gzip: none": ("x.tsv.gz", HEAD + ROW, ""),
    "gzip: zlib instead": ("x.tsv.gz", zlib.compress(HEAD + ROW), ""),
    "an unknown kind": ("x.parquet", b"PAR1", "parquet"),
    "a pickle": ("x.pkl", b"\x80\x04N.", "pkl"),
}


@pytest.mark.parametrize(("name", "content", "piece"), FILES.values(), ids=FILES)
def test_files(name: str, content: bytes, piece: str, inputs: Inputs, refused: Refused) -> None:
    config = inputs.config()
    inputs.write(f"task/{name}", content)
    inputs.task(in_domain={"dev": {"file": name}})
    refused("check", config, naming=(name, piece))


def test_a_quote_that_does_not_close(inputs: Inputs, refused: Refused) -> None:
    config = inputs.config()
    inputs.write("task/x.tsv", HEAD + b'"a cat\tno\t1\n' + ROW)
    inputs.task(in_domain={"dev": {"file": "x.tsv", "quoting": True}})
    refused("check", config, naming="x.tsv")


def _dev(name: str = "dev", **spec: Any) -> dict[str, Any]:
    return {"in_domain": {name: {"file": "dev.tsv", **spec}}}


TASKS: dict[str, tuple[dict[str, Any], str]] = {
    "a file above the data root": (_dev(file="../../secret.txt"), "'..'"),
    "a file above, from below": (_dev(file="a/../../x.tsv"), "'..'"),
    "a file that is a folder": (_dev(file="."), "task"),
    "a file with a NUL": (_dev(file="a\0.tsv"), "'in_domain.dev.file'"),
    "a file of 4,000 letters": (_dev(file="x" * 4000 + ".tsv"), "xxx"),
    "a file without an end": (_dev(file="/dev/zero"), "zero"),
    "a file that is a number": (_dev(file=3), "'in_domain.dev.file'"),
    "no data": ({"in_domain": {}}, "'in_domain'"),
    "data in a list": ({"in_domain": ["dev"]}, "'in_domain'"),
    "a set named ../x": (_dev("../x"), "../x"),
    "a set named ..": (_dev(".."), ".."),
    "a set without a name": (_dev(""), "name"),
    "a set with a control character": (_dev("a\1b"), "name"),
    "a set of 100,000 letters": (_dev("x" * 10**5), "name"),
    "one label": ({"labels": ["no"]}, "'labels'"),
    "1,000 labels": ({"labels": [f"label {k}" for k in range(1000)]}, "'labels'"),
    "a label twice": ({"labels": ["no", "no"]}, "label"),
    "labels that are numbers": ({"labels": [0, 1]}, "'labels.0'"),
    "three text columns": ({"texts": ["text", "label", "size"]}, "'texts'"),
    "a text column twice": ({"texts": ["text", "text"]}, "texts"),
    "no texts": ({"texts": []}, "'texts'"),
    "an unknown key": ({"in_domian": {}}, "'in_domain'"),
    "folds of 10^18": (_dev(folds={"n": 10**18, "use": [0]}), "folds"),
    "a map to an unknown label": (_dev(labels={"a": "b"}), "'b'"),
    "a map to no label": (_dev(labels={"a": []}), "labels"),
    "a map of nothing": (_dev(labels={}), "labels"),
    "a group of no columns": (_dev(groups=[[]]), "groups"),
    "a group that stands twice": (_dev(groups=["size", "size"]), "groups"),
    "a hub data set that is a path": ({"in_domain": {"dev": {"datasets": "../x"}}}, "../x"),
    "a hub data set to be fetched": ({"in_domain": {"dev": {"datasets": "nobody/x"}}}, "nobody/x"),
    "a focus that is not there": ({"challenge": None, "focus": ["a"]}, "'focus'"),
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
