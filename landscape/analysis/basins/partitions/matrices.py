"""Distances between models by what they predict, and the agreement of such matrices."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata, spearmanr

from landscape.analysis.basins.checks import check_square
from landscape.analysis.basins.partitions.compare import VALUES_AT_ONCE, permute
from landscape.core.arrays import Array, Indices

if TYPE_CHECKING:
    import pandas as pd


def matrix_agreement(
    matrices: Mapping[str, ArrayLike],
    *,
    n_resamples: int = 9999,
    rng: np.random.Generator | int | None = None,
) -> pd.DataFrame:
    """Spearman correlation between the off-diagonals of any two distance matrices, NaN allowed.

    Returns:
        A row a pair of matrices: ``first``, ``second``, ``n_pairs`` measured in both, ``spearman``
        over these (NaN where a matrix is constant), and ``p_value`` of Mantel's test (1967): rows
        and columns of one matrix permuted together, two-sided (twice the smaller side), exact
        where the permutations are not more than ``n_resamples``; NaN where a pair is missing.

    Raises:
        ConfigError: Matrices that are not symmetric or not of one shape.
    """
    import pandas as pd

    generator = np.random.default_rng(0 if rng is None else rng)
    checked: dict[str, Array] = {}
    for name, values in matrices.items():
        shape = next(iter(checked.values())).shape if checked else None
        checked[name] = check_square(values, f"distances by {name}", shape)
    rows: list[list[Any]] = []
    for (first, a), (second, b) in combinations(checked.items(), 2):
        i, j = np.triu_indices(len(a), 1)
        x, y = a[i, j], b[i, j]
        both = ~(np.isnan(x) | np.isnan(y))
        rho = p_value = np.nan
        if both.sum() > 1 and np.ptp(x[both]) > 0 and np.ptp(y[both]) > 0:
            rho = float(spearmanr(x[both], y[both]).statistic)
            if both.all():
                p_value = _mantel(x, y, i, j, n_resamples, generator)
        rows.append([first, second, int(both.sum()), rho, p_value])
    return pd.DataFrame(rows, columns=["first", "second", "n_pairs", "spearman", "p_value"])


def disagreement(values: NDArray[Any]) -> Array:
    """(n, n) share of columns in which two rows of values (n, n_columns) differ."""
    n, n_columns = values.shape
    agree = np.zeros((n, n))
    chunk = max(1, VALUES_AT_ONCE // n)
    for start in range(0, n_columns, chunk):
        block = values[:, start : start + chunk]
        for value in np.unique(block):
            here = (block == value).astype(np.float64)
            agree += here @ here.T
    return np.asarray(1 - agree / n_columns)


def _mantel(
    x: Array, y: Array, i: Indices, j: Indices, n_resamples: int, rng: np.random.Generator
) -> float:
    """Permuting models permutes the ranks of the pairs; their mean and spread stay."""
    n = int(j.max()) + 1
    ranks = np.zeros((n, n))
    ranks[i, j] = ranks[j, i] = rankdata(x)
    other = rankdata(y)

    def product(order: Any, axis: int) -> Any:
        return ranks[order[..., i], order[..., j]] @ other

    return permute(product, n, len(i), "two-sided", n_resamples, rng)
