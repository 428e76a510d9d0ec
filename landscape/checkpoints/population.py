"""Many checkpoints that must be comparable before anything is computed."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError

from landscape.checkpoints.find import expand
from landscape.checkpoints.labels import match_labels
from landscape.checkpoints.read import Checkpoint, load_checkpoint
from landscape.checkpoints.skeleton import (
    Skeleton,
    match_names,
    modern_name,
    refuse_own_code,
    skeleton,
)
from landscape.checkpoints.tokenizer import require_same_tokenizer, tokenizer_hash
from landscape.core.errors import CheckpointError
from landscape.core.progress import Track, silent

LabelMap = Mapping[str, str] | Mapping[str, Mapping[str, str]]

# what may differ between two checkpoints that compute the same function of their weights
_FREE = {
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "attention_probs_dropout_prob",
    "classifier_dropout",
    "dropout",
    "dtype",
    "finetuning_task",
    "gradient_checkpointing",
    "hidden_dropout_prob",
    "id2label",
    "label2id",
    "num_labels",
    "problem_type",
    "seq_classif_dropout",
    "torch_dtype",
    "transformers_version",
    "use_cache",
}


@dataclass(frozen=True)
class Population:
    """Checkpoints of one architecture, one tokenizer and one order of labels.

    Attributes:
        checkpoints: Their tensors named as the architecture names them, the head's rows in the
            task's order of labels.
        names: A short unique name for each.
        warnings: What is odd but no obstacle.
    """

    checkpoints: tuple[Checkpoint, ...]
    names: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.checkpoints)


def load_population(
    refs: Sequence[str],
    task_labels: Sequence[str],
    *,
    label_map: LabelMap | None = None,
    base: Path | None = None,
    read_weights: bool = True,
    track: Track[Checkpoint] = silent,
) -> Population:
    """Open checkpoints and compare them with the first one.

    Args:
        refs: References, globs among them.
        task_labels: The task's labels in its order.
        label_map: From the checkpoints' label names to the task's, for all of them or for each by
            reference or name ("default" for the rest).
        base: The folder that relative paths start from.
        read_weights: Whether to read every tensor and look for NaN and infinite values.
        track: Shows how far the reading is.

    Raises:
        CheckpointError: The first thing that makes the checkpoints incomparable, by checkpoint
            and tensor.
    """
    checkpoints = [load_checkpoint(source) for source in expand(refs, base)]
    if len(checkpoints) < 2:
        raise CheckpointError(
            "A population needs at least two checkpoints.",
            where=", ".join(map(str, refs)),
            found=len(checkpoints),
        )
    names = _short_names([Path(c.ref) if c.revision else c.path for c in checkpoints])
    first = checkpoints[0]
    expected = skeleton(first)
    first_hash = tokenizer_hash(first)
    warnings: list[str] = []
    members = []
    for name, checkpoint in zip(names, checkpoints, strict=True):
        refuse_own_code(checkpoint)
        _require_same_configuration(first, checkpoint)
        n_labels = len(checkpoint.label_names)
        layout = expected if n_labels == len(first.label_names) else skeleton(checkpoint)
        params = match_names(checkpoint, layout)
        order = match_labels(
            checkpoint.label_names,
            task_labels,
            _map_for(checkpoint, name, label_map),
            checkpoint.path,
        )
        if order != tuple(range(len(order))):
            params = params.with_rows(dict.fromkeys(layout.head, order))
        require_same_tokenizer(first, checkpoint, first_hash)
        if extra := _unused(checkpoint, expected):
            warnings.append(f"{name}: {len(extra)} tensors are not used, among them '{extra[0]}'")
        members.append(replace(checkpoint, params=params))
    if read_weights:
        for member in track(members, "checkpoint"):
            _require_finite(member)
    return Population(tuple(members), tuple(names), tuple(warnings))


def _require_same_configuration(first: Checkpoint, other: Checkpoint) -> None:
    if other.config.get("model_type") != first.config.get("model_type"):
        raise CheckpointError(
            "The checkpoints are of different architectures.",
            where=other.path,
            expected=f"{first.config.get('model_type')} as {first.path}",
            found=other.config.get("model_type"),
        )
    keys = (first.config.keys() | other.config.keys()) - _FREE
    for key in sorted(keys):
        # a key that one of two versions of transformers did not write stands at its default
        if key in first.config and key in other.config and first.config[key] != other.config[key]:
            raise CheckpointError(
                f"The checkpoints differ in '{key}' of config.json.",
                where=other.path,
                expected=f"{reprlib.repr(first.config[key])} as {first.path}",
                found=reprlib.repr(other.config[key]),
            )


def _map_for(
    checkpoint: Checkpoint, name: str, label_map: LabelMap | None
) -> Mapping[str, str] | None:
    if not label_map:
        return None
    plain = {key: value for key, value in label_map.items() if isinstance(value, str)}
    if plain:
        return plain
    for key in (checkpoint.ref, name, str(checkpoint.path), "default"):
        if isinstance(value := label_map.get(key), Mapping):
            return value
    return None


def _unused(checkpoint: Checkpoint, expected: Skeleton) -> list[str]:
    used = set(expected.shapes) | set(map(modern_name, expected.shapes))
    unused = [name for name in checkpoint.params if modern_name(name) not in used]
    return [name for name in unused if not name.endswith("position_ids")]


def _require_finite(checkpoint: Checkpoint) -> None:
    for name in checkpoint.params:
        try:
            tensor = checkpoint.params[name]
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"The tensor '{name}' cannot be read.", where=checkpoint.path, found=error
            ) from None
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            kind = "NaN" if bool(tensor.isnan().any()) else "infinite"
            raise CheckpointError(
                f"The tensor '{name}' holds {kind} values.",
                where=checkpoint.path,
                found=f"{bad} of {tensor.numel()}",
                fix="leave this checkpoint out: its training diverged",
            )


def _short_names(paths: Sequence[Path]) -> list[str]:
    """The shortest tails of the paths that differ from each other."""
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names
