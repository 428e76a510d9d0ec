"""Distances between models by what they predict, and the agreement of such matrices."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata, spearmanr

from landscape.analysis.basins.partitions.permute import check_resamples, permute
from landscape.core.arrays import Array, Indices
from landscape.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd


_VALUES_AT_ONCE = 1 << 21  # predictions held at a time: 16 MB


def matrix_agreement(
    matrices: Mapping[str, ArrayLike],
    *,
    n_resamples: int = 9999,
    rng: np.random.Generator | int | None = None,
) -> pd.DataFrame:
    """Spearman correlation between the off-diagonals of any two distance matrices.

    Args:
        matrices: From a name to (n_models, n_models) symmetric distances, in any unit; NaN where
            not measured.
        n_resamples: Of the permutation tests.
        rng: A generator or a seed; seed 0 when absent.

    Returns:
        A row a pair of matrices: ``first``, ``second``, ``n_pairs`` measured in both, ``spearman``
        over these (NaN where a matrix is constant), ``low`` and ``high`` NaN (pairs share models,
        so that no interval of independent pairs holds), and ``p_value`` of Mantel's test (1967):
        rows and columns of one matrix permuted together, two-sided (twice the smaller side), exact
        where the permutations are not more than ``n_resamples``; NaN where a pair is missing.

    Raises:
        ConfigError: Matrices that are not symmetric or not of one shape, or no resamples.
    """
    import pandas as pd

    check_resamples(n_resamples)
    generator = np.random.default_rng(0 if rng is None else rng)
    checked = _check_matrices(matrices)
    columns = ["first", "second", "n_pairs", "spearman", "low", "high", "p_value"]
    rows: list[list[Any]] = []
    for (one, a), (other, b) in combinations(checked.items(), 2):
        i, j = np.triu_indices(len(a), 1)
        x, y = a[i, j], b[i, j]
        known = ~(np.isnan(x) | np.isnan(y))
        rho = p_value = np.nan
        if known.sum() > 1 and np.ptp(x[known]) > 0 and np.ptp(y[known]) > 0:
            rho = float(spearmanr(x[known], y[known]).statistic)
            if known.all():
                p_value = _mantel(x, y, i, j, n_resamples, generator)
        rows.append([one, other, int(known.sum()), rho, np.nan, np.nan, p_value])
    return pd.DataFrame(rows, columns=columns)


def functional_distances(predictions: ArrayLike, labels: ArrayLike) -> dict[str, Array]:
    """How differently models behave on the same examples.

    Args:
        predictions: (n_models, n_examples) classes.
        labels: (n_examples,) classes.

    Returns:
        Shares of examples, (n_models, n_models) in [0, 1]: ``disagreement``, on which two models
        predict differently, and ``error disagreement``, on which one is right and one is wrong.

    Raises:
        DataError: Shapes that do not match, or no examples.
    """
    guesses, truth = np.asarray(predictions), np.asarray(labels)
    if truth.ndim != 1 or guesses.ndim != 2 or guesses.shape[1] != len(truth) or not len(truth):
        raise DataError(
            "Predictions and labels do not match.",
            expected="(n_models, n_examples) and (n_examples,), n_examples > 0",
            found=f"{guesses.shape} and {truth.shape}",
        )
    return {
        "disagreement": disagreement(guesses),
        "error disagreement": disagreement(guesses == truth),
    }


def disagreement(values: NDArray[Any]) -> Array:
    """(n, n) share of columns in which two rows of values (n, n_columns) differ."""
    n, n_columns = values.shape
    agree = np.zeros((n, n))
    chunk = max(1, _VALUES_AT_ONCE // n)
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


def _check_matrices(matrices: Mapping[str, ArrayLike]) -> dict[str, Array]:
    checked = {name: np.asarray(values, dtype=np.float64) for name, values in matrices.items()}
    for name, matrix in checked.items():
        n = next(iter(checked.values())).shape[0] if matrix.ndim else 0
        if matrix.shape != (n, n):
            raise ConfigError(
                "The matrices do not match.",
                where=name,
                expected=f"({n}, {n}), as the first one's models",
                found=f"shape {matrix.shape}",
            )
        if not np.allclose(matrix, matrix.T, rtol=1e-6, atol=1e-9, equal_nan=True):
            raise ConfigError("A matrix of distances must be symmetric.", where=name)
    return checked
