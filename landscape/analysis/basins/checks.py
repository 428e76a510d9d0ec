"""What a gap matrix and its noise must be."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from landscape.core.arrays import Array, Mask
from landscape.core.errors import ConfigError


def check_gaps(gaps: ArrayLike) -> Array:
    """The gaps, symmetric to the last bit.

    Raises:
        ConfigError: They are no finite symmetric non-negative matrix of two models or more.
    """
    matrix = check_square(gaps, "gaps")
    n = len(matrix)
    if n < 2:
        raise ConfigError("A population needs at least two models.", found=n)
    off_diagonal = ~np.eye(n, dtype=bool)
    missing = int(np.isnan(matrix)[np.triu_indices(n, 1)].sum())
    missing = max(missing, int(np.isnan(matrix)[np.tril_indices(n, -1)].sum()))
    if missing:
        raise ConfigError(
            f"{missing} of {n * (n - 1) // 2} pairs of models have no gap.",
            expected="a gap for every pair",
            found=f"{missing} NaN",
            fix="Measure the missing pairs, or leave their models out.",
        )
    matrix = np.where(off_diagonal, matrix, np.nan_to_num(matrix))
    if not np.isfinite(matrix).all():
        raise ConfigError("The gaps must be finite.", where="gaps")
    if (lowest := matrix.min()) < 0:
        raise ConfigError(
            "A gap is negative.",
            where=_place(matrix == lowest),
            expected="nats, 0 or more",
            found=f"{lowest:.4g}",
            fix="Use a rule that measures a rise, such as convexity_gap.",
        )
    if matrix.diagonal().any():
        raise ConfigError(
            "A model's gap to itself is not 0.",
            where=_place(np.diag(matrix.diagonal() != 0)),
            found=f"{matrix.diagonal().max():.4g}",
        )
    return matrix


def check_noise(noise: ArrayLike | None, n: int) -> Array | None:
    """Standard errors of n models' gaps.

    Raises:
        ConfigError: They are no finite symmetric non-negative (n, n) matrix.
    """
    if noise is None:
        return None
    errors = check_square(noise, "noise")
    if len(errors) != n:
        raise ConfigError(
            "The noise does not match the gaps.",
            expected=f"shape ({n}, {n})",
            found=f"shape {errors.shape}",
        )
    errors = np.where(np.eye(n, dtype=bool), 0.0, errors)
    if not (np.isfinite(errors).all() and (errors >= 0).all()):
        raise ConfigError("The noise must be finite standard errors, 0 or more.", where="noise")
    return errors


def check_square(values: ArrayLike, name: str, shape: tuple[int, ...] | None = None) -> Array:
    """A copy of a symmetric matrix, exactly symmetric.

    Args:
        values: (n, n), equal to their transpose up to rounding; NaN must match NaN.
        name: What they are, in the plural.
        shape: What it has to be; any n by default.

    Raises:
        ConfigError: Of another shape, or not symmetric.
    """
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


def _place(mask: Mask) -> str:
    i, j = np.argwhere(mask)[0]
    return f"models {i} and {j}"
