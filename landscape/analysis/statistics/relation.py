"""What basins and centroid distance say about the scores of every group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from landscape.analysis.basins import Basins
from landscape.analysis.statistics.effects import compare, correlate
from landscape.analysis.statistics.permutation import VALUES_AT_ONCE
from landscape.analysis.statistics.scores import as_numbers
from landscape.analysis.statistics.significance import basin_p_values
from landscape.core.arrays import Array

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Relation:
    """What basins and centroid distance say about each column of scores.

    Attributes:
        table: A row a group (column of scores); see ``relate``.
        n_basins: How many basins.
        confidence: Nominal coverage of every interval, in (0, 1).
    """

    table: pd.DataFrame
    n_basins: int
    confidence: float


def relate(
    basins: Basins,
    scores: pd.DataFrame,
    *,
    n_resamples: int = 9999,
    confidence: float = 0.95,
    rng: np.random.Generator | int | None = None,
) -> Relation:
    """Relate basins and centroid distance to every column of scores.

    The table has a row a column of ``scores``; a model whose score is NaN is left out of that row.

    - ``group``; ``basin_<i>_mean``, ``_low``, ``_high`` for every basin i: percentile bootstrap
      over the basin's models, too narrow for a handful of them, NaN for one.
    - ``difference``, ``_low``, ``_high``: the largest basin's mean minus the second largest's,
      Welch's interval (it allows unequal spread and, unlike a bootstrap, few models). ``auc``:
      the chance that a model of the first scores higher than one of the second, ties half.
      ``hedges_g``: standardised difference with its exact small-sample factor (Hedges 1981); NaN
      without spread.
    - ``p_value``: permutation test over all basins, exact where ``n_resamples`` allow, of the
      between-basin sum of squares: it orders samples as the absolute difference does for two
      basins, and as F does for more. Basins of one model are left out of it. It is NaN where
      fewer than two remain, and where one of the two that are compared has one model or none.
      ``q_value``: Benjamini and Hochberg (1995) over the rows.
    - ``pearson``, ``spearman`` of centroid distance with score, ``_low``, ``_high``: Fisher's z,
      for Spearman with the variance of Bonett and Wright (2000). It stays within [-1, 1] and
      works from four models on, where a bootstrap often draws constant samples. Centroid distance
      grows towards basin 1, so these have the opposite sign of ``difference``.

    Args:
        basins: What ``find_basins`` found.
        scores: A row a model, a column a group.
        n_resamples: Of the bootstrap and of the permutation test.
        confidence: Nominal coverage of the intervals, in (0, 1).
        rng: A generator or a seed; seed 0 when absent.

    Raises:
        ConfigError: Scores that do not match or are no numbers.
    """
    import pandas as pd

    labels = basins.labels
    values = as_numbers(scores, len(labels), "the basins")
    generator = np.random.default_rng(0 if rng is None else rng)
    names, counts = np.unique(labels, return_counts=True)
    largest = [int(i) for i in np.argsort(-counts, kind="stable")[:2]]
    columns: dict[str, Array] = {}
    # columns that miss the same models share their resamples and permutations
    patterns, which = np.unique(np.isfinite(values), axis=1, return_inverse=True)
    for pattern, known in enumerate(patterns.T):
        here = np.flatnonzero(which == pattern)
        numbers_by_column = _relate_pattern(
            values[np.ix_(known, here)],
            labels[known],
            names,
            largest,
            basins.centroid_distance[known],
            n_resamples,
            confidence,
            generator,
        )
        for column, numbers in numbers_by_column.items():
            columns.setdefault(column, np.full(values.shape[1], np.nan))[here] = numbers
    table = pd.DataFrame({"group": [str(name) for name in scores.columns], **columns})
    q = control_false_discoveries(table["p_value"].to_numpy())
    table.insert(int(np.flatnonzero(table.columns == "p_value")[0]) + 1, "q_value", q)
    return Relation(table, len(names), float(confidence))


def control_false_discoveries(p_values: Array) -> Array:
    """q-values (n_groups,) of those that have a p-value; NaN for the others, which are no test."""
    tested = np.isfinite(p_values)
    q = np.full(len(p_values), np.nan)
    if tested.any():
        q[tested] = stats.false_discovery_control(p_values[tested])
    return q


def _relate_pattern(
    values: Array,
    labels: NDArray[Any],
    names: NDArray[Any],
    largest: list[int],
    distance: Array,
    n_resamples: int,
    confidence: float,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Every column of the table but the names and q, for scores (n_models, n_columns)."""
    missing = np.full(values.shape[1], np.nan)
    members = [values[labels == name] for name in names]
    numbers_by_column: dict[str, Array] = {}
    for name, rows in zip(names, members, strict=True):
        low: Any = missing
        high: Any = missing
        if len(rows) > 1:
            interval = stats.bootstrap(
                (rows,),
                np.mean,
                axis=0,
                vectorized=True,
                n_resamples=n_resamples,
                batch=max(1, VALUES_AT_ONCE // max(1, rows.size)),
                confidence_level=confidence,
                method="percentile",
                rng=rng,
            ).confidence_interval
            low, high = interval.low, interval.high
        mean = rows.mean(0) if len(rows) else missing
        numbers_by_column |= {
            f"basin_{name}_mean": mean,
            f"basin_{name}_low": low,
            f"basin_{name}_high": high,
        }
    sizes = [len(rows) for rows in members]
    pair = [members[i] for i in largest if sizes[i]]
    compared: tuple[Array, ...] = (missing,) * 5
    if len(pair) == 2:
        compared = compare(pair[0], pair[1], confidence)
    names_compared = ("difference", "difference_low", "difference_high", "auc", "hedges_g")
    numbers_by_column |= dict(zip(names_compared, compared, strict=True))
    numbers_by_column["p_value"] = missing
    # the p-value stands beside the difference, so both its basins must be in the test
    if len(largest) == 2 and min(sizes[i] for i in largest) > 1:
        in_test = np.isin(labels, names[np.array(sizes) > 1])
        numbers_by_column["p_value"] = basin_p_values(
            values[in_test], labels[in_test], n_resamples, rng
        )
    for name, rank in (("pearson", False), ("spearman", True)):
        numbers = correlate(distance, values, rank, confidence)
        numbers_by_column |= dict(zip((name, f"{name}_low", f"{name}_high"), numbers, strict=True))
    return numbers_by_column
