"""What indicators beside the loss gave: of the models, and along all pairs' paths."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from landscape.records import Results


@dataclass(frozen=True)
class IndicatorProfile:
    """One quantity, ``DATASET/NAME``, of an indicator, averaged over its dimensions.

    Of the models (n_models,), and along the pairs (n_pairs, n_points), whose ends are the models'.
    """

    indicator: str
    quantity: str
    unit: str
    models: np.ndarray = field(repr=False)
    pairs: np.ndarray = field(repr=False)

    @property
    def departures(self) -> np.ndarray:
        """(n_pairs,) the farthest from the line between the two ends' values, with its sign."""
        if not self.pairs.size:
            return np.full(len(self.pairs), np.nan)
        t = np.linspace(0, 1, self.pairs.shape[1])
        off = self.pairs - (self.pairs[:, :1] * (1 - t) + self.pairs[:, -1:] * t)
        size = np.where(np.isnan(off), -1.0, np.abs(off))
        return off[np.arange(len(off)), size.argmax(axis=1)]


def indicator_profiles(results: Results) -> list[IndicatorProfile]:
    """Every quantity of every indicator but the loss."""
    n_models, (n_pairs, n_points) = len(results.models), results.formats.shape
    profiles = []
    for name, measured in results.indicators.items():
        of_model = measured.path < n_models
        of_pair = ~of_model & (measured.path < n_models + n_pairs)
        for quantity, values in measured.arrays.items():
            means = values.reshape(len(values), -1).mean(axis=1, dtype=np.float64)
            models = np.full(n_models, np.nan)
            models[measured.path[of_model]] = means[of_model]
            pairs = np.full((n_pairs, n_points), np.nan)
            pairs[:, [0, -1]] = models[results.pairs]
            pairs[measured.path[of_pair] - n_models, measured.point[of_pair]] = means[of_pair]
            unit = measured.units.get(quantity, "")
            profiles.append(IndicatorProfile(name, quantity, unit, models, pairs))
    return profiles
