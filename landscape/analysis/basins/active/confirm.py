"""Whether groups found in the core hold for the models outside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from landscape.analysis.basins.active.assign import place
from landscape.analysis.basins.active.blocks import basin_means
from landscape.analysis.basins.active.core import Core, others
from landscape.analysis.basins.active.measured import MeasuredGaps
from landscape.core.arrays import Array, Labels

_HOLDS = 0.8  # chance groups reached .7 of the core's silhouette in simulations, true ones .93
_FEWEST = 5  # models outside the core, below which nothing can be said


@dataclass(frozen=True)
class Confirmation:
    """Mean silhouettes of the core's models, and of others by their gaps to it; NaN of few."""

    inside: float
    outside: float

    @property
    def refuted(self) -> bool:
        """Whether the others fit much worse, as they do when groups are an accident."""
        return bool(self.outside < _HOLDS * self.inside)


def confirm(measured: MeasuredGaps, core: Core) -> Confirmation:
    """Mean silhouettes (Rousseeuw 1987) inside and outside the core, a model alone scoring 0."""
    gaps = measured.gaps[np.ix_(core.models, core.models)].copy()
    np.fill_diagonal(gaps, np.nan)
    inside = silhouettes(gaps, core.labels, core.labels)
    models = others(measured, core)
    rows = measured.gaps[np.ix_(models, core.models)]
    outside = silhouettes(rows, core.labels, place(measured, core, models)[0])
    placed = outside[~np.isnan(outside)]
    return Confirmation(
        float(np.nan_to_num(inside).mean()),
        float(placed.mean()) if len(placed) >= _FEWEST else float("nan"),
    )


def silhouettes(gaps: Array, labels: Labels, groups: Labels) -> Array:
    """(n,) silhouettes of models of basins ``groups`` (n,) by gaps (n, m); NaN if unmeasured."""
    means = basin_means(gaps, labels, int(labels.max()) + 1)
    at = np.arange(len(gaps)), groups
    within = means[at]
    means[at] = np.nan
    nearest = np.where(np.isnan(means), np.inf, means).min(1)
    larger = np.maximum(within, nearest)
    usable = np.isfinite(larger)
    score = np.where(usable, nearest - np.where(usable, within, 0), np.nan)
    score[usable] /= np.where(larger[usable] > 0, larger[usable], 1)
    return np.asarray(score)
