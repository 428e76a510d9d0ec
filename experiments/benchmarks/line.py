"""One line of 11 points between two real classifiers: the engine, its floor, and its peers."""

from __future__ import annotations

import copy
import itertools
import warnings
from functools import partial
from typing import Any

import numpy as np
import torch
from common import (
    Setting,
    collapsed,
    fresh_model,
    interleaved,
    mean_loss,
    median,
    peers,
    plain_batches,
    sorted_batches,
    state_dict_loop,
)
from torch import Tensor, nn
from torch.func import functional_call

from landscape.analysis.barriers import convexity_gap
from landscape.checkpoints import build_model, token_table
from landscape.checkpoints.mix import Mixer
from landscape.evaluation import Evaluator, Plan
from landscape.evaluation.kernels import Kernels
from landscape.paths import Line
from landscape.run.measure.adaptive import PILOT_PAIRS, Smoothness, learn_smoothness
from landscape.run.measure.measurement import quantities_of
from landscape.run.measure.pair import measure_pair
from landscape.tasks.batches import used_tokens

POINTS = 11
TOLERANCE = 0.005  # nats, of the certified gap


def bench_line(setting: Setting, dataset: str) -> dict[str, Any]:
    """All contestants in one process, taking turns."""
    population = setting.population()
    examples = setting.sample(dataset)
    a, b = ({k: v.clone() for k, v in population.checkpoints[i].params.items()} for i in (0, 1))
    line = Line(POINTS)
    join = collapsed(examples)
    batches = sorted_batches(population, examples)
    padded = plain_batches(population, examples)
    model = build_model(population.checkpoints[0], logits_only=True)
    table = token_table(model)
    rows = {table: used_tokens([batches])} if table else {}
    evaluator = Evaluator(model, {dataset: batches}, transform=join, rows=rows)
    plans = {p: evaluator.tune([a, b], p) for p in ("fp32", "bf16")}
    fast = evaluator.fast_precision([a, b])

    def engine(precision: str) -> np.ndarray:
        result = evaluator.evaluate([a, b], line, precision)[dataset]
        return result.losses.mean(1, dtype=np.float64)

    def auto(smoothness: Smoothness | None = None) -> Any:
        """Ends in both formats, the rest screened, what decides the gap again in fp32."""
        ends = np.eye(2)
        exact = evaluator.evaluate([a, b], ends, "fp32")[dataset].losses.mean(1, dtype=np.float64)
        off = 0.0
        if fast:
            low = evaluator.evaluate([a, b], ends, fast)[dataset].losses.mean(1, dtype=np.float64)
            off = float(np.abs(low - exact).max())
        coefficients = line.coefficients()
        pair = measure_pair(
            lambda points, precision: evaluator.evaluate([a, b], coefficients[points], precision),
            exact,
            line.positions,
            dataset=dataset,
            rule="convexity_gap",
            tolerance=TOLERANCE,
            quantities=partial(quantities_of, labels={dataset: examples.labels}),
            formats=("fp32", fast),
            smoothness=smoothness,
            error=3 * off,
        )
        return exact, pair

    # as in a population's run: learnt from other pairs, whose time is not counted here
    others = itertools.islice(itertools.combinations(range(2, len(population)), 2), PILOT_PAIRS)
    pilot = [
        evaluator.evaluate([population.checkpoints[i] for i in pair], line, fast or "fp32")
        for pair in others
    ]
    smoothness = learn_smoothness(
        [r[dataset].losses.mean(1, dtype=np.float64) for r in pilot], line.positions
    )

    contestants: dict[str, Any] = {
        "engine, fp32": lambda: engine("fp32"),
        "engine, auto": auto,
        "engine, auto, adaptive": lambda: auto(smoothness),
        "engine, bf16": lambda: engine("bf16"),
        "floor, fp32": floor(model, a, batches, plans["fp32"], torch.float32, rows),
        "floor, bf16": floor(model, a, batches, plans["bf16"], torch.bfloat16, rows),
        "floor, fp32, unchanged model": whole_floor(fresh_model(population), batches, join),
    }
    own = fresh_model(population)
    contestants["state-dict loop, same batches"] = lambda: state_dict_loop(
        own, (a, b), line.positions, [(batches, join)]
    )[0]
    contestants["state-dict loop, padded per batch"] = lambda: state_dict_loop(
        own, (a, b), line.positions, [(padded, join)]
    )[0]
    peers()
    contestants |= peer_runs(population, batches, join)
    times, results = interleaved(contestants, setting.repeats)
    # one point of the seed's own loader is enough: each takes as long
    longest = plain_batches(population, examples, pad_to=own.config.max_position_embeddings)
    slow, _ = interleaved(
        {"padded": lambda: state_dict_loop(own, (a, b), [0.5], [(longest, join)])},
        max(5, setting.repeats),
    )
    seconds = {name: median(values) for name, values in times.items()}
    seconds["state-dict loop, padded to the maximum"] = POINTS * median(slow["padded"])
    times["state-dict loop, padded to the maximum"] = [POINTS * t for t in slow["padded"]]
    reference = results["state-dict loop, same batches"]
    return {
        "dataset": dataset,
        "examples": len(examples),
        "tokens": {
            "in the texts": int(sum(i["attention_mask"].sum() for i, _ in batches)),
            "computed by the engine": batches.n_tokens,
            "padded per batch": int(sum(i["input_ids"].numel() for i, _ in padded)),
            "padded to the maximum": int(sum(i["input_ids"].numel() for i, _ in longest)),
        },
        "plans": {name: vars(plan) for name, plan in plans.items()},
        "seconds": seconds,
        "all_seconds": times,
        "ratios": ratios(seconds),
        "largest difference of a mean loss, nats": differences(results, reference),
        "certified gap": {
            name: certified(*results[name], dataset, reference, line.positions)
            for name in ("engine, auto", "engine, auto, adaptive")
        },
    }


def floor(
    model: nn.Module,
    params: dict[str, Tensor],
    batches: Any,
    plan: Plan,
    dtype: torch.dtype,
    rows: Any,
) -> Any:
    """Forwards alone, by the engine's own kernels: weights set (and packed) once, for nothing."""
    mixer = Mixer(model, dtype, torch.device("cpu"), 1, rows)
    mixer.mix(mixer.load([params]), np.ones((1, 1)))
    weights = {name: tensor[0] for name, tensor in mixer.weights.items()}
    kernels = Kernels(plan.linear, weights.values())

    @torch.no_grad()
    def run() -> None:
        with kernels:
            for _ in range(POINTS):
                for inputs, _ in batches:
                    functional_call(model, weights, (), inputs)

    return run


def whole_floor(model: nn.Module, batches: Any, join: Any) -> Any:
    """Forwards of the model as transformers builds it, on the same batches."""

    def run() -> None:
        for _ in range(POINTS):
            mean_loss(model, batches, join)

    return run


def peer_runs(population: Any, batches: Any, join: Any) -> dict[str, Any]:
    """Each in its documented way, given the same batches."""
    import loss_landscapes
    import nngeom
    from loss_landscapes.metrics import Loss
    from loss_landscapes.model_interface.model_wrapper import GeneralModelWrapper
    from nngeom.lossland import linear_interpolation

    ends = [fresh_model(population, i) for i in (0, 1)]
    inputs, labels = [list(part) for part in zip(*batches, strict=True)]

    def outputs(model: nn.Module, batch: Any) -> list[Tensor]:
        return [join(model(**one).logits) for one in batch]

    def loss(logits: list[Tensor], target: list[Tensor]) -> Tensor:
        both = zip(logits, target, strict=True)
        total = sum(nn.functional.cross_entropy(x, y, reduction="sum") for x, y in both)
        return total / sum(map(len, target))

    @torch.no_grad()
    def loss_landscapes_line() -> np.ndarray:
        one, two = (GeneralModelWrapper(m, [m], outputs) for m in map(copy.deepcopy, ends))
        metric = Loss(loss, inputs, labels)
        return loss_landscapes.linear_interpolation(one, two, metric, steps=POINTS)

    def nngeom_line() -> np.ndarray:
        def of(model: nn.Module, batch: Any) -> Tensor:
            return loss(outputs(model, batch[0]), batch[1])

        one, two = (nngeom.Model(copy.deepcopy(m), loss_fn=of) for m in ends)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return linear_interpolation(one, two, (inputs, labels), steps=POINTS).losses

    return {"loss-landscapes 3.0.6": loss_landscapes_line, "nngeom 0.2.0": nngeom_line}


def ratios(seconds: dict[str, float]) -> dict[str, float]:
    """Of times in this run."""
    peers = ("loss-landscapes 3.0.6", "nngeom 0.2.0", "state-dict loop, same batches")
    best = min(seconds[name] for name in peers)
    return {
        "best peer given the same batches / engine fp32": best / seconds["engine, fp32"],
        "best peer given the same batches / engine auto": best / seconds["engine, auto"],
        "best peer given the same batches / engine auto, adaptive": best
        / seconds["engine, auto, adaptive"],
        "best peer given the same batches / engine bf16": best / seconds["engine, bf16"],
        "loop padded per batch / engine fp32": seconds["state-dict loop, padded per batch"]
        / seconds["engine, fp32"],
        "loop padded to the maximum / engine fp32": seconds[
            "state-dict loop, padded to the maximum"
        ]
        / seconds["engine, fp32"],
        "loop padded to the maximum / engine auto": seconds[
            "state-dict loop, padded to the maximum"
        ]
        / seconds["engine, auto"],
        "engine fp32 / its floor": seconds["engine, fp32"] / seconds["floor, fp32"],
        "engine bf16 / its floor": seconds["engine, bf16"] / seconds["floor, bf16"],
        "best peer / floor of the unchanged model": best / seconds["floor, fp32, unchanged model"],
    }


def differences(results: dict[str, Any], reference: np.ndarray) -> dict[str, float]:
    """From the state-dict loop on the same batches; loss-landscapes has no t = 0."""
    found = {
        name: float(np.abs(results[name] - reference).max())
        for name in ("engine, fp32", "engine, bf16", "state-dict loop, padded per batch",
                     "nngeom 0.2.0")
    }  # fmt: skip
    grid = np.linspace(0, 1, POINTS + 1)[1:]
    between = np.interp(grid, np.linspace(0, 1, POINTS), reference)
    last = results["loss-landscapes 3.0.6"]
    found["loss-landscapes 3.0.6, at t = 1"] = float(abs(last[-1] - between[-1]))
    return found


def certified(
    exact: np.ndarray, pair: Any, dataset: str, reference: np.ndarray, positions: np.ndarray
) -> dict[str, Any]:
    """The gap from fp32 points alone, against the gap of the whole fp32 line."""
    inner = pair.outputs[dataset][0].mean(1, dtype=np.float64)
    losses = np.concatenate([exact[:1], inner, exact[1:]])
    known = np.concatenate([[True], pair.formats == 1, [True]])
    return {
        "gap of fp32 points": float(convexity_gap(losses[known], positions[known])),
        "gap of the whole fp32 line": float(convexity_gap(reference, positions)),
        "tolerance reached": pair.tolerance,
        "points in fp32, ends included": int(known.sum()),
        "points screened": int((~np.isnan(pair.screened[dataset][0])).sum()),
        "largest difference of these, nats": float(np.abs(losses - reference)[known].max()),
    }
