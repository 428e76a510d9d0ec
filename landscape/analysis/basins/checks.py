"""What a gap matrix and its noise must be."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from landscape.core.arrays import Array
from landscape.core.errors import ConfigError


def check_gaps(gaps: ArrayLike, *, complete: bool = True) -> Array:
    """The gaps (n_models, n_models) in nats, symmetric to the last bit."""
    matrix = check_square(gaps, "gaps")
    n = len(matrix)
    np.fill_diagonal(matrix, np.nan_to_num(matrix.diagonal()))
    if complete and n < 2:
        raise ConfigError("A population needs at least two models.", found=n)
    missing = int(np.isnan(matrix).sum()) // 2
    if complete and missing:
        raise ConfigError(
            f"{missing} of {n * (n - 1) // 2} pairs of models have no gap.",
            expected="a gap for every pair",
            found=f"{missing} NaN",
            fix="Measure the missing pairs, or leave their models out.",
        )
    bad = np.isinf(matrix) | (matrix < 0) | (np.eye(n, dtype=bool) & (matrix != 0))
    if bad.any():
        i, j = np.argwhere(bad)[0]
        raise ConfigError(
            "The gaps are no barriers.",
            where=f"models {i} and {j}",
            expected="nats, finite and 0 or more, 0 on the diagonal",
            found=f"{matrix[i, j]:.4g}",
            fix="Use a rule that measures a rise, such as convexity_gap.",
        )
    return matrix


def check_square(values: ArrayLike, name: str, shape: tuple[int, ...] | None = None) -> Array:
    """A copy of a symmetric matrix, exactly symmetric."""
    matrix = np.array(values, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape != (shape or matrix.shape[:1] * 2):
        raise ConfigError(
            f"The {name} must be a square matrix.",
            expected=f"shape {shape}" if shape else "(n_models, n_models)",
            found=f"shape {matrix.shape}",
        )
    asymmetric = ~np.isclose(matrix, matrix.T, rtol=1e-6, atol=1e-9, equal_nan=True)
    if asymmetric.any():
        i, j = np.argwhere(asymmetric)[0]
        raise ConfigError(
            f"The {name} must be symmetric.",
            where=f"models {i} and {j}",
            found=f"{matrix[i, j]:.6g} and {matrix[j, i]:.6g}",
        )
    return (matrix + matrix.T) / 2
