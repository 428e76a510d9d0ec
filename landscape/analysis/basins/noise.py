"""What a finite sample of examples does to gaps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import squareform
from scipy.stats import norm

from landscape.analysis.basins.checks import check_square
from landscape.core.arrays import Array, Labels
from landscape.core.errors import ConfigError

_DRAWS = 400
_LEVEL = 0.95
_LEAST = 0.1  # of the median noise: what has less does not decide for all pairs together


@dataclass(frozen=True)
class Noise:
    """Gaps as another sample of examples might show them.

    Attributes:
        draws: (n_draws, n_pairs) nats, plausible gaps.
        null: (n_draws, n_pairs) nats, gaps where there is none: noise alone.
        errors: (n_pairs,) nats, standard errors of the gaps.
        corrected: (n_pairs,) nats, the gaps less what noise is thought to raise them by.
        resampled: Whether the draws are resamples of examples, which know how pairs go together;
            else they are normal and independent.
    """

    draws: Array
    null: Array
    errors: Array
    corrected: Array
    resampled: bool

    @cached_property
    def scale(self) -> Array:
        """(n_pairs,) nats, the size of what noise alone gives."""
        return np.asarray(np.sqrt((self.null**2).mean(0)))

    @cached_property
    def error(self) -> float:
        """Median standard error of a gap, nats."""
        return float(np.median(self.errors))

    def margin_of_mean(self, rows: Labels, columns: Labels) -> float:
        """Nats that the mean gap between two sets of models exceeds by noise alone in 5%."""
        number = _numbers(len(self.errors))[np.ix_(rows, columns)].ravel()
        if not self.resampled:  # as if all errors were one
            return float(norm.ppf(_LEVEL) * self.errors[number].mean())
        return float(np.quantile(self.null[:, number].mean(1), _LEVEL))


@lru_cache(maxsize=4)
def _numbers(n_pairs: int) -> Labels:
    """(n_models, n_models) where each pair stands in a condensed matrix."""
    return np.asarray(squareform(np.arange(n_pairs)), dtype=np.intp)


def make_noise(
    gaps: Array,
    noise: ArrayLike | None,
    draws: ArrayLike | None,
    null: ArrayLike | None,
    corrected: ArrayLike | None,
    rng: np.random.Generator,
) -> Noise | None:
    """Noise from resampled gaps, or from standard errors as if these were normal."""
    n = len(gaps)
    matrix = None
    if noise is not None:
        matrix = np.where(np.eye(n, dtype=bool), 0.0, check_square(noise, "noise", (n, n)))
        if not (np.isfinite(matrix).all() and (matrix >= 0).all()):
            raise ConfigError("The noise must be finite standard errors, 0 or more.", where="noise")
    if (draws is None) != (null is None):
        raise ConfigError("Resampled gaps come with those of the null, or neither is given.")
    flat = squareform(gaps, checks=False)
    center = flat if corrected is None else squareform(np.asarray(corrected), checks=False)
    if draws is not None and null is not None:
        plausible, nothing = (np.asarray(values, dtype=np.float64) for values in (draws, null))
        for values in (plausible, nothing):
            usable = values.ndim == 2 and values.shape[1] == len(flat) and len(values) > 1
            if not usable or not np.isfinite(values).all():
                raise ConfigError(
                    "Resampled gaps must be finite, a row a resample and a column a pair.",
                    where="draws, null",
                    expected=f"(2 or more, {len(flat)})",
                    found=f"shape {values.shape}, finite: {bool(np.isfinite(values).all())}",
                )
        spread = plausible.std(0, ddof=1) if matrix is None else squareform(matrix, checks=False)
        return Noise(plausible, nothing, spread, center, True)
    if matrix is None:
        return None
    spread = squareform(matrix, checks=False)
    plausible, nothing = rng.normal(size=(2, _DRAWS, len(spread))) * spread
    return Noise(np.maximum(flat + plausible, 0), np.abs(nothing), spread, center, False)
