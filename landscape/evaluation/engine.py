"""Mix anchors and run forwards: the one place that decides speed, memory, precision and device.

Every point of weight space is a linear combination of anchors, theta(c) = sum_i c_i anchor_i; a
geometry gives the coefficients, this folder the logits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from landscape.checkpoints.anchors import Anchor
from landscape.checkpoints.mix import Mixer
from landscape.checkpoints.read import Rows
from landscape.core.errors import ConfigError
from landscape.evaluation.forward import (
    CannotBatch,
    Forwards,
    Loss,
    Transform,
    cross_entropy,
    to_device,
)
from landscape.evaluation.plan import Plan, default_plan, plan_key, remember, remembered
from landscape.evaluation.tuning import fastest_plan, is_worth_measuring, n_tokens
from landscape.paths import Geometry, as_coefficients

Precision = Literal["fp32", "tf32", "bf16", "fp64"]
Strategy = Literal["auto", "vmap", "loop"]

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
        self._model, self.rows, self._n_points = model, rows, n_points
        self._n_parameters = sum(parameter.numel() for parameter in model.parameters())
        self._strategy, self._chunk = strategy, chunk
        self._is_single = not isinstance(batches, Mapping)
        self._inputs: list[Any] = []
        self._read_outs: dict[str, _ReadOut] = {}
        for name, items in ({"": batches} if self._is_single else batches).items():
            labels = []
            for inputs, its_labels in items:
                self._inputs.append(to_device(_pinned(inputs, self.device), self.device))
                labels.append(torch.as_tensor(its_labels).cpu())
            if not labels:
                raise ConfigError("There are no batches to evaluate.", where=name or "batches")
            self._read_outs[name] = _ReadOut(
                batches=slice(len(self._inputs) - len(labels), len(self._inputs)),
                # a copy: what Ray hands over cannot be written
                labels=torch.as_tensor(np.array(items.labels))
                if hasattr(items, "places")
                else torch.cat(labels),
                places=getattr(items, "places", None),
                loss=loss,
                transform=transform.get(name) if isinstance(transform, Mapping) else transform,
            )
        self._mixers: dict[torch.dtype, Mixer] = {}
        self._plans: dict[Precision, Plan] = {}
        self._halved = False

    def evaluate(
        self,
        anchors: Sequence[Anchor],
        coefficients: Geometry | np.ndarray,
        precision: Precision = "fp32",
    ) -> Any:
        """An Evaluation, or a dict of them by data set; see ``evaluate``."""
        matrix = as_coefficients(coefficients, len(anchors))
        outputs = self._forward(anchors, matrix, self._inputs, precision)
        results = {name: read_out.read(outputs) for name, read_out in self._read_outs.items()}
        return results[""] if self._is_single else results

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
        self._forward(anchors, _centre(anchors), self._inputs[:1], precision)
        return self._plans[precision]

    def was_halved(self) -> bool:
        """Whether memory ran out since the last call, so that points or batches were halved."""
        halved, self._halved = self._halved, False
        return halved

    def tune(self, anchors: Sequence[Anchor], precision: Precision = "fp32") -> Plan:
        """Measure a plan, and remember it for this model and machine."""
        dtype = _DTYPES[precision]
        with _number_format(precision, self.device):
            loaded = Mixer(self._model, dtype, self.device, 1, self.rows).load(anchors)
            plan = fastest_plan(
                self._model, loaded, self._inputs, dtype=dtype, device=self.device, rows=self.rows
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
        seconds = dict.fromkeys(("fp32", *formats), np.inf)
        for turn in range(-1, _TURNS):  # the first warms up
            for precision in seconds:
                began = time.perf_counter()
                self._forward(anchors, _centre(anchors), few, precision)[-1].cpu()
                if turn >= 0:
                    seconds[precision] = min(seconds[precision], time.perf_counter() - began)
        best = min(formats, key=seconds.__getitem__)
        return best if seconds[best] < _FASTER * seconds["fp32"] else None

    def _forward(
        self,
        anchors: Sequence[Anchor],
        matrix: np.ndarray,
        inputs: Sequence[Any],
        precision: Precision,
    ) -> list[Tensor]:
        """Logits of each batch, (n_points, batch, n_labels)."""
        with _number_format(precision, self.device):
            plan = self.plan(anchors, precision)
            try:
                return self._run(anchors, matrix, inputs, plan, _DTYPES[precision])
            except CannotBatch as reason:
                if self._strategy == "vmap":
                    raise ConfigError(
                        "The model's forward cannot be batched over points by vmap.",
                        where="evaluate(strategy='vmap')",
                        found=reason,
                        fix="strategy='loop', or an attention implementation that vmap knows",
                    ) from reason
            plan = self._plans[precision] = replace(plan, strategy="loop", chunk=1)
            return self._run(anchors, matrix, inputs, plan, _DTYPES[precision])

    def _run(
        self,
        anchors: Sequence[Anchor],
        matrix: np.ndarray,
        inputs: Sequence[Any],
        plan: Plan,
        dtype: torch.dtype,
    ) -> list[Tensor]:
        mixer = self._mixers.get(dtype)
        if mixer is None or mixer.n_points != plan.chunk:
            mixer = Mixer(self._model, dtype, self.device, plan.chunk, self.rows)
            self._mixers[dtype] = mixer
        forwards = Forwards(self._model, mixer, plan, dtype)
        outputs = forwards.run(mixer.load(anchors), matrix, inputs)
        self._halved |= forwards.halved
        return outputs

    def _choose(self, anchors: Sequence[Anchor], precision: Precision) -> Plan:
        plan = default_plan(self._n_parameters, self.device)
        if self._strategy == "loop":
            plan = replace(plan, strategy="loop", chunk=1)
        elif self._strategy == "vmap":
            return replace(plan, strategy="vmap", chunk=self._chunk or _CHUNK)
        measured = remembered(self._key(precision))
        if measured is None and is_worth_measuring(
            self._n_parameters, self._inputs, self._n_points, self.device
        ):
            measured = self.tune(anchors, precision)
        if measured and (self._strategy == "auto" or measured.strategy == "loop"):
            plan = measured
        is_stacked = plan.strategy == "vmap"
        return replace(plan, chunk=self._chunk) if self._chunk and is_stacked else plan

    def _key(self, precision: Precision) -> str:
        typical = sorted(map(n_tokens, self._inputs))[len(self._inputs) // 2]
        return plan_key(self._model, self.device, precision, typical)


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


@dataclass(frozen=True)
class _ReadOut:
    """From the logits of a data set's batches to its Evaluation.

    Attributes:
        batches: Which of the outputs are this data set's.
        labels: (n_examples,) in the order of the results.
        places: (n_examples,) where each example stands in the batches, or None for their order.
        loss: Of each example.
        transform: Applied to the logits first.
    """

    batches: slice
    labels: Tensor
    places: np.ndarray | None
    loss: Loss
    transform: Transform | None

    def read(self, outputs: list[Tensor]) -> Evaluation:
        logits = torch.cat(outputs[self.batches], dim=1).cpu()
        if self.transform is not None:
            logits = self.transform(logits)
        if self.places is not None:
            logits = logits[:, torch.as_tensor(self.places)]
        losses = torch.stack([self.loss(point, self.labels) for point in logits])
        return Evaluation(logits.numpy(), losses.numpy(), logits.argmax(-1).numpy())


def _centre(anchors: Sequence[Anchor]) -> np.ndarray:
    """(1, n_anchors) coefficients of the anchors' mean."""
    return np.full((1, len(anchors)), 1 / len(anchors))


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
