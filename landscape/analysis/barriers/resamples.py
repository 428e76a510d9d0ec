"""Resampled examples of some pairs, and the ends of intervals of their gaps by each method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from landscape.core.arrays import Array

Apply = Callable[[Array], Array]

# of the lower end and of curves without a gap: the larger, the more triples tie
FAR_STEP = 6.0
# of the bias: takes most of it away where there is no gap, and none too much where there is one
BIAS_STEP = 1.5
_LEAST_RATIO = 0.2  # a resample that is nearly one example has no error to divide by


@dataclass(frozen=True)
class Resamples:
    """Some pairs' losses (n_pairs, n_points, n_examples) in nats, and resamples of their examples.

    ``weights`` (n_resamples, n_examples) are each example's share; ``apply`` is a rule.
    """

    apply: Apply
    losses: Array
    weights: Array

    @cached_property
    def mean(self) -> Array:
        """(n_pairs, n_points) nats."""
        return self.losses.mean(-1)

    @cached_property
    def estimate(self) -> Array:
        """(n_pairs,) nats: the gap of the mean losses."""
        return self.apply(self.mean)

    @cached_property
    def _means(self) -> Array:
        n_pairs, n_points, n_examples = self.losses.shape
        flat = self.weights @ self.losses.reshape(-1, n_examples).T
        return flat.reshape(-1, n_pairs, n_points)

    @cached_property
    def gaps(self) -> Array:
        """(n_resamples, n_pairs) nats, of the resamples."""
        return self.apply(self._means)

    @cached_property
    def deviations(self) -> Array:
        """(n_resamples, n_pairs, n_points) nats, of the resamples' mean losses from the mean."""
        return self._means - self.mean

    @cached_property
    def left_out(self) -> Array:
        """(n_examples, n_pairs) nats, the gaps without one example each."""
        n = self.losses.shape[-1]
        one_less = (self.mean[..., None] * n - self.losses) / (n - 1)
        return self.apply(np.moveaxis(one_less, -1, 0))

    def errors(self, step: float) -> Array:
        """(n_resamples, n_pairs) nats: [rule(mean + step deviation) - rule(mean)] / step."""
        return (self.apply(self.mean + step * self.deviations) - self.estimate) / step

    @cached_property
    def error_ratios(self) -> Array:
        """(n_resamples, n_pairs): a resample's standard error over the sample's (jackknife)."""
        influence = self.left_out.mean(0) - self.left_out
        first, second = self.weights @ influence, self.weights @ influence**2
        of_sample = (influence**2).mean(0)
        variance = np.maximum(second - first**2, 0)
        ratio = np.sqrt(
            np.divide(variance, of_sample, out=np.ones_like(variance), where=of_sample > 0)
        )
        return np.maximum(ratio, _LEAST_RATIO)


def interval(resamples: Resamples, confidence: float, method: str) -> tuple[Array, Array]:
    """The lower and upper ends (n_pairs,) by a method of ``bootstrap_gaps``."""
    if method == "directional":
        return _directional(resamples, confidence)
    ordered = np.sort(resamples.gaps, axis=0)
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    low, high = _quantiles(ordered, np.broadcast_to(tails[:, None], (2, ordered.shape[1])))
    return low, high


def stretched(
    resamples: Resamples, corrected: Array, low: Array, high: Array, confidence: float
) -> Array:
    """The resamples' gaps (n_resamples, n_pairs), stretched until the ends are quantiles."""
    about = resamples.gaps - resamples.gaps.mean(0)
    ordered = np.sort(about, axis=0)
    below = -_quantile(ordered, (1 - confidence) / 2)
    above = _quantile(ordered, (1 + confidence) / 2)
    # an end on the far side of the estimate, as of a percentile interval, leaves them there
    down = np.divide(np.maximum(corrected - low, 0), below, out=np.ones_like(low), where=below > 0)
    up = np.divide(np.maximum(high - corrected, 0), above, out=np.ones_like(low), where=above > 0)
    return corrected + np.where(about < 0, down, up) * about


def _directional(resamples: Resamples, confidence: float) -> tuple[Array, Array]:
    """Ends that may lie below 0."""
    lower, upper = (1 - confidence) / 2, (1 + confidence) / 2
    ratios = resamples.error_ratios
    # a fall of a signed rule is a rise of the curve upside down
    sign = np.where(resamples.estimate < 0, -1.0, 1.0)
    gaps, estimate = sign * resamples.gaps, sign * resamples.estimate
    far = sign * resamples.errors(FAR_STEP)
    plain, studentized = (
        _quantile(np.sort(errors, axis=0), upper) for errors in (far, far / ratios)
    )
    low = estimate - (plain + studentized) / 2
    n = resamples.losses.shape[-1]
    wider = np.sqrt(n / (n - 1)) * student.ppf(upper, n - 1) / norm.ppf(upper)
    centered = (_quantile(np.sort(gaps, axis=0), upper) - gaps.mean(0)) * wider
    reflected = -_quantile(np.sort((gaps - estimate) / ratios, axis=0), lower)
    high = estimate + np.maximum(centered, reflected)
    return np.where(sign < 0, -high, low), np.where(sign < 0, -low, high)


def _quantile(ordered: Array, level: float) -> Any:
    """One of sorted draws (n, n_pairs), at rank level (n + 1): exact for exchangeable draws."""
    n = len(ordered)
    place = np.clip((level * (n + 1) - 1) / (n - 1), 0, 1)
    return _quantiles(ordered, np.full((1, ordered.shape[1]), place))[0]


def _quantiles(ordered: Array, levels: Array) -> Any:
    """Linear quantiles of sorted draws (n, n_pairs) at levels (m, n_pairs), one a pair."""
    place = levels * (len(ordered) - 1)
    lower = np.floor(place).astype(int)
    upper = np.minimum(lower + 1, len(ordered) - 1)
    first = np.take_along_axis(ordered, lower, axis=0)
    return first + (place - lower) * (np.take_along_axis(ordered, upper, axis=0) - first)
