"""Whether a file is laid out as its format says, before anything large of it is read.

Nothing but the file itself is read, whatever it links to, and no more than it can hold.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from landscape.core.errors import StoreError
from landscape.records.store.layout import (
    CHECKPOINT_NUMBERS,
    CHECKPOINT_TEXT,
    FORMATS,
    exact_code,
    has_checksums,
    has_formats,
)
from landscape.records.store.slots import FREE, assigned, check_pairs
from landscape.records.store.tables import DISTANCES

UNREADABLE = (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError, MemoryError)
"""What HDF5, numpy and json raise at a file that is no store."""
_ELSEWHERE = "restore it from elsewhere, or measure it again with another 'out'"
_RATIO = 2000  # the most that zlib compresses is 1032 to 1
_ROLES = ("in_domain", "challenge")
_ROW_KINDS = {"losses": "f", "predictions": "u", "screened": "f", "difference": "f"}


def check_layout(file: h5py.File, path: Path) -> None:
    """Refuse a file whose parts do not fit together.

    Args:
        file: A store, of this format or an older one.
        path: Where it is, for the error.

    Raises:
        StoreError: Something leads out of the file, lacks, or is of another type or shape.
    """
    try:
        _Check(file, path).whole()
    except StoreError:
        raise
    except UNREADABLE as error:
        raise StoreError(
            "The store cannot be read.", where=path, found=error, fix=_ELSEWHERE
        ) from None


class _Check:
    def __init__(self, file: h5py.File, path: Path) -> None:
        self.file, self.path = file, path

    def refuse(self, name: str, expected: object, found: object) -> StoreError:
        return StoreError(
            "The store is not laid out as its format says.",
            where=f"{name} of {self.path}",
            expected=expected,
            found=found,
            fix=_ELSEWHERE,
        )

    def whole(self) -> None:
        exact_code(self.file.attrs)
        n_models = self.table("checkpoints")
        n_pairs = self.table("pairs")
        self.array("pairs/models", (n_pairs, 2), "i")
        t = self.array("position", (None,), "f")[()]
        if len(t) < 2 or not (np.diff(t) > 0).all() or (t[0], t[-1]) != (0, 1):
            raise self.refuse("position", "ascending from 0 to 1", t)
        config = json.loads(self.text("config").asstr()[()])
        if not isinstance(config, dict):
            raise self.refuse("config", "an object", type(config).__name__)
        for column in CHECKPOINT_TEXT:
            self.text(f"checkpoints/{column}", n_models)
        for column in CHECKPOINT_NUMBERS:
            self.array(f"checkpoints/{column}", (n_models,), "f")
        names = self.file["checkpoints/name"].asstr()[()]
        if len(set(names)) != len(names):
            raise self.refuse("checkpoints/name", "unique names", "one name twice")
        if (self.text("model", n_models).asstr()[()] != names).any():
            raise self.refuse("model", "the names of the checkpoints", "others")
        if DISTANCES in self.file or has_checksums(self.file):
            self.array(DISTANCES, (n_models, n_models), "f")
        if has_formats(self.file):
            self.array("pairs/formats", (n_pairs, len(t)), "u")
            self.array("pairs/tolerance", (n_pairs,), "f")
        if has_checksums(self.file):
            self.array("checkpoints/distances_checksum", (), "u")
            self.text("plans")
        self.pairs(n_models)
        for name in self.group("datasets"):
            self.dataset(name, n_models, n_pairs, len(t))
        for name in self.members("points"):
            self.points(name)
        for name in self.members("scores"):
            self.array(f"scores/{name}", (n_models,), "f")

    def node(self, name: str) -> Any:
        """What a path leads to, without leaving the file."""
        parts, here = name.split("/"), self.file
        for depth, part in enumerate(parts):
            own = "/".join(parts[: depth + 1])
            if not isinstance(here, h5py.Group) or part not in here:
                raise self.refuse(own, "to be there", "nothing")
            link = here.get(part, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise self.refuse(own, "something in this file", f"a link: {type(link).__name__}")
            here = here[part]
        return here

    def group(self, name: str) -> h5py.Group:
        found = self.node(name)
        if not isinstance(found, h5py.Group):
            raise self.refuse(name, "a group", "an array")
        return found

    def members(self, name: str) -> list[str]:
        """Of a group that may be absent."""
        return list(self.group(name)) if name in self.file else []

    def array(self, name: str, shape: tuple[int | None, ...], kind: str | None) -> h5py.Dataset:
        found = self.node(name)
        if not isinstance(found, h5py.Dataset):
            raise self.refuse(name, "an array", "a group")
        fits = len(found.shape or ()) == len(shape) and found.shape is not None
        fits = fits and all(n in (None, own) for n, own in zip(shape, found.shape, strict=True))
        wanted = tuple("any" if n is None else n for n in shape)
        if not fits:
            raise self.refuse(name, f"shape {wanted}", f"shape {found.shape}")
        if kind is not None and found.dtype.kind != kind:
            raise self.refuse(name, f"numbers of kind '{kind}'", found.dtype)
        if found.is_virtual or found.external:
            raise self.refuse(name, "values in this file", "values in another one")
        size, stored = found.size * found.dtype.itemsize, found.id.get_storage_size()
        if size > _RATIO * max(stored, 1 << 10):
            raise self.refuse(name, f"at most {_RATIO} times its {stored} bytes", f"{size} bytes")
        return found

    def text(self, name: str, *shape: int) -> h5py.Dataset:
        found = self.array(name, shape, None)
        if h5py.check_string_dtype(found.dtype) is None:
            raise self.refuse(name, "text", found.dtype)
        return found

    def table(self, group: str) -> int:
        """How many rows it has."""
        status = self.array(f"{group}/status", (None,), "u")
        if has_checksums(self.file):
            for name in ("checksum", "seal", "plan"):
                self.array(f"{group}/{name}", (len(status),), "u")
        return len(status)

    def pairs(self, n_models: int) -> None:
        models = self.file["pairs/models"][()]
        if has_checksums(self.file):  # the seals tell
            return
        if str(self.file.attrs.get("pairs", "all")) != "active" and not assigned(models).all():
            raise self.refuse("pairs/models", "two models in each row", "free slots")
        models[~assigned(models)] = FREE
        try:
            check_pairs(models, n_models)
        except StoreError as error:
            raise self.refuse("pairs/models", "two models a row, each pair once", error) from None
        if has_formats(self.file):
            formats = self.file["pairs/formats"][()][self.file["pairs/status"][()] == 1]
            if formats.max(initial=0) >= len(FORMATS):
                raise self.refuse("pairs/formats", f"below {len(FORMATS)}", formats.max())

    def dataset(self, name: str, n_models: int, n_pairs: int, n_points: int) -> None:
        here = f"datasets/{name}"
        attributes = self.group(here).attrs
        role, metric = str(attributes.get("role")), str(attributes.get("metric"))
        if role not in _ROLES or metric not in ("accuracy", "matthews"):
            raise self.refuse(here, "a known role and metric", f"{role}, {metric}")
        labels = self.array(f"{here}/labels", (None,), "u")
        n = len(labels)
        shapes = {"losses": (n,), "predictions": (n,), "screened": (), "difference": ()}
        aggregated = str(attributes.get("aggregated", "no")) == "yes"
        n_names = len(attributes["label-names"])
        if not aggregated and n and labels[()].max() >= n_names:
            raise self.refuse(f"{here}/labels", f"below {n_names}", labels[()].max())
        for kind, shape in shapes.items():
            if has_formats(self.file) or shape:
                self.array(f"{here}/{kind}", (n_pairs, n_points, *shape), _ROW_KINDS[kind])
                self.array(f"{here}/model_{kind}", (n_models, *shape), _ROW_KINDS[kind])
        if "accuracies" in self.file[here]:
            self.array(f"{here}/accuracies", (n_pairs, n_points), "f")
            self.array(f"{here}/model_accuracies", (n_models,), "f")
        for group in (f"{here}/groups", f"{here}/texts"):
            for column in self.members(group):
                self.text(f"{group}/{column}", n)

    def points(self, name: str) -> None:
        here = f"points/{name}"
        self.group(here)
        n = self.table(here)
        self.array(f"{here}/positions", (n, None), "f")
        self.array(f"{here}/marks", (None, None), "f")
        self.array(f"{here}/lengths", (n,), "f")
        self.text(f"{here}/notes")
        for kind in ("losses", "predictions"):
            for data in self.group(f"{here}/{kind}"):
                labels = self.array(f"datasets/{data}/labels", (None,), "u")
                self.array(f"{here}/{kind}/{data}", (n, len(labels)), _ROW_KINDS[kind])
