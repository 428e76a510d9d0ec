"""What the architecture expects: a classifier without weights, built from its configuration."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from landscape.checkpoints.first_token import read_first_token_only
from landscape.checkpoints.read import Checkpoint, Weights
from landscape.core.errors import CheckpointError


@dataclass(frozen=True)
class Skeleton:
    """The tensors that a classifier of this configuration has.

    Attributes:
        shapes: Every tensor of its state dict.
        tied: Names of one and the same tensor, grouped.
        head: The tensors whose first axis is the labels.
    """

    shapes: dict[str, tuple[int, ...]]
    tied: tuple[tuple[str, ...], ...]
    head: tuple[str, ...]


def build_model(
    checkpoint: Checkpoint, attention: str = "sdpa", *, logits_only: bool = False
) -> nn.Module:
    """An ``nn.Module`` of the checkpoint's architecture in eval mode, its weights not yet set.

    Args:
        checkpoint: Its configuration is used, and its weights to verify ``logits_only``.
        attention: ``sdpa`` or ``eager``.
        logits_only: Skip what the logits do not need: the last layer at all tokens but the first,
            where the classifier reads that one only. Its last hidden states are then that token's.

    Raises:
        CheckpointError: transformers does not know the architecture without code from outside.
    """
    # on the CPU, because buffers that no file holds (positions, frequencies) are computed here
    model = _from_config(read_config(checkpoint), checkpoint, attention, "cpu").eval()
    if logits_only:
        read_first_token_only(model, checkpoint.params)
    return model


def token_table(model: nn.Module) -> str | None:
    """The name of the parameter that holds a row a token, unless it is used elsewhere too."""
    table = model.get_input_embeddings()  # type: ignore[operator]
    names = [name for name, module in model.named_modules() if module is table]
    if not names or not isinstance(table, nn.Embedding):
        return None
    uses = sum(p is table.weight for _, p in model.named_parameters(remove_duplicate=False))
    return f"{names[0]}.weight" if uses == 1 else None


def skeleton(checkpoint: Checkpoint) -> Skeleton:
    """What the checkpoint's own configuration says it should hold."""
    config = read_config(checkpoint)
    model = _from_config(config, checkpoint, "eager")
    other = copy.deepcopy(config)
    other.num_labels = config.num_labels + 1
    wider = _from_config(other, checkpoint, "eager").state_dict()
    state = model.state_dict(keep_vars=True)
    names: dict[int, list[str]] = {}
    for name, tensor in state.items():
        names.setdefault(id(tensor), []).append(name)
    return Skeleton(
        shapes={name: tuple(tensor.shape) for name, tensor in state.items()},
        tied=tuple(tuple(group) for group in names.values() if len(group) > 1),
        head=tuple(name for name, tensor in state.items() if tensor.shape != wider[name].shape),
    )


def refuse_own_code(checkpoint: Checkpoint) -> None:
    """Raise a CheckpointError where a checkpoint brings its own model code."""
    if "auto_map" in checkpoint.config:
        raise CheckpointError(
            "The checkpoint needs code from its own folder, which is never run.",
            where=checkpoint.path / "config.json",
            found=checkpoint.config["auto_map"],
            fix="use an architecture that transformers has itself",
        )


def modern_name(name: str) -> str:
    """What old LayerNorm parameters are called now."""
    return name.replace(".gamma", ".weight").replace(".beta", ".bias")


def match_names(checkpoint: Checkpoint, expected: Skeleton) -> Weights:
    """The checkpoint's tensors under the architecture's names, all there and of its shapes."""
    params = checkpoint.params
    modern = {modern_name(name): name for name in params}
    for group in expected.tied:
        if present := [name for name in group if name in modern]:
            modern.update({name: modern[present[0]] for name in group if name not in modern})
    if any(name not in modern for name in expected.shapes):
        return _through_transformers(checkpoint, expected)
    for name, shape in expected.shapes.items():
        in_file = params.shapes[modern[name]]
        if in_file != shape:
            is_head = name in expected.head and in_file[1:] == shape[1:]
            other = f"{in_file[0]} labels, its config.json {shape[0]}."
            raise CheckpointError(
                f"The tensor '{name}' has {other if is_head else 'another shape.'}",
                where=checkpoint.path,
                expected=shape,
                found=in_file,
            )
    return Weights(dict(expected.shapes), lambda name: params.read(modern[name]))


def _through_transformers(checkpoint: Checkpoint, expected: Skeleton) -> Weights:
    """Let transformers rename what it knows how to rename, and believe its loading report."""
    from transformers import AutoModelForSequenceClassification

    def load() -> Any:
        try:
            return AutoModelForSequenceClassification.from_pretrained(
                checkpoint.path,
                dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
        except Exception as error:  # transformers raises whatever its parsers raise
            raise CheckpointError(
                "transformers cannot load the checkpoint.",
                where=checkpoint.path,
                found=first_line(error),
            ) from None

    _, info = load()
    if missing := sorted(info["missing_keys"]):
        head = [name for name in missing if name in expected.head]
        some = ", ".join(list(checkpoint.params)[-2:])
        raise CheckpointError(
            "The checkpoint has no classification head; transformers would invent one."
            if head
            else f"The checkpoint lacks {len(missing)} of the tensors.",
            where=checkpoint.path,
            expected=", ".join((head or missing)[:5]),
            found=f"{len(checkpoint.params)} tensors, among them {some}",
            fix="finetune it, or name a finetuned checkpoint" if head else None,
        )
    if info["mismatched_keys"]:
        raise CheckpointError(
            "A tensor has another shape than its config.json says.",
            where=checkpoint.path,
            found=sorted(map(str, info["mismatched_keys"]))[:3],
        )
    return Weights(dict(expected.shapes), lambda name: load()[0].state_dict()[name])


def read_config(checkpoint: Checkpoint) -> Any:
    """The configuration as transformers reads it, without code from outside."""
    from transformers import AutoConfig

    refuse_own_code(checkpoint)
    try:
        return AutoConfig.from_pretrained(
            checkpoint.path, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # transformers raises whatever its parsers raise
        raise CheckpointError(
            "transformers cannot read the configuration.",
            where=checkpoint.path / "config.json",
            found=first_line(error),
        ) from None


def _from_config(
    config: Any, checkpoint: Checkpoint, attention: str, device: str = "meta"
) -> nn.Module:
    from transformers import AutoModelForSequenceClassification
    from transformers.initialization import no_init_weights

    try:
        with torch.device(device), no_init_weights(), torch.random.fork_rng(devices=[]):
            return AutoModelForSequenceClassification.from_config(
                config, attn_implementation=attention, dtype=torch.float32
            )
    except Exception as error:  # a configuration can be wrong in as many ways as there are models
        raise CheckpointError(
            "transformers cannot build a sequence classifier of this configuration.",
            where=checkpoint.path / "config.json",
            found=first_line(error),
        ) from None


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    lines = str(error).splitlines()
    return lines[0][:300] if lines else type(error).__name__
