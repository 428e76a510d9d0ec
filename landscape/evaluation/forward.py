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

from landscape.checkpoints.anchors import Params
from landscape.checkpoints.mix import Mixer
from landscape.evaluation.kernels import Kernels
from landscape.evaluation.plan import Plan

Batch = tuple[Any, Tensor]
"""Inputs (a mapping of keyword tensors, or one tensor) and labels."""
Loss = Callable[[Tensor, Tensor], Tensor]
Transform = Callable[[Tensor], Tensor]

_TRIES = 12


class CannotBatch(Exception):
    """vmap cannot batch the model's forward."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Per-example cross-entropy in nats: logits (n, n_labels), labels (n,) -> (n,)."""
    return nn.functional.cross_entropy(logits, labels, reduction="none")


@dataclass
class Forwards:
    """A model's forwards at points that a mixer makes.

    Attributes:
        model: Its own weights are not used.
        mixer: Of at least as many points as the plan's chunk.
        plan: How.
        dtype: Of weights and activations.
        halved: Whether memory ran out so that less was computed at once, which rounds otherwise.
    """

    model: nn.Module
    mixer: Mixer
    plan: Plan
    dtype: torch.dtype
    halved: bool = False

    def run(
        self, anchors: Sequence[Params], matrix: np.ndarray, inputs: Sequence[Any]
    ) -> list[Tensor]:
        """Logits (n_points, n_examples, n_labels) of each batch of inputs, on the device.

        The weights are set once a point (once a chunk of points) and serve all batches. Where
        memory runs out, the same is tried once more before points or batches are halved.

        Raises:
            CannotBatch: ``vmap`` has no rule for an operation of the forward.
            torch.OutOfMemoryError: One point and one example do not fit.
        """
        run = self._loop if self.plan.strategy == "loop" else self._stacked
        with eval_mode(self.model), torch.no_grad():
            points = list(run(anchors, matrix, inputs))
        return [torch.cat(parts) for parts in zip(*points, strict=True)]

    def _loop(
        self, anchors: Sequence[Params], matrix: np.ndarray, inputs: Sequence[Any]
    ) -> Iterator[list[Tensor]]:
        """Each point's logits of all batches."""
        weights = {name: tensor[0] for name, tensor in self.mixer.weights.items()}
        kernels = Kernels(self.plan.linear, weights.values())
        # each call goes through Python while the mode is on: only where it has something to do
        needed = self.plan.linear != "torch" or self.dtype == torch.bfloat16
        points = []

        def visit(module: nn.Module) -> None:
            # the weights are swapped in once; each point then changes them in place
            for row in matrix:
                self.mixer.mix(anchors, row[None])
                kernels.new_point()
                points.append(
                    [
                        self._halving(lambda part: _call(module, part)[None], self._moved(batch))
                        for batch in inputs
                    ]
                )

        with kernels if needed else nullcontext():
            functional_call(
                _Visited(self.model),
                {f"module.{name}": tensor for name, tensor in weights.items()},
                (visit,),
                strict=False,
            )
        return iter(points)

    def _stacked(
        self, anchors: Sequence[Params], matrix: np.ndarray, inputs: Sequence[Any]
    ) -> Iterator[list[Tensor]]:
        """The logits of all batches, some points at once."""
        at_once = self.plan.chunk
        start, again = 0, False
        while start < len(matrix):
            rows = matrix[start : start + at_once]
            weights = self.mixer.mix(anchors, rows)
            results = None
            try:
                results = [_vmapped(self.model, weights, self._moved(batch)) for batch in inputs]
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise CannotBatch(str(error).splitlines()[0]) from error
            if results is None:  # outside of the handler, which holds on to the tensors
                _free()
                if not again:
                    again = True
                    continue
                if len(rows) > 1:
                    at_once, self.halved = len(rows) // 2, True
                    continue
                results = [
                    self._halving(
                        lambda part: _vmapped(self.model, weights, part),  # noqa: B023
                        self._moved(batch),
                    )
                    for batch in inputs
                ]
            yield results
            start, again = start + len(rows), False

    def _moved(self, inputs: Any) -> Any:
        return to_device(inputs, self.mixer.device, self.dtype)

    def _halving(
        self, forward: Callable[[Any], Tensor], inputs: Any, tries: int = _TRIES
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
        self.halved = True
        halves = (cut(inputs, slice(0, n // 2)), cut(inputs, slice(n // 2, n)))
        return torch.cat([self._halving(forward, half, tries - 1) for half in halves], dim=1)


class _Visited(nn.Module):
    """Hands its module to a function, while other weights stand in it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, visit: Callable[[nn.Module], None]) -> None:
        visit(self.module)


def _vmapped(model: nn.Module, weights: dict[str, Tensor], inputs: Any) -> Tensor:
    args, kwargs = arguments(inputs)
    with warnings.catch_warnings(), Kernels("torch"):
        # torch only warns when it falls back to a loop slower than ours
        warnings.filterwarnings("error", "There is a performance drop", UserWarning)
        try:
            return vmap(
                lambda state: logits_of(functional_call(model, state, args, kwargs)),
                randomness="error",
            )(weights)
        except UserWarning as warning:
            raise CannotBatch(str(warning).splitlines()[0]) from warning


def _free() -> None:
    """Free what nobody needs, so that the same may fit at a second try."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _call(module: nn.Module, inputs: Any) -> Tensor:
    args, kwargs = arguments(inputs)
    return logits_of(module(*args, **kwargs))


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
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)
