"""How sure each model's basin is, and which models lie between two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from landscape.analysis.basins.noise import Noise
from landscape.analysis.basins.null import squares
from landscape.analysis.basins.states import PairStates
from landscape.core.arrays import Array, Labels, Mask

_SURE = 0.95


@dataclass(frozen=True)
class Membership:
    """Models and basins under resampled examples.

    Attributes:
        probability: (n_models, n_basins) share of the resamples in which a model's mean gap to the
            other models of this basin is the smallest.
        second: (n_models,) the basin that is nearest but one, -1 for a single basin.
        distance: (n_models, n_basins) nats, a model's mean gap to the other models of each basin;
            NaN of a model to its own basin where it is alone there.
        between: (n_models,) bool: without a barrier to most models of another basin, or nearest
            to its own in fewer than 95% of the resamples.
    """

    probability: Array
    second: Labels
    distance: Array
    between: Mask


def find_membership(
    gaps: Array, labels: Labels, noise: Noise | None, states: PairStates
) -> Membership:
    """Membership of labels (n_models,) on gaps (n_models, n_models) in nats."""
    n, k = len(labels), int(labels.max()) + 1
    distance = _distances(gaps[None], labels, k)[0]
    alone = np.isnan(distance)
    if k == 1:
        nothing = np.full(n, -1, dtype=np.intp)
        return Membership(np.ones((n, 1)), nothing, distance, np.zeros(n, dtype=bool))
    draws = gaps[None] if noise is None else squares(noise.draws, n)
    away = _distances(draws, labels, k)
    # a model alone in its basin stays there unless it is within the tolerance of another
    away = np.where(np.isnan(away), states.tolerance, away)
    nearest = away.argmin(-1)
    probability = (nearest[..., None] == np.arange(k)).mean(0)
    others = np.where((labels[:, None] == np.arange(k)) | alone, np.inf, distance)
    second = others.argmin(1).astype(np.intp)
    parted = [states.apart[model, labels == basin].mean() for model, basin in enumerate(second)]
    joined = np.array(parted) < 0.5
    # alone, its gap to everyone is what made it a basin
    joined &= np.bincount(labels, minlength=k)[labels] > 1
    certainty = probability[np.arange(n), labels]
    return Membership(probability, second, distance, joined | (certainty < _SURE))


def _distances(gaps: Array, labels: Labels, k: int) -> Array:
    """Mean gaps (n_draws, n_models, k) to the other models of each group."""
    member = (labels[:, None] == np.arange(k)).astype(np.float64)
    counts = member.sum(0) - member
    return np.where(counts > 0, gaps @ member / np.maximum(counts, 1), np.nan)
