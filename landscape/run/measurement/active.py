"""Measure the pairs that decide something, round by round."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from landscape.analysis.basins.active import find_basins_actively, gaps_and_errors
from landscape.paths import Line

if TYPE_CHECKING:
    from landscape.records.store import StoreWriter
    from landscape.run.inputs import Experiment


def measure_actively(
    experiment: Experiment,
    writer: StoreWriter,
    measure: Callable[[np.ndarray], None],
    report: Callable[[str], None],
) -> None:
    """Measure pairs until the basins are decided or the budget is spent.

    What the store holds already is read, not measured: the questions depend on the answers and a
    seed alone, so that a run that was stopped asks the same ones again and goes on.

    Args:
        experiment: Its rule and data set make the gaps.
        writer: Of a store with room for pairs.
        measure: Takes rows of the store's table of pairs.
        report: Takes one line at a time.
    """
    config, dataset = experiment.config, experiment.gap_dataset
    n_models = len(writer.model_losses(dataset))
    positions = Line(config.path.points).positions

    def answer(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = writer.assign_pairs(pairs)
        left = np.intersect1d(rows, writer.pairs_to_measure())
        if len(left):
            measure(left)
        losses, exact = writer.pair_losses(dataset, rows)
        return gaps_and_errors(losses, config.analysis.rule, positions, exact)

    found = find_basins_actively(
        n_models, answer, budget=config.pairs_budget, rng=config.analysis.seed
    )
    report(found.reason)
