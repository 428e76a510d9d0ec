"""Ninety-nine classifiers of three training sets: ``python experiments/strategies_99.py OUT``.

The demo's population of strategies with 33 classifiers for each training set instead of 5: about 5
minutes of training and 20 of measuring 4,851 pairs on one core. The store has 0.3 GB; its mean
losses and scores go into ``figures/strategies_99.h5``, which reads like any store.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from landscape.analysis.analysis import Curves, analyze
from landscape.records import Results, StoredDataset, read_store, write_store
from landscape.run.demo import make_demo
from landscape.run.inputs import open_experiment
from landscape.run.pipeline import measure

FIGURES = Path(__file__).parent.parent / "figures"


def main(out: Path) -> None:
    """Train, measure, summarize."""
    config = make_demo(out, print, per_rule=33, controls=1)[0]
    experiment = open_experiment(config)
    measure(experiment, print)
    summarize(read_store(experiment.store), FIGURES / "strategies_99.h5")


def summarize(results: Results, path: Path) -> None:
    """A store with means over the examples instead of examples."""
    analysis = analyze(results, n_basins=1, n_resamples=100)
    in_domain, challenge = analysis.in_domain_columns, analysis.challenge_columns
    means = replace(
        results,
        attributes={
            key: str(results.attributes[key])
            for key in ("created", "landscape-version", "torch-version", "precision")
        },
        config={"name": "strategies_99", "resolved_focus": results.config["resolved_focus"]},
        datasets={
            name: _means(data, analysis.curves[name]) for name, data in results.datasets.items()
        },
        distances=np.full_like(results.distances, np.nan),
        given_scores=analysis.scores[[*in_domain, *challenge]],
        score_roles={
            **dict.fromkeys(in_domain, "in_domain"),
            **dict.fromkeys(challenge, "challenge"),
        },
        plans=[],
    )
    write_store(means, path)


def _means(data: StoredDataset, curves: Curves) -> StoredDataset:
    n_models, n_pairs = len(data.model_losses), len(data.losses)
    return replace(
        data,
        aggregated=True,
        label_names=(),
        labels=np.zeros(1, dtype=np.uint8),
        groups={},
        texts={},
        content_hash="",
        losses=curves.losses[..., None].astype(np.float32),
        predictions=np.full((n_pairs, curves.losses.shape[1], 1), 255, dtype=np.uint8),
        model_losses=data.model_losses.mean(1, keepdims=True, dtype=np.float64).astype(np.float32),
        model_predictions=np.full((n_models, 1), 255, dtype=np.uint8),
        accuracies=curves.accuracy.astype(np.float32),
        model_accuracies=(data.model_predictions == data.labels).mean(1).astype(np.float32),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
