"""What a finite sample of examples does to gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import squareform

from landscape.analysis.basins.checks import check_square
from landscape.core.arrays import Array
from landscape.core.errors import ConfigError

_DRAWS = 400
_LEVEL = 0.95


@dataclass(frozen=True)
class Noise:
    """Gaps as another sample of examples might show them, nats.

    Attributes:
        draws: (n_draws, n_pairs) plausible gaps.
        null: (n_draws, n_pairs) gaps where there is none: noise alone.
        margin: (n_models, n_models) by which a gap must stand above a level to be above it beyond
            noise, for all pairs at once: 5% of the null's draws exceed it anywhere.
        error: Median standard error of a gap.
    """

    draws: Array
    null: Array
    margin: Array
    error: float


def make_noise(
    gaps: Array,
    errors: ArrayLike | None,
    draws: ArrayLike | None,
    null: ArrayLike | None,
    rng: np.random.Generator,
) -> Noise | None:
    """Noise from resampled gaps, or from standard errors as if these were normal."""
    n = len(gaps)
    matrix = None
    if errors is not None:
        matrix = np.where(np.eye(n, dtype=bool), 0.0, check_square(errors, "noise", (n, n)))
        if not (np.isfinite(matrix).all() and (matrix >= 0).all()):
            raise ConfigError("The noise must be finite standard errors, 0 or more.", where="noise")
    if (draws is None) != (null is None):
        raise ConfigError("Resampled gaps come with those of the null, or neither is given.")
    if draws is not None and null is not None:
        plausible, nothing = (np.asarray(values, dtype=np.float64) for values in (draws, null))
    elif matrix is not None:
        error_of_pair = squareform(matrix, checks=False)
        plausible, nothing = rng.normal(size=(2, _DRAWS, len(error_of_pair))) * error_of_pair
        plausible = np.maximum(squareform(gaps, checks=False) + plausible, 0)
        nothing = np.abs(nothing)
    else:
        return None
    scale = np.sqrt((nothing**2).mean(0))
    highest = (nothing / np.where(scale > 0, scale, np.inf)).max(1)
    margin = squareform(np.quantile(highest, _LEVEL) * scale, checks=False)
    error = squareform(matrix, checks=False) if matrix is not None else plausible.std(0, ddof=1)
    return Noise(plausible, nothing, margin, float(np.median(error)))
