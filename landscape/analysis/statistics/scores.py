"""Scores of every model on a data set and its groups, and the kinds of pairs they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landscape.core.arrays import Array, Mask
from landscape.core.errors import ConfigError, DataError
from landscape.tasks.groups import group_rows

if TYPE_CHECKING:
    import pandas as pd


def score_groups(
    predictions: ArrayLike,
    labels: ArrayLike,
    groups: dict[str, NDArray[Any]],
    metric: Literal["accuracy", "matthews"],
    name: str,
) -> pd.DataFrame:
    """Score every model's predictions (n_models, n_examples) on a data set and each of its groups.

    Matthews correlation is Gorodkin's (2004) for more than two classes; NaN where the labels hold
    one class only, 0 where a model's predictions do.

    Returns:
        A row a model; the columns ``name`` and, for every value of every grouping but "",
        ``name: value``. A value that two groupings give to different examples is
        ``name: value (grouping)`` from the second on.

    Raises:
        DataError: Shapes that do not match, or no examples.
    """
    import pandas as pd

    guesses, truth = np.asarray(predictions), np.asarray(labels)
    if truth.ndim != 1 or guesses.ndim != 2 or guesses.shape[1] != len(truth) or not len(truth):
        raise DataError(
            "Predictions and labels do not match.",
            where=name,
            expected="(n_models, n_examples) and (n_examples,), n_examples > 0",
            found=f"{guesses.shape} and {truth.shape}",
        )
    rows = group_rows(groups, len(truth), name)
    score = METRICS[metric]
    return pd.DataFrame({column: score(guesses[:, r], truth[r]) for column, r in rows.items()})


def pair_kinds(scores: ArrayLike, pairs: ArrayLike) -> NDArray[np.str_]:
    """Name each pair by its members' place on a challenge set (Juneja et al., arXiv 2205.12411).

    Of the models' scores (n_models,) the highest third is generalising, the lowest is heuristic:
    rounded down, one model at least. Of equal scores the first counts as the lower; NaN is at
    neither end.

    Returns:
        (n_pairs,) ``generalising-generalising``, ``generalising-heuristic``,
        ``heuristic-heuristic``, or "" for a pair with a member from the middle.
    """
    values, members = np.asarray(scores, dtype=np.float64), np.asarray(pairs)
    if members.size == 0:
        return np.full(0, "")
    scored = np.flatnonzero(np.isfinite(values))
    order = scored[np.argsort(values[scored], kind="stable")]
    count = min(max(1, len(order) // 3), len(order) // 2)
    place = np.zeros(len(values), dtype=int)
    place[order[:count]] = -1
    place[order[len(order) - count :]] = 1
    first, second = place[members].T
    kinds = np.full(len(members), "", dtype="U25")
    kinds[(first == 1) & (second == 1)] = "generalising-generalising"
    kinds[first * second == -1] = "generalising-heuristic"
    kinds[(first == -1) & (second == -1)] = "heuristic-heuristic"
    return kinds


def _accuracy(predictions: NDArray[Any], labels: NDArray[Any]) -> Any:
    return (predictions == labels).mean(1)


def _matthews(predictions: NDArray[Any], labels: NDArray[Any]) -> Any:
    classes = np.union1d(labels, predictions)
    true = np.array([(labels == c).sum() for c in classes], dtype=np.float64)
    guessed = np.stack([(predictions == c).sum(1) for c in classes], 1).astype(np.float64)
    n, right = len(labels), (predictions == labels).sum(1)
    spread_true = n**2 - (true**2).sum()
    if spread_true == 0:
        return np.full(len(predictions), np.nan)
    spread = np.sqrt(spread_true * (n**2 - (guessed**2).sum(1)))
    return (right * n - guessed @ true) / np.where(spread > 0, spread, np.inf)


METRICS = {"accuracy": _accuracy, "matthews": _matthews}
"""From predictions (n_models, n_examples) and labels (n_examples,) to scores (n_models,)."""


def nested_in(rows: Mapping[str, Mask]) -> dict[str, str]:
    """Of each column whose examples lie within another's, the smallest such column.

    ``rows`` are by column (n_examples,), as ``group_rows`` gives them.
    """
    names, masks = list(rows), np.array([*rows.values()], dtype=np.float64)
    sizes, shared = masks.sum(1), masks @ masks.T
    within = (shared == sizes[:, None]) & (sizes > sizes[:, None])
    nearest = np.where(within, sizes, np.inf).argmin(1)
    return {names[i]: names[nearest[i]] for i in np.flatnonzero(within.any(1))}


def as_numbers(scores: pd.DataFrame, n_models: int, what: str) -> Array:
    """Scores (n_models, n_columns), NaN where missing.

    Raises:
        ConfigError: Another number of models, no columns, or columns that are no numbers.
    """
    if len(scores) != n_models:
        raise ConfigError(
            f"The scores do not match {what}.",
            where="scores",
            expected=f"{n_models} rows, one a model",
            found=f"{len(scores)} rows",
        )
    if not len(scores.columns):
        raise ConfigError("There are no scores to relate.", where="scores", found="no columns")
    for column, kind in zip(scores.columns, scores.dtypes, strict=True):
        if kind.kind not in "iufb":
            raise ConfigError(f"The scores '{column}' are no numbers.", where="scores", found=kind)
    values = scores.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)
