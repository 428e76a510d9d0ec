"""One checkpoint: its configuration at once, its weights when they are asked for."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from landscape.checkpoints.find import Source, resolve
from landscape.checkpoints.json_files import read_json
from landscape.checkpoints.torch_files import read_torch_file
from landscape.core.errors import CheckpointError

_SAFETENSORS = ("model.safetensors", "model.safetensors.index.json")
_BIN = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_FOREIGN = {
    "tf_model.h5": "TensorFlow",
    "flax_model.msgpack": "Flax",
    "adapter_model.safetensors": "adapter",
    "adapter_model.bin": "adapter",
}

Rows = Mapping[str, Sequence[int] | np.ndarray]
"""Of some tensors, which of their rows, in which order."""


@dataclass(frozen=True)
class Weights(Mapping[str, Tensor]):
    """Named tensors that are read from disk at each access, as fp32.

    Attributes:
        shapes: The shape of every tensor, known without reading it.
        rows: For some tensors, which of their rows, in which order.
        check: Called once a tensor is copied out of its file, to refuse a file that has changed.
    """

    shapes: dict[str, tuple[int, ...]]
    read: Callable[[str], Tensor] = field(repr=False)
    rows: Rows = field(default_factory=dict, repr=False)
    check: Callable[[], None] | None = field(default=None, repr=False)

    def with_rows(self, rows: Rows) -> Weights:
        """The same tensors, of some only these rows in this order."""
        shapes = {name: (len(rows[name]), *self.shapes[name][1:]) for name in rows}
        return replace(self, shapes={**self.shapes, **shapes}, rows={**self.rows, **rows})

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.shapes:
            raise KeyError(name)
        tensor = self.read(name)
        if name in self.rows:  # before all else: rows that nobody wants are never read
            tensor = tensor[torch.as_tensor(np.asarray(self.rows[name]))]
        dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
        if self.check is None:
            return tensor.to(dtype)
        tensor = tensor.to(dtype, copy=name not in self.rows)  # what is mapped changes with it
        self.check()
        return tensor

    def __contains__(self, name: object) -> bool:
        return name in self.shapes  # the default would read the tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def n_bytes(self) -> int:
        """Bytes of all tensors as fp32."""
        return 4 * sum(torch.Size(shape).numel() for shape in self.shapes.values())


@dataclass(frozen=True)
class Checkpoint:
    """A finetuned classifier on disk.

    Attributes:
        ref: What the user wrote.
        path: Its directory.
        revision: The hub's commit, or "".
        config: The content of config.json.
        label_names: One a logit, in the order of the head's rows.
        params: The tensors by their name in the file, read lazily as fp32.
        files: The files that hold the weights.
        notes: What ``landscape finetune`` wrote beside the weights: seed, step, recipe.
    """

    ref: str
    path: Path
    revision: str
    config: dict[str, Any] = field(repr=False)
    label_names: tuple[str, ...]
    params: Weights = field(repr=False)
    files: tuple[Path, ...] = field(repr=False)
    notes: dict[str, Any] = field(repr=False)

    def fingerprint(self) -> str:
        """Sizes and modification times of the weight files: a cheap sign of change."""
        stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in self.files]
        return json.dumps(stats)

    def content_hash(self) -> str:
        """SHA-256 of the weight files."""
        digest = hashlib.sha256()
        for file in self.files:
            with file.open("rb") as stream:
                while block := stream.read(1 << 22):
                    digest.update(block)
        return digest.hexdigest()


def load_checkpoint(ref: str | Path | Source, base: Path | None = None) -> Checkpoint:
    """Open a checkpoint; only its headers are read. For references, see ``resolve``.

    Raises:
        CheckpointError: No such checkpoint; TensorFlow, Flax or adapter weights only; a truncated
            or damaged file; a pickle that holds more than tensors.
    """
    source = ref if isinstance(ref, Source) else resolve(str(ref), base)
    config = read_json(source.path / "config.json")
    params, files = _open_weights(source)
    return Checkpoint(
        ref=source.ref,
        path=source.path,
        revision=source.revision,
        config=config,
        label_names=_label_names(config, source.path / "config.json"),
        params=params,
        files=files,
        notes=_notes(source.path / "landscape.json"),
    )


def _label_names(config: Mapping[str, Any], where: Path) -> tuple[str, ...]:
    """One a logit; none where the configuration names none."""
    names = config.get("id2label") or {}
    if (
        not isinstance(names, dict)
        or not all(re.fullmatch("[0-9]{1,9}", str(key)) for key in names)
        or len({int(key) for key in names}) < len(names)
    ):
        raise CheckpointError(
            "The label names cannot be read.",
            where=where,
            expected="id2label: a mapping from 0, 1, ... to names",
            found=reprlib.repr(names),
        )
    ordered = sorted(names.items(), key=lambda item: int(item[0]))
    return tuple(str(name) for _, name in ordered)


def _notes(path: Path) -> dict[str, Any]:
    """What was left beside the weights; seed and step are numbers, a recipe is a mapping."""
    notes = read_json(path) if path.is_file() else {}
    for key in ("seed", "step"):
        value = notes.get(key, 0)
        if type(value) not in (int, float) or not abs(value) < 2**63:
            raise CheckpointError(
                f"The notes' {key} is no number.", where=path, found=reprlib.repr(value)
            )
    if not isinstance(notes.get("recipe") or {}, dict):
        found = reprlib.repr(notes["recipe"])
        raise CheckpointError("The notes' recipe is no mapping.", where=path, found=found)
    return notes


def _open_weights(source: Source) -> tuple[Weights, tuple[Path, ...]]:
    for names, opener in ((_SAFETENSORS, _open_safetensors), (_BIN, _open_bin)):
        whole, index = (source.path / name for name in names)
        if whole.is_file():
            return opener([whole]), (whole,)
        if index.is_file():
            shards = _shards(index)
            return opener(shards), tuple(shards)
    foreign = sorted({kind for name, kind in _FOREIGN.items() if (source.path / name).exists()})
    raise CheckpointError(
        f"The checkpoint has {' and '.join(foreign)} weights only."
        if foreign
        else "The checkpoint has no weights.",
        where=source.path,
        expected=" or ".join((*_SAFETENSORS, _BIN[0])),
        fix="merge the adapter into its model and save that"
        if foreign == ["adapter"]
        else "save it with PyTorch: save_pretrained(folder)",
    )


def _shards(index: Path) -> list[Path]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError("The index names no shards.", where=index, expected="a weight_map")
    shards = []
    for name in dict.fromkeys(v if isinstance(v, str) else "" for v in weight_map.values()):
        path, is_there = index.parent / name, False
        with suppress(OSError):  # a name that is too long
            is_there = Path(name).name == name and path.is_file()  # not out of its folder
        if not is_there:
            raise CheckpointError(
                "A shard is missing, or outside its folder.",
                where=index,
                expected="from a tensor's name to a file in the same folder",
                found=reprlib.repr(name),
            )
        shards.append(path)
    return sorted(shards)


def _open_safetensors(files: list[Path]) -> Weights:
    shapes: dict[str, tuple[int, ...]] = {}
    place: dict[str, Path] = {}
    for file in files:
        try:
            with safe_open(file, framework="pt") as content:
                for name in content.keys():  # noqa: SIM118 - not a mapping
                    shapes[name] = tuple(content.get_slice(name).get_shape())
                    place[name] = file
        except (SafetensorError, OSError, ValueError) as error:
            raise _damaged(file, error) from None

    def read(name: str) -> Tensor:
        try:
            with safe_open(place[name], framework="pt") as content:
                return content.get_tensor(name)
        except (AttributeError, TypeError) as error:  # a number type that torch does not have
            raise _damaged(place[name], error) from None

    return Weights(shapes, read)


def _open_bin(files: list[Path]) -> Weights:
    tensors: dict[str, Tensor] = {}
    for file in files:
        try:
            content = read_torch_file(file)
        except pickle.UnpicklingError as error:
            raise CheckpointError(
                "The weight file is a pickle that holds more than tensors; it was not run.",
                where=file,
                found=", ".join(re.findall(r"GLOBAL (\S+)", str(error))) or None,
                fix="save the model as safetensors where you trust its source",
            ) from None
        except ValueError as error:
            raise _damaged(file, error) from None
        if not isinstance(content, dict) or not all(
            isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
        ):
            raise CheckpointError(
                "The weight file does not hold a state dict.", where=file, found=type(content)
            )
        tensors.update(content)
    return Weights({name: tuple(t.shape) for name, t in tensors.items()}, tensors.__getitem__)


def _damaged(file: Path, error: Exception) -> CheckpointError:
    text = str(error)[:300] or type(error).__name__
    return CheckpointError("The weight file is truncated or damaged.", where=file, found=text)
