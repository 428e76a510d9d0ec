"""How unevenly contributions are spread over examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landscape.core.arrays import Array

SLACK = 1e-12
"""Of the largest number: what is less is rounding."""


@dataclass(frozen=True)
class Concentration:
    """How unevenly the positive contributions are spread over examples.

    NaN where no contribution is positive, but for ``n_half`` and ``share_positive``.

    Attributes:
        top_1: Share of the summed positive contributions, in [0, 1], that the 1% of the examples
            with the largest ones hold (rounded up to whole examples).
        top_5: The same of 5%.
        top_10: The same of 10%.
        n_half: The fewest examples that hold half of them; 0 where none is positive.
        gini: Gini coefficient of the positive parts over all examples: 0 where all are equal,
            1 - 1 / n_examples where one holds everything.
        effective_number: Inverse Simpson index (sum p)^2 / sum p^2 of the positive parts: as many
            examples with equal contributions would be as concentrated (Hill 1973).
        share_positive: Of the examples, in [0, 1].
    """

    top_1: float
    top_5: float
    top_10: float
    n_half: int
    gini: float
    effective_number: float
    share_positive: float


def concentration(array: Array) -> Concentration:
    """How concentrated contributions (n_examples,) in any unit are."""
    n = len(array)
    positive = np.sort(np.maximum(array, 0))[::-1]
    share_positive = float((array > 0).mean())
    if not positive[0]:
        nan = float("nan")
        return Concentration(nan, nan, nan, 0, nan, nan, share_positive)
    share = positive / positive[0]  # so that squares neither vanish nor overflow
    share /= share.sum()
    cumulative = np.cumsum(share)
    top_1, top_5, top_10 = (min(float(cumulative[percent(n, k) - 1]), 1.0) for k in (1, 5, 10))
    rank = np.arange(n, 0, -1)  # of the largest: n
    return Concentration(
        top_1=top_1,
        top_5=top_5,
        top_10=top_10,
        n_half=int(np.searchsorted(cumulative, 0.5 - SLACK)) + 1,
        gini=max(float(((2 * rank - n - 1) * share).sum() / n), 0.0),
        effective_number=float(1 / (share**2).sum()),
        share_positive=share_positive,
    )


def by_contribution(values: Array) -> NDArray[np.int64]:
    """Rows from the largest contribution on; of equal ones the first comes first."""
    return np.argsort(-values, kind="stable")


def percent(n: int, share: int) -> int:
    """So many percent of n, rounded up."""
    return -(-n * share // 100)
