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
from safetensors.torch import save_file
from torch import Tensor

from landscape import __version__
from landscape.checkpoints.anchors import Params, as_params
from landscape.checkpoints.mix import add_up
from landscape.checkpoints.read import Checkpoint
from landscape.checkpoints.tokenizer import TOKENIZER_FILES
from landscape.core.errors import CheckpointError, ConfigError

Member = Checkpoint | Params

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
    member is in memory at a time, beside those mixed. ``landscape.json`` says what the point was
    made of.

    Args:
        members: Checkpoints (of ``load_population``, so that names and the head's rows agree), or
            mappings from name to tensor.
        coefficients: (n_members,).
        out: The folder: absent, or empty.
        recipe: What else ``landscape.json`` should say, ``kind`` first of all.
        like: Gives configuration, tokenizer, names, and the tensors that hold no floats; the first
            member by default.

    Raises:
        ConfigError: Coefficients that do not fit the members, or no ``like``.
        CheckpointError: ``out`` is not empty or cannot be written; tensors or labels that do not
            fit, or values that are not finite.
    """
    out = Path(out)
    row = np.asarray(coefficients, dtype=np.float64)
    n = len(members)
    if not n or row.shape != (n,) or not np.isfinite(row).all():
        raise ConfigError(
            "A point needs a finite coefficient for each of its members.",
            expected=f"{n} of them" if n else "at least one member",
            found=row.tolist(),
        )
    like = like or members[0]  # type: ignore[assignment]
    if not isinstance(like, Checkpoint):
        raise ConfigError(
            "Tensors in memory have no configuration and no tokenizer.",
            fix="give the checkpoint that they were trained from as 'like'",
        )
    labels = _label_names(like)
    for member in members:
        if isinstance(member, Checkpoint):
            _require_same_labels(member, like, labels)
    require_empty(out)
    # files are hashed while tensors are mixed and written
    with _in_place(out) as partial, ThreadPoolExecutor(2) as pool:
        origins = pool.map(_origin, members)
        (partial / "config.json").write_text(json.dumps(_config(like, labels), indent=2))
        for name in TOKENIZER_FILES:
            if (like.path / name).is_file():
                shutil.copyfile(like.path / name, partial / name)
        terms = [(float(c), as_params(m)) for c, m in zip(row, members, strict=True) if c]
        tensors = {name: _mixed(name, terms, like) for name in like.params}
        save_file(tensors, partial / "model.safetensors", metadata={"format": "pt"})
        notes = {
            "recipe": {**recipe, "members": list(origins), "coefficients": row.tolist()},
            "like": like.ref,
            "versions": {"landscape": __version__, **{name: version(name) for name in _PACKAGES}},
        }
        (partial / "landscape.json").write_text(json.dumps(notes, indent=2, default=_plain))
    return out


def require_empty(out: Path) -> None:
    """Refuse an output folder that is a file, or holds anything."""
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


def _require_same_labels(member: Checkpoint, like: Checkpoint, labels: tuple[str, ...]) -> None:
    names = _label_names(member)
    plain, expected = ([name.casefold() for name in order] for order in (names, labels))
    # other names can mean the same (a label map); the same names in another order cannot
    if plain != expected and sorted(plain) == sorted(expected):
        raise CheckpointError(
            "The checkpoints' labels stand in different orders.",
            where=member.path,
            expected=f"{', '.join(labels)} as {like.path}",
            found=", ".join(names),
            fix="open them with load_population, which puts them in one order",
        )


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
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def _mixed(name: str, members: Sequence[tuple[float, Params]], like: Checkpoint) -> Tensor:
    template = like.params[name]
    if not template.is_floating_point():
        return template
    terms = []
    for c, params in members:
        tensor = params[name].detach() if name in params else None
        if tensor is None or tensor.shape != template.shape:
            raise CheckpointError(
                f"A member of the point lacks the tensor '{name}', or has it in another shape.",
                expected=f"shape {tuple(template.shape)} as {like.path}",
                found="no such tensor" if tensor is None else f"shape {tuple(tensor.shape)}",
                fix="open checkpoints with load_population, which gives them one set of names",
            )
        terms.append((c, tensor.to("cpu", torch.float32)))
    if len(terms) == 1 and terms[0][0] == 1:
        mixed = terms[0][1].contiguous()
    else:
        mixed = add_up(terms, torch.empty(template.shape))
    # the sum first: one pass without a temporary, and finite only where all terms are
    if not bool(torch.isfinite(mixed.sum())) and not bool(torch.isfinite(mixed).all()):
        raise CheckpointError(
            f"The tensor '{name}' holds NaN or infinite values at this point.",
            found=f"{int((~torch.isfinite(mixed)).sum())} of {mixed.numel()}",
            fix="leave out what diverged, or choose smaller coefficients",
        )
    return mixed
