"""The folder of a run: its resolved configuration, and a record for every job that is done."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from landscape.core.errors import StoreError
from landscape.core.files import replacing
from landscape.records.record import (
    MODEL,
    PAIR,
    PATH,
    Record,
    read_arrays,
    read_record,
    write_arrays,
    write_record,
)
from landscape.records.results import StoredPath
from landscape.records.writing import writing
from landscape.tasks.examples import Examples

MANY_MODELS = 300
"""With more, the pairs of a block of models share a record: fewer files than pairs."""
_BLOCK = 8


@dataclass(frozen=True)
class Manifest:
    """What a run measures, as it was when the run began; the rest as in ``Results``.

    Attributes:
        config: The resolved configuration, as JSON holds it.
        checkpoints: Of each model name, ref, sha256, labels, revision, fingerprint, seed, step,
            recipe.
        pairs: Model indices of all pairs that are to be measured; None where a rule chooses them.
        datasets: From each data set's name to the hash of its examples, in order.
        plan: The name of the compute plan that the run began with.
    """

    config: dict[str, Any]
    attributes: dict[str, str]
    checkpoints: list[dict[str, Any]] = field(repr=False)
    positions: list[float]
    pairs: list[list[int]] | None = field(repr=False)
    datasets: dict[str, str]
    plan: str


class RunFolder:
    """Reads and writes the records of a run, by its folder or the store in it."""

    def __init__(self, path: Path) -> None:
        self.path = path.parent if path.suffix in (".h5", ".hdf5") else path
        self.records = self.path / "records"

    @property
    def store(self) -> Path:
        """The store that is written from the records."""
        return self.path / "store.h5"

    def exists(self) -> bool:
        """Whether a run has begun here."""
        return (self.path / "run.json").is_file()

    def manifest(self) -> Manifest:
        """What the run measures."""
        path = self.path / "run.json"
        try:
            content = json.loads(path.read_text())
            if content.pop("sha256") != _sha256(content):
                raise ValueError("its content does not fit its SHA-256")
            return Manifest(**content)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StoreError(
                "The run's configuration cannot be read.",
                where=path,
                found=error,
                fix="restore it, or give this run another 'out'",
            ) from None

    def begin(
        self,
        manifest: Manifest,
        datasets: Sequence[tuple[str, Examples]],
        plan: Mapping[str, Any],
    ) -> None:
        """Note what is measured, before anything is."""
        with writing(self.path):
            for folder in (MODEL, PAIR, PATH, "examples", "plans"):
                (self.records / folder).mkdir(parents=True, exist_ok=True)
            self.write_examples(datasets, manifest.config)
            self.add_plan(plan)
            self.note(manifest)

    def write_examples(
        self, datasets: Sequence[tuple[str, Examples]], config: Mapping[str, Any]
    ) -> None:
        """Keep labels, groups and texts of the role and examples of each data set."""
        for role, data in datasets:
            columns = text_columns(config, data.name, len(data.texts))
            arrays = {"labels": data.labels.astype(np.uint8)}
            arrays |= {f"groups/{name}": names.astype(str) for name, names in data.groups.items()}
            for name, texts in zip(columns, data.texts, strict=True):
                # neither numpy nor HDF5 keeps a NUL at a text's end
                plain = [text.replace("\0", "\N{REPLACEMENT CHARACTER}") for text in texts]
                arrays[f"texts/{name}"] = np.array(plain, dtype=str)
            notes = {
                "role": role,
                "metric": data.metric,
                "label_names": list(data.label_names),
                "content_hash": data.content_hash(),
            }
            write_arrays(self.records / "examples" / f"{data.name}.npz", arrays, notes)

    def note(self, manifest: Manifest) -> None:
        """Write the manifest; last of all that a run needs, so that where it is a run began."""
        content = json.loads(json.dumps(asdict(manifest)))
        content["sha256"] = _sha256(content)
        with writing(self.path), replacing(self.path / "run.json") as file:
            file.write(json.dumps(content, indent=1).encode())

    def add_plan(self, plan: Mapping[str, Any], notes: Mapping[str, Any] | None = None) -> str:
        """Keep a compute plan, once, with what was measured of it; its name."""
        name = plan_name(plan)
        path = self.records / "plans" / f"{name}.json"
        if not path.is_file():
            with writing(path), replacing(path) as file:
                file.write(json.dumps({**plan, **(notes or {})}, indent=1).encode())
        return name

    def plans(self) -> dict[str, dict[str, Any]]:
        """All compute plans by name."""
        paths = sorted((self.records / "plans").glob("*.json"))
        try:
            return {path.stem: json.loads(path.read_text()) for path in paths}
        except ValueError as error:
            raise StoreError("A compute plan cannot be read.", where=paths, found=error) from None

    def write(self, record: Record, name: str | None = None) -> None:
        """Keep a record, by its path's name.

        Where it covers several, ``name`` is what they are together, as in ``tile_of``; of a part
        of a path's points, ``paths/NAME/FIRST``. What was kept before stays where a disk fails.
        """
        write_record(self.records / f"{name or record.paths[0]}.{record.indicator}.npz", record)

    def names(self, folder: str, indicators: Iterable[str] = ("loss",)) -> set[str]:
        """What of ``models``, ``pairs`` or ``paths/NAME`` is measured by all these indicators."""
        done = [
            {path.name.removesuffix(f".{name}.npz") for path in self._files(folder, name)}
            for name in indicators
        ]
        return set.intersection(*done)

    def _files(self, folder: str, indicator: str) -> list[Path]:
        return sorted((self.records / folder).glob(f"[!.]*.{indicator}.npz"))

    def read(self, folder: str, indicator: str = "loss") -> Iterator[Record]:
        """All records of an indicator of ``models``, ``pairs`` or ``paths/NAME``."""
        return map(read_record, self._files(folder, indicator))

    def record(self, name: str, indicator: str = "loss") -> Record:
        """One record, as ``models/3``."""
        return read_record(self.records / f"{name}.{indicator}.npz")

    def indicators(self) -> list[str]:
        """The names of all that was measured, the loss first."""
        paths = self.records.glob("*/**/[!.]*.*.npz")
        names = {path.name.split(".", 1)[1].removesuffix(".npz") for path in paths}
        return sorted(names, key=lambda name: (name != "loss", name))

    def add_path(self, path: StoredPath) -> None:
        """Note a path beside the pairs' paths; of its points none is measured."""
        notes = {
            "kind": path.kind,
            "models": list(path.models),
            "shape": list(path.shape),
            "notes": path.notes,
        }
        arrays = {"marks": path.marks, "positions": path.positions, "lengths": path.lengths}
        folder = self.records / PATH / path.name
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_arrays(folder / "path.npz", arrays, notes)

    def paths(self) -> dict[str, StoredPath]:
        """Those paths, in the order of their names, nothing of their points."""
        files = sorted((self.records / PATH).glob("*/path.npz"))
        return {file.parent.name: self._path(file) for file in files}

    def _path(self, file: Path) -> StoredPath:
        arrays, notes = read_arrays(file)
        return StoredPath(
            name=file.parent.name,
            kind=notes["kind"],
            models=tuple(notes["models"]),
            shape=tuple(notes["shape"]),
            notes=notes["notes"],
            marks=arrays["marks"],
            positions=arrays["positions"],
            lengths=arrays["lengths"],
        )

    def write_distances(self, distances: np.ndarray) -> None:
        """Keep the weight distances (n_models, n_models)."""
        write_arrays(self.records / "distances.npz", {"distances": distances}, {})

    def distances(self) -> np.ndarray | None:
        """The weight distances; None where they are not known."""
        path = self.records / "distances.npz"
        return read_arrays(path)[0]["distances"] if path.is_file() else None


def _sha256(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def plan_name(plan: Mapping[str, Any]) -> str:
    """What a compute plan is called."""
    return _sha256(plan)[:16]


def pair_name(i: int, j: int) -> str:
    """What a pair's records are called."""
    return f"{i:04d}-{j:04d}"


def model_name(i: int) -> str:
    """What a model's records are called."""
    return f"{i:04d}"


def indices(name: str) -> tuple[int, ...]:
    """The model indices in a name."""
    return tuple(map(int, re.findall(r"\d+", name.rpartition("/")[2])))


def tile_of(i: int, j: int, n_models: int) -> str | None:
    """The record that a pair shares with others; None where each pair has its own."""
    if n_models <= MANY_MODELS:
        return None
    return f"{PAIR}/tile-{pair_name(i // _BLOCK, j // _BLOCK)}"


def text_columns(config: Mapping[str, Any], name: str, n: int) -> tuple[str, ...]:
    """The names of a data set's ``n`` text columns, as the stored experiment's task has them.

    They are ``text``, or ``text 1`` and ``text 2``, where it names none.
    """
    task = config["task"]
    specs = {**task.get("in_domain", {}), **task.get("challenge", {})}
    names = (specs.get(name) or {}).get("texts") or task.get("texts") or ()
    if len(names) == n:
        return tuple(map(str, names))
    return ("text",) if n == 1 else tuple(f"text {number + 1}" for number in range(n))
