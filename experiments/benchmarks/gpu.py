"""An NVIDIA GPU: share of its matrix rate, vmap against the loop, the paper's whole matrix.

Random weights: no data and no checkpoints are needed. On a CPU it runs at small size, to test the
script.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
import transformers
from common import median

from landscape.checkpoints import token_table
from landscape.evaluation import Evaluator, Plan
from landscape.paths import Line

ENCODERS = {"2 layers": (2, 128), "6 layers": (6, 384), "12 layers": (12, 768)}
PAIRS, POINTS, EXAMPLES = 4950, 10, 512  # Juneja et al. 2023, arXiv 2205.12411
LENGTH = 48  # tokens of a pair of sentences


def bench_gpu(device: str | None) -> dict[str, Any]:
    """Everything on one device."""
    where = torch.device(device or "cuda")
    small = where.type == "cpu"
    rate = matrix_rate(where, torch.bfloat16, 512 if small else 8192)
    examples = 16 if small else EXAMPLES
    result: dict[str, Any] = {
        "device": str(where),
        "size": "reduced, to test the script" if small else "as in the paper",
        "bf16 matrix rate, TFLOP/s": rate / 1e12,
    }
    encoders: dict[str, dict[str, Any]] = {}
    for name, (layers, width) in ENCODERS.items():
        if small:
            layers, width = min(layers, 2), min(width, 128)
        encoders[name] = _encoder(where, layers, width, examples, rate)
    result["encoders"] = encoders
    largest = encoders["12 layers"]
    result["the paper's matrix"] = {
        "pairs": PAIRS,
        "points": POINTS,
        "examples": EXAMPLES,
        "projected minutes, bf16": "not at reduced size"
        if small
        else largest["seconds a point, loop"] * (PAIRS * (POINTS - 2) + 100) / 60,
    }
    return result


def _encoder(
    where: torch.device, layers: int, width: int, examples: int, rate: float
) -> dict[str, Any]:
    config = transformers.BertConfig(
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
        num_labels=3,
    )
    torch.manual_seed(0)
    models = [transformers.BertForSequenceClassification(config).eval() for _ in range(2)]
    ends = [{k: v.to(where) for k, v in model.state_dict().items()} for model in models]
    ids = torch.randint(5, config.vocab_size, (examples, LENGTH))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    labels = torch.zeros(examples, dtype=torch.long)
    rows = {token_table(models[0]) or "": ids.unique().numpy()}
    evaluator = Evaluator(models[0], [(inputs, labels)], device=where, rows=rows)
    times = {}
    for name, plan in {"loop": Plan(), "vmap": Plan("vmap", 4 if width > 256 else 10)}.items():
        evaluator.use(plan, "bf16")
        times[name] = _seconds(lambda: evaluator.evaluate(ends, Line(POINTS), "bf16"), where)
    # products of two numbers and a sum, for each token; attention scores and their use
    tokens = examples * LENGTH
    operations = 2 * tokens * 12 * layers * width**2 + 4 * layers * tokens * LENGTH * width
    bare = models[0].to(where, torch.bfloat16)
    moved = {name: tensor.to(where) for name, tensor in inputs.items()}
    with torch.no_grad():
        floor = _seconds(lambda: bare(**moved).logits, where)
        compiled = _compiled(bare, moved, where)
    return {
        "layers": layers,
        "width": width,
        "seconds a point, loop": times["loop"] / POINTS,
        "seconds a point, vmap": times["vmap"] / POINTS,
        "loop / vmap": times["loop"] / times["vmap"],
        "bare forward": floor,
        "bare forward, torch.compile": compiled,
        "share of the matrix rate": operations * POINTS / min(times.values()) / rate,
    }


def _compiled(model: torch.nn.Module, inputs: dict[str, Any], where: torch.device) -> float:
    """Whether compiling would pay: NaN on a CPU, where it was measured not to."""
    if where.type == "cpu":
        return float("nan")
    fast = torch.compile(model, mode="reduce-overhead")
    return _seconds(lambda: fast(**inputs).logits, where)


def matrix_rate(where: torch.device, dtype: torch.dtype, size: int) -> float:
    """Operations a second of one square product."""
    a, b = (torch.randn(size, size, device=where).to(dtype) for _ in range(2))
    return 2 * size**3 / _seconds(lambda: a @ b, where)


def _seconds(run: Callable[[], Any], where: torch.device, repeats: int = 7) -> float:
    times = []
    for turn in range(-3, repeats):
        if where.type == "cuda":
            torch.cuda.synchronize(where)
        began = time.perf_counter()
        run()
        if where.type == "cuda":
            torch.cuda.synchronize(where)
        if turn >= 0:
            times.append(time.perf_counter() - began)
    return median(times)
