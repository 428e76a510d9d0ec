"""What the architecture expects: a classifier without weights, built from its configuration."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from landscape.checkpoints.first_token import read_first_token_only
from landscape.checkpoints.read import Checkpoint, Weights
from landscape.core.errors import CheckpointError

_MAX_LAYERS = 10_000
_MAX_LABELS = 10_000


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
    model = _from_config(_config(checkpoint), checkpoint, attention, "cpu").eval()
    if logits_only:
        read_first_token_only(model, checkpoint.params)
    return model


def token_table(model: nn.Module) -> str | None:
    """The name of the parameter that holds a row a token, unless it is used elsewhere too."""
    table = model.get_input_embeddings()  # type: ignore[operator]
    names = [name for name, module in model.named_modules() if module is table]
    shared = [
        name
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if isinstance(table, nn.Embedding) and parameter is table.weight
    ]
    return f"{names[0]}.weight" if names and len(shared) == 1 else None


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The checkpoint's tokenizer.

    Raises:
        CheckpointError: It has none, or one that cannot be used.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            checkpoint.path, local_files_only=True, trust_remote_code=False
        )
        _try(tokenizer, getattr(_config(checkpoint), "vocab_size", None))
    except BaseException as error:  # its parsers raise errors of every kind; one's panic is none
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise CheckpointError(
            "The checkpoint's tokenizer cannot be loaded.",
            where=checkpoint.path,
            found=_first_line(error),
            fix="save the tokenizer beside the weights: tokenizer.save_pretrained(folder)",
        ) from None
    return tokenizer


def _try(tokenizer: Any, n_rows: int | None) -> None:
    """Refuse settings, and tokens that the model has no row for, before a text brings them up."""
    if type(tokenizer.model_max_length) not in (int, float) or tokenizer.model_max_length < 3:
        raise ValueError(f"model_max_length: {tokenizer.model_max_length!r:.80}")
    if tokenizer.padding_side not in ("left", "right"):
        raise ValueError(f"padding_side: {tokenizer.padding_side!r:.80}")
    if "input_ids" not in tokenizer.model_input_names:
        raise ValueError(
            f"model_input_names without input_ids: {tokenizer.model_input_names!r:.80}"
        )
    ids = tokenizer("a cat", "a dog", truncation=True, max_length=8)["input_ids"]
    ids += [tokenizer.pad_token_id or 0]
    added = tokenizer.get_added_vocab()  # of which some are never used
    ids += [one for token, one in tokenizer.get_vocab().items() if token not in added]
    if not all(type(one) is int and 0 <= one < (n_rows or 2**31) for one in ids):
        raise ValueError(f"a token whose number is not below the model's vocab_size, {n_rows}")


def skeleton(checkpoint: Checkpoint) -> Skeleton:
    """What the checkpoint's own configuration says it should hold."""
    config = _config(checkpoint)
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


def match_names(checkpoint: Checkpoint, expected: Skeleton) -> Weights:
    """The checkpoint's tensors under the architecture's names.

    Raises:
        CheckpointError: A tensor is missing (the classification head first of all, which
            transformers would draw at random) or has another shape.
    """
    params = checkpoint.params
    modern = {name.replace(".gamma", ".weight").replace(".beta", ".bias"): name for name in params}
    for group in expected.tied:
        present = [name for name in group if name in modern]
        if present:
            modern.update({name: modern[present[0]] for name in group if name not in modern})
    if missing := [name for name in expected.shapes if name not in modern]:
        return _through_transformers(checkpoint, expected, missing)
    for name, shape in expected.shapes.items():
        found = params.shapes[modern[name]]
        if found != shape:
            wrong_head = name in expected.head and found[1:] == shape[1:]
            raise CheckpointError(
                f"The tensor '{name}' has "
                + (
                    f"{found[0]} labels, its config.json {shape[0]}."
                    if wrong_head
                    else "another shape."
                ),
                where=checkpoint.path,
                expected=shape,
                found=found,
            )
    return Weights(
        {name: expected.shapes[name] for name in expected.shapes},
        lambda name: params.read(modern[name]),
    )


def _through_transformers(
    checkpoint: Checkpoint, expected: Skeleton, missing: list[str]
) -> Weights:
    """Let transformers rename what it knows how to rename, and believe its loading report."""
    from transformers import AutoModelForSequenceClassification

    def load() -> tuple[nn.Module, dict[str, Any]]:
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
                found=_first_line(error),
            ) from None

    _, info = load()
    still = sorted(info["missing_keys"])
    if still:
        head = [name for name in still if name in expected.head]
        raise CheckpointError(
            "The checkpoint has no classification head; transformers would invent one."
            if head
            else f"The checkpoint lacks {len(still)} of the tensors.",
            where=checkpoint.path,
            expected=", ".join((head or still)[:5]),
            found=f"{len(checkpoint.params)} tensors, among them "
            f"{', '.join(list(checkpoint.params)[-2:])}",
            fix="finetune it, or name a finetuned checkpoint" if head else None,
        )
    if info["mismatched_keys"]:
        raise CheckpointError(
            "A tensor has another shape than its config.json says.",
            where=checkpoint.path,
            found=sorted(map(str, info["mismatched_keys"]))[:3],
        )
    return Weights(
        {name: expected.shapes[name] for name in expected.shapes},
        lambda name: load()[0].state_dict()[name],
    )


def _config(checkpoint: Checkpoint) -> Any:
    from transformers import AutoConfig

    refuse_own_code(checkpoint)
    _check_counts(checkpoint.config, checkpoint)
    try:
        return AutoConfig.from_pretrained(
            checkpoint.path, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # transformers raises whatever its parsers raise
        raise CheckpointError(
            "transformers cannot read the configuration.",
            where=checkpoint.path / "config.json",
            found=_first_line(error),
        ) from None


def _check_counts(config: Any, checkpoint: Checkpoint) -> None:
    """Refuse numbers that transformers would count to: of layers and of labels."""
    if isinstance(config, list):
        for value in config:
            _check_counts(value, checkpoint)
    if not isinstance(config, dict):
        return
    for key, value in config.items():
        most = _MAX_LABELS if key == "num_labels" else _MAX_LAYERS
        counts = key == "num_labels" or "layer" in key
        if counts and type(value) in (int, float) and value > most:
            raise CheckpointError(
                f"The configuration's '{key}' is too large.",
                where=checkpoint.path / "config.json",
                expected=f"up to {most}",
                found=f"{value:.6g}",
            )
        _check_counts(value, checkpoint)


def _from_config(
    config: Any, checkpoint: Checkpoint, attention: str, device: str = "meta"
) -> nn.Module:
    from transformers import AutoModelForSequenceClassification
    from transformers.initialization import no_init_weights

    most = 10_000 + 10 * len(checkpoint.params)
    try:
        with (
            torch.device(device),
            no_init_weights(),
            torch.random.fork_rng(devices=[]),
            _at_most(most),
        ):
            return AutoModelForSequenceClassification.from_config(
                config, attn_implementation=attention, dtype=torch.float32
            )
    except Exception as error:  # a configuration can be wrong in as many ways as there are models
        raise CheckpointError(
            "transformers cannot build a sequence classifier of this configuration.",
            where=checkpoint.path / "config.json",
            found=_first_line(error),
        ) from None


@contextmanager
def _at_most(n: int) -> Iterator[None]:
    """Stop the building of a model at so many parameters; more would fill the memory."""
    count = 0

    def hook(*_: Any) -> None:
        nonlocal count
        count += 1
        if count > n:
            raise ValueError(f"more than {n} tensors, many more than the weight files hold")

    handle = register_module_parameter_registration_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0][:300] if lines else type(error).__name__
