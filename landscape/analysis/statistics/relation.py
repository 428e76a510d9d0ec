"""What basins and centroid distance say about the scores of every group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from landscape.analysis.basins import Basins
from landscape.analysis.statistics.effects import compare, correlate
from landscape.analysis.statistics.permutation import VALUES_AT_ONCE, block_codes
from landscape.analysis.statistics.scores import as_numbers
from landscape.analysis.statistics.significance import basin_p_values
from landscape.core.arrays import Array, Indices
from landscape.core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Relation:
    """A row a group (column of scores), see ``relate``; what its parts are, and how many."""

    table: pd.DataFrame
    noun: str
    n_basins: int
    confidence: float


def relate(
    basins: Basins | ArrayLike,
    scores: pd.DataFrame,
    *,
    centroid_distance: ArrayLike | None = None,
    blocks: ArrayLike | None = None,
    n_resamples: int = 9999,
    confidence: float = 0.95,
    rng: np.random.Generator | int | None = None,
) -> Relation:
    """Relate basins and centroid distance to every column of scores.

    The table has a row a column of ``scores``; a model whose score is NaN is left out of that row.

    - ``group``; ``basin_<i>_mean``, ``_low``, ``_high`` for every basin i: percentile bootstrap
      over the basin's models, too narrow for a handful of them, NaN for one.
    - ``difference``, ``_low``, ``_high``: the largest basin's mean minus the second largest's,
      Welch's interval. ``auc``: the chance that a model of the first scores higher than one of the
      second, ties half. ``hedges_g``: standardised difference with its exact small-sample factor
      (Hedges 1981); NaN without spread.
    - ``p_value``: permutation test over all basins, exact where ``n_resamples`` allow, of the
      between-basin sum of squares. Basins of one model are left out of it. It is NaN where fewer
      than two remain, and where one of the two that are compared has one model or none. With
      ``blocks``, models change places within their block only (Good 2005), and the sum of squares
      is what basins explain beyond the blocks' means; NaN where every block lies in one basin.
      ``q_value``: Benjamini and Hochberg (1995) over the rows.
    - ``pearson``, ``spearman`` of centroid distance with score, ``_low``, ``_high``: Fisher's z,
      for Spearman with the variance of Bonett and Wright (2000). Centroid distance grows towards
      basin 1, so these have the opposite sign of ``difference``.

    Args:
        basins: What ``find_basins`` found, or (n_models,) whole-number labels from 0.
        scores: A row a model, a column a group.
        centroid_distance: (n_models,); that of ``basins`` when absent, and NaN correlations
            without either.
        blocks: (n_models,) or (n_models, n_columns) values of what structures the population
            (hyperparameters, pretraining seed, trainer): models are exchangeable where they
            agree. Only ``p_value`` and ``q_value`` depend on it.
        n_resamples: Of the bootstrap and of the permutation test.
        confidence: Nominal coverage of the intervals, in (0, 1).
        rng: A generator or a seed; seed 0 when absent.

    Raises:
        ConfigError: Labels, scores, centroid distances or blocks that do not match or are no
            numbers, a confidence or n_resamples out of range.
    """
    import pandas as pd

    distance, noun = centroid_distance, "basin"
    if isinstance(basins, Basins):
        labels, noun = basins.shown.labels, basins.shown.noun
        distance = basins.groups.centroid_distance if distance is None else distance
    else:
        labels = _check_labels(basins)
    values = as_numbers(scores, len(labels), "the basins")
    nearness = None if distance is None else np.asarray(distance, dtype=np.float64)
    if nearness is not None and nearness.shape != labels.shape:
        raise ConfigError(
            "The centroid distances do not match the basins.",
            expected=f"({len(labels)},)",
            found=f"{nearness.shape}",
        )
    if not 0 < confidence < 1:
        raise ConfigError("The confidence must lie between 0 and 1.", found=confidence)
    if n_resamples < 1:
        raise ConfigError("At least one resample is needed.", found=n_resamples)
    block = None if blocks is None else block_codes(blocks, len(labels))
    generator = np.random.default_rng(0 if rng is None else rng)
    names, counts = np.unique(labels[labels >= 0], return_counts=True)
    largest = [int(i) for i in np.argsort(-counts, kind="stable")[:2]]
    columns: dict[str, Array] = {}
    # columns that miss the same models share their resamples and permutations
    patterns, which = np.unique(np.isfinite(values), axis=1, return_inverse=True)
    for pattern, scored in enumerate(patterns.T):
        here = np.flatnonzero(which == pattern)
        numbers_by_column = _relate_pattern(
            values[np.ix_(scored, here)],
            labels[scored],
            names,
            noun,
            largest,
            None if nearness is None else nearness[scored],
            None if block is None else block[scored],
            n_resamples,
            confidence,
            generator,
        )
        for column, numbers in numbers_by_column.items():
            columns.setdefault(column, np.full(values.shape[1], np.nan))[here] = numbers
    table = pd.DataFrame({"group": [str(name) for name in scores.columns], **columns})
    q = control_false_discoveries(table["p_value"].to_numpy())
    table.insert(int(np.flatnonzero(table.columns == "p_value")[0]) + 1, "q_value", q)
    return Relation(table, noun, len(names), float(confidence))


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
    noun: str,
    largest: list[int],
    nearness: Array | None,
    blocks: Indices | None,
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
            f"{noun}_{name}_mean": mean,
            f"{noun}_{name}_low": low,
            f"{noun}_{name}_high": high,
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
        within = None if blocks is None else blocks[in_test]
        numbers_by_column["p_value"] = basin_p_values(
            values[in_test], labels[in_test], within, n_resamples, rng
        )
    for name, rank in (("pearson", False), ("spearman", True)):
        numbers = (missing,) * 3
        if nearness is not None:
            numbers = correlate(nearness, values, rank, confidence)
        numbers_by_column |= dict(zip((name, f"{name}_low", f"{name}_high"), numbers, strict=True))
    return numbers_by_column


def _check_labels(labels: ArrayLike) -> Indices:
    values = np.asarray(labels)
    whole = values.ndim == 1 and values.size > 0 and values.dtype.kind in "iuf"
    if not (whole and np.isfinite(values).all() and (values >= 0).all() and not (values % 1).any()):
        raise ConfigError(
            "The basin labels cannot be used.",
            where="basins",
            expected="(n_models,) whole numbers from 0, or what find_basins returns",
            found=f"{values.dtype} of shape {values.shape}",
        )
    return values.astype(np.intp)
