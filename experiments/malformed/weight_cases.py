"""Weight files and their indexes."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cases import Case, Make, Room

GIGA = 10**9
DENSE = "bert.encoder.layer.1.output.dense.weight"


class Code:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def touch(room: Room) -> Code:
    """Code that makes the canary when it is run."""
    return Code(os.system, f"touch {room.canary}")


def with_header(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file of this header, whatever it says."""
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def header_of(**tensors: Any) -> bytes:
    """A header of (dtype, shape, offsets)."""
    keys = ("dtype", "shape", "data_offsets")
    return json.dumps({k: dict(zip(keys, v, strict=True)) for k, v in tensors.items()}).encode()


def nested(depth: int) -> bytes:
    """Lists in lists."""
    return b'{"a":' + b"[" * depth + b"]" * depth + b"}"


SAFETENSORS: dict[str, Callable[[bytes], bytes]] = {
    "a header of 2^63 bytes": lambda good: struct.pack("<Q", 2**63) + good[8:],
    "a header of 2^64 - 1 bytes": lambda good: b"\xff" * 8 + good[8:],
    "a header that ends after the file": lambda good: struct.pack("<Q", len(good)) + good[8:],
    "a header of no bytes": lambda good: struct.pack("<Q", 0) + good[8:],
    "a header that is no JSON": lambda _: with_header(b"{not json}     "),
    "a header that is a list": lambda _: with_header(b"[1, 2, 3]       "),
    "a header that is no UTF-8": lambda _: with_header(b'{"\xff\xfe": 1}      '),
    "a header nested 100,000 deep": lambda _: with_header(nested(100_000)),
    "offsets beyond the file": lambda _: with_header(
        header_of(a=("F32", [1000], [0, 4000])), b"\0" * 16
    ),
    "offsets that overlap": lambda _: with_header(
        header_of(a=("F32", [4], [0, 16]), b=("F32", [4], [8, 24])), b"\0" * 24
    ),
    "offsets that go backwards": lambda _: with_header(
        header_of(a=("F32", [4], [16, 0])), b"\0" * 16
    ),
    "negative offsets": lambda _: with_header(header_of(a=("F32", [4], [-16, 0])), b"\0" * 16),
    "a shape of 2^60": lambda _: with_header(header_of(a=("F32", [2**60], [0, 16])), b"\0" * 16),
    "a shape that overflows": lambda _: with_header(
        header_of(a=("F32", [2**40, 2**40, 2**40], [0, 16])), b"\0" * 16
    ),
    "a negative shape": lambda _: with_header(header_of(a=("F32", [-4], [0, 16])), b"\0" * 16),
    "an unknown number type": lambda _: with_header(header_of(a=("F33", [4], [0, 16])), b"\0" * 16),
    "a hole between tensors": lambda _: with_header(
        header_of(a=("F32", [1], [0, 4]), b=("F32", [1], [8, 12])), b"\0" * 12
    ),
    "something after the last tensor": lambda good: good + b"\0" * 100,
    "only zeros": lambda good: b"\0" * len(good),
    "an empty file": lambda _: b"",
    "seven bytes": lambda good: good[:7],
    "cut in the header": lambda good: good[:200],
    "cut in the tensors": lambda good: good[:9000],
    "a million empty tensors": lambda _: with_header(
        b"{"
        + b",".join(
            b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % k for k in range(1_000_000)
        )
        + b"}"
    ),
}


def _safetensors(change: Callable[[bytes], bytes]) -> Make:
    def make(room: Room) -> Sequence[object]:
        member = room.population() / "member-1"
        file = member / "model.safetensors"
        file.write_bytes(change(file.read_bytes()))
        return ["check", member.parent / "member-*"]

    return make


def _index(weight_map: Any, *, whole: Any = None, also: str = "") -> Make:
    """An index that says this, beside the sound file under the name of a shard."""

    def make(room: Room) -> Sequence[object]:
        member = room.population() / "member-1"
        (member / "model.safetensors").rename(member / "model-1.safetensors")
        if also:
            (member / also).mkdir()
        named = weight_map(room) if callable(weight_map) else weight_map
        content = {"weight_map": named} if whole is None else whole
        text = content if isinstance(content, str) else json.dumps(content)
        (member / "model.safetensors.index.json").write_text(text)
        return ["check", member.parent / "member-*"]

    return make


INDEXES: dict[str, tuple[Make, str]] = {
    "a shard ../../secret": (_index({DENSE: "../../secret"}), "outside its folder"),
    "a shard ../member-0/model.safetensors": (
        _index({DENSE: "../member-0/model.safetensors"}),
        "outside its folder",
    ),
    "a shard with an absolute path": (
        _index(lambda room: {DENSE: str(room.secret)}),
        "outside its folder",
    ),
    "a shard named ..": (_index({DENSE: ".."}), "shard"),
    "a shard named .": (_index({DENSE: "."}), "outside its folder"),
    "a shard without a name": (_index({DENSE: ""}), "or none"),
    "a shard with a NUL in its name": (_index({DENSE: "model\0"}), "shard"),
    "a shard of 100,000 letters": (_index({DENSE: "x" * 100_000}), "shard"),
    "a shard that is missing": (_index({DENSE: "model-2.safetensors"}), "shard is missing"),
    "a shard that is a folder": (_index({DENSE: "shard"}, also="shard"), "shard"),
    "a shard that is a number": (_index({DENSE: 3}), "index"),
    "a shard that is a list": (_index({DENSE: ["model-1.safetensors"]}), "index"),
    "no weight map": (_index(None, whole={"metadata": {}}), "names no shards"),
    "a weight map that is a list": (_index(["model-1.safetensors"]), "names no shards"),
    "a list": (_index(None, whole=[1, 2]), "not a JSON object"),
    "half of a JSON object": (_index(None, whole='{"weight_map": {'), "not readable JSON"),
    "nested 100,000 deep": (_index(None, whole=nested(100_000).decode()), "not readable JSON"),
}


def _bin(content: Callable[[Room], bytes]) -> Make:
    def make(room: Room) -> Sequence[object]:
        member = room.population() / "member-1"
        (member / "model.safetensors").unlink()
        (member / "pytorch_model.bin").write_bytes(content(room))
        return ["check", member.parent / "member-*"]

    return make


def archive(pickled: bytes, compression: int = zipfile.ZIP_STORED, **files: bytes) -> bytes:
    """What torch.save writes, with this pickle; what is packed is repeated 10,000 times."""
    out = io.BytesIO()
    parts = {"data.pkl": pickled, "byteorder": b"little", "version": b"3\n"}
    parts |= {f"data/{name}": data for name, data in files.items()}
    with zipfile.ZipFile(out, "w", compression, compresslevel=1) as file:
        for name, data in parts.items():
            with file.open(f"archive/{name}", "w", force_zip64=True) as part:
                part.write(data)
                for _ in range(9999 if compression and len(data) > 1000 else 0):
                    part.write(data)
    return out.getvalue()


def tensor_pickle(numel: int, size: Sequence[int], stride: Sequence[int]) -> bytes:
    """A state dict of one tensor, of a storage and a view that need not fit each other."""

    def integer(n: int) -> bytes:
        raw = n.to_bytes(9, "little", signed=True)
        return b"\x8a" + bytes([len(raw)]) + raw

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
    numbers = [b"(" + b"".join(map(integer, values)) + b"t" for values in (size, stride)]
    return (
        b"\x80\x02}" + text("a") + b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage + integer(numel) + b"tQK\0" + numbers[0] + numbers[1]
        + b"\x89ccollections\nOrderedDict\n)RtRs."
    )  # fmt: skip


def doubled(depth: int) -> bytes:
    """A dictionary whose key is two equal halves, of two equal halves, and so on."""
    return b"\x80\x02}" + b")" + b"2\x86" * depth + b"K\1s."


def old_format(numel: int) -> bytes:
    """What torch.save wrote before archives: a tensor of four numbers of a storage of ``numel``."""
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    parts = [0x1950A86A20F9469CFC6C, 1001, machine]
    values = tensor_pickle(numel, [4], [1]).replace(b"tQ", b"NtQ", 1)  # no view of another storage
    data = b"".join(pickle.dumps(part, 2) for part in parts) + values + pickle.dumps(["0"], 2)
    return data + struct.pack("<q4f", numel, 0.0, 1.0, 2.0, 3.0)


DAMAGED = "truncated or damaged"
PICKLES: dict[str, tuple[Callable[[Room], bytes], str]] = {
    "a call of os.system": (lambda room: archive(pickle.dumps(touch(room))), "was not run"),
    "a call of os.system, without an archive": (
        lambda room: pickle.dumps(touch(room), protocol=2),
        "",
    ),
    "a call of eval among tensors": (
        lambda room: archive(
            pickle.dumps({"a": Code(eval, f"open({str(room.canary)!r}, 'w')")}, protocol=2)
        ),
        "was not run",
    ),
    "a storage of 1 GB in 4 MB": (
        lambda _: archive(
            tensor_pickle(GIGA // 4, [GIGA // 4], [1]),
            zipfile.ZIP_DEFLATED,
            **{"0": b"\0" * (GIGA // 10**4)},
        ),
        DAMAGED,
    ),
    "a pickle of 1 GB in 4 MB": (
        lambda _: archive(b"]0" * (GIGA // 20_000), zipfile.ZIP_DEFLATED),
        DAMAGED,
    ),
    "a storage of 2^62 numbers": (
        lambda _: archive(tensor_pickle(2**62, [4], [1]), **{"0": b"\0" * 16}),
        "",
    ),
    "a view beyond its storage": (
        lambda _: archive(tensor_pickle(4, [10**12], [1]), **{"0": b"\0" * 16}),
        DAMAGED,
    ),
    "one number as 10^12": (
        lambda _: archive(tensor_pickle(4, [10**6, 10**6], [0, 0]), **{"0": b"\0" * 16}),
        DAMAGED,
    ),
    "a storage that is not there": (
        lambda _: archive(tensor_pickle(4, [4], [1])),
        DAMAGED,
    ),
    "a file name that leads out of the archive": (
        lambda _: archive(tensor_pickle(4, [4], [1]), **{"../../../0": b"\0" * 16}),
        DAMAGED,
    ),
    "a key that takes for ever to hash": (lambda _: archive(doubled(60)), DAMAGED),
    "a storage of 40 TB in the old format": (lambda _: old_format(10**13), DAMAGED),
    "text of 2^60 bytes": (
        lambda _: archive(b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"a."),
        DAMAGED,
    ),
    "a list of tensors": (
        lambda _: archive(b"\x80\x02]."),
        "does not hold a state dict",
    ),
    "an archive of something else": (lambda _: _zip_of("hello.txt"), DAMAGED),
    "an archive that is cut": (
        lambda _: archive(tensor_pickle(4, [4], [1]), **{"0": b"\0" * 16})[:-40],
        DAMAGED,
    ),
    "a web page": (lambda _: b"<!DOCTYPE html><html>404</html>", DAMAGED),
    "a Git LFS pointer": (
        lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        DAMAGED,
    ),
}


def _zip_of(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(name, "hello")
    return out.getvalue()


def _lfs(room: Room) -> Sequence[object]:
    member = room.population() / "member-1"
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614\nsize 9000\n"
    (member / "model.safetensors").write_text(text)
    return ["check", member.parent / "member-*"]


def _linked(name: str, target: Callable[[Room], Path]) -> Make:
    """A file of a checkpoint as a link out of its folder."""

    def make(room: Room) -> Sequence[object]:
        member = room.population() / "member-1"
        (member / name).unlink()
        (member / name).symlink_to(target(room))
        return ["export", member.parent / "member-*", "--out", room.out / "soup"]

    return make


def _sibling(name: str) -> Callable[[Room], Path]:
    return lambda room: room.inside / "population" / "member-0" / name


LINKS = {
    "weights": ("model.safetensors", _sibling("model.safetensors")),
    "a configuration": ("config.json", lambda room: room.secret),
    "a tokenizer": ("tokenizer.json", lambda room: room.secret),
    "a tokenizer's settings": ("tokenizer_config.json", _sibling("tokenizer_config.json")),
}

CASES = [
    *(
        Case("checkpoint", f"safetensors: {name}", _safetensors(change), "")
        for name, change in SAFETENSORS.items()
    ),
    Case("checkpoint", "safetensors: a Git LFS pointer", _lfs, DAMAGED),
    *(Case("checkpoint", f"index: {name}", make, words) for name, (make, words) in INDEXES.items()),
    *(
        Case("checkpoint", f"pickle: {name}", _bin(content), words)
        for name, (content, words) in PICKLES.items()
    ),
    *(
        Case("checkpoint", f"link out of the folder: {name}", _linked(*link), "leads out of")
        for name, link in LINKS.items()
    ),
]
