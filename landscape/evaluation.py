"""Mix anchors and run forwards: the one place that decides speed, memory, precision and device.

Every point of weight space is a linear combination of anchors, theta(c) = sum_i c_i anchor_i; a
geometry gives the coefficients, this file the logits.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from landscape.errors import ConfigError
from landscape.geometry import Geometry, as_coefficients

Anchor = nn.Module | Mapping[str, Tensor] | Any
Precision = Literal["fp32", "bf16", "fp64"]
Strategy = Literal["auto", "vmap", "loop"]
Loss = Callable[[Tensor, Tensor], Tensor]
Transform = Callable[[Tensor], Tensor]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp64": torch.float64}
# below this many parameters a forward is a row of short operations, and their launches are shared
_SMALL_MODEL = 1_000_000
_CHUNK = 16
_TRIES = 12


@dataclass(frozen=True)
class Evaluation:
    """A model's outputs at several points of weight space, examples in the caller's order.

    Attributes:
        logits: (n_points, n_examples, n_labels) float32.
        losses: (n_points, n_examples) in nats.
        predictions: (n_points, n_examples) label indices.
    """

    logits: np.ndarray
    losses: np.ndarray
    predictions: np.ndarray


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Per-example cross-entropy in nats: logits (n, n_labels), labels (n,) -> (n,)."""
    return nn.functional.cross_entropy(logits, labels, reduction="none")


def wants_vmap(n_parameters: int) -> bool:
    """Whether a model of this size is evaluated at several points at once."""
    return n_parameters < _SMALL_MODEL


def evaluate(
    model: nn.Module,
    anchors: Sequence[Anchor],
    coefficients: Geometry | np.ndarray,
    batches: Any,
    *,
    precision: Precision = "fp32",
    device: str | torch.device | None = None,
    strategy: Strategy = "auto",
    chunk: int | None = None,
    loss: Loss = cross_entropy,
    transform: Transform | Mapping[str, Transform] | None = None,
) -> Any:
    """Evaluate a model at linear combinations of anchors.

    The model itself is not changed: its forward is called through ``torch.func.functional_call``,
    in eval mode, without gradients.

    Args:
        model: Takes a batch's inputs (keywords from a mapping, else one argument) and returns
            logits or an object with ``.logits``. It may lie on the meta device.
        anchors: Modules, checkpoints, or mappings from name to tensor, that hold every parameter
            of the model. Floating-point buffers are mixed where all anchors hold them, and are
            the model's own otherwise.
        coefficients: A geometry, or an array (n_points, n_anchors).
        batches: What a DataLoader yields, ``(inputs, labels)``; or a mapping from a data set's
            name to that, so that each setting of the weights serves all of them. A ``rows``
            attribute gives the examples' places.
        precision: ``fp32``; ``bf16`` for weights and activations, logits and loss still in fp32;
            ``fp64``.
        device: cuda where there is one, by default.
        strategy: ``vmap`` over several points at once, ``loop`` over single points, or ``auto``.
        chunk: Points at once under vmap; halved when memory runs out.
        loss: (logits (n, n_labels), labels (n,)) -> (n,).
        transform: Applied to the fp32 logits before loss and prediction; one for all data sets, or
            one each by name.

    Returns:
        An Evaluation, or a dict of them by data set when ``batches`` is a mapping.

    Raises:
        ConfigError: Coefficients that do not fit, an anchor that lacks a parameter or has it in
            another shape, empty batches.
    """
    if precision not in _DTYPES:
        raise ConfigError(
            "The precision is not known.", expected=", ".join(_DTYPES), found=precision
        )
    single = not isinstance(batches, Mapping)
    sets: dict[str, list[Any]] = {
        name: list(items) for name, items in ({"": batches} if single else batches).items()
    }
    order = {
        name: getattr(items, "rows", None)
        for name, items in ({"": batches} if single else batches).items()
    }
    for name, items in sets.items():
        if not items:
            raise ConfigError("There are no batches to evaluate.", where=name or "batches")
    target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    mixer = _Mixer(model, anchors, _DTYPES[precision], target)
    matrix = as_coefficients(coefficients, len(anchors))
    forced = strategy != "auto"
    batched = strategy == "vmap" or (not forced and wants_vmap(mixer.n_parameters))
    at_once = (chunk or _CHUNK) if batched else 1
    collected: dict[str, list[Tensor]] = {name: [] for name in sets}
    with _frozen(model), torch.no_grad():
        start = 0
        while start < len(matrix):
            rows = matrix[start : start + at_once]
            try:
                outputs = _forward_all(model, mixer, rows, sets, target, _DTYPES[precision])
            except (RuntimeError, UserWarning) as error:
                # memory that ran out, or an operation that vmap cannot batch
                if len(rows) == 1:
                    raise
                if forced and not _is_out_of_memory(error):
                    raise ConfigError(
                        "The model's forward cannot be batched over points by vmap.",
                        where="evaluate(strategy='vmap')",
                        found=str(error).splitlines()[0],
                        fix="strategy='loop', or an attention implementation that vmap knows",
                    ) from error
                at_once = len(rows) // 2 if _is_out_of_memory(error) else 1
                continue
            for name, output in outputs.items():
                collected[name].append(output)
            start += len(rows)
    results = {}
    for name, items in sets.items():
        own = transform.get(name) if isinstance(transform, Mapping) else transform
        logits = torch.cat(collected[name])
        labels = torch.cat([labels.cpu() for _, labels in items])
        results[name] = _read_out(logits, labels, order[name], loss, own)
    return results[""] if single else results


def _read_out(
    logits: Tensor, labels: Tensor, rows: np.ndarray | None, loss: Loss, transform: Transform | None
) -> Evaluation:
    if transform is not None:
        logits = transform(logits)
    if rows is not None:
        places = torch.from_numpy(np.argsort(rows, kind="stable"))
        logits, labels = logits[:, places], labels[places]
    losses = torch.stack([loss(point, labels) for point in logits])
    return Evaluation(logits.numpy(), losses.numpy(), logits.argmax(-1).numpy())


def _forward_all(
    model: nn.Module,
    mixer: _Mixer,
    rows: np.ndarray,
    sets: dict[str, list[Any]],
    device: torch.device,
    dtype: torch.dtype,
) -> dict[str, Tensor]:
    """Logits (len(rows), n_examples, n_labels) of every data set, in batch order, on the CPU."""
    weights = mixer.mix(rows)
    result: dict[str, Tensor] = {}
    for name, items in sets.items():
        parts = [
            _forward(model, weights, _to_device(inputs, device, dtype), len(rows))
            for inputs, _ in items
        ]
        result[name] = torch.cat(parts, dim=1)
    return result


def _forward(
    model: nn.Module, weights: dict[str, Tensor], inputs: Any, n_points: int, depth: int = _TRIES
) -> Tensor:
    """(n_points, n_examples, n_labels); a batch that does not fit is halved."""

    def call(state: dict[str, Tensor]) -> Tensor:
        if isinstance(inputs, Mapping):
            output = functional_call(model, state, (), dict(inputs))
        else:
            output = functional_call(model, state, (inputs,))
        return getattr(output, "logits", output)

    try:
        if n_points == 1:
            logits = call({name: tensor[0] for name, tensor in weights.items()})[None]
        else:
            with warnings.catch_warnings():
                # torch only warns when it falls back to a loop slower than ours
                warnings.filterwarnings("error", "There is a performance drop", UserWarning)
                logits = vmap(call, randomness="error")(weights)
    except RuntimeError as error:
        n = _n_examples(inputs)
        if n_points > 1 or n < 2 or depth == 0 or not _is_out_of_memory(error):
            raise
        halves = (_slice(inputs, slice(0, n // 2)), _slice(inputs, slice(n // 2, n)))
        return torch.cat([_forward(model, weights, half, 1, depth - 1) for half in halves], dim=1)
    return logits.to(torch.float64 if logits.dtype == torch.float64 else torch.float32).cpu()


class _Mixer:
    """Anchors on their device, and buffers that take one chunk of mixed weights after another."""

    def __init__(
        self, model: nn.Module, anchors: Sequence[Anchor], dtype: torch.dtype, device: torch.device
    ) -> None:
        if not anchors:
            raise ConfigError("There are no anchors to evaluate.", where="evaluate(anchors)")
        self.dtype = dtype
        # mixing in fp32 costs little and keeps bf16's rounding to one step
        self.mix_dtype = torch.float64 if dtype == torch.float64 else torch.float32
        states = [_state(anchor) for anchor in anchors]
        buffers = dict(model.named_buffers())
        wanted = {name: tensor.shape for name, tensor in model.named_parameters()}
        self.n_parameters = sum(shape.numel() for shape in wanted.values())
        for name, buffer in buffers.items():
            if buffer.is_floating_point() and all(name in state for state in states):
                wanted[name] = buffer.shape
        for number, state in enumerate(states):
            _check(state, wanted, number)
        self.fixed = {
            name: buffer.to(device)
            for name, buffer in buffers.items()
            if name not in wanted and not buffer.is_meta
        }
        self.anchors = [
            {name: state[name].detach().to(device, self.mix_dtype) for name in wanted}
            for state in states
        ]

    def mix(self, rows: np.ndarray) -> dict[str, Tensor]:
        """The weights at (n_points, n_anchors) coefficients: each tensor (n_points, *shape)."""
        mixed = {}
        for name in self.anchors[0]:
            points = [self._combine(name, row) for row in rows]
            stacked = points[0][None] if len(points) == 1 else torch.stack(points)
            mixed[name] = stacked.to(self.dtype)
        for name, buffer in self.fixed.items():
            mixed[name] = buffer.expand(len(rows), *buffer.shape)
        return mixed

    def _combine(self, name: str, row: np.ndarray) -> Tensor:
        used = [(float(c), anchor[name]) for c, anchor in zip(row, self.anchors, strict=True) if c]
        if not used:
            return torch.zeros_like(self.anchors[0][name])
        if len(used) == 1 and used[0][0] == 1:
            return used[0][1]  # an end of a path is the checkpoint itself, bit for bit
        total = used[0][1] * used[0][0]
        for coefficient, tensor in used[1:]:
            total.add_(tensor, alpha=coefficient)
        return total


def _state(anchor: Anchor) -> Mapping[str, Tensor]:
    if isinstance(anchor, nn.Module):
        return {**dict(anchor.named_parameters()), **dict(anchor.named_buffers())}
    return getattr(anchor, "params", anchor)


def _check(state: Mapping[str, Tensor], wanted: dict[str, torch.Size], number: int) -> None:
    for name, shape in wanted.items():
        if name not in state:
            raise ConfigError(
                f"An anchor lacks the parameter '{name}'.",
                where=f"anchors[{number}]",
                expected=f"a tensor of shape {tuple(shape)}",
                found=f"{len(state)} other tensors",
            )
        if state[name].shape != shape:
            raise ConfigError(
                f"An anchor has the parameter '{name}' in another shape.",
                where=f"anchors[{number}]",
                expected=tuple(shape),
                found=tuple(state[name].shape),
            )


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Eval mode for the time of a call, each module's own mode restored after it."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _to_device(inputs: Any, device: torch.device, dtype: torch.dtype) -> Any:
    if isinstance(inputs, Mapping):
        return {name: _to_device(tensor, device, dtype) for name, tensor in inputs.items()}
    if isinstance(inputs, Tensor):
        return inputs.to(device, dtype if inputs.is_floating_point() else None)
    return inputs


def _n_examples(inputs: Any) -> int:
    first: Iterable[Any] = inputs.values() if isinstance(inputs, Mapping) else [inputs]
    return next(len(tensor) for tensor in first)


def _slice(inputs: Any, part: slice) -> Any:
    if isinstance(inputs, Mapping):
        return {name: tensor[part] for name, tensor in inputs.items()}
    return inputs[part]


def _is_out_of_memory(error: Exception) -> bool:
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in text
