"""What was asked of an oracle, what it answered, and what the budget leaves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from landscape.analysis.barriers import bootstrap_gaps
from landscape.core.arrays import Array, Indices, Mask
from landscape.core.errors import DataError

Answer = ArrayLike | tuple[ArrayLike, ArrayLike]
Measure = Callable[[Indices], Answer]

_RESAMPLES = 200


class MeasuredGaps:
    """Measured gaps, and the only way to measure more: no pair twice, none beyond the budget.

    Attributes:
        gaps: (n_models, n_models) nats, zero on the diagonal, NaN where never measured.
        errors: (n_models, n_models) standard errors alike; all 0 of an oracle that gives none.
        left: Pairs that the budget still allows.
    """

    def __init__(self, n_models: int, measure: Measure, budget: int) -> None:
        self.gaps = np.full((n_models, n_models), np.nan)
        self.errors = np.full((n_models, n_models), np.nan)
        for matrix in (self.gaps, self.errors):
            np.fill_diagonal(matrix, 0.0)
        self.left = budget
        self._measure = measure

    @property
    def mask(self) -> Mask:
        """(n_models, n_models) bool, False on the diagonal."""
        present = ~np.isnan(self.gaps)
        np.fill_diagonal(present, False)
        return present

    def price(self, models: ArrayLike) -> int:
        """How many of these models' pairs are not measured yet."""
        chosen = np.asarray(models, dtype=np.intp)
        return int(np.isnan(self.gaps[np.ix_(chosen, chosen)]).sum()) // 2

    def ask(self, pairs: ArrayLike) -> None:
        """Measure those of the pairs (m, 2) that are new, the first ones that can be paid for."""
        new = np.sort(np.asarray(pairs, dtype=np.intp).reshape(-1, 2), axis=1)
        new = new[np.isnan(self.gaps[new[:, 0], new[:, 1]])]
        _, first = np.unique(new, axis=0, return_index=True)
        new = new[np.sort(first)][: self.left]
        if not len(new):
            return
        gaps, errors = self._read(self._measure(new.copy()), new)
        for matrix, values in ((self.gaps, gaps), (self.errors, errors)):
            matrix[new[:, 0], new[:, 1]] = values
            matrix[new[:, 1], new[:, 0]] = values
        self.left -= len(new)

    def ask_all(self, models: ArrayLike) -> None:
        """Measure every pair of these models."""
        chosen = np.asarray(models, dtype=np.intp)
        first, second = np.triu_indices(len(chosen), 1)
        self.ask(np.column_stack([chosen[first], chosen[second]]))

    def _read(self, answer: Answer, pairs: Indices) -> tuple[Array, Array]:
        """Gaps and standard errors, each (m,)."""
        with_errors = isinstance(answer, tuple) and len(answer) == 2
        parts = answer if isinstance(answer, tuple) and with_errors else (answer,)
        values = [np.asarray(part, dtype=np.float64) for part in parts]
        for array in values:
            if array.shape != (len(pairs),) or not (np.isfinite(array) & (array >= 0)).all():
                raise DataError(
                    "The oracle did not give one usable gap, or standard error, for each pair.",
                    expected=f"({len(pairs)},) nats, finite and 0 or more",
                    found=f"shape {array.shape}, lowest {array.min(initial=np.inf):.4g}",
                )
        return values[0], values[1] if with_errors else np.zeros(len(pairs))


def gaps_and_errors(
    losses: ArrayLike, rule: str, positions: ArrayLike, points: ArrayLike
) -> tuple[Array, Array]:
    """Gaps and their standard errors, the same in a run and in every analysis of its store."""
    intervals = bootstrap_gaps(
        losses, rule, positions, points=points, n_resamples=_RESAMPLES, method="percentile", rng=0
    )
    return np.maximum(intervals.estimate, 0), intervals.standard_error
