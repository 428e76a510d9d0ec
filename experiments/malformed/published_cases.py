"""What others published: pickles, logs, tables, JSON."""

from __future__ import annotations

import io
import json
import pickle
import struct
from collections.abc import Callable, Sequence

from cases import Case, Make, Room
from weight_cases import Code, doubled, touch

CURVES = "model_a,model_b,t,loss\na,b,0,1\na,b,0.5,2\na,b,1,1\n"
GAPS = "model_a,model_b,gap\na,b,0.1\na,c,0.2\nb,c,0.3\n"
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


def _file(name: str, content: str | bytes | Callable[[Room], bytes], *options: str) -> Make:
    def make(room: Room) -> Sequence[object]:
        data = content(room) if callable(content) else content
        given = ["import", room.write(name, data), "--out", room.out / "store.h5"]
        return [*given, "--dataset", "dev", *options]

    return make


def _scores(name: str, content: str | bytes) -> Make:
    """Sound gaps and these scores."""

    def make(room: Room) -> Sequence[object]:
        gaps, scores = room.write("gaps.csv", GAPS), room.write(name, content)
        given = ["import", gaps, "--scores", scores, "--dataset", "dev"]
        return [*given, "--out", room.out / "store.h5"]

    return make


def _recursive(_: Room) -> bytes:
    value: dict[object, object] = {}
    value["a", "b"] = [value]
    return pickle.dumps(value)


def _array(shape: tuple[int, ...]) -> bytes:
    """An array of this shape and sixteen bytes."""
    state = b"(K\1" + pickle.dumps(shape, 2)[2:-1] + b"cnumpy\ndtype\nX\2\0\0\0f8K\0K\1\x87R"
    state += b"(K\3X\1\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89C\x10" + b"\0" * 16
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\1b\x87R" + state + b"tb"
    )


def _pairs(value: bytes) -> bytes:
    """A pickled dictionary from one pair to this value."""
    return b"\x80\x03}X\1\0\0\0aX\1\0\0\0b\x86" + value + b"s."


NOT_READ = "more than plain values"
PICKLES: dict[str, tuple[bytes | Callable[[Room], bytes], str]] = {
    "a call of os.system": (lambda room: pickle.dumps(touch(room)), NOT_READ),
    "a call of os.system in text": (lambda room: pickle.dumps(touch(room), protocol=0), ""),
    "a call of eval in a dictionary": (
        lambda room: pickle.dumps({("a", "b"): Code(eval, f"open({str(room.canary)!r}, 'w')")}),
        NOT_READ,
    ),
    "a name with dots": (
        lambda room: b"\x80\x04\x8c\x0bcollections\x8c\x0fabc.sys.modules\x93.",
        NOT_READ,
    ),
    "a dictionary that holds itself": (_recursive, NOT_READ),
    "a key that takes for ever to hash": (b"\x80\x02}" + doubled(60)[3:], NOT_READ),
    "lists 100,000 deep": (b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", NOT_READ),
    "a few values repeated without end": (
        b"\x80\x02]q\0"
        + b"".join(
            b"]r" + struct.pack("<I", k) + b"(" + (b"j" + struct.pack("<I", k - 1)) * 10 + b"e"
            for k in range(1, 40)
        )
        + b".",
        NOT_READ,
    ),
    "text of 2^60 letters": (b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"a.", "damaged"),
    "a memo of 2^31 slots": (b"\x80\x02Nr\xff\xff\xff\x7f.", NOT_READ),
    "a number of 10,000 digits": (
        b"\x80\x02\x8b" + struct.pack("<i", 5000) + b"\1" * 5000 + b".",
        NOT_READ,
    ),
    "an array of 2^60 numbers": (_pairs(_array((2**30, 2**30))), NOT_READ),
    "an array longer than its bytes": (_pairs(_array((4,))), "damaged"),
    "no dictionary": (pickle.dumps([1, 2]), "no dictionary of pairs"),
    "keys that are no pairs": (pickle.dumps({"a": 1.0}), "no pair of models"),
    "a value that is no curve": (pickle.dumps({("a", "b"): "text"}), "no curve"),
    "a negative gap": (pickle.dumps({("a", "b"): -1.0}), "is no gap"),
    "a gap of NaN": (pickle.dumps({("a", "b"): float("nan")}), "no known gap"),
    "cut": (pickle.dumps({("a", "b"): [1.0, 2.0, 1.0]})[:-9], ""),
    "something behind its end": (pickle.dumps({("a", "b"): 1.0}) + b"x" * 9, NOT_READ),
}
TABLES: dict[str, tuple[Make, str]] = {
    "a formula for a number": (
        _file("x.csv", CURVES.replace("0.5,2", "0.5,\"=cmd|'/c calc'!A1\"")),
        "no number",
    ),
    "a formula for a score": (_scores("s.csv", "model,acc\na,=1+1\nb,1\nc,1\n"), "no number"),
    "unknown models": (_scores("s.csv", "model,acc\nd,1\ne,1\nf,1\n"), "do not name the same"),
    "a model twice": (_scores("s.csv", "model,acc\na,1\na,1\nb,1\nc,1\n"), "stands twice"),
    "a score twice": (_scores("s.csv", "model,acc,acc\na,1,1\nb,1,1\nc,1,1\n"), "stands twice"),
    "a score of 1e999": (_scores("s.csv", "model,acc\na,1e999\nb,1\nc,1\n"), "no number"),
    "a model without a name": (_scores("s.csv", "model,acc\n,1\nb,1\nc,1\n"), "name of a model"),
    "a model of 10,000 letters": (
        _scores("s.csv", f"model,acc\n{'x' * 10_000},1\nb,1\nc,1\n"),
        "name of a model",
    ),
    "a negative gap": (_file("x.csv", GAPS.replace("0.1", "-0.1")), "is no gap"),
    "gaps of NaN": (_file("x.csv", "model_a,model_b,gap\na,b,NaN\na,c,\n"), "no known gap"),
    "a gap to itself": (_file("x.csv", "model_a,model_b,gap\na,a,1\na,b,1\n"), "to itself"),
    "a matrix that is not square": (_file("x.csv", ",a,b\na,0,1\nc,1,0\n"), ""),
    "a position of 2": (_file("x.csv", CURVES.replace("0.5", "2.0")), "not on its line"),
    "no pairs": (_file("x.csv", "model_a,model_b,t,loss\na,a,0,1\n"), "no curves"),
    "losses of NaN": (_file("x.csv", CURVES.replace(",1\n", ",nan\n")), "No pair of models"),
    "ragged rows": (_file("x.csv", CURVES + "a,b\n"), "not as long"),
    "a quote that does not close": (_file("x.csv", CURVES + '"a,b,0,1\n'), "no known form"),
    "an enormous cell": (_file("x.csv", CURVES + "a,b,0," + "9" * 10**6 + "\n"), "no known form"),
    "an enormous line": (_file("x.csv", b"model_a" + b"," * 10**8), "too large"),
    "no UTF-8": (_file("x.csv", CURVES.encode() + b"\xff\xfe,b,0,1\n"), "no known form"),
    "binary": (_file("x.csv", bytes(range(256)) * 10), "no known form"),
    "empty": (_file("x.csv", ""), "no known form"),
    "5,000 pairs with positions of their own": (
        _file(
            "x.csv",
            "model_a,model_b,t,loss\n"
            + "".join(f"a{k % 100},b{k // 100},{k / 5000},1\n" for k in range(5000)),
        ),
        "too few points in common",
    ),
    "20,000 models": (
        _file(
            "x.csv", "model_a,model_b,gap\n" + "".join(f"a{k},b{k},0.1\n" for k in range(10_000))
        ),
        "too many models",
    ),
    "a set named ../x": (_file("x.csv", CURVES, "--dataset", "../x"), "cannot be used"),
    "a set with a control character": (_file("x.csv", CURVES, "--dataset", "a\x1b[2J"), "name of"),
}
LOGS: dict[str, tuple[Make, str]] = {
    "half a table": (_file("x.log", LOG[:200]), ""),
    "words for numbers": (_file("x.log", LOG.replace("1.2 ", "much")), "cannot be read"),
    "coefficients of 2": (_file("x.log", LOG.replace("[0.0, 1.0]", "[2.0, 1.0]")), "from 0 to 1"),
    "a point number of 10^300": (_file("x.log", LOG.replace("\n1   ", "\n1e300")), "cannot be"),
    "a loss of NaN": (_file("x.log", LOG.replace("1.2 ", "nan ")), "No pair of models"),
    "a model whose name ends the terminal's line": (
        _file("x.log", LOG.replace("between a", "between \x1b[2Ja")),
        "name of a model",
    ),
    "4 MB of the first line": (_file("x.log", LOG[:41].encode() * 10**5), "no curves"),
    "25 million lines": (_file("x.log", LOG.encode() + b"\n" * 25_000_000), "too large"),
}
SAMPLES = {"samples": [{"sentence": "a", "label": 0, "probabilities": [0.4, 0.6]}] * 3}
JSONS: dict[str, tuple[str | bytes, str]] = {
    "nested 100,000 deep": ("[" * 100_000 + "]" * 100_000, "no known form"),
    "half of an object": ('{"a": {"acc": 1', "no known form"),
    "a score that is text": ('{"a": {"acc": "high"}}', "no number"),
    "a score in a list": ('{"a": {"acc": [1]}, "b": {"acc": 1}}', "no number"),
    "a score of 5,000 digits": ('{"a": {"acc": ' + "9" * 5000 + "}}", "no known form"),
    "scores nested 20 deep": ('{"a": ' + '{"b": ' * 20 + "1" + "}" * 21, "no number"),
    "a probability of 2": (json.dumps(SAMPLES).replace("0.6", "2.0"), "cannot be read"),
    "a label beyond the probabilities": (
        json.dumps(SAMPLES).replace('"label": 0', '"label": 7'),
        "cannot be read",
    ),
    "probabilities of NaN": (json.dumps(SAMPLES).replace("0.6", "NaN"), "cannot be read"),
    "5,000 models with scores of their own": (
        json.dumps({f"a{k}": {f"s{k}": 1} for k in range(5000)}),
        "too few scores in common",
    ),
    "no samples": ('{"samples": []}', ""),
    "half of a character for a model": ('{"\\ud800": {"acc": 1}}', "name of a model"),
    "70 MB of empty lists": (b"[" + b"[]," * 23_000_000 + b"[]]", "too large"),
}


def _folder(room: Room) -> Sequence[object]:
    (room.inside / "empty").mkdir()
    return ["import", room.inside / "empty", "--out", room.out / "store.h5"]


def _endless(room: Room) -> Sequence[object]:
    return ["import", "/dev/zero", "--out", room.out / "store.h5"]


def _archive(room: Room) -> Sequence[object]:
    import zipfile

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("../../../secret/canary", "x")
    return _file("x.zip", content.getvalue())(room)


CASES = [
    *(
        Case("published", f"pickle: {name}", _file("x.pkl", content), words)
        for name, (content, words) in PICKLES.items()
    ),
    *(Case("published", f"table: {name}", make, words) for name, (make, words) in TABLES.items()),
    *(Case("published", f"log: {name}", make, words) for name, (make, words) in LOGS.items()),
    *(
        Case("published", f"JSON: {name}", _scores("s.json", content), words)
        for name, (content, words) in JSONS.items()
    ),
    Case("published", "an empty folder", _folder, "no file"),
    Case("published", "a file without an end", _endless, "no file"),
    Case("published", "an archive whose names lead out", _archive, "no known form"),
]
