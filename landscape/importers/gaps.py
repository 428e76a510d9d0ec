"""Gaps between named models, without the curves that they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.core.errors import DataError
from landscape.importers.curves import TOLERANCE, Curves
from landscape.importers.names import MAX_MODELS, natural_key

if TYPE_CHECKING:
    import pandas as pd

GAP_COLUMNS = ("dataset", "model_a", "model_b", "gap", "source")
"""Of gaps, a row each: nats, NaN where unknown."""


def gather_gaps(table: pd.DataFrame) -> Curves:
    """Bring gaps to one order of models and one direction of pairs.

    Of two records of a pair the first is kept, and a difference of more than ``TOLERANCE`` noted.

    Args:
        table: ``GAP_COLUMNS``.

    Raises:
        DataError: No known gap, one below 0 or infinite, or a gap from a model to itself that is
            not 0.
    """
    alone = table["model_a"] == table["model_b"]
    wrong = table[
        (table["gap"] < 0) | np.isinf(table["gap"]) | (alone & (table["gap"] > TOLERANCE))
    ]
    if len(wrong):
        at = wrong.iloc[0]
        raise DataError(
            f"The gap of {at['model_a']} and {at['model_b']} is no gap.",
            where=at["source"],
            expected="convexity gaps: nats, 0 or more, and 0 from a model to itself",
            found=at["gap"],
        )
    table = table[~alone & table["gap"].notna()]
    models = tuple(sorted({*table["model_a"], *table["model_b"]}, key=natural_key))
    if not 0 < len(models) <= MAX_MODELS:
        raise DataError(
            "There are too many models." if models else "There is no known gap between two models.",
            expected=f"up to {MAX_MODELS} models",
            found=len(models),
        )
    number = {name: k for k, name in enumerate(models)}
    ends = np.stack([table[side].map(number).to_numpy() for side in ("model_a", "model_b")])
    by_pair = table["gap"].groupby([ends.min(axis=0), ends.max(axis=0)])
    first, spread = by_pair.first(), by_pair.max() - by_pair.min()
    pairs = np.array(first.index.to_list(), dtype=np.intp)
    matrix = np.full((len(models), len(models)), np.nan)
    np.fill_diagonal(matrix, 0)
    matrix[pairs[:, 0], pairs[:, 1]] = matrix[pairs[:, 1], pairs[:, 0]] = first
    notes = [
        f"{models[a]} - {models[b]}: two gaps that differ by {largest:.4g} nats; the first is kept"
        for (a, b), largest in zip(pairs, spread, strict=True)
        if largest > TOLERANCE
    ]
    return Curves(
        models=models,
        pairs=pairs,
        positions=np.array([0.0, 1.0]),
        losses=np.full((len(pairs), 2), np.nan),
        accuracies=np.full((len(pairs), 2), np.nan),
        metric="accuracy",
        model_losses=np.full(len(models), np.nan),
        notes=tuple(notes),
        gaps=matrix,
    )
