"""Rows of the pair table: each a pair of models, or a slot that is given to one later."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landscape.core.errors import StoreError

FREE = -1
"""Both entries of a row that no pair has been given yet."""


def assigned(models: np.ndarray) -> NDArray[np.bool_]:
    """(n_rows,) bool: the row holds a pair; half a row that a killed writer left is free."""
    return np.asarray((models >= 0).all(axis=1))


def check_pairs(pairs: ArrayLike, n_models: int) -> NDArray[np.int32]:
    """The rows as int32 (n_rows, 2), free slots among them.

    Raises:
        StoreError: Not two model indices a row, the first below the second, or a pair twice.
    """
    rows: NDArray[Any] = np.asarray(pairs)
    if rows.size == 0:
        return np.empty((0, 2), dtype=np.int32)
    if rows.ndim != 2 or rows.shape[1] != 2 or not np.issubdtype(rows.dtype, np.integer):
        raise StoreError(
            "The pairs are not pairs of model indices.",
            expected="integers (n_pairs, 2)",
            found=f"{rows.dtype} {rows.shape}",
        )
    free = (rows == FREE).all(axis=1)
    good = (rows[:, 0] >= 0) & (rows[:, 0] < rows[:, 1]) & (rows[:, 1] < n_models)
    if not (good | free).all():
        row = int(np.flatnonzero(~(good | free))[0])
        raise StoreError(
            "A pair does not name two models in ascending order.",
            where=f"pairs[{row}]",
            expected=f"0 <= first < second < {n_models}, or ({FREE}, {FREE}) for a free slot",
            found=tuple(rows[row].tolist()),
        )
    held, counts = np.unique(rows[~free], axis=0, return_counts=True)
    if (counts > 1).any():
        raise StoreError(
            "A pair is in the table twice.", found=tuple(held[counts.argmax()].tolist())
        )
    return rows.astype(np.int32)


def capacity(n_rows: int, n_needed: int, n_models: int) -> int:
    """How many rows a table that is too small grows to: twice as many, not past all pairs."""
    return max(n_needed, min(2 * n_rows, n_models * (n_models - 1) // 2))
