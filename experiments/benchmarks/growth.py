"""Growth: time against points, examples, models and parameters, and the slope of each."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
import transformers
from common import Setting, interleaved, median, sorted_batches

from landscape.checkpoints import build_model
from landscape.evaluation import Evaluator
from landscape.paths import Line


def bench_growth(setting: Setting) -> dict[str, Any]:
    """The exponent p of time ~ size^p, by least squares on logarithms of medians."""
    population = setting.population()
    params = [dict(c.params) for c in population.checkpoints[:6]]
    model = build_model(population.checkpoints[0], logits_only=True)
    batches = {
        n: sorted_batches(population, setting.sample("hans", n)) for n in (64, 128, 256, 512)
    }

    def line(n_points: int, n_examples: int) -> Any:
        evaluator = Evaluator(model, batches[n_examples], strategy="loop")
        return lambda: evaluator.evaluate(params[:2], Line(n_points))

    def all_pairs(n: int) -> Any:
        evaluator = Evaluator(model, batches[64], strategy="loop")

        def run() -> None:
            for i, j in itertools.combinations(range(n), 2):
                evaluator.evaluate([params[i], params[j]], Line(3))

        return run

    series: dict[str, dict[float, Any]] = {
        "points": {n: line(n, 64) for n in (3, 6, 11, 21)},
        "examples": {n: line(3, n) for n in batches},
        "models (all pairs)": {n: all_pairs(n) for n in (2, 3, 4, 6)},
        "parameters (layers x width)": dict(map(_random, ((2, 128), (4, 256), (6, 384), (8, 512)))),
    }
    result: dict[str, Any] = {"seconds": {}, "slopes": {}, "all_seconds": {}}
    for name, runs in series.items():
        times, _ = interleaved({str(size): run for size, run in runs.items()}, setting.repeats)
        medians = {size: median(values) for size, values in times.items()}
        sizes = np.log(np.array(list(runs), dtype=float))
        slope = np.polyfit(sizes, np.log(list(medians.values())), 1)[0]
        result["seconds"][name] = {f"at {float(size):g}": t for size, t in medians.items()}
        result["slopes"][name] = float(slope)
        result["all_seconds"][name] = times
    return {
        **{f"seconds against {name}": values for name, values in result["seconds"].items()},
        "slopes": result["slopes"],
        "all_seconds": result["all_seconds"],
    }


def _random(shape: tuple[int, int]) -> tuple[float, Any]:
    """A BERT of random weights, its products' parameters, and one line of 5 points of it."""
    layers, width = shape
    config = transformers.BertConfig(
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=width // 32,
        intermediate_size=4 * width,
        vocab_size=1000,
    )
    torch.manual_seed(0)
    models = [transformers.BertForSequenceClassification(config).eval() for _ in range(2)]
    ids = torch.randint(5, 1000, (64, 32), generator=torch.Generator().manual_seed(1))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    evaluator = Evaluator(models[0], [(inputs, torch.zeros(64, dtype=torch.long))], strategy="loop")
    products = 12 * layers * width**2
    return products, lambda: evaluator.evaluate(models, Line(5))
