"""Mix anchors and run forwards: the one place that decides speed, memory, precision and device.

Every point of weight space is a linear combination of anchors, theta(c) = sum_i c_i anchor_i; a
geometry gives the coefficients, this folder the logits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from landscape.checkpoints.anchors import Anchor
from landscape.checkpoints.mix import Mixer, Rows
from landscape.core.errors import ConfigError
from landscape.evaluation.calibrate import calibrate, is_worth_measuring
from landscape.evaluation.forward import (
    CannotBatch,
    Shortage,
    forward_points,
    refuse_to_batch,
    to_device,
)
from landscape.evaluation.plan import Plan, default_plan, plan_key, remember, remembered
from landscape.paths import Geometry, as_coefficients

Precision = Literal["fp32", "tf32", "bf16", "fp64"]
Strategy = Literal["auto", "vmap", "loop"]
Loss = Callable[[Tensor, Tensor], Tensor]
Transform = Callable[[Tensor], Tensor]

_DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp64": torch.float64,
}
_CHUNK = 16
_FEW, _TURNS = 2, 4  # batches and rounds that number formats are compared on
_FASTER = 0.8  # a screening format must take less than this share of fp32's time


@dataclass(frozen=True)
class Evaluation:
    """A model's outputs at several points of weight space, examples in the caller's order.

    Attributes:
        logits: (n_points, n_examples, n_labels) float32; float64 from ``fp64``.
        losses: (n_points, n_examples) in nats.
        predictions: (n_points, n_examples) label indices.
    """

    logits: np.ndarray
    losses: np.ndarray
    predictions: np.ndarray


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Per-example cross-entropy in nats: logits (n, n_labels), labels (n,) -> (n,)."""
    return nn.functional.cross_entropy(logits, labels, reduction="none")


class Evaluator:
    """A model and its data sets, ready to be evaluated at point after point.

    What ``evaluate`` does at once, for many calls: batches stay on the device, buffers for the
    mixed weights are reused, and a plan is measured once. Arguments as in ``evaluate``.

    Args:
        n_points: How many points will be evaluated in all; measuring a plan first must pay.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Any,
        *,
        device: str | torch.device | None = None,
        strategy: Strategy = "auto",
        chunk: int | None = None,
        loss: Loss = cross_entropy,
        transform: Transform | Mapping[str, Transform] | None = None,
        rows: Rows | None = None,
        n_points: int = 1,
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._model, self._rows, self._n_points = model, rows, n_points
        self._strategy, self._chunk = strategy, chunk
        self._single = not isinstance(batches, Mapping)
        sets = {"": batches} if self._single else batches
        self._outs = {
            name: _ReadOut(
                loss, transform.get(name) if isinstance(transform, Mapping) else transform, items
            )
            for name, items in sets.items()
        }
        self._inputs: list[Any] = []
        for name, items in sets.items():
            self._outs[name].first = len(self._inputs)
            for inputs, labels in items:
                self._inputs.append(to_device(_pinned(inputs, self.device), self.device))
                self._outs[name].seen.append(labels)
            if not self._outs[name].seen:
                raise ConfigError("There are no batches to evaluate.", where=name or "batches")
        self._mixers: dict[torch.dtype, Mixer] = {}
        self._plans: dict[Precision, Plan] = {}
        self._shortage = Shortage()

    def evaluate(
        self,
        anchors: Sequence[Anchor],
        coefficients: Geometry | np.ndarray,
        precision: Precision = "fp32",
    ) -> Any:
        """An Evaluation, or a dict of them by data set; see ``evaluate``."""
        matrix = as_coefficients(coefficients, len(anchors))
        outputs = self._forward(anchors, matrix, self._inputs, precision)
        results = {name: out.read(outputs) for name, out in self._outs.items()}
        return results[""] if self._single else results

    def _forward(
        self,
        anchors: Sequence[Anchor],
        matrix: np.ndarray,
        inputs: Sequence[Any],
        precision: Precision,
    ) -> list[Tensor]:
        """Logits of each batch, (n_points, batch, n_labels)."""
        with _number_format(precision, self.device):
            dtype = _DTYPES[precision]
            plan = self.plan(anchors, precision)
            try:
                return self._run(anchors, matrix, inputs, plan, dtype)
            except CannotBatch as reason:
                if self._strategy == "vmap":
                    raise refuse_to_batch(reason) from reason
            plan = self._plans[precision] = replace(plan, strategy="loop", chunk=1)
            return self._run(anchors, matrix, inputs, plan, dtype)

    def _run(
        self,
        anchors: Sequence[Anchor],
        matrix: np.ndarray,
        inputs: Sequence[Any],
        plan: Plan,
        dtype: torch.dtype,
    ) -> list[Tensor]:
        mixer = self._mixer(dtype, plan)
        loaded = mixer.load(anchors)
        return forward_points(
            self._model, mixer, loaded, matrix, inputs, plan, dtype, self._shortage
        )

    def plan(self, anchors: Sequence[Anchor], precision: Precision = "fp32") -> Plan:
        """How points are evaluated: as asked for, remembered, measured now, or by default."""
        if precision not in self._plans:
            self._plans[precision] = self._choose(anchors, precision)
        return self._plans[precision]

    def use(self, plan: Plan, precision: Precision = "fp32") -> None:
        """Evaluate by this plan, whatever was measured."""
        self._plans[precision] = plan

    def settle(self, anchors: Sequence[Anchor], precision: Precision = "fp32") -> Plan:
        """The plan, after one batch has shown that the model can be evaluated so."""
        point = np.full((1, len(anchors)), 1 / len(anchors))
        self._forward(anchors, point, self._inputs[:1], precision)
        return self._plans[precision]

    def was_halved(self) -> bool:
        """Whether memory ran out since the last call, so that points or batches were halved."""
        halved, self._shortage.halved = self._shortage.halved, False
        return halved

    def calibrate(self, anchors: Sequence[Anchor], precision: Precision = "fp32") -> Plan:
        """Measure a plan, and remember it for this model and machine."""
        dtype = _DTYPES[precision]
        with _number_format(precision, self.device):
            loaded = Mixer(self._model, dtype, self.device, 1, self._rows).load(anchors)
            plan = calibrate(
                self._model, loaded, self._inputs, dtype=dtype, device=self.device, rows=self._rows
            )
        remember(self._key(precision), plan)
        self._plans[precision] = plan
        return plan

    def fast_precision(self, anchors: Sequence[Anchor]) -> Precision | None:
        """The format that is clearly faster than fp32 here, where there is one.

        Each evaluates a point on a few of the batches, by its own plan, taking turns.
        """
        formats: tuple[Precision, ...] = (
            ("bf16", "tf32") if self.device.type == "cuda" else ("bf16",)
        )
        few = self._inputs[:: -(-len(self._inputs) // _FEW)]
        point = np.full((1, len(anchors)), 1 / len(anchors))
        seconds = dict.fromkeys(("fp32", *formats), np.inf)
        for turn in range(-1, _TURNS):  # the first warms up
            for precision in seconds:
                began = time.perf_counter()
                self._forward(anchors, point, few, precision)[-1].cpu()
                if turn >= 0:
                    seconds[precision] = min(seconds[precision], time.perf_counter() - began)
        best = min(formats, key=seconds.__getitem__)
        return best if seconds[best] < _FASTER * seconds["fp32"] else None

    def _choose(self, anchors: Sequence[Anchor], precision: Precision) -> Plan:
        n_parameters = sum(p.numel() for p in self._model.parameters())
        plan = default_plan(n_parameters, self.device)
        if self._strategy == "loop":
            plan = replace(plan, strategy="loop", chunk=1)
        elif self._strategy == "vmap":
            return replace(plan, strategy="vmap", chunk=self._chunk or _CHUNK)
        if self._chunk and plan.strategy == "vmap":
            plan = replace(plan, chunk=self._chunk)
        found = remembered(self._key(precision))
        if found is None and is_worth_measuring(
            n_parameters, self._inputs, self._n_points, self.device
        ):
            found = self.calibrate(anchors, precision)
        if found is None or (self._strategy == "loop" and found.strategy != "loop"):
            return plan
        return replace(found, chunk=self._chunk) if self._chunk and found.chunk > 1 else found

    def _key(self, precision: Precision) -> str:
        sizes = [next(iter(i.values())) if isinstance(i, Mapping) else i for i in self._inputs]
        typical = sorted(tensor.shape[:2].numel() for tensor in sizes)[len(sizes) // 2]
        return plan_key(self._model, self.device, precision, typical)

    def _mixer(self, dtype: torch.dtype, plan: Plan) -> Mixer:
        kept = self._mixers.get(dtype)
        if kept is None or kept.n_points != plan.chunk:
            self._mixers[dtype] = Mixer(self._model, dtype, self.device, plan.chunk, self._rows)
        return self._mixers[dtype]


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
    rows: Rows | None = None,
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
            name to that, so that each setting of the weights serves all of them. Where they have
            ``places`` and ``labels``, as those of ``make_batches``, results are in that order.
        precision: ``fp32``; ``tf32`` (NVIDIA GPUs); ``bf16`` for weights and activations, a
            classification head of fewer than 32 outputs, logits and loss still in fp32; ``fp64``.
        device: cuda where there is one, by default.
        strategy: ``vmap`` over several points at once, ``loop`` over single points, or ``auto``:
            what was measured to be faster here, where the work is large enough to measure first.
        chunk: Points at once under vmap; halved when memory runs out.
        loss: (logits (n, n_labels), labels (n,)) -> (n,).
        transform: Applied to the fp32 logits before loss and prediction; one for all data sets, or
            one each by name.
        rows: For some parameters, embeddings as a rule, the rows that the batches use: no other
            is mixed, and anchors may hold only these.

    Returns:
        An Evaluation, or a dict of them by data set when ``batches`` is a mapping.

    Raises:
        ConfigError: Coefficients that do not fit, an anchor that lacks a parameter or has it in
            another shape, empty batches, a precision that this device does not have.
    """
    matrix = as_coefficients(coefficients, len(anchors))
    evaluator = Evaluator(
        model,
        batches,
        device=device,
        strategy=strategy,
        chunk=chunk,
        loss=loss,
        transform=transform,
        rows=rows,
        n_points=len(matrix),
    )
    return evaluator.evaluate(anchors, matrix, precision)


class _ReadOut:
    """From the logits of a data set's batches to its Evaluation."""

    def __init__(self, loss: Loss, transform: Transform | None, items: Any) -> None:
        self.first = 0
        self.seen: list[Tensor] = []
        self._loss, self._transform = loss, transform
        self._places = getattr(items, "places", None)
        self._labels = getattr(items, "labels", None)

    def read(self, outputs: list[Tensor]) -> Evaluation:
        own = outputs[self.first : self.first + len(self.seen)]
        logits = torch.cat(own, dim=1).cpu()
        labels = torch.cat([torch.as_tensor(labels).cpu() for labels in self.seen])
        if self._transform is not None:
            logits = self._transform(logits)
        if self._places is not None and self._labels is not None:
            logits = logits[:, torch.as_tensor(self._places)]
            # a copy: what Ray hands over cannot be written
            labels = torch.as_tensor(np.array(self._labels))
        losses = torch.stack([self._loss(point, labels) for point in logits])
        return Evaluation(logits.numpy(), losses.numpy(), logits.argmax(-1).numpy())


@contextmanager
def _number_format(precision: str, device: torch.device) -> Iterator[None]:
    """How matrix products of fp32 tensors are computed, for the time of a call."""
    if precision not in _DTYPES:
        raise ConfigError(
            "The precision is not known.",
            expected=", ".join(_DTYPES),
            found=precision,
            fix="'auto' is for experiments: it depends on which numbers are reported"
            if precision == "auto"
            else None,
        )
    if device.type != "cuda":
        if precision == "tf32":
            raise ConfigError(
                "TF32 is a number format of NVIDIA GPUs.",
                where=f"device {device}",
                expected="fp32, bf16 or fp64",
                found=precision,
            )
        yield
        return
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    try:
        yield
    finally:
        matmul.fp32_precision = before


def _pinned(inputs: Any, device: torch.device) -> Any:
    """Page-locked where it goes to a GPU, so that the copy does not wait."""
    if device.type != "cuda":
        return inputs
    if isinstance(inputs, Mapping):
        return {name: _pinned(tensor, device) for name, tensor in inputs.items()}
    return inputs.pin_memory() if isinstance(inputs, Tensor) and inputs.is_cpu else inputs
