"""Task files, and the data files that they name."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import yaml
from cases import Case, Make, Room

# the extra that reads them may not be installed
_NOT_LOADED = "cannot be loaded" if find_spec("datasets") else "needs the 'datasets' package"
HEAD = "text\tlabel\tsize\n"
ROW = "a cat\tno\t1\n"
JSON_ROW = json.dumps({"text": "a cat", "label": "no", "size": "1"}) + "\n"


def _data(name: str, content: str | bytes, **spec: Any) -> Make:
    """The development set as this file."""

    def make(room: Room) -> Sequence[object]:
        config = room.config()
        room.write(f"task/{name}", content)
        task = room.inside / "task" / "task.yaml"
        told = yaml.safe_load(task.read_text())
        told["in_domain"]["dev"] = {"file": name, **spec}
        task.write_text(yaml.safe_dump(told))
        return ["check", config]

    return make


def _task(**changes: Any) -> Make:
    """A sound task with these keys changed; None removes one."""

    def make(room: Room) -> Sequence[object]:
        config = room.config()
        task = room.inside / "task" / "task.yaml"
        told = {**yaml.safe_load(task.read_text()), **changes}
        kept = {key: value for key, value in told.items() if value is not None}
        task.write_text(yaml.safe_dump(kept))
        return ["check", config]

    return make


def _file(name: Callable[[Room], str]) -> Make:
    """A development set of this file name."""

    def make(room: Room) -> Sequence[object]:
        return _task(in_domain={"dev": {"file": name(room)}})(room)

    return make


def bomb(n_bytes: int, chunk: bytes = b"\0" * 10**6) -> bytes:
    """So many bytes, packed: members of one gzip file follow each other."""
    return gzip.compress(chunk, 1) * (n_bytes // len(chunk))


def _wrong_checksum() -> bytes:
    packed = bytearray(gzip.compress((HEAD + ROW * 100).encode()))
    packed[-8] ^= 255
    return bytes(packed)


def _wrong_inside() -> bytes:
    packed = bytearray(gzip.compress(bytes(range(256)) * 100))
    packed[30:200] = b"\xff" * 170
    return bytes(packed)


FILES: dict[str, tuple[Make, str]] = {
    "TSV: a column is missing": (_data("x.tsv", "words\tlabel\na\tno\n"), "no column 'text'"),
    "TSV: a column stands twice": (
        _data("x.tsv", "text\ttext\tlabel\na\tb\tno\n"),
        "stands twice",
    ),
    "TSV: an unknown label": (_data("x.tsv", HEAD + "a\tmaybe\t1\n"), "data row 1"),
    "TSV: a label that is NaN": (_data("x.tsv", HEAD + "a\tNaN\t1\n"), "found: 'NaN'"),
    "TSV: no label": (_data("x.tsv", HEAD + "a\t\t1\n"), "found: ''"),
    "TSV: a row that is too short": (_data("x.tsv", HEAD + ROW + "a cat\n"), "data row 2"),
    "TSV: a row that is too long": (_data("x.tsv", HEAD + ROW + "a\tno\t1\t2\t3\n"), "line 3"),
    "TSV: every row is too long": (_data("x.tsv", HEAD + "i\ta\tno\t1\n" * 3), "line 2"),
    "TSV: empty": (_data("x.tsv", ""), "cannot be read"),
    "TSV: only empty lines": (_data("x.tsv", "\n" * 1000), "cannot be read"),
    "TSV: only a header": (_data("x.tsv", HEAD), "no rows"),
    "TSV: binary": (_data("x.tsv", bytes(range(256)) * 100), "cannot be read"),
    "TSV: a NUL": (_data("x.tsv", HEAD + "a\0b\tno\t1\n"), "cannot be read"),
    "TSV: Latin-1": (_data("x.tsv", (HEAD + "Müller\tno\t1\n").encode("latin-1")), "utf-8"),
    "TSV: UTF-16": (_data("x.tsv", (HEAD + ROW).encode("utf-16")), "cannot be read"),
    "TSV: a line of 100 MB": (_data("x.tsv", HEAD.encode() + b"x" * 10**8), "too long"),
    "TSV: 100 MB of tabs": (_data("x.tsv", HEAD.encode() + b"\t" * 10**8), "too long"),
    "TSV: a quote that does not close": (
        _data("x.tsv", HEAD + '"a cat\tno\t1\n' + ROW, quoting=True),
        "cannot be read",
    ),
    "CSV: a quote that does not close": (
        _data("x.csv", 'text,label\n"a cat,no\nb,no\n'),
        "cannot be read",
    ),
    "CSV: ragged rows": (_data("x.csv", "text,label\na,no\nb\nc,no,x,y\n"), "line 4"),
    "CSV: only commas": (_data("x.csv", ",,,\n,,,\n"), "no column 'text'"),
    "JSONL: a row that is no JSON": (_data("x.jsonl", JSON_ROW + "{\n"), "line 2"),
    "JSONL: a row that is a list": (_data("x.jsonl", JSON_ROW + "[1]\n"), "line 2"),
    "JSONL: a row that is a number": (_data("x.jsonl", "3\n"), "line 1"),
    "JSONL: a row without a text": (
        _data("x.jsonl", JSON_ROW + '{"label": "no"}\n'),
        "data row 2",
    ),
    "JSONL: a text that is null": (
        _data("x.jsonl", JSON_ROW + '{"text": null, "label": "no"}\n'),
        "data row 2",
    ),
    "JSONL: a label that is NaN": (
        _data("x.jsonl", JSON_ROW + '{"text": "a", "label": NaN}\n'),
        "found: 'NaN'",
    ),
    "JSONL: half of a character": (
        _data("x.jsonl", '{"text": "\\ud800", "label": "no"}\n'),
        "data row 1",
    ),
    "JSONL: nested 100,000 deep": (
        _data("x.jsonl", '{"text": ' + "[" * 100_000 + "]" * 100_000 + "}\n"),
        "line 1",
    ),
    "JSONL: a number of 5,000 digits": (
        _data("x.jsonl", '{"text": "a", "label": ' + "9" * 5000 + "}\n"),
        "line 1",
    ),
    "JSONL: empty": (_data("x.jsonl", ""), "no column"),
    "JSONL: a list over several lines": (_data("x.jsonl", "[\n{}\n]\n"), "line 1"),
    "gzip: 2 GB of zeros in 9 MB": (_data("x.tsv.gz", bomb(2 * 10**9)), "cannot be read"),
    "gzip: 2 GB of lines in 9 MB": (
        _data("x.tsv.gz", bomb(2 * 10**9, (HEAD + ROW).encode() * 40_000)),
        "too large",
    ),
    "gzip: cut": (
        _data("x.tsv.gz", gzip.compress((HEAD + ROW * 99).encode())[:-20]),
        "cannot be read",
    ),
    "gzip: a wrong checksum": (_data("x.tsv.gz", _wrong_checksum()), "cannot be read"),
    "gzip: damaged inside": (_data("x.tsv.gz", _wrong_inside()), "cannot be read"),
    "gzip: none": (_data("x.tsv.gz", HEAD + ROW), "cannot be read"),
    "gzip: zlib instead": (
        _data("x.tsv.gz", zlib.compress((HEAD + ROW).encode())),
        "cannot be read",
    ),
    "an unknown kind": (_data("x.parquet", b"PAR1"), "kind is not known"),
    "a pickle": (_data("x.pkl", b"\x80\x04N."), "kind is not known"),
}


def _broken_folder(room: Room) -> Sequence[object]:
    room.write("broken/train.json", "{]")
    return _task(in_domain={"dev": {"datasets": str(room.inside / "broken"), "split": "train"}})(
        room
    )


def _mapping(**spec: Any) -> Mapping[str, Any]:
    return {"dev": {"file": "dev.tsv", **spec}}


DEV = _mapping()
TASKS: dict[str, tuple[Make, str]] = {
    "a data file above the data root": (_file(lambda _: "../../secret/secret.txt"), "'..'"),
    "a data file above, from below": (_file(lambda _: "a/../../x.tsv"), "'..'"),
    "a data file that is a folder": (_file(lambda _: "."), "does not exist"),
    "a data file with a NUL": (_file(lambda _: "a\0.tsv"), "'in_domain.dev.file'"),
    "a data file of 4,000 letters": (_file(lambda _: "x" * 4000 + ".tsv"), "does not exist"),
    "a data file without an end": (_file(lambda _: "/dev/zero"), "does not exist"),
    "a data file that is a number": (_task(in_domain={"dev": {"file": 3}}), "'in_domain.dev.file'"),
    "no data": (_task(in_domain={}), "'in_domain'"),
    "data in a list": (_task(in_domain=["dev"]), "'in_domain'"),
    "a set named ../x": (_task(in_domain={"../x": DEV["dev"]}), "must not hold '/'"),
    "a set named ..": (_task(in_domain={"..": DEV["dev"]}), "'/' or begin"),
    "a set without a name": (_task(in_domain={"": DEV["dev"]}), "name"),
    "a set with a NUL": (_task(in_domain={"a\1b": DEV["dev"]}), "name"),
    "a set of 100,000 letters": (_task(in_domain={"x" * 10**5: DEV["dev"]}), "name"),
    "one label": (_task(labels=["no"]), "'labels'"),
    "1,000 labels": (_task(labels=[f"label {k}" for k in range(1000)]), "'labels'"),
    "a label twice": (_task(labels=["no", "no"]), "label names must differ"),
    "labels that are numbers": (_task(labels=[0, 1]), "'labels.0'"),
    "three text columns": (_task(texts=["text", "label", "size"]), "'texts'"),
    "a text column twice": (_task(texts=["text", "text"]), "texts"),
    "no texts": (_task(texts=[]), "'texts'"),
    "an unknown key": (_task(in_domian=DEV), "did you mean 'in_domain'"),
    "folds of 10^18": (_task(in_domain=_mapping(folds={"n": 10**18, "use": [0]})), "folds"),
    "a map to an unknown label": (
        _task(in_domain=_mapping(labels={"a": "b"})),
        "which is not one of",
    ),
    "a map to no label": (_task(in_domain=_mapping(labels={"a": []})), "labels"),
    "a map of nothing": (_task(in_domain=_mapping(labels={})), "labels"),
    "a group of no columns": (_task(in_domain=_mapping(groups=[[]])), "groups"),
    "a group that stands twice": (_task(in_domain=_mapping(groups=["size", "size"])), "groups"),
    "a hub data set that is a path": (
        _task(in_domain={"dev": {"datasets": "../../secret"}}),
        _NOT_LOADED,
    ),
    "a hub data set that is a folder of broken tables": (_broken_folder, _NOT_LOADED),
    "a hub data set that needs the network": (
        _task(in_domain={"dev": {"datasets": "nobody/nothing"}}),
        _NOT_LOADED,
    ),
    "a focus that is not there": (_task(challenge={}, focus=["a"]), "'focus'"),
}

CASES = [
    *(Case("data", name, make, words) for name, (make, words) in FILES.items()),
    *(Case("task", name, make, words) for name, (make, words) in TASKS.items()),
]
