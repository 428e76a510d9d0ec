"""Stores in memory whose losses are made up, and their analyses, whose numbers are not.

Every model stands at a place on one axis. The loss along a line rises in the middle by the square
of the distance between its ends, and a model's chance to be right on the heuristic half of the
challenge set falls along the axis: basins and generalisation are what the places say they are.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from landscape.analysis.analysis import Analysis, analyze
from landscape.importers import import_published
from landscape.records import Results, StoredDataset, read_store

TWO = (0.0, 0.1, 0.05, 0.12, 0.95, 1.0, 0.9, 1.05, 0.02, 0.08)
THREE = (0.0, 0.05, 0.1, 0.02, 1.0, 1.05, 0.95, 2.0, 2.05, 2.1)
ONE = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
PUBLISHED = Path(__file__).parent / "data" / "published"
FOCUS = "hans: lexical_overlap / non-entailment"
_GROUPS = (
    "lexical_overlap / entailment",
    "lexical_overlap / non-entailment",
    "subsequence / entailment",
    "subsequence / non-entailment",
)


def make_results(
    places: tuple[float, ...] = TWO,
    *,
    names: tuple[str, ...] | None = None,
    challenge: bool = True,
    n_examples: int = 200,
    n_points: int = 11,
    hump: float = 0.3,
    seed: int = 0,
) -> Results:
    """A finished store of models at ``places``."""
    rng = np.random.default_rng(seed)
    n = len(places)
    at = np.array(places)
    names = names or tuple(f"seed-{model:02d}" for model in range(n))
    pairs = np.array(list(combinations(range(n), 2)))
    t = np.linspace(0, 1, n_points)
    where = (1 - t) * at[pairs[:, :1]] + t * at[pairs[:, 1:]]
    rise = hump * 4 * t * (1 - t) * np.diff(at[pairs], axis=1) ** 2
    labels = rng.integers(3, size=n_examples)
    easy = rng.gamma(2.0, 0.3, size=n_examples)
    mean = 1 + rise[..., None] / easy.mean() + 0.003 * rng.normal(size=(len(pairs), n_points, 1))
    ends = 1 + 0.01 * rng.normal(size=n)
    mean[:, 0, 0], mean[:, -1, 0] = ends[pairs[:, 0]], ends[pairs[:, 1]]
    datasets = {
        "mnli_dev": _dataset(
            "mnli_dev",
            "in_domain",
            pairs,
            n,
            losses=mean * easy,
            right=np.broadcast_to(0.82 - 0.5 * rise[..., None], (*rise.shape, n_examples)),
            labels=labels,
            names=("entailment", "neutral", "contradiction"),
            groups={},
            rng=rng,
        )
    }
    if challenge:
        cut = np.array(_GROUPS)[np.arange(n_examples) % len(_GROUPS)]
        hard = np.char.endswith(cut, "non-entailment")
        slope = 1 / max(np.ptp(at), 1.0)
        chance = np.where(hard, 0.75 - 0.6 * slope * where[..., None], 0.92)
        chance = np.clip(chance + 0.05 * rng.normal(size=(len(pairs), n_points, 1)), 0.02, 0.98)
        datasets["hans"] = _dataset(
            "hans",
            "challenge",
            pairs,
            n,
            losses=-np.log(chance) * rng.gamma(4.0, 0.25, size=n_examples),
            right=chance,
            labels=hard.astype(int),
            names=("entailment", "non-entailment"),
            groups={"heuristic / label": cut},
            rng=rng,
        )
    checkpoints = pd.DataFrame(
        {
            "name": names,
            "ref": [f"checkpoints/{name}" for name in names],
            "sha256": [f"{model:064x}" for model in range(n)],
            "revision": [""] * n,
            "fingerprint": [""] * n,
            "seed": np.arange(n, dtype=float),
            "step": np.full(n, np.nan),
        }
    )
    return Results(
        path=Path("runs/synthetic/store.h5"),
        attributes={
            "encoding-type": "landscape",
            "encoding-version": "0.1.0",
            "created": "2026-01-02T03:04:05+00:00",
            "landscape-version": "0.1.0",
            "torch-version": "2.13.0",
            "device": "cpu",
            "precision": "fp32",
            "finished": "yes",
        },
        config={
            "name": "synthetic",
            "checkpoints": ["checkpoints/*"],
            "task": "mnli",
            "paths": [{"kind": "line", "points": n_points}],
            "analysis": {"rule": "convexity_gap", "n_basins": None},
        },
        models=names,
        checkpoints=checkpoints,
        pairs=pairs,
        status=np.ones(len(pairs), dtype=np.uint8),
        model_status=np.ones(n, dtype=np.uint8),
        positions=t,
        formats=np.ones((len(pairs), n_points), dtype=np.uint8),
        tolerance=np.zeros(len(pairs)),
        datasets=datasets,
    )


def thin_out(results: Results, seed: int = 0, missing: float = 0.5) -> Results:
    """The same store as a run of precision auto leaves it, its points chosen by chance.

    About ``missing`` of the inner points are not evaluated, half of the others only screened, with
    losses that are off by a little; the points in fp32 were screened too.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.random(results.formats.shape)
    formats = np.where(drawn < missing, 0, np.where(drawn < (1 + missing) / 2, 3, 1))
    formats = formats.astype(np.uint8)
    formats[:, [0, -1]] = 1
    datasets = {}
    for name, data in results.datasets.items():
        off = (0.01 * rng.normal(size=data.losses.shape)).astype(np.float32)
        losses = data.losses + np.where((formats == 3)[..., None], off, np.float32(0))
        losses[formats == 0] = np.nan
        predictions = data.predictions.copy()
        predictions[formats == 0] = 255
        fast = (data.losses + off).mean(-1, dtype=np.float64)
        datasets[name] = replace(
            data,
            losses=losses,
            predictions=predictions,
            screened=np.where(formats == 0, np.nan, fast),
            difference=np.where(formats == 1, np.abs(off).max(-1), np.float32(np.nan)),
        )
    return replace(
        results,
        attributes={**results.attributes, "precision": "auto"},
        formats=formats,
        tolerance=0.002 * rng.random(len(formats)),
        datasets=datasets,
    )


def make_analysis(places: tuple[float, ...] = TWO, **options: Any) -> Analysis:
    """The analysis of ``make_results(places, ...)``; ``analyze``'s own options go to it.

    With ``thin``, that of the same store with points missing and screened.
    """
    thin = options.pop("thin", False)
    own = {key: options.pop(key) for key in ("rule", "n_basins", "focus") if key in options}
    if options.get("challenge", True):
        own.setdefault("focus", FOCUS)
    results = make_results(places, **options)
    return analyze(thin_out(results) if thin else results, n_resamples=100, **own)


def many(n: int, seed: int = 0) -> tuple[float, ...]:
    """Places of n models around 0 and 1, about two in five at 1."""
    rng = np.random.default_rng(seed)
    return tuple((rng.random(n) < 0.4) + 0.04 * rng.normal(size=n))


def _dataset(
    name: str,
    role: str,
    pairs: np.ndarray,
    n_models: int,
    *,
    losses: np.ndarray,
    right: np.ndarray,
    labels: np.ndarray,
    names: tuple[str, ...],
    groups: dict[str, np.ndarray],
    rng: np.random.Generator,
) -> StoredDataset:
    """Losses and predictions along lines, the ends made one a model as in a real store."""
    hit = rng.random(right.shape) < right
    losses = losses.astype(np.float32)
    predictions = np.where(hit, labels, (labels + 1) % len(names)).astype(np.uint8)
    model_losses = np.empty((n_models, len(labels)), dtype=np.float32)
    model_predictions = np.empty((n_models, len(labels)), dtype=np.uint8)
    for pair in range(len(pairs) - 1, -1, -1):
        for model, point in zip(pairs[pair], (0, -1), strict=True):
            model_losses[model] = losses[pair, point]
            model_predictions[model] = predictions[pair, point]
    for pair, (first, second) in enumerate(pairs):
        losses[pair, 0], losses[pair, -1] = model_losses[first], model_losses[second]
        predictions[pair, 0] = model_predictions[first]
        predictions[pair, -1] = model_predictions[second]
    return StoredDataset(
        name=name,
        role=role,
        metric="accuracy",
        label_names=names,
        labels=labels,
        groups=groups,
        content_hash=f"{len(name):x}" * 64,
        losses=losses,
        predictions=predictions,
        model_losses=model_losses,
        model_predictions=model_predictions,
        screened=np.full(losses.shape[:2], np.nan),
        difference=np.full(losses.shape[:2], np.nan, dtype=np.float32),
        model_screened=np.full(n_models, np.nan),
        model_difference=np.full(n_models, np.nan, dtype=np.float32),
    )


def published(folder: Path, *, without: str = "") -> Results:
    """Mean losses that others published, of models 7 and 22 in one basin and three in another.

    ``without`` is a pair, as the file has it, that was never published.
    """
    rows = (PUBLISHED / "curves.csv").read_text().splitlines(keepends=True)
    kept = [row for row in rows if not (without and row.startswith(without))]
    (folder / "curves.csv").write_text("".join(kept))
    path = import_published(
        folder / "curves.csv",
        out=folder / "published.h5",
        scores=PUBLISHED / "scores.csv",
        dataset="dev",
        roles={"paws": "challenge", "mnli": "covariate"},
    )
    return read_store(path)
