"""All pairs of 16 checkpoints on two data sets: the pipeline against the loop that people run."""

from __future__ import annotations

import itertools
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from common import (
    Setting,
    collapsed,
    fresh_model,
    median,
    plain_batches,
    sorted_batches,
    state_dict_loop,
)
from safetensors.torch import save_file
from sklearn.metrics import adjusted_rand_score

import landscape
from landscape.analysis.analysis import analysis_options, analyze
from landscape.checkpoints import Population, load_checkpoint
from landscape.paths import Line
from landscape.records import read_store
from landscape.run.inputs import open_experiment
from landscape.run.pipeline import measure

POINTS = 11
MODELS = 16
TIMED = 12  # pairs that the loop is timed on, spread over all
TOLERANCE = 0.005


def bench_pairs(setting: Setting) -> dict[str, Any]:
    """The loop on some pairs, the pipeline on all: whole grid in fp32, then adaptive and auto."""
    refs = population_of(setting, MODELS)
    population = setting.population(refs)
    examples = [setting.sample(name) for name in ("mnli_dev", "hans")]
    pairs = list(itertools.combinations(range(MODELS), 2))
    timed = np.unique(np.linspace(0, len(pairs) - 1, TIMED).astype(int)).tolist()
    own = fresh_model(population)
    sets = [(plain_batches(population, data), collapsed(data)) for data in examples]
    loop: list[float] = []
    curves: dict[int, np.ndarray] = {}

    def time_loop(part: Sequence[int]) -> None:
        for k in part:
            ends = [dict(population.checkpoints[i].params) for i in pairs[k]]
            began = time.perf_counter()
            curves[k] = state_dict_loop(own, ends, Line(POINTS).positions, sets)[0]
            loop.append(time.perf_counter() - began)
            print(f"  loop: pair {len(loop)} of {len(timed)}", file=sys.stderr, flush=True)

    seconds: dict[str, float] = {"state-dict loop": np.nan}
    stores = {}
    time_loop(timed[::3])  # before, between and after: the machine's speed drifts
    for part, (name, changes) in enumerate(
        {
            "engine, fp32, whole grid": {},
            "engine, auto, adaptive": {
                "paths": {"points": POINTS, "adaptive": True, "tolerance": TOLERANCE},
                "evaluate": {"precision": "auto"},
            },
        }.items(),
        1,
    ):
        seconds[name], stores[name] = run(setting, refs, changes)
        time_loop(timed[part::3])
    seconds["state-dict loop"] = median(loop) * len(pairs)
    analyses = {
        name: analyze(results, **analysis_options(results)) for name, results in stores.items()
    }
    whole, few = analyses.values()
    above = np.triu_indices(MODELS, 1)
    gap = whole.gaps.estimate[above] - few.gaps.estimate[above]
    results = stores["engine, auto, adaptive"]
    stored = np.array([whole.curves[whole.dataset].losses[k] for k in timed])
    return {
        "models": MODELS,
        "pairs": len(pairs),
        "examples of each set": len(examples[0]),
        "pairs that the loop was timed on": len(timed),
        "seconds": seconds,
        "all_seconds": {"state-dict loop, a pair": loop},
        "ratios": {
            "loop / engine fp32 on the whole grid": seconds["state-dict loop"]
            / seconds["engine, fp32, whole grid"],
            "loop / engine auto, adaptive": seconds["state-dict loop"]
            / seconds["engine, auto, adaptive"],
        },
        "agreement": {
            "largest difference of a mean loss, fp32 engine and loop, nats": float(
                np.abs(stored - np.array([curves[k] for k in timed])).max()
            ),
            "gap on the whole grid less the adaptive one, nats, least": float(gap.min()),
            "the same, most": float(gap.max()),
            "tolerance": TOLERANCE,
            "largest tolerance reached": results.largest_tolerance,
            "largest difference of an example's loss, bf16 and fp32, nats": float(
                results.largest_difference
            ),
            "basins, whole grid": whole.basins.n_basins,
            "basins, adaptive": few.basins.n_basins,
            "adjusted Rand index of the labels": float(
                adjusted_rand_score(whole.basins.labels, few.basins.labels)
            ),
            "adjusted Rand index of forced halves": float(
                adjusted_rand_score(whole.basins.split, few.basins.split)
            ),
        },
        "work": work(population, examples, results),
    }


def work(population: Population, examples: Sequence[Any], results: Any) -> dict[str, Any]:
    """Tokens forwarded, in millions, as one kind of avoided work after another is taken away."""
    n, pairs = MODELS, MODELS * (MODELS - 1) // 2
    padded, distinct = 0, 0
    for data in examples:
        padded += sum(i["input_ids"].numel() for i, _ in plain_batches(population, data))
        distinct += sorted_batches(population, data).n_tokens
    exact = int((results.formats[:, 1:-1] == 1).sum())
    screened = int(sum(np.isfinite(results.datasets["mnli_dev"].screened[:, 1:-1]).sum(axis=1)))
    table = population.checkpoints[0].params.shapes["bert.embeddings.word_embeddings.weight"]
    return {
        "loop: every point of every pair, padded per batch": padded * pairs * POINTS / 1e6,
        "sorted by length, equal texts once": distinct * pairs * POINTS / 1e6,
        "and ends once a model": distinct * (pairs * (POINTS - 2) + n) / 1e6,
        "and positions where the gap needs them, in fp32 or bf16": distinct
        * (exact + screened + 2 * n)
        / 1e6,
        "of these in fp32": distinct * (exact + n) / 1e6,
        "inner points in fp32, a pair": exact / pairs,
        "inner points screened, a pair": screened / pairs,
        "share of parameters in the token table": table[0]
        * table[1]
        / sum(int(np.prod(shape)) for shape in population.checkpoints[0].params.shapes.values()),
    }


def run(setting: Setting, refs: Sequence[str], changes: dict[str, Any]) -> tuple[float, Any]:
    """The pipeline's own time from checkpoints to finished store, and the store."""
    folder = Path(setting.work) / f"run-{len(list(setting.work.iterdir()))}"
    folder.mkdir(parents=True)
    config = folder / "config.yaml"
    content = {
        "name": "bench",
        "checkpoints": list(refs),
        "task": "mnli",
        "datasets": ["mnli_dev", "hans"],
        "examples": setting.examples,
        "paths": {"points": POINTS},
        "out": str(folder / "out"),
    }
    config.write_text(yaml.safe_dump({**content, **changes}))
    print(config, file=sys.stderr)
    experiment = open_experiment(config, root=setting.data)
    began = time.perf_counter()
    measure(experiment, lambda line: print(f"  {line}", file=sys.stderr, flush=True))
    return time.perf_counter() - began, read_store(experiment.store)


def population_of(setting: Setting, n: int) -> list[str]:
    """The trained classifiers, and means of neighbours among them until there are n."""
    trained = sorted(setting.checkpoints.glob("seed-*"))
    refs = list(map(str, trained))
    rng = np.random.default_rng(0)
    while len(refs) < n:
        chosen = rng.choice(len(trained), 2, replace=False)
        share = float(rng.uniform(0.2, 0.8))
        refs.append(
            str(_mean([trained[i] for i in chosen], share, setting.work / f"mean-{len(refs)}"))
        )
    return refs[:n]


def _mean(members: Sequence[Path], share: float, out: Path) -> Path:
    """Real weights of another kind: a point between two trained classifiers, as a checkpoint."""
    first, second = (landscape.load_checkpoint(member).params for member in members)
    shutil.copytree(members[0], out, ignore=shutil.ignore_patterns("*.safetensors"))
    tensors = {name: torch.lerp(first[name], second[name], share) for name in first}
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    assert load_checkpoint(out).params.shapes == first.shapes
    return out
