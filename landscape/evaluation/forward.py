"""Forwards at many points of weight space: in place one by one, or stacked under ``vmap``."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from landscape.checkpoints.mix import Mixer
from landscape.core.errors import ConfigError
from landscape.evaluation.kernels import Kernels
from landscape.evaluation.plan import Plan

_TRIES = 12

Anchors = list[dict[str, Tensor]]


@dataclass
class Shortage:
    """Whether memory ran out so that less was computed at once, which rounds otherwise."""

    halved: bool = False


class CannotBatch(Exception):
    """vmap cannot batch the model's forward."""


def forward_points(
    model: nn.Module,
    mixer: Mixer,
    anchors: Anchors,
    matrix: np.ndarray,
    inputs: Sequence[Any],
    plan: Plan,
    precision: torch.dtype,
    shortage: Shortage | None = None,
) -> list[Tensor]:
    """Logits (n_points, n_examples, n_labels) of each batch of inputs, on the device.

    The weights are set once a point (once a chunk of points) and serve all batches. Where memory
    runs out, the same is tried once more before points or batches are halved.

    Raises:
        CannotBatch: ``vmap`` has no rule for an operation of the forward.
        torch.OutOfMemoryError: One point and one example do not fit.
    """
    run = _loop if plan.strategy == "loop" else _stacked
    with eval_mode(model), torch.no_grad():
        return run(model, mixer, anchors, matrix, inputs, plan, precision, shortage or Shortage())


def _loop(
    model: nn.Module,
    mixer: Mixer,
    anchors: Anchors,
    matrix: np.ndarray,
    inputs: Sequence[Any],
    plan: Plan,
    precision: torch.dtype,
    shortage: Shortage,
) -> list[Tensor]:
    weights = {name: tensor[0] for name, tensor in mixer.weights.items()}
    kernels = Kernels(plan.linear, weights.values())
    # each call goes through Python while the mode is on: only where it has something to do
    needed = plan.linear != "torch" or precision == torch.bfloat16
    outputs: list[list[Tensor]] = [[] for _ in inputs]

    def visit(module: nn.Module) -> None:
        # the weights are swapped in once; each point then changes them in place
        for row in matrix:
            mixer.mix(anchors, row[None])
            kernels.new_point()
            for batch, output in zip(inputs, outputs, strict=True):
                moved = to_device(batch, mixer.device, precision)
                output.append(_halving(lambda part: _call(module, part)[None], moved, shortage))

    with kernels if needed else nullcontext():
        functional_call(
            _Visited(model), {f"module.{k}": v for k, v in weights.items()}, (visit,), strict=False
        )
    return [torch.cat(output) for output in outputs]


class _Visited(nn.Module):
    """Hands its module to a function, while other weights stand in it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, visit: Callable[[nn.Module], None]) -> None:
        visit(self.module)


def _stacked(
    model: nn.Module,
    mixer: Mixer,
    anchors: Anchors,
    matrix: np.ndarray,
    inputs: Sequence[Any],
    plan: Plan,
    precision: torch.dtype,
    shortage: Shortage,
) -> list[Tensor]:
    outputs: list[list[Tensor]] = [[] for _ in inputs]
    at_once = plan.chunk
    start, again = 0, False
    with Kernels("torch"):
        while start < len(matrix):
            rows = matrix[start : start + at_once]
            weights = mixer.mix(anchors, rows)
            try:
                moved = (to_device(batch, mixer.device, precision) for batch in inputs)
                results = [_vmapped(model, weights, batch) for batch in moved]
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise CannotBatch(str(error).splitlines()[0]) from error
                results = None
            if results is None:  # outside of the handler, which holds on to the tensors
                _free()
                if not again:
                    again = True
                    continue
                if len(rows) > 1:
                    at_once, shortage.halved = len(rows) // 2, True
                    continue
                results = [
                    _halving(
                        lambda part: _vmapped(model, weights, part),  # noqa: B023
                        to_device(batch, mixer.device, precision),
                        shortage,
                    )
                    for batch in inputs
                ]
            for output, result in zip(outputs, results, strict=True):
                output.append(result)
            start, again = start + len(rows), False
    return [torch.cat(output) for output in outputs]


def _vmapped(model: nn.Module, weights: dict[str, Tensor], inputs: Any) -> Tensor:
    with warnings.catch_warnings():
        # torch only warns when it falls back to a loop slower than ours
        warnings.filterwarnings("error", "There is a performance drop", UserWarning)
        try:
            return vmap(
                lambda state: logits_of(functional_call(model, state, *arguments(inputs))),
                randomness="error",
            )(weights)
        except UserWarning as warning:
            raise CannotBatch(str(warning).splitlines()[0]) from warning


def _halving(
    forward: Callable[[Any], Tensor], inputs: Any, shortage: Shortage, tries: int = _TRIES
) -> Tensor:
    """(n_points, n_examples, n_labels); a batch that does not fit is halved."""
    n = n_examples(inputs)
    for again in (False, True):
        try:
            return forward(inputs)
        except RuntimeError as error:
            if not is_out_of_memory(error) or (again and (n < 2 or tries == 0)):
                raise
        _free()  # outside of the handler, which holds on to the tensors
    shortage.halved = True
    halves = (cut(inputs, slice(0, n // 2)), cut(inputs, slice(n // 2, n)))
    return torch.cat([_halving(forward, half, shortage, tries - 1) for half in halves], dim=1)


def _free() -> None:
    """What nobody needs, so that the same may fit at a second try."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _call(module: nn.Module, inputs: Any) -> Tensor:
    positional, keywords = arguments(inputs)
    return logits_of(module(*positional, **keywords))


def arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of the model's forward."""
    return ((), dict(inputs)) if isinstance(inputs, Mapping) else ((inputs,), {})


def logits_of(output: Any) -> Tensor:
    """The logits of what a forward returned, in fp32 or fp64."""
    logits: Tensor = getattr(output, "logits", output)
    return logits.to(torch.float64 if logits.dtype == torch.float64 else torch.float32)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode for the time of a call, each module's own mode restored after it."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def to_device(inputs: Any, device: torch.device, dtype: torch.dtype | None = None) -> Any:
    """The batch's tensors there, those of floating point in ``dtype``."""
    if isinstance(inputs, Mapping):
        return {name: to_device(tensor, device, dtype) for name, tensor in inputs.items()}
    if isinstance(inputs, Tensor):
        return inputs.to(device, dtype if inputs.is_floating_point() else None, non_blocking=True)
    return inputs


def n_examples(inputs: Any) -> int:
    """How many examples a batch of inputs holds."""
    first: Iterable[Any] = inputs.values() if isinstance(inputs, Mapping) else [inputs]
    return next(len(tensor) for tensor in first)


def cut(inputs: Any, part: slice | Tensor) -> Any:
    """Some examples of a batch of inputs."""
    if isinstance(inputs, Mapping):
        return {name: tensor[part] for name, tensor in inputs.items()}
    return inputs[part]


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in text


def refuse_to_batch(reason: CannotBatch) -> ConfigError:
    """What a user who asked for vmap is told."""
    return ConfigError(
        "The model's forward cannot be batched over points by vmap.",
        where="evaluate(strategy='vmap')",
        found=reason,
        fix="strategy='loop', or an attention implementation that vmap knows",
    )
