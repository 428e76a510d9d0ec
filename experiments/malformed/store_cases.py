"""Stores: other files, damaged ones, and ones that lead elsewhere."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from cases import Case, Make, Room
from weight_cases import nested

HUGE = 2**40


def _bytes(change: Callable[[bytes], bytes], name: str = "store.h5") -> Make:
    def make(room: Room) -> Sequence[object]:
        path = room.store(name)
        path.write_bytes(change(path.read_bytes()))
        return ["inspect", path]

    return make


def endless(good: bytes) -> bytes:
    """Free space in heaps of texts has no size: HDF5 would look at it for ever."""
    made = bytearray(good)
    for heap in re.finditer(rb"GCOL\x01", good):
        place, end = (
            heap.start() + 16,
            heap.start() + struct.unpack_from("<Q", good, heap.end() + 3)[0],
        )
        while place + 16 <= end:
            number, size = struct.unpack_from("<H6xQ", good, place)
            if not number:
                made[place + 8 : place + 16] = bytes(8)
                break
            place += 16 + -(-size // 8) * 8
    assert made != good
    return bytes(made)


def _edited(edit: Callable[[h5py.File, Room], Any], verb: str = "report") -> Make:
    """The sound store with this edit."""

    def make(room: Room) -> Sequence[object]:
        path = room.store()
        with h5py.File(path, "r+") as file:
            edit(file, room)
        out = [] if verb == "inspect" else ["--out", room.out / "report.html"]
        return [verb, path, *out]

    return make


def _without(name: str) -> Make:
    def edit(file: h5py.File, _: Room) -> None:
        del file[name]

    return _edited(edit)


def _replaced(name: str, **content: Any) -> Make:
    """An array of the store replaced by another, or one of another shape without content."""

    def edit(file: h5py.File, _: Room) -> None:
        del file[name]
        file.create_dataset(name, **content)

    return _edited(edit)


def _set(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Make:
    """Values of an array changed in place."""

    def edit(file: h5py.File, _: Room) -> None:
        file[name][...] = change(file[name][...])

    return _edited(edit)


def _attribute(name: str, value: Any) -> Make:
    def edit(file: h5py.File, _: Room) -> None:
        del file.attrs[name]
        file.attrs[name] = value

    return _edited(edit)


def _config(text: str | bytes) -> Make:
    def edit(file: h5py.File, _: Room) -> None:
        del file["config"]
        file.create_dataset("config", data=text, dtype=h5py.string_dtype())

    return _edited(edit)


def _other(room: Room) -> Path:
    """Another sound store, in the folder of secrets."""
    path = room.secret.with_name("other.h5")
    path.write_bytes((room.materials / "old-store.h5").read_bytes())
    return path


def _external_link(name: str) -> Make:
    def edit(file: h5py.File, room: Room) -> None:
        del file[name]
        file[name] = h5py.ExternalLink(str(_other(room)), f"/{name}")

    return _edited(edit)


def _external_storage(file: h5py.File, room: Room) -> None:
    n = file["datasets/dev/texts/text"].shape[0]
    del file["datasets/dev/labels"]
    bytes_ = [(str(room.secret), 0, h5py.h5f.UNLIMITED)]
    file.create_dataset("datasets/dev/labels", shape=(n,), dtype="u1", external=bytes_)


def _virtual(file: h5py.File, room: Room) -> None:
    name = "datasets/dev/losses"
    shape = file[name].shape
    del file[name]
    layout = h5py.VirtualLayout(shape, dtype="f4")
    layout[...] = h5py.VirtualSource(str(_other(room)), name, shape=shape)
    file.create_virtual_dataset(name, layout)


def _soft(target: str) -> Make:
    def edit(file: h5py.File, _: Room) -> None:
        del file["datasets/dev/losses"]
        file["datasets/dev/losses"] = h5py.SoftLink(target)

    return _edited(edit)


def _itself(file: h5py.File, _: Room) -> None:
    file["datasets/again"] = file["/"]


def _huge_attribute(file: h5py.File, _: Room) -> None:
    file.attrs["machine"] = "x" * 8 * 10**7


def _packed_zeros(file: h5py.File, _: Room) -> None:
    """1 GB of zeros in 1 MB."""
    del file["datasets/dev/losses"]
    file.create_dataset(
        "datasets/dev/losses",
        data=np.zeros((3, 9, 10**7), "f4"),
        chunks=(1, 1, 10**7),
        compression=1,
    )


def _new(content: Callable[[h5py.File], Any]) -> Make:
    """An HDF5 file that is no store of ours."""

    def make(room: Room) -> Sequence[object]:
        path = room.inside / "store.h5"
        with h5py.File(path, "w") as file:
            content(file)
        return ["inspect", path]

    return make


def _folder(room: Room) -> Sequence[object]:
    (room.inside / "store.h5").mkdir()
    return ["inspect", room.inside / "store.h5"]


SIGNATURE = b"\x89HDF\r\n\x1a\n"
FILES: dict[str, tuple[Make, str]] = {
    "text": (_bytes(lambda _: b"hello\n" * 1000), "cannot be read"),
    "empty": (_bytes(lambda _: b""), "cannot be read"),
    "a signature alone": (_bytes(lambda _: SIGNATURE), "cannot be read"),
    "a signature and noise": (_bytes(lambda good: SIGNATURE + good[-5000:]), "cannot be read"),
    "half of it": (_bytes(lambda good: good[: len(good) // 2]), ""),
    "the last kilobyte missing": (_bytes(lambda good: good[:-1024]), ""),
    "an old one with a heap of texts that does not end": (
        _bytes(endless, "old-store.h5"),
        "a heap of texts",
    ),
    "half of an old one": (_bytes(lambda good: good[: len(good) // 2], "old-store.h5"), ""),
    "a name changed": (_bytes(lambda good: good.replace(b"member-0", b"member-1")), ""),
    "zeros in the middle": (
        _bytes(lambda good: good[:2000] + b"\0" * 4000 + good[6000:]),
        "",
    ),
    "a folder": (_folder, "no store"),
    "another HDF5 file": (_new(lambda file: file.create_group("weights")), "not a landscape store"),
    "nothing but the mark of a store": (
        _new(lambda file: file.attrs.update({"encoding-type": "landscape"})),
        "",
    ),
    "a newer format": (_attribute("encoding-version", "9.0.0"), "newer version"),
    "a format that is no number": (_attribute("encoding-version", "new"), ""),
    "a format of 5,000 digits": (_attribute("encoding-version", "9" * 5000), ""),
    "a format that is a list": (_attribute("encoding-version", [0.4]), ""),
}
PARTS = ("checkpoints", "checkpoints/name", "pairs", "pairs/models", "pairs/status", "position")
PARTS += ("datasets", "datasets/dev/losses", "datasets/dev/labels", "config", "pairs/formats")
CONTENTS: dict[str, tuple[Make, str]] = {
    **{f"without {name}": (_without(name), "") for name in PARTS},
    "losses of another shape": (
        _replaced("datasets/dev/losses", data=np.zeros((1, 2, 20), "f4")),
        "",
    ),
    "losses of one axis": (_replaced("datasets/dev/losses", data=np.zeros(5, "f4")), ""),
    "losses that are text": (_replaced("datasets/dev/losses", data=[b"a", b"b"]), ""),
    "losses that are a group": (
        _edited(
            lambda file, _: [
                file.pop("datasets/dev/losses"),
                file.create_group("datasets/dev/losses"),
            ]
        ),
        "",
    ),
    "losses of 2^42 numbers that take no room": (
        _replaced("datasets/dev/losses", shape=(3, 9, HUGE), dtype="f4", chunks=(1, 1, 2**16)),
        "",
    ),
    "models of 2^40 rows that take no room": (
        _replaced("pairs/models", shape=(HUGE, 2), dtype="i4", chunks=(2**16, 2)),
        "",
    ),
    "1 GB of zeros in 1 MB": (_edited(_packed_zeros), ""),
    "names that are numbers": (_replaced("checkpoints/name", data=[1, 2]), ""),
    "names that are no UTF-8": (
        _replaced("checkpoints/name", data=[b"\xff\xfe", b"b"], dtype=h5py.string_dtype()),
        "",
    ),
    "two models of one name": (
        _replaced("checkpoints/name", data=["a", "a"], dtype=h5py.string_dtype()),
        "",
    ),
    "more models than rows": (
        _replaced("checkpoints/name", data=["a", "b", "c"], dtype=h5py.string_dtype()),
        "",
    ),
    "a pair of models that there are not": (_set("pairs/models", lambda old: old + 7), ""),
    "a pair of a model with itself": (_set("pairs/models", lambda old: old * 0), ""),
    "a pair of a model below 0": (_set("pairs/models", lambda old: old - 5), ""),
    "positions of NaN": (_set("position", lambda old: old * np.nan), ""),
    "positions that descend": (_set("position", lambda old: old[::-1]), ""),
    "a format code that there is not": (_set("pairs/formats", lambda old: old + 77), ""),
    "labels beyond the label names": (_set("datasets/dev/labels", lambda old: old + 200), ""),
    "infinite losses": (_set("datasets/dev/losses", lambda old: old + np.inf), ""),
    "a configuration that is no JSON": (_config("{"), ""),
    "a configuration that is a list": (_config("[1]"), ""),
    "a configuration nested 100,000 deep": (_config(nested(100_000)), ""),
    "a configuration of other types": (
        _config(json.dumps({"name": 3, "task": [], "analysis": {"rule": {"a": 1}}})),
        "",
    ),
    "an analysis that there is not": (
        _config(json.dumps({"analysis": {"rule": "hill", "dataset": "nowhere"}})),
        "",
    ),
    "a precision that there is not": (_attribute("precision", "fp3"), "precision"),
    "a role that there is not": (
        _edited(lambda file, _: file["datasets/dev"].attrs.modify("role", "own")),
        "",
    ),
}
ELSEWHERE: dict[str, tuple[Make, str]] = {
    "an external link for the checkpoints": (_external_link("checkpoints"), "link"),
    "an external link for losses": (_external_link("datasets/dev/losses"), "link"),
    "an external link for a text": (_external_link("datasets/dev/texts/text"), "link"),
    "an external link for the configuration": (_external_link("config"), "link"),
    "labels that lie in another file": (_edited(_external_storage), ""),
    "losses that lie in another store": (_edited(_virtual), ""),
    "a soft link to nothing": (_soft("/nowhere"), ""),
    "a soft link to itself": (_soft("/datasets/dev/losses"), ""),
    "a data set that holds the whole store": (_edited(_itself), ""),
}

CASES = [
    *(Case("store", name, make, words) for name, (make, words) in FILES.items()),
    *(Case("store", name, make, words) for name, (make, words) in CONTENTS.items()),
    *(Case("store", name, make, words) for name, (make, words) in ELSEWHERE.items()),
    Case("store", "an attribute of 80 MB", _edited(_huge_attribute, "inspect"), "", 0),
]
