"""Gaps of mean losses alone: no resampling, no basins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from landscape.analysis.barriers import RULES
from landscape.core.arrays import Array
from landscape.core.errors import ConfigError

if TYPE_CHECKING:
    from landscape.records import Results


def gap_matrix(results: Results, curves: Array, rule: str) -> Array:
    """Gaps at each pair's exact points, (n_models, n_models) nats, NaN where not measured."""
    if results.given_gaps is not None:
        if rule != "convexity_gap":
            raise ConfigError(
                "Only gaps are known, not the losses that another rule needs.",
                where=results.path,
                expected="convexity_gap",
                found=rule,
            )
        return results.given_gaps
    gaps = np.empty(len(curves))
    for points in np.unique(results.exact, axis=0):
        alike = (results.exact == points).all(axis=1)
        gaps[alike] = RULES[rule](curves[alike][:, points], results.positions[points])
    return square(gaps, results.pairs, len(results.models))


def gap_dataset(results: Results) -> str:
    """The data set whose losses make the gaps: the experiment's, or the first in-domain one."""
    in_domain = [name for name, data in results.datasets.items() if data.role == "in_domain"]
    return str(results.config.get("analysis", {}).get("dataset") or in_domain[0])


def largest_gap(results: Results) -> tuple[int, int]:
    """The two models with the largest gap, by the rule and data set of the experiment."""
    options = results.config.get("analysis", {})
    data = results.datasets[gap_dataset(results)]
    curves = np.array([pair.mean(-1, dtype=np.float64) for pair in data.losses])
    gaps = gap_matrix(results, curves, options.get("rule") or "convexity_gap")
    if not np.isfinite(gaps[tuple(results.pairs.T)]).any():
        raise ConfigError("No pair has finite losses.", where=f"{data.name} in {results.path}")
    i, j = np.unravel_index(np.nanargmax(gaps), gaps.shape)
    return int(min(i, j)), int(max(i, j))


def square(values: Array, pairs: NDArray[np.integer], n: int) -> Array:
    """From one value a pair to a symmetric matrix (n, n), zero on the diagonal."""
    matrix = np.full((n, n), np.nan)
    np.fill_diagonal(matrix, 0)
    matrix[pairs[:, 0], pairs[:, 1]] = values
    matrix[pairs[:, 1], pairs[:, 0]] = values
    return matrix
