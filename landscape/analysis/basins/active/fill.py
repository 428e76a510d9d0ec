"""Gaps that were not measured, filled by those that were."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from landscape.core.arrays import Array


def complete_gaps(gaps: ArrayLike, labels: ArrayLike) -> Array:
    """Gaps (n, n) with the unmeasured ones (NaN) filled by what their parts' measured pairs say.

    The lower of the mean gaps of either model to the other's part: one that joins two parts is
    near all models of both. Where neither is known, the mean gap between the parts, or between any.
    """
    matrix, parts = np.array(gaps, dtype=np.float64), np.asarray(labels)
    member = (parts[:, None] == np.arange(int(parts.max()) + 1)).astype(np.float64)
    known = ~np.isnan(matrix)
    np.fill_diagonal(known, False)
    values, counts = np.where(known, matrix, 0), known.astype(np.float64)
    across = known & (parts[:, None] != parts)
    overall = matrix[across].mean() if across.any() else 0.0
    between = _ratio(member.T @ values @ member, member.T @ counts @ member)
    between = np.where(np.isnan(between), overall, between)
    toward = _ratio(values @ member, counts @ member)[:, parts]
    guess = np.fmin(toward, toward.T)
    guess = np.where(np.isnan(guess), between[np.ix_(parts, parts)], guess)
    return np.where(np.isnan(matrix), guess, matrix)


def _ratio(total: Array, count: Array) -> Array:
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
