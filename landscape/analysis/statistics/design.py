"""Which columns of which sets of predictors a population has room for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from landscape.analysis.statistics.predictors import PredictorSet, columns, rank, share_out
from landscape.core.arrays import Array, Mask

BLOCKS = "blocks"  # the set of indicators of the blocks


@dataclass(frozen=True)
class Design:
    """Sets and models (n_models,) of some regressions, and to how many components sets are cut."""

    sets: Mapping[str, PredictorSet]
    models: Mask
    n_components: Mapping[str, int]

    def parts(self, training: Mask | None = None) -> dict[str, Array]:
        """(n, n_columns) of each set by name, as the training models (n,) decide; or all."""
        n = int(self.models.sum())
        training = np.ones(n, dtype=bool) if training is None else training
        return {
            name: columns(chosen, self.models, training, self.n_components.get(name))
            for name, chosen in self.sets.items()
        }


def side_by_side(parts: Mapping[str, Array], names: Sequence[str]) -> Array:
    """(n, n_columns) of these sets."""
    n = len(next(iter(parts.values())))
    return np.concatenate([np.empty((n, 0)), *(parts[name] for name in names)], axis=1)


def make_design(sets: Mapping[str, PredictorSet], models: Mask) -> tuple[Design, list[str]]:
    """The sets cut to a third of the models (n_models,) in all, blocks never, and that in words."""
    n = int(models.sum())
    if not n:
        return Design(sets, models, {}), []
    ranks = {name: rank(chosen, models) for name, chosen in sets.items() if name != BLOCKS}
    counts = dict(zip(ranks, share_out([*ranks.values()], n // 3), strict=True))
    notes = []
    if n < len(models):
        word = "model" if n == len(models) - 1 else "models"
        notes.append(f"{len(models) - n} {word} without a score or a predictor left out")
    for name in ranks:
        n_columns = sets[name].values.shape[1]
        if not ranks[name]:
            notes.append(f"{name}: constant")
        elif counts[name] < ranks[name]:
            notes.append(f"{name}: {counts[name]} of {ranks[name]} principal components")
        elif ranks[name] < n_columns:
            notes.append(f"{name}: {ranks[name]} of {n_columns} columns, which make up the others")
    cut = {name: counts[name] for name in ranks if counts[name] < ranks[name]}
    return Design(sets, models, cut), notes
