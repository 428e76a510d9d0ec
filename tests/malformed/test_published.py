"""What others published: pickles, logs, tables, predictions."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.malformed.inputs import Code, Inputs

Refused = Callable[..., None]
CURVES = "model_a,model_b,t,loss\na,b,0,1\na,b,0.5,2\na,b,1,1\n"
LOG = """Euclidean distance between a and b: 1.5.
Interpolating between a and b on dev
[1.0, 0.0]
point_num    loss    accuracy
-----------  ------  ----------
0            1.0     0.5
[0.0, 1.0]
point_num    loss    accuracy
-----------  ------  ----------
1            1.2     0.5
"""


def _array(shape: tuple[int, ...]) -> bytes:
    """A dictionary from a pair to an array of this shape, of sixteen bytes."""
    state = b"(K\1" + pickle.dumps(shape, 2)[2:-1] + b"cnumpy\ndtype\nX\2\0\0\0f8K\0K\1\x87R"
    state += b"(K\3X\1\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89C\x10" + bytes(16)
    value = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\1b\x87R"
    return b"\x80\x03}X\1\0\0\0aX\1\0\0\0b\x86" + value + state + b"tbs."


def _recursive() -> bytes:
    value: dict[object, object] = {}
    value["a", "b"] = [value]
    return pickle.dumps(value)


PICKLES: dict[str, bytes | Callable[[Path], bytes]] = {
    "a name with dots": b"\x80\x04\x8c\x0bcollections\x8c\x0fabc.sys.modules\x93.",
    "lists 100,000 deep": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "text of 2^60 letters": b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"a.",
    "an array of 2^60 numbers": _array((2**30, 2**30)),
    "os.system in text": lambda path: pickle.dumps(Code(os.system, f"touch {path}"), protocol=0),
    "eval": lambda path: pickle.dumps({("a", "b"): Code(eval, f"open({str(path)!r}, 'w')")}),
}


@pytest.mark.parametrize("content", PICKLES.values(), ids=PICKLES)
def test_pickles(
    content: bytes | Callable[[Path], bytes], inputs: Inputs, refused: Refused
) -> None:
    content = content if isinstance(content, bytes) else content(inputs.canary)
    path = inputs.write("x.pkl", content)
    refused("import", path, "--out", inputs.out / "store.h5", "--dataset", "dev", naming="x.pkl")


TABLES: dict[str, str | bytes] = {
    "a formula for a number": CURVES.replace("0.5,2", "0.5,\"=cmd|'/c calc'!A1\""),
    "no common positions": CURVES[:23]
    + "".join(f"a{k % 100},b{k // 100},{k / 5000},1\n" for k in range(5000)),
    "a model without a name": CURVES.replace("a,b", ",b"),
}
LOGS: dict[str, str] = {
    "a name with control characters": LOG.replace("between a", "between \x1b[2Ja"),
}
CASES = {f"table: {name}": ("x.csv", content) for name, content in TABLES.items()}
CASES |= {f"log: {name}": ("x.log", content) for name, content in LOGS.items()}


@pytest.mark.parametrize(("name", "content"), CASES.values(), ids=CASES)
def test_curves(name: str, content: str | bytes, inputs: Inputs, refused: Refused) -> None:
    path = inputs.write(name, content)
    refused("import", path, "--out", inputs.out / "store.h5", "--dataset", "dev")


def test_names_of_data_sets(inputs: Inputs, refused: Refused) -> None:
    path = inputs.write("x.csv", CURVES)
    refused("import", path, "--out", inputs.out / "store.h5", "--dataset", "../a\x1b[2J")


def test_no_file(refused: Refused, inputs: Inputs) -> None:
    refused("import", "/dev/zero", "--out", inputs.out / "store.h5", naming="/dev/zero")


SAMPLES = json.dumps({"samples": [{"sentence": "a", "label": 0, "probabilities": [0.4, 0.6]}] * 3})
SCORES: dict[str, str | bytes] = {
    "nested 100,000 deep": "[" * 100_000 + "]" * 100_000,
    "a probability of 2": SAMPLES.replace("0.6", "2.0"),
    "a label beyond the probabilities": SAMPLES.replace('"label": 0', '"label": 7'),
}


@pytest.mark.parametrize("content", SCORES.values(), ids=SCORES)
def test_scores(content: str | bytes, inputs: Inputs, refused: Refused) -> None:
    curves, scores = inputs.write("x.csv", CURVES), inputs.write("a.json", content)
    out = inputs.out / "store.h5"
    refused("import", curves, "--scores", scores, "--out", out, "--dataset", "dev")
