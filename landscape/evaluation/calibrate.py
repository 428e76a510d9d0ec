"""A short measurement at the start: which plan is fastest here, and which number format."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from landscape.evaluation.forward import (
    Anchors,
    CannotBatch,
    cut,
    forward_points,
    is_out_of_memory,
    n_examples,
    to_device,
)
from landscape.evaluation.kernels import Linear, has_onednn
from landscape.evaluation.mix import Mixer, Rows
from landscape.evaluation.plan import Plan, default_plan

# a candidate must be this much faster than the plain loop to be worth its difference in rounding
_WORTH = 0.95
_STACKED_PARAMETERS = {"cpu": 1 << 26, "cuda": 1 << 31}  # in all points of a chunk
_TOKENS = {"cpu": (1024, 2048, 4096), "cuda": (8192, 32_768, 131_072)}


def is_worth_measuring(
    n_parameters: int, inputs: Sequence[Any], n_points: int, device: torch.device
) -> bool:
    """Whether the work is so much that measuring first costs little of it."""
    operations = 2.0 * n_parameters * sum(_size(batch) for batch in inputs) * n_points
    return operations > (1e15 if device.type == "cuda" else 1e13)


def calibrate(
    model: nn.Module,
    anchors: Anchors,
    inputs: Sequence[Any],
    *,
    dtype: torch.dtype,
    device: torch.device,
    rows: Rows | None = None,
) -> Plan:
    """Time the candidates on one of the batches, and the best one on batches of other sizes."""
    sample = to_device(inputs[len(inputs) // 2], device, dtype)
    one = Mixer(model, dtype, device, 1, rows)
    plain = default_plan(one.n_parameters, device)
    kernels: list[Linear] = ["torch"]
    if device.type == "cpu" and dtype != torch.float64 and has_onednn():
        kernels += ["onednn", "packed"]
    best = replace(plain, strategy="loop", chunk=1)
    best = replace(best, seconds=_seconds(model, one, anchors, sample, best, dtype))
    for kernel in kernels[1:]:
        candidate = replace(best, linear=kernel)
        seconds = _seconds(model, one, anchors, sample, candidate, dtype)
        if kernel == "packed":  # which is done once a point for all of its batches
            seconds -= _packing(one) * (1 - 1 / len(inputs))
        if seconds < _WORTH * best.seconds:
            best = replace(candidate, seconds=seconds)
    for chunk in (4, 16):
        if chunk * one.n_parameters > _STACKED_PARAMETERS[device.type]:
            break
        mixer = Mixer(model, dtype, device, chunk, rows)
        candidate = Plan("vmap", chunk, tokens=best.tokens)
        try:
            seconds = _seconds(model, mixer, anchors, sample, candidate, dtype)
        except CannotBatch:
            break
        if seconds < _WORTH * best.seconds:
            best = replace(candidate, seconds=seconds)
    return replace(best, tokens=_tokens(model, anchors, sample, best, dtype, device, rows))


def _seconds(
    model: nn.Module, mixer: Mixer, anchors: Anchors, sample: Any, plan: Plan, dtype: torch.dtype
) -> float:
    """Of one point on the sample: the better of two, after one that warms up."""
    matrix = np.full((plan.chunk, len(anchors)), 1 / len(anchors))
    times = []
    for _ in range(3):
        began = time.perf_counter()
        forward_points(model, mixer, anchors, matrix, [sample], plan, dtype)
        if mixer.device.type == "cuda":
            torch.cuda.synchronize(mixer.device)
        times.append((time.perf_counter() - began) / plan.chunk)
    return min(times[1:])


def _packing(mixer: Mixer) -> float:
    began = time.perf_counter()
    for weight in mixer.weights.values():
        if weight.ndim == 3 and weight.is_floating_point():
            torch.ops.mkldnn._reorder_linear_weight(weight[0], 1024)
    return time.perf_counter() - began


def _tokens(
    model: nn.Module,
    anchors: Anchors,
    sample: Any,
    plan: Plan,
    dtype: torch.dtype,
    device: torch.device,
    rows: Rows | None,
) -> int:
    """The smallest batch, in tokens, within 3% of the best time a token."""
    mixer = Mixer(model, dtype, device, plan.chunk, rows)
    each = max(1, _size(sample) // n_examples(sample))
    rates: dict[int, float] = {}
    for tokens in _TOKENS[device.type]:
        # the sample's examples over and over, until there are as many as fit
        n = max(1, tokens // each)
        places = torch.arange(n, device=device) % n_examples(sample)
        try:
            rates[tokens] = _seconds(model, mixer, anchors, cut(sample, places), plan, dtype) / (
                n * each
            )
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            break
    return next((t for t, rate in rates.items() if rate < 1.03 * min(rates.values())), plan.tokens)


def _size(inputs: Any) -> int:
    """Elements of a batch's first tensor: tokens, of a text."""
    first = next(iter(inputs.values())) if isinstance(inputs, dict) else inputs
    return int(first.shape[:2].numel()) if hasattr(first, "shape") else 1
