"""Weighted clustering coefficients, beside a null of permuted gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from landscape.analysis.basins.checks import check_gaps
from landscape.analysis.basins.spectral import choose_delta
from landscape.core.arrays import Array, Indices
from landscape.core.errors import ConfigError


@dataclass(frozen=True)
class Clustering:
    """Weighted clustering coefficients, in [0, 1], of the affinity exp(-gap^2 / 2 delta^2).

    Each has a null beside it, (3,): mean, 2.5% and 97.5% quantile over populations whose measured
    gaps stand at permuted pairs. Affinities that differ much lie above it for any reason that gaps
    hang together: groups, and single models far from everyone as well.

    Attributes:
        onnela_mean: Mean over the models of the geometric mean of a triangle's affinities, of which
            the largest is 1 (Onnela et al. 2005, cond-mat/0408629).
        zhang_horvath_mean: Mean over the models of the mean affinity of two others, weighted by
            the product of theirs to the model (Zhang and Horvath 2005, doi
            10.2202/1544-6115.1128).
        transitivity: 3 closed / (3 closed + open triples) in [0, 1] (Newman 2003,
            cond-mat/0303516, eq. 3); NaN where no model joins two others.
    """

    onnela_mean: float
    zhang_horvath_mean: float
    transitivity: float
    onnela_null: Array
    zhang_horvath_null: Array
    transitivity_null: Array
    n_draws: int


def clustering(
    gaps: ArrayLike,
    *,
    delta: float | str = "median",
    tolerance: float = 0.02,
    n_draws: int = 200,
    rng: np.random.Generator | int | None = None,
) -> Clustering:
    """Clustering coefficients of the models, and the null to read them by.

    A triple with a gap that was not measured (NaN) counts nowhere: missing is not far. The scale
    is that of ``find_basins``.

    Raises:
        ConfigError: No such matrix, or no gap at all.
    """
    matrix = check_gaps(gaps, complete=False)
    first, second = np.triu_indices(len(matrix), 1)
    finite = ~np.isnan(matrix[first, second])
    first, second = first[finite], second[finite]
    values = matrix[first, second]
    if not len(values):
        raise ConfigError("Clustering needs measured gaps.", where="gaps", found="none")
    scale = choose_delta(values, delta)[0]
    affinities = np.exp(-0.5 * (values / scale) ** 2)
    joined = (values <= tolerance).astype(np.float64)

    def square(weights: Array) -> Array:
        full = np.zeros_like(matrix)
        full[first, second] = full[second, first] = weights
        return full

    measured = square(np.ones(len(values)))
    cubes = np.cbrt(affinities / affinities.max())

    def coefficients(order: Indices) -> tuple[float, float, float]:
        weights, links = square(affinities[order]), square(joined[order])
        onnela = ratio(around(square(cubes[order])), n_triples)
        zhang_horvath = ratio(around(weights), around(weights, measured))
        chains = around(links, measured).sum()
        return _mean(onnela), _mean(zhang_horvath), float(ratio(around(links).sum(), chains))

    n_triples = around(measured)
    generator = np.random.default_rng(0 if rng is None else rng)
    onnela, zhang_horvath, transitivity = coefficients(np.arange(len(values)))
    draws = np.array(
        [coefficients(generator.permutation(len(values))) for _ in range(n_draws)]
    ).reshape(n_draws, 3)
    return Clustering(
        onnela_mean=onnela,
        zhang_horvath_mean=zhang_horvath,
        transitivity=transitivity,
        onnela_null=_null(draws[:, 0]),
        zhang_horvath_null=_null(draws[:, 1]),
        transitivity_null=_null(draws[:, 2]),
        n_draws=n_draws,
    )


def _mean(values: Array) -> float:
    finite = values[~np.isnan(values)]
    return float(finite.mean()) if len(finite) else np.nan


def _null(draws: Array) -> Array:
    finite = draws[~np.isnan(draws)]
    if not len(finite):
        return np.full(3, np.nan)
    return np.array([finite.mean(), *np.quantile(finite, [0.025, 0.975])])


def around(outer: Array, opposite: Array | None = None) -> Array:
    """(n,) sums over j, k of outer_ij opposite_jk outer_ki, of symmetric matrices."""
    between = outer if opposite is None else opposite
    return ((outer @ between) * outer).sum(1)


def ratio(part: Any, whole: Any) -> Any:
    """The quotient, NaN where there is nothing to share."""
    return np.where(whole > 0, part, np.nan) / np.where(whole > 0, whole, 1)
