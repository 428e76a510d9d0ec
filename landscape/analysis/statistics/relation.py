"""What basins and centroid distance say about the scores of every group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from landscape.analysis.basins import Basins
from landscape.analysis.statistics.effects import compare, correlate
from landscape.analysis.statistics.hierarchy import group_q_values
from landscape.analysis.statistics.intervals import (
    Range,
    interval_of_difference,
    interval_of_mean,
    range_of,
)
from landscape.analysis.statistics.permutation import block_codes
from landscape.analysis.statistics.scores import as_numbers
from landscape.analysis.statistics.significance import basin_p_values
from landscape.core.arrays import Array, Indices, Mask
from landscape.core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

_COMPARED = ("difference", "difference_low", "difference_high", "auc", "hedges_g")
_BOOTSTRAP = 1999  # resamples that are enough for an interval


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
    conditions: ArrayLike | None = None,
    reliability: Mapping[str, float] | None = None,
    parents: Mapping[str, str] | None = None,
    ranges: Mapping[str, Range] | None = None,
    n_resamples: int = 9999,
    confidence: float = 0.95,
    rng: np.random.Generator | int | None = None,
) -> Relation:
    """Relate basins and centroid distance to every column of scores.

    The table has a row a column of ``scores``; a model whose score is NaN is left out of that row.

    - ``group``; ``basin_<i>_mean``, ``_low``, ``_high`` for every basin i: Gaffke's interval, which
      covers for a handful of models too (see ``statistics.intervals``); NaN for one.
    - ``difference``, ``_low``, ``_high``: the largest basin's mean minus the second largest's, the
      interval of the same kind. ``auc``: the chance that a model of the first scores higher than
      one of the second, ties half. ``hedges_g``: standardised difference with its exact
      small-sample factor (Hedges 1981); NaN without spread.
    - ``p_value``: permutation test over all basins, exact where ``n_resamples`` allow, of the
      between-basin sum of squares. Basins of one model are left out of it. It is NaN where fewer
      than two remain, and where one of the two that are compared has one model or none.
      ``q_value``: over the hierarchy of groups, see ``statistics.hierarchy``.
    - ``p_within``: as ``p_value``, but models change places within their condition only (Good
      2005), and the sum of squares is what basins explain beyond the conditions' means; NaN where
      every condition lies in one basin.
    - ``spearman``, ``pearson`` of centroid distance with score, ``_low``, ``_high``: bootstrap over
      models. Centroid distance grows towards basin 1, so these have the opposite sign of
      ``difference``. ``spearman_within``, ``pearson_within``: pooled within conditions.
    - ``reliability``, as given.

    What speaks of conditions is NaN without them.

    Args:
        basins: What ``find_basins`` found, or (n_models,) whole-number labels from 0.
        scores: A row a model, a column a group.
        centroid_distance: (n_models,); that of ``basins`` when absent, and NaN correlations
            without either.
        conditions: (n_models,) or (n_models, n_columns) values of what structures the population
            (training data, hyperparameters, trainer): models are exchangeable where they agree.
        reliability: By column, of its scores.
        parents: By column, that which it lies directly within; ``a`` of ``a: b`` when absent.
        ranges: By column, the least and largest score that there can be; when absent [0, 1] or
            [-1, 1] where all scores lie in that, else none.
        n_resamples: Of the permutation test, and at most of the bootstrap.
        confidence: Nominal coverage of the intervals, in (0, 1).
        rng: A generator or a seed; seed 0 when absent.

    Raises:
        ConfigError: Labels, scores, centroid distances or conditions that do not match or are no
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
    nearness = np.full(len(labels), np.nan)
    if distance is not None:
        nearness = np.asarray(distance, dtype=np.float64)
    if nearness.shape != labels.shape:
        raise ConfigError(
            "The centroid distances do not match the basins.",
            expected=f"({len(labels)},)",
            found=f"{nearness.shape}",
        )
    if not 0 < confidence < 1:
        raise ConfigError("The confidence must lie between 0 and 1.", found=confidence)
    if n_resamples < 1:
        raise ConfigError("At least one resample is needed.", found=n_resamples)
    names = [str(name) for name in scores.columns]
    limits = [
        (ranges or {}).get(name, range_of(column))
        for name, column in zip(names, values.T, strict=True)
    ]
    counts = np.bincount(labels[labels >= 0])
    population = _Population(
        labels,
        np.flatnonzero(counts),
        noun,
        np.argsort(-counts, kind="stable")[: min(2, np.count_nonzero(counts))],
        nearness,
        None if conditions is None else block_codes(conditions, len(labels)),
    )
    generator = np.random.default_rng(0 if rng is None else rng)
    columns: dict[str, Array] = {}
    # columns that miss the same models share their resamples and permutations
    patterns, which = np.unique(np.isfinite(values), axis=1, return_inverse=True)
    for pattern, scored in enumerate(patterns.T):
        here = np.flatnonzero(which == pattern)
        numbers_by_column = _relate_pattern(
            values[np.ix_(scored, here)],
            population.of(scored),
            [limits[column] for column in here],
            n_resamples,
            confidence,
            generator,
        )
        for column, numbers in numbers_by_column.items():
            columns.setdefault(column, np.full(values.shape[1], np.nan))[here] = numbers
    table = pd.DataFrame({"group": names, **columns})
    q = group_q_values(names, table["p_value"].to_numpy(), parents)
    table.insert(int(np.flatnonzero(table.columns == "p_value")[0]) + 1, "q_value", q)
    table["reliability"] = [(reliability or {}).get(name, np.nan) for name in names]
    return Relation(table, noun, len(population.names), float(confidence))


@dataclass(frozen=True)
class _Population:
    """Models' labels, those that there are, the two largest of them, and what else is known."""

    labels: Indices
    names: Indices
    noun: str
    largest: Indices
    nearness: Array
    conditions: Indices | None

    def of(self, models: Mask) -> _Population:
        """Of these models; labels stay those of all."""
        conditions = None if self.conditions is None else self.conditions[models]
        return replace(
            self,
            labels=self.labels[models],
            nearness=self.nearness[models],
            conditions=conditions,
        )


def _relate_pattern(
    values: Array,
    models: _Population,
    limits: Sequence[Range],
    n_resamples: int,
    confidence: float,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Every column of the table but the names and q, for scores (n_models, n_columns)."""
    missing = np.full(values.shape[1], np.nan)
    labels, noun, conditions = models.labels, models.noun, models.conditions
    everywhere = np.zeros_like(labels)
    members = {name: values[labels == name] for name in models.names}
    numbers: dict[str, Array] = {}
    for name, rows in members.items():
        low, high = interval_of_mean(rows, limits, confidence, rng)
        mean = rows.mean(0) if len(rows) else missing
        numbers |= {
            f"{noun}_{name}_{what}": part
            for what, part in (("mean", mean), ("low", low), ("high", high))
        }
    pair = [members[name] for name in models.largest if len(members[name])]
    numbers |= dict.fromkeys(_COMPARED, missing)
    if len(pair) == 2:
        difference, auc, g = compare(*pair)
        low, high = interval_of_difference(pair[0], pair[1], limits, confidence, rng)
        numbers |= dict(zip(_COMPARED, (difference, low, high, auc, g), strict=True))
    numbers |= dict.fromkeys(("p_value", "p_within"), missing)
    # the p-value stands beside the difference, so both its basins must be in the test
    if len(models.largest) == 2 and min(len(members[name]) for name in models.largest) > 1:
        tested = np.isin(labels, [name for name, rows in members.items() if len(rows) > 1])
        for name, blocks in (("p_value", everywhere), ("p_within", conditions)):
            if blocks is not None:
                numbers[name] = basin_p_values(
                    values[tested], labels[tested], blocks[tested], n_resamples, rng
                )
    for name, rank in (("spearman", True), ("pearson", False)):
        for end, blocks in (("", everywhere), ("_within", conditions)):
            found = (missing,) * 3
            if blocks is not None:
                n_draws = min(n_resamples, _BOOTSTRAP)
                found = correlate(models.nearness, values, blocks, rank, confidence, n_draws, rng)
            columns = (f"{name}{end}", f"{name}{end}_low", f"{name}{end}_high")
            numbers |= dict(zip(columns, found, strict=True))
    return numbers


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
