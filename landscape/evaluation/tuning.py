"""A short measurement at the start: which plan is fastest here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from landscape.checkpoints.anchors import Params
from landscape.checkpoints.mix import Mixer
from landscape.checkpoints.read import Rows
from landscape.evaluation.forward import (
    CannotBatch,
    Forwards,
    cut,
    is_out_of_memory,
    n_examples,
    to_device,
)
from landscape.evaluation.kernels import Linear, has_onednn
from landscape.evaluation.plan import Plan, default_plan

# a candidate must be this much faster than the plain loop to be worth its difference in rounding
_WORTH = 0.9
_KERNELS: tuple[Linear, ...] = ("onednn", "packed")
_ROUNDS = 4
_TOKENS = {"cpu": (1024, 2048, 4096), "cuda": (8192, 32_768, 131_072)}


def is_worth_measuring(
    n_parameters: int, inputs: Sequence[Any], n_points: int, device: torch.device
) -> bool:
    """Whether the work is so much that measuring first costs little of it."""
    operations = 2.0 * n_parameters * sum(n_tokens(batch) for batch in inputs) * n_points
    return operations > (1e15 if device.type == "cuda" else 1e13)


def fastest_plan(
    model: nn.Module,
    anchors: Sequence[Params],
    inputs: Sequence[Any],
    *,
    dtype: torch.dtype,
    device: torch.device,
    rows: Rows | None = None,
) -> Plan:
    """Time the candidates on one of the batches, and the best one on batches of other sizes."""
    sample = to_device(inputs[len(inputs) // 2], device, dtype)
    single = Mixer(model, dtype, device, 1, rows)
    plain = replace(default_plan(single.n_parameters, device), strategy="loop", chunk=1)
    plans = [(plain, single)]
    if device.type == "cpu" and dtype != torch.float64 and has_onednn():
        plans += [(replace(plain, linear=kernel), single) for kernel in _KERNELS]
    for chunk in (4, 16):
        if 4 * chunk * single.n_parameters <= _room(device):
            stacked = replace(plain, strategy="vmap", chunk=chunk)
            plans.append((stacked, Mixer(model, dtype, device, chunk, rows)))
    candidates = [Forwards(model, mixer, plan, dtype) for plan, mixer in plans]
    seconds = _race(candidates, anchors, sample)
    for place, (plan, _) in enumerate(plans):
        if plan.linear == "packed":  # which is done once a point for all of its batches
            seconds[place] -= _packing(single) * (1 - 1 / len(inputs))
    best = int(np.argmin(seconds))
    if seconds[best] > _WORTH * seconds[0]:
        best = 0
    return replace(plans[best][0], tokens=_best_tokens(candidates[best], anchors, sample))


def n_tokens(inputs: Any) -> int:
    """Elements of a batch's first tensor: tokens, of a text."""
    first = next(iter(inputs.values())) if isinstance(inputs, dict) else inputs
    return int(first.shape[:2].numel()) if hasattr(first, "shape") else 1


def _room(device: torch.device) -> int:
    """Bytes that the stacked weights of a chunk may take."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 4
    return 1 << 28  # beyond that, each operation pays for fresh pages


def _race(candidates: Sequence[Forwards], anchors: Sequence[Params], sample: Any) -> list[float]:
    """Seconds of one point by each candidate: the best of rounds in which all take turns."""
    times = np.full((_ROUNDS, len(candidates)), np.inf)
    for turn in range(-1, _ROUNDS):  # the first round warms up
        for place, forwards in enumerate(candidates):
            try:
                seconds = _seconds(forwards, anchors, sample)
            except CannotBatch:
                continue
            if turn >= 0:
                times[turn, place] = seconds
    return [float(best) for best in times.min(0)]


def _seconds(forwards: Forwards, anchors: Sequence[Params], sample: Any) -> float:
    """Of one point on the sample."""
    device, chunk = forwards.mixer.device, forwards.plan.chunk
    matrix = np.full((chunk, len(anchors)), 1 / len(anchors))
    began = time.perf_counter()
    forwards.run(anchors, matrix, [sample])
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - began) / chunk


def _packing(mixer: Mixer) -> float:
    """Seconds that a point's packing takes."""
    times = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        packed = [
            torch.ops.mkldnn._reorder_linear_weight(weight[0], 1024)
            for weight in mixer.weights.values()
            if weight.ndim == 3 and weight.is_floating_point()
        ]
        times.append(time.perf_counter() - began)
        del packed
    return min(times)


def _best_tokens(forwards: Forwards, anchors: Sequence[Params], sample: Any) -> int:
    """The smallest batch, in tokens, within 3% of the best time a token."""
    device, n = forwards.mixer.device, n_examples(sample)
    each = max(1, n_tokens(sample) // n)
    rates: dict[int, float] = {}
    for _ in range(_ROUNDS):
        for tokens in _TOKENS[device.type]:
            # the sample's examples over and over, until there are as many as fit
            count = max(1, tokens // each)
            batch = cut(sample, torch.arange(count, device=device) % n)
            try:
                seconds = _seconds(forwards, anchors, batch)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                break
            rates[tokens] = min(rates.get(tokens, np.inf), seconds / (count * each))
    best = min(rates.values(), default=0.0)
    return next((t for t, rate in rates.items() if rate < 1.03 * best), forwards.plan.tokens)
