"""Ninety-nine classifiers of three training sets: ``python experiments/strategies_99.py OUT``.

The demo's population of strategies with 33 classifiers for each training set instead of 5: about 5
minutes of training and 20 of measuring 4,851 pairs on one core. The store has 0.3 GB; its mean
losses and scores go into ``figures/strategies_99.h5``, which reads like any store.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from landscape.analysis.analysis import analyze
from landscape.records import Published, Results, read_store, write_published
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


def summarize(contents: Results, path: Path) -> None:
    """A store with means over the examples instead of examples."""
    analysis = analyze(contents, n_basins=1, n_resamples=100)
    sets = {
        name: Published(
            role=data.role,
            metric=data.metric,
            losses=analysis.curves[name].losses,
            accuracies=analysis.curves[name].accuracy,
            model_losses=data.model_losses.mean(1, dtype=np.float64),
        )
        for name, data in contents.datasets.items()
    }
    challenge = analysis.scores[list(analysis.challenge_columns)]
    in_domain = analysis.scores[list(analysis.in_domain_columns)]
    scores = pd.concat([in_domain, challenge], axis=1)
    roles = dict.fromkeys(in_domain.columns, "in_domain")
    path.unlink(missing_ok=True)
    write_published(
        path,
        models=contents.models,
        pairs=contents.pairs,
        positions=contents.positions,
        datasets=sets,
        scores=scores,
        roles={**roles, **dict.fromkeys(challenge.columns, "challenge")},
        attributes={
            key: str(contents.attributes[key])
            for key in ("created", "landscape-version", "torch-version", "precision")
        },
        config={"name": "strategies_99", "resolved_focus": contents.config["resolved_focus"]},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
