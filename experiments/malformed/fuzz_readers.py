"""The readers that are fuzzed, with sound inputs to begin from and the words of their formats."""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from mutate import mutate
from published_cases import CURVES, GAPS, LOG, SAMPLES
from weight_cases import archive, header_of, old_format, tensor_pickle, with_header

Read = Callable[[bytes, Path], object]
Wrap = Callable[[bytes, np.random.Generator], bytes]


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        prepare: Makes what it needs in a folder, from the sound inputs; gives the seeds.
        read: Reads one input, of which it may write a file into the folder.
        tokens: Words of the format.
        wrap: Puts changed bytes into the frame that lets the reader look at them; may leave it.
    """

    prepare: Callable[[Path, Path], Sequence[bytes]]
    read: Read
    tokens: tuple[bytes, ...] = ()
    wrap: Wrap | None = None

    def make(self, seeds: Sequence[bytes], rng: np.random.Generator) -> bytes:
        """One input, decided by the generator alone."""
        data = mutate(seeds, self.tokens, rng)
        return data if self.wrap is None else self.wrap(data, rng)


def _words(text: bytes) -> tuple[bytes, ...]:
    return tuple(text.split(b"|"))


YAML = _words(
    b"&a |*a|<<: *a|!!python/object:os.system |!!int |!!binary |!!timestamp |!!set |!!bool |? |: |"
    b"- |--- |...|%YAML 1.2\n|> |'|\"|\\ud800|\\x00|{|}|[|]|#|\t|\n  |null|~|.inf|.nan|0x|yes|1e3|"
    b"\xc3\xa9|'..'|../|/"
)
KEYS = _words(
    b"name: |checkpoints: |task: |path: |points: |label_map: |ways: |kind: |surface: |evaluate: |"
    b"out: |memory_budget: |analysis: |seed: |datasets: |examples: |in_domain: |challenge: |"
    b"labels: |texts: |file: |folds: |groups: |where: |focus: |collapse: |metric: |delta: |"
    b"between: |through: "
)
JSON = _words(
    b'{|}|[|]|:|,|"|\\u0000|\\ud800|\\\\|null|true|NaN|Infinity|-|1e400|"a": |\n|0|{}|[]|""'
)
TENSORS = _words(
    b'"dtype"|"shape"|"data_offsets"|"F32"|"F64"|"BF16"|"I64"|"BOOL"|"U8"|"C64"|"F4"|"F8_E4M3"|'
    b'"__metadata__"|[0,0]|[0,4]|[0]|[]|{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}'
)
OPCODES = tuple(
    bytes([code]) for code in (*b"(.012FIJKLMNPQRSTUVX]abcdeghijlopqrstu}", *range(0x80, 0x99))
)
GLOBALS = _words(
    b"cnumpy\nndarray\n|cnumpy\ndtype\n|cnumpy.core.multiarray\n_reconstruct\n|"
    b"cnumpy.core.multiarray\nscalar\n|cnumpy.core.numeric\n_frombuffer\n|"
    b"ccollections\nOrderedDict\n|ccollections\ndefaultdict\n|c_codecs\nencode\n|"
    b"cbuiltins\nlist\n|cos\nsystem\n|ctorch._utils\n_rebuild_tensor_v2\n|"
    b"ctorch\nFloatStorage\n|ctorch._utils\n_rebuild_parameter\n|\x95\1\0\0\0\0\0\0\0"
)
TABLE = _words(b',|\t|;|"|\r|\n|model_a|gap|t|loss|nan|=1+1|dataset|accuracy|\xef\xbb\xbf|\0|\xff')
WORDS = _words(
    b"Euclidean distance between |Interpolating between | and | on |: 1.5.|point_num|loss|accuracy|"
    b"-----------|[1.0, 0.0]|\r|inf"
)


def _file(
    name: str, seeds: Callable[[Path], Sequence[bytes]], read: Callable[[Path], object]
) -> Any:
    """Seeds, and a reader of a file of this name."""

    def write_and_read(data: bytes, folder: Path) -> object:
        path = folder / name
        path.write_bytes(data)
        return read(path)

    return (lambda materials, folder: seeds(materials)), write_and_read


def _configurations(materials: Path) -> Sequence[bytes]:
    content = {
        "name": "tiny",
        "checkpoints": ["a/member-*", "lab/model@v1"],
        "task": "mnli",
        "examples": 40,
        "path": {"points": 5, "adaptive": True, "tolerance": 0.01},
        "out": "out",
        "analysis": {"n_resamples": 100, "rule": "saddle", "delta": 0.1},
    }
    more = {
        "ways": [
            {"kind": "bezier", "between": ["a", "b"], "fit": {"steps": 3}},
            {"kind": "layers", "groups": ["head"]},
        ],
        "surface": {"kind": "plane", "through": ["a", "b", "c"], "points": 5},
        "evaluate": {"device": "cpu", "precision": "auto", "memory_budget": "4GB"},
        "label_map": {"a": {"LABEL_0": "no"}},
        "datasets": ["dev"],
        "task": {"name": "t", "labels": ["a", "b"], "texts": ["x"], "in_domain": {}},
    }
    shipped = Path(__file__).parents[1].glob("*.yaml")
    return [
        yaml.safe_dump(content).encode(),
        yaml.safe_dump({**content, **more}).encode(),
        b"fit: &a {steps: 3}\nways: [{kind: chain, fit: *a}, {<<: *a, kind: line}]\n",
        *(path.read_bytes() for path in sorted(shipped)),
    ]


def _read_config(path: Path) -> object:
    from landscape.run.config import load_config

    return load_config(path).model_dump_json()


def _tasks(materials: Path) -> Sequence[bytes]:
    import landscape.tasks

    folder = Path(landscape.tasks.__file__).parent
    return [path.read_bytes() for path in sorted(folder.glob("*.yaml"))]


def _read_task(path: Path) -> object:
    from landscape.tasks import load_task

    return load_task(path).model_dump_json()


def _member(materials: Path, folder: Path) -> Path:
    """A sound classifier, of which one file is written anew each time."""
    member = folder / "member"
    if not member.exists():
        shutil.copytree(materials / "population" / "member-0", member)
    return member


def _read_checkpoint(name: str, instead: str = "model.safetensors") -> Read:
    def read(data: bytes, folder: Path) -> object:
        from landscape.checkpoints import load_checkpoint

        member = folder / "member"
        if name != instead:
            (member / instead).unlink(missing_ok=True)
        (member / name).write_bytes(data)
        checkpoint = load_checkpoint(str(member))
        return [checkpoint.params[key].shape for key in checkpoint.params]

    return read


def _weights(materials: Path, folder: Path) -> Sequence[bytes]:
    whole = (_member(materials, folder) / "model.safetensors").read_bytes()
    small = header_of(
        a=("F32", [2, 2], [0, 16]), b=("I64", [], [16, 24]), c=("BF16", [1], [24, 26])
    )
    return [
        with_header(small, bytes(range(26))),
        with_header(b'{"__metadata__":{"format":"pt"}}'),
        whole[:12000],
    ]


def _wrap_header(data: bytes, rng: np.random.Generator) -> bytes:
    """Mostly with the length that the changed header has."""
    end = data.rfind(b"}") + 1
    if rng.random() < 0.2 or end < 8:
        return data
    return struct.pack("<Q", end - 8) + data[8:]


def _indexes(materials: Path, folder: Path) -> Sequence[bytes]:
    member = _member(materials, folder)
    shutil.copy(materials / "population" / "member-0" / "model.safetensors", member / "shard-1")
    shutil.copy(materials / "population" / "member-1" / "model.safetensors", member / "shard-2")
    return [
        json.dumps(
            {"metadata": {"total_size": 9}, "weight_map": {"a": "shard-1", "b": "shard-2"}}
        ).encode(),
        b'{"weight_map": {"a": "shard-1"}}',
    ]


def _json_of(*names: str) -> Callable[[Path, Path], Sequence[bytes]]:
    def prepare(materials: Path, folder: Path) -> Sequence[bytes]:
        member = _member(materials, folder)
        return [(member / name).read_bytes() for name in names]

    return prepare


def _torch_files(materials: Path, folder: Path) -> Sequence[bytes]:
    _member(materials, folder)
    return [tensor_pickle(4, [2, 2], [2, 1]), tensor_pickle(4, [4], [1]), old_format(4)]


def _wrap_archive(data: bytes, rng: np.random.Generator) -> bytes:
    """A changed pickle in a sound archive, or a changed archive, or the old format."""
    if not data.startswith(b"\x80\x02}"):
        return data
    whole = archive(data, **{"0": bytes(16)})
    return whole if rng.random() < 0.8 else mutate([whole], (), rng)


def _read_architecture(data: bytes, folder: Path) -> object:
    from landscape.checkpoints import load_checkpoint
    from landscape.checkpoints.skeleton import skeleton

    (folder / "member" / "config.json").write_bytes(data)
    return skeleton(load_checkpoint(str(folder / "member")))


def _read_tokenizer(data: bytes, folder: Path) -> object:
    from landscape.checkpoints import load_checkpoint, load_tokenizer
    from landscape.checkpoints.population import _tokenizer_print

    (folder / "member" / "tokenizer.json").write_bytes(data)
    checkpoint = load_checkpoint(str(folder / "member"))
    _tokenizer_print(checkpoint)
    return load_tokenizer(checkpoint)


def _data(name: str, seeds: Sequence[bytes], wrap: Wrap | None = None) -> Reader:
    """A data file of the kind that its name says."""

    def read(path: Path) -> object:
        from landscape.tasks import load_examples, load_task

        spec = {
            "file": str(path),
            "groups": ["size", ["size", "label"]],
            "where": {"size": ["1", "2"]},
            "folds": {"n": 2, "use": [0, 1]},
            "quoting": True,
        }
        task = load_task(
            {"name": "t", "labels": ["no", "yes"], "texts": ["text"], "in_domain": {"dev": spec}}
        )
        return load_examples(task, "dev").content_hash()

    return Reader(
        *_file(name, lambda _: seeds, read), (*TABLE, *JSON, b"no", b"yes", b"text"), wrap
    )


def _pack(data: bytes, rng: np.random.Generator) -> bytes:
    packed = gzip.compress(data, 1, mtime=0)
    return packed if rng.random() < 0.5 else mutate([packed], (), rng)


def _read_labels(data: bytes, folder: Path) -> object:
    from landscape.checkpoints.labels import match_labels

    parts = [part.split("\n") for part in data.decode("utf-8", "replace").split("\n\n")]
    names, labels, lines = [*parts, [""], [""], [""]][:3]
    pairs = (line.partition(": ")[::2] for line in lines)
    return match_labels(names, labels, dict(pairs), "here")


def _read_pickle(data: bytes, folder: Path) -> object:
    from landscape.core.restricted_pickle import parse_pickle
    from landscape.importers import gather_curves, gather_gaps, pickled_curves
    from landscape.importers.gaps import MeasuredGap

    found = pickled_curves(parse_pickle(data), "here")
    if found and isinstance(found[0], MeasuredGap):
        return gather_gaps(found)  # type: ignore[arg-type]
    return gather_curves(found)  # type: ignore[arg-type]


def _pickles(materials: Path, folder: Path) -> Sequence[bytes]:
    rows = [(0, 1.0, 0.5), (1, 2.0, 0.4), (2, 1.0, 0.5)]
    values = (
        {("a", "b"): (rows, 1.5), ("b", "c"): (rows, 2.5)},
        {("a", "b"): (1.5, [1.0, 2.0, 1.0])},
        {(1, 2): np.array([1.0, 2.0]), (2, 3): [1, np.float32(2)]},
        {("a", "b"): 0.1, ("b", "c"): np.float64(0.2)},
    )
    return [pickle.dumps(value, protocol) for value in values for protocol in (0, 2, 4, 5)]


def _read_log(data: bytes, folder: Path) -> object:
    from landscape.importers import gather_curves
    from landscape.importers.interpolation_logs import parse_interpolation_log

    return gather_curves(parse_interpolation_log(data.decode("utf-8-sig", "replace"), "here"))


def _read_table(path: Path) -> object:
    from landscape.importers.curves import gather_curves
    from landscape.importers.gaps import gather_gaps
    from landscape.importers.tables import curves_of, gaps_of, read_rows, scores_of, table_kind

    rows = read_rows(path)
    kind = table_kind(rows)
    if kind == "gaps":
        return gather_gaps(gaps_of(rows, path))
    return gather_curves(curves_of(rows, path)) if kind == "curves" else scores_of(rows, path)


def _read_evaluations(path: Path) -> object:
    from landscape.importers import read_evaluations

    return read_evaluations(path)


def _read_published(path: Path) -> object:
    from landscape.importers import read_published

    return read_published([path], dataset="dev", allow_missing=True)


SCORES = b"model,dev,hans\na,0.9,0.5\nb,0.8,0.4\nc,0.7,\n"
MATRIX = b",a,b,c\na,0,1,2\nb,1,0,3\nc,2,3,0\n"
TABLES = [CURVES.encode(), GAPS.encode(), SCORES, MATRIX]
EVALUATIONS = [
    json.dumps({**SAMPLES, "label_dict": {"no": 0, "yes": 1}}).encode(),
    json.dumps({"a": {"acc": 1, "hans": {"x": 0.5, "y": None}}, "b": {"acc": 0.5}}).encode(),
    b'{"model": "a", "acc": 0.5}\n{"model": "b", "acc": 1}\n',
    "\n".join(map(json.dumps, SAMPLES["samples"])).encode(),
]
ROWS = b'text\tlabel\tsize\na cat\tno\t1\nthe "dog"\tyes\t2\nold\tno\t1\n'
JSON_ROWS = (
    b'{"text": "a cat", "label": "no", "size": 1}\n{"text": "b", "label": "yes", "size": "2"}\n'
)


def _stores(materials: Path) -> Sequence[bytes]:
    names = ("old-store.h5", "old-store.h5", "store.h5")  # most changes of a new one are found out
    return [(materials / name).read_bytes() for name in names]


def _read_store(path: Path) -> object:
    from landscape.records.store import read_store

    return read_store(path)


READERS: dict[str, Reader] = {
    "configuration": Reader(*_file("c.yaml", _configurations, _read_config), (*YAML, *KEYS)),
    "task": Reader(*_file("t.yaml", _tasks, _read_task), (*YAML, *KEYS)),
    "safetensors": Reader(
        _weights, _read_checkpoint("model.safetensors"), (*JSON, *TENSORS), _wrap_header
    ),
    "shard index": Reader(
        _indexes,
        _read_checkpoint("model.safetensors.index.json"),
        (*JSON, b'"weight_map"', b'"../x"', b'"shard-1"', b'"/etc/passwd"', b'".."'),
    ),
    "config.json": Reader(
        _json_of("config.json"),
        _read_checkpoint("config.json", "config.json"),
        (*JSON, b"id2label"),
    ),
    "torch file": Reader(
        _torch_files, _read_checkpoint("pytorch_model.bin"), (*OPCODES, *GLOBALS), _wrap_archive
    ),
    "architecture": Reader(
        _json_of("config.json"), _read_architecture, (*JSON, b'"num_hidden_layers": ', b'"gpt2"')
    ),
    "tokenizer": Reader(
        _json_of("tokenizer.json"), _read_tokenizer, (*JSON, b'"vocab"', b'"BPE"', b'"WordPiece"')
    ),
    "data: TSV": _data("d.tsv", [ROWS, ROWS.replace(b"\t", b'\t"')]),
    "data: CSV": _data("d.csv", [ROWS.replace(b"\t", b",")]),
    "data: JSONL": _data("d.jsonl", [JSON_ROWS]),
    "data: gzip": _data("d.tsv.gz", [ROWS], _pack),
    "labels": Reader(
        lambda materials, folder: [b"LABEL_0\nLABEL_1\n\nno\nyes\n\nLABEL_0: no\nLABEL_1: yes"],
        _read_labels,
        (b"\n\n", b"\n", b": ", b"no", b"yes", b"_", b" ", b"-", "İß\u0130".encode()),
    ),
    "pickle": Reader(_pickles, _read_pickle, (*OPCODES, *GLOBALS)),
    "log": Reader(lambda materials, folder: [LOG.encode(), (LOG * 2).encode()], _read_log, WORDS),
    "table": Reader(*_file("p.csv", lambda _: TABLES, _read_table), TABLE),
    "JSON": Reader(
        *_file("e.json", lambda _: EVALUATIONS, _read_evaluations),
        (*JSON, b'"samples"', b'"model"', b'"probabilities"'),
    ),
    "published": Reader(
        *_file("any", lambda _: [*TABLES, *EVALUATIONS, LOG.encode()], _read_published),
        (*JSON, *TABLE, *WORDS, *OPCODES),
    ),
    "store": Reader(*_file("s.h5", _stores, _read_store)),
}
