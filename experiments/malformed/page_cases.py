"""Names and texts that are HTML, scripts, formulas: the report shows them as they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import h5py
import numpy as np
from cases import Case, Make, Room

HTML = (
    "<script>alert(1)</script>\"><img src=x onerror='alert(2)'></title></style></pre>--><!--]]>"
    "<svg onload=alert(3)>"
)
PAYLOADS = {
    "HTML and scripts": HTML,
    "templates, formulas of a spreadsheet": '=cmd|"/c calc"!A1 {{ 7 * 7 }}{% for x in y %}',
    "formulas of TeX that do not close": r"a_$\frac{1}{$ ^b",
}


MEASURED = ("losses", "predictions")


def _texts(file: h5py.File, name: str, values: Sequence[str]) -> None:
    own = file[name]
    own[...] = np.array(list(values), dtype=object)


def _renamed(group: h5py.Group, new: Callable[[str], str]) -> None:
    for name in list(group):
        group.move(name, quote(new(name), safe=" "))


def _everywhere(payload: str) -> Make:
    """A store in which all that is free text holds the payload."""

    def make(room: Room) -> Sequence[object]:
        path = room.store()
        with h5py.File(path, "r+") as file:
            n = len(file["checkpoints/name"])
            for name in ("checkpoints/name", "checkpoints/ref", "checkpoints/revision", "model"):
                _texts(file, name, [f"{payload} {k}" for k in range(n)])
            config = json.loads(file["config"].asstr()[()])
            config |= {"name": payload, "checkpoints": [payload], payload: payload}
            config["resolved_focus"] = None
            file["config"][()] = json.dumps(config)
            file.attrs["machine"] = payload
            file.attrs["created"] = payload
            file.attrs["device"] = payload
            for group in file["datasets"].values():
                group.attrs["label-names"] = [f"{payload} {k}" for k in range(2)]
                group.attrs["content-hash"] = payload
                for values in group["texts"].values():
                    values[...] = np.array([payload] * len(values), dtype=object)
                _renamed(group["texts"], lambda name: f"{payload} {name}")
                for cut in group["groups"].values():
                    cut[...] = np.array([f"{payload} {v}" for v in cut.asstr()[()]], dtype=object)
                _renamed(group["groups"], lambda name: f"{payload} {name}")
            slashless = payload.replace("/", "|")  # no name of a group in HDF5 holds one
            for points in file["points"].values():
                points.attrs["models"] = [f"{payload} {k}" for k in range(len(points["mark"]))]
                notes = json.loads(points["notes"].asstr()[()])
                points["notes"][()] = json.dumps({**notes, payload: payload})
            sets = [file["datasets"]]
            sets += [points[kind] for points in file["points"].values() for kind in MEASURED]
            for group in [*sets, file["points"]]:
                for name in list(group):
                    group.move(name, f"{slashless} {name}")
        return ["report", path, "--out", room.out / "report.html"]

    return make


def _halves(room: Room) -> Sequence[object]:
    """What JSON can say and UTF-8 cannot."""
    path = room.store()
    with h5py.File(path, "r+") as file:
        config = json.loads(file["config"].asstr()[()])
        file["config"][()] = json.dumps({**config, "name": "half \ud800"})
    return ["report", path, "--out", room.out / "report.html"]


def _published(payload: str) -> Make:
    """The same of models and scores that were imported."""

    def make(room: Room) -> Sequence[object]:
        from landscape.importers import import_published

        def cell(text: str) -> str:
            return '"' + text.replace('"', '""') + '"'

        models = [cell(f"{payload} {k}") for k in range(4)]
        rows = [f"{a},{b},{abs(i - j)}" for i, a in enumerate(models) for j, b in enumerate(models)]
        gaps = room.write("gaps.csv", "\n".join(["model_a,model_b,gap", *rows]))
        lines = [f"model,{cell(payload)}", *(f"{m},{k / 4}" for k, m in enumerate(models))]
        scores = room.write("scores.csv", "\n".join(lines))
        name = payload.replace("/", "|")
        store = room.inside / "store.h5"
        import_published(gaps, out=store, scores=scores, dataset=name)
        return ["report", store, "--out", room.out / "report.html"]

    return make


def _figures(payload: str) -> Make:
    make: Any = _everywhere(payload)

    def figures(room: Room) -> Sequence[object]:
        _, path, *_ = make(room)
        return ["figures", path, "--out", room.out, "--format", "svg"]

    return figures


CASES = [
    Case("page", "half of a character", _halves, "half \\ud800", 0),
    *(
        Case("page", f"{name}, in everything of a store", _everywhere(payload), payload, 0)
        for name, payload in PAYLOADS.items()
    ),
    *(
        Case("page", f"{name}, in what is imported", _published(PAYLOADS[name]), PAYLOADS[name], 0)
        for name in ("HTML and scripts",)
    ),
    *(
        Case("page", f"{name}, in figures", _figures(PAYLOADS[name]), "", 0)
        for name in ("HTML and scripts", "formulas of TeX that do not close")
    ),
]
