"""What reads files of others, each with sound inputs and words of its format: to be fuzzed."""

from __future__ import annotations

import gzip
import pickle
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import landscape
from landscape.importers import import_published
from landscape.run.config import load_config
from landscape.tasks import load_examples, load_task
from tests.malformed.test_published import CURVES, LOG, SAMPLES
from tests.malformed.weights import archive, header_of, old_format, tensor_pickle, with_header


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        read: Reads an input, of which it may write a file into a folder: ``member`` in it is a
            checkpoint of its own.
        seeds: Sound inputs.
        words: Of the format.
    """

    read: Callable[[bytes, Path], object]
    seeds: Sequence[bytes]
    words: Sequence[bytes] = ()


def _file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def write_and_read(data: bytes, folder: Path) -> object:
        (folder / name).write_bytes(data)
        return read(folder / name)

    return write_and_read


def _checkpoint(data: bytes, folder: Path, name: str) -> object:
    member = folder / "changed"
    if member.exists():
        shutil.rmtree(member)
    shutil.copytree(folder / "member", member)
    if name != "config.json":
        (member / "model.safetensors").rename(member / "shard-1")
    (member / name).write_bytes(data)
    params = landscape.load_checkpoint(str(member)).params
    return [params[key].shape for key in params]


def _weights(name: str, frame: Callable[[bytes], bytes]) -> Callable[[bytes, Path], object]:
    return lambda data, folder: _checkpoint(frame(data), folder, name)


def _examples(path: Path) -> object:
    spec = {
        "file": str(path),
        "groups": ["size", ["size", "label"]],
        "where": {"size": ["1", "2"]},
        "folds": {"n": 2, "use": [0, 1]},
        "quoting": True,
    }
    sets = {"in_domain": {"dev": spec}}
    task = load_task({"name": "t", "labels": ["no", "yes"], "texts": ["text"], **sets})
    return load_examples(task, "dev").content_hash()


def _published(path: Path) -> object:
    out = path.with_name("published.h5")
    out.unlink(missing_ok=True)
    return import_published(path, out=out, dataset="dev")


def _scores(path: Path) -> object:
    """Of two models, of which one's file is sound."""
    curves, out = path.with_name("curves.csv"), path.with_name("published.h5")
    curves.write_text(CURVES)
    path.with_name("b.json").write_text(SAMPLES)
    out.unlink(missing_ok=True)
    scores = [path, path.with_name("b.json")]
    return import_published(curves, out=out, scores=scores, dataset="dev")


CONFIG: dict[str, Any] = {
    "name": "tiny",
    "checkpoints": ["a/member-*", "lab/model@v1"],
    "task": {"name": "t", "labels": ["a", "b"], "texts": ["x"], "in_domain": {}},
    "examples": 40,
    "paths": [{"kind": "plane", "through": ["a", "b", "c"], "points": 5}],
    "evaluate": {"device": "cpu", "precision": "auto", "memory_budget": "4GB"},
    "label_map": {"a": {"LABEL_0": "no"}},
    "datasets": ["dev"],
    "analysis": {"n_resamples": 100, "rule": "saddle", "delta": 0.1},
}
ROOT = Path(__file__).parents[2]
CONFIGS = [yaml.safe_dump(CONFIG).encode(), b"name: &a x\ncheckpoints: [*a]\n<<: {task: mnli}\n"]
CONFIGS += [path.read_bytes() for path in sorted((ROOT / "experiments").glob("mnli_minilm.yaml"))]
TASKS = [path.read_bytes() for path in sorted((ROOT / "landscape" / "tasks").rglob("*.yaml"))]
HEADER = header_of(a=("F32", [2, 2], [0, 16]), b=("I64", [], [16, 24]), c=("BF16", [1], [24, 26]))
ROWS = b'text\tlabel\tsize\na cat\tno\t1\n"a ""dog"""\tyes\t2\nold\tno\t1\n'
JSON_ROWS = (
    b'{"text": "a cat", "label": "no", "size": 1}\n{"text": "b", "label": "yes", "size": "2"}\n'
)
TRIPLES = [(0, 1.0, 0.5), (1, 2.0, 0.4), (2, 1.0, 0.5)]
PICKLED: list[object] = [
    {("a", "b"): (TRIPLES, 1.5), ("b", "c"): (TRIPLES, 2.5)},
    {("a", "b"): (1.5, [1.0, 2.0, 1.0])},
    {("a", "b"): (np.float32(1.5), np.array([1.0, 2.0, 1.0]))},
]
YAML = (
    b'&a |*a|<<: *a|!!int |!!binary |? |: |- |--- |%YAML 1.2\n|"|\\ud800|{|}|[|\t|.nan|../'.split(
        b"|"
    )
)
JSON = b'{|}|[|]|:|,|"|\\ud800|\\\\|null|true|NaN|1e400|{}|""|"dtype"|"F64"|[0,0]|"../x"'.split(
    b"|"
)
TABLE = b',|\t|;|"|\r|\n|model_a|loss|nan|=1+1|\xef\xbb\xbf|\xff|[1.0, 0.0]| and |inf'.split(b"|")
OPCODES = [bytes([code]) for code in (*b"(.012NRbcehjqrstu}]", *range(0x80, 0x99))]
OPCODES += [b"cnumpy\nndarray\n", b"cos\nsystem\n", b"ccollections\nOrderedDict\n"]

READERS: dict[str, Reader] = {
    "configuration": Reader(_file("c.yaml", load_config), CONFIGS, YAML),
    "task": Reader(_file("t.yaml", load_task), TASKS, YAML),
    "safetensors": Reader(
        _weights("model.safetensors", lambda data: with_header(data, bytes(26))), [HEADER], JSON
    ),
    "shard index": Reader(
        _weights("model.safetensors.index.json", bytes), [b'{"weight_map": {"a": "shard-1"}}'], JSON
    ),
    "config.json": Reader(
        _weights("config.json", bytes), [b'{"model_type": "bert", "id2label": {"0": "no"}}'], JSON
    ),
    "torch archive": Reader(
        _weights("pytorch_model.bin", lambda data: archive(data, **{"0": bytes(16)})),
        [tensor_pickle(4, [2, 2], [2, 1]), tensor_pickle(4, [4], [1])],
        OPCODES,
    ),
    "torch file": Reader(_weights("pytorch_model.bin", bytes), [old_format(4)], OPCODES),
    "data: TSV": Reader(_file("d.tsv", _examples), [ROWS], TABLE),
    "data: CSV": Reader(_file("d.csv", _examples), [ROWS.replace(b"\t", b",")], TABLE),
    "data: JSONL": Reader(_file("d.jsonl", _examples), [JSON_ROWS], JSON),
    "data: gzip": Reader(_file("d.tsv.gz", _examples), [gzip.compress(ROWS)]),
    "pickle": Reader(
        _file("p.pkl", _published),
        [pickle.dumps(value, protocol) for value in PICKLED for protocol in (3, 4)],
        OPCODES,
    ),
    "log": Reader(_file("p.log", _published), [LOG.encode(), (LOG * 2).encode()], TABLE),
    "table": Reader(_file("p.csv", _published), [CURVES.encode()], TABLE),
    "scores": Reader(_file("a.json", _scores), [SAMPLES.encode()], JSON),
}
