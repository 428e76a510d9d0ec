"""A point of weight space as a checkpoint directory that transformers loads."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from landscape import __version__
from landscape.checkpoints.mix import add_up
from landscape.checkpoints.read import Checkpoint, Weights
from landscape.core.errors import CheckpointError, ConfigError

Member = Checkpoint | Mapping[str, Tensor]

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "bpe.codes",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
)
# in the order in which safetensors lays tensors out: aligned for all that follow
_DTYPES = {
    torch.int64: "I64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_PACKAGES = ("torch", "transformers")


def export_point(
    members: Sequence[Member],
    coefficients: ArrayLike,
    out: Path,
    recipe: Mapping[str, Any],
    *,
    like: Checkpoint | None = None,
) -> Path:
    """Write sum_i c_i member_i as a checkpoint directory, whole or not at all.

    The weights are fp32 and, bit for bit, those that ``evaluate`` mixes in fp32. One tensor of each
    member is in memory at a time. ``landscape.json`` says what the point was made of.

    Args:
        members: Checkpoints (of ``load_population``, so that names and the head's rows agree), or
            mappings from name to tensor.
        coefficients: (n_members,).
        out: The folder: absent, or empty.
        recipe: What else ``landscape.json`` should say, ``kind`` first of all.
        like: Gives configuration, tokenizer, names, and the tensors that hold no floats; the first
            member by default.

    Returns:
        ``out``.

    Raises:
        ConfigError: Coefficients that do not fit the members, or no ``like`` where the first member
            is a mapping.
        CheckpointError: ``out`` is not empty or cannot be written; a tensor is missing, has another
            shape, or holds NaN or infinite values at this point; members whose labels stand in
            different orders.
    """
    out = Path(out)
    row = _coefficients(coefficients, len(members))
    if like is None:
        if not isinstance(members[0], Checkpoint):
            raise ConfigError(
                "Tensors in memory have no configuration and no tokenizer.",
                where="export_point(..., like)",
                expected="a checkpoint to take them from",
                fix="give the checkpoint that they were trained from as 'like'",
            )
        like = members[0]
    labels = _label_names(like)
    for member in members:
        _same_labels(member, like, labels)
        _same_shapes(member, like)
    require_empty(out)
    # files are hashed while tensors are mixed and written
    with _in_place(out) as partial, ThreadPoolExecutor(2) as pool:
        origins = pool.map(_origin, members)
        (partial / "config.json").write_text(json.dumps(_config(like, labels), indent=2))
        for name in TOKENIZER_FILES:
            if (like.path / name).is_file():
                shutil.copyfile(like.path / name, partial / name)
        _write_point(partial / "model.safetensors", members, row, like)
        notes = {
            "recipe": {**recipe, "members": list(origins), "coefficients": row.tolist()},
            "like": like.ref,
            "versions": {"landscape": __version__, **{name: version(name) for name in _PACKAGES}},
        }
        (partial / "landscape.json").write_text(json.dumps(notes, indent=2, default=_plain))
    return out


def export_tensors(
    tensors: Mapping[str, Tensor], like: Checkpoint, out: Path, recipe: Mapping[str, Any]
) -> Path:
    """Write tensors in memory, trained control points for instance, as a checkpoint directory.

    Args:
        tensors: By the names of ``like``.
        like: Gives configuration, tokenizer, and the tensors that hold no floats.
        out: The folder: absent, or empty.
        recipe: What ``landscape.json`` should say, ``kind`` first of all.

    Raises:
        CheckpointError: As ``export_point``.
    """
    return export_point([tensors], [1.0], out, recipe, like=like)


def require_empty(out: Path) -> None:
    """Refuse an output folder that holds anything.

    Raises:
        CheckpointError: It is a file, or not empty.
    """
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() or out.is_symlink():
        raise CheckpointError(
            "The output folder is not empty." if out.is_dir() else "The output is not a folder.",
            where=out,
            expected="a folder that is absent or empty",
            fix="choose another folder, or remove what is there",
        )


@contextmanager
def _in_place(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` that takes its place at the end, or is gone after an error."""
    partial = out.absolute().with_name(f".{out.absolute().name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # what a killed export has left
        partial.mkdir(parents=True)
        yield partial
        if out.exists():
            out.rmdir()
        os.replace(partial, out)
    except OSError as error:
        raise CheckpointError(
            "The checkpoint cannot be written.", where=out, found=error
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _coefficients(coefficients: ArrayLike, n: int) -> np.ndarray:
    row = np.asarray(coefficients, dtype=np.float64)
    if not n or row.shape != (n,) or not np.isfinite(row).all():
        raise ConfigError(
            "A point needs a finite coefficient for each of its members.",
            where="export_point(members, coefficients)",
            expected=f"shape ({n},)" if n else "at least one member",
            found=f"shape {row.shape}" if row.shape != (n,) else row.tolist(),
        )
    return row


def _label_names(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The label names in the order of the head's rows as ``params`` gives them."""
    names, orders = checkpoint.label_names, checkpoint.params.rows.values()
    order = {tuple(map(int, rows)) for rows in orders} or {tuple(range(len(names)))}
    chosen = order.pop()
    if order or sorted(chosen) != list(range(len(names))):
        raise CheckpointError(
            "Of some tensors, only chosen rows are there: they cannot be exported.",
            where=checkpoint.path,
            found=", ".join(checkpoint.params.rows),
        )
    return tuple(names[row] for row in chosen)


def _same_labels(member: Member, like: Checkpoint, labels: tuple[str, ...]) -> None:
    if not isinstance(member, Checkpoint):
        return
    own = _label_names(member)
    plain, expected = ([name.casefold() for name in names] for names in (own, labels))
    # other names can mean the same (a label map); the same names in another order cannot
    if plain != expected and sorted(plain) == sorted(expected):
        raise CheckpointError(
            "The checkpoints' labels stand in different orders.",
            where=member.path,
            expected=f"{', '.join(labels)} as {like.path}",
            found=", ".join(own),
            fix="open them with load_population, which puts them in one order",
        )


def _same_shapes(member: Member, like: Checkpoint) -> None:
    params, where = _params(member), _place(member)
    there = set(params)  # to ask a mapping that reads from disk would read the tensor
    for name, shape in like.params.shapes.items():
        if name not in there:
            if not like.params[name].is_floating_point():
                continue
            raise CheckpointError(
                f"A member of the point lacks the tensor '{name}'.",
                where=where,
                expected=f"a tensor of shape {shape} as {like.path}",
                found=f"{len(params)} other tensors",
                fix="open checkpoints with load_population, which gives them one set of names",
            )
        found = params.shapes[name] if isinstance(params, Weights) else tuple(params[name].shape)
        if found != shape:
            raise CheckpointError(
                f"A member of the point has the tensor '{name}' in another shape.",
                where=where,
                expected=f"{shape} as {like.path}",
                found=found,
            )


def _params(member: Member) -> Mapping[str, Tensor]:
    return member.params if isinstance(member, Checkpoint) else member


def _place(member: Member) -> object:
    return member.path if isinstance(member, Checkpoint) else "tensors in memory"


def _origin(member: Member) -> dict[str, str]:
    if not isinstance(member, Checkpoint):
        return {"ref": "tensors in memory"}
    return {"ref": member.ref, "revision": member.revision, "sha256": member.content_hash()}


def _config(like: Checkpoint, labels: tuple[str, ...]) -> dict[str, Any]:
    # transformers loads in the format that config.json names
    config = {key: value for key, value in like.config.items() if key != "torch_dtype"}
    config["dtype"] = "float32"
    if labels != like.label_names:
        config["id2label"] = {str(row): name for row, name in enumerate(labels)}
        config["label2id"] = {name: row for row, name in enumerate(labels)}
    return config


def _plain(value: Any) -> Any:
    """What JSON can hold of numpy's numbers and arrays."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return str(value)


def _write_point(file: Path, members: Sequence[Member], row: np.ndarray, like: Checkpoint) -> None:
    """Write the tensors one after the other, in the layout of safetensors.

    Its own writer takes all tensors at once: for a point of large models that is too many.
    """
    used = [(float(c), _params(member)) for c, member in zip(row, members, strict=True) if c]
    dtypes = {name: like.params[name].dtype for name in like.params}
    order = list(_DTYPES)
    names = sorted(dtypes, key=lambda name: (order.index(dtypes[name]), name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        begin, shape = end, like.params.shapes[name]
        end += torch.Size(shape).numel() * dtypes[name].itemsize
        header[name] = {
            "dtype": _DTYPES[dtypes[name]],
            "shape": list(shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            if dtypes[name].is_floating_point:
                tensor = _mixed(name, used, like.params.shapes[name])
            else:
                tensor = like.params[name]
            stream.write(tensor.contiguous().numpy().data)


def _mixed(
    name: str, used: list[tuple[float, Mapping[str, Tensor]]], shape: tuple[int, ...]
) -> Tensor:
    terms = [(c, params[name].detach().to("cpu", torch.float32)) for c, params in used]
    if len(terms) == 1 and terms[0][0] == 1:
        mixed = terms[0][1]
    else:
        mixed = add_up(terms, torch.empty(shape))
    # the sum first: one pass without a temporary, and finite only where all terms are
    if not bool(torch.isfinite(mixed.sum())) and not bool(torch.isfinite(mixed).all()):
        raise CheckpointError(
            f"The tensor '{name}' holds NaN or infinite values at this point.",
            found=f"{int((~torch.isfinite(mixed)).sum())} of {mixed.numel()}",
            fix="leave out what diverged, or choose smaller coefficients",
        )
    return mixed
