"""Named sets of predictors of a score, and as many columns of each as the models allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from landscape.core.arrays import Array, Mask
from landscape.core.errors import ConfigError

CONDITIONS = "conditions"  # the set of indicators of the training conditions
_DEPENDENT = 1e-7  # a column of length 1 this close to the span of others says nothing new


@dataclass(frozen=True)
class PredictorSet:
    """Columns (n_models, n_columns), NaN where missing, each with its own unit or of one space."""

    name: str
    values: Array
    own_units: bool


def read_sets(predictors: Mapping[str, Any], scores: Any) -> list[PredictorSet]:
    """The sets by their order; see ``explain``.

    Raises:
        ConfigError: No sets, another number of models, an index in another order, or values that
            are no numbers.
    """
    if not predictors:
        raise ConfigError("There are no predictors.", where="predictors")
    return [_read_set(str(name), values, scores) for name, values in predictors.items()]


def share_out(ranks: Sequence[int], most: int) -> list[int]:
    """How many columns each set gives: one at least, then in turns until there are ``most``."""
    counts = [min(rank, 1) for rank in ranks]
    while sum(counts) < most and counts != list(ranks):
        for i, rank in enumerate(ranks):
            if sum(counts) < most and counts[i] < rank:
                counts[i] += 1
    return counts


def rank(chosen: PredictorSet, models: Mask) -> int:
    """How many linearly independent columns vary among these models."""
    return len(independent(_varied(chosen, models, np.ones(int(models.sum()), dtype=bool), True)))


def columns(
    chosen: PredictorSet,
    models: Mask,
    training: Mask,
    n_components: int | None,
) -> Array:
    """A set's columns (n, n_kept) for a regression on these models, without constant ones.

    Centered, scaled and cut to principal components as the training models (n,) alone decide.
    """
    values = _varied(chosen, models, training, chosen.own_units or n_components is None)
    if n_components is None or not values.shape[1]:
        return values
    _, sizes, axes = np.linalg.svd(values[training], full_matrices=False)
    independent_columns = sizes[:n_components] > _DEPENDENT * sizes[0]
    rotated: Array = values @ axes[:n_components][independent_columns].T
    return rotated / rotated[training].std(0)


def independent(matrix: Array) -> list[int]:
    """Columns (n, n_columns) that are no combination of a constant and of columns before them."""
    return _orthogonalize(matrix)[0]


def basis(matrix: Array) -> Array:
    """Orthonormal (n, 1 + n_independent), nested: they span a constant and the matrix's columns."""
    return _orthogonalize(matrix)[1]


def _orthogonalize(matrix: Array) -> tuple[list[int], Array]:
    n = len(matrix)
    orthonormal = np.full((n, 1), max(n, 1) ** -0.5)
    independent_columns: list[int] = []
    for j, column in enumerate(matrix.T):
        length = np.linalg.norm(column)
        if not length > 0 or len(independent_columns) == n - 1:
            continue
        left = column / length
        for _ in range(2):  # once more takes out what rounding left
            left = left - orthonormal @ (orthonormal.T @ left)
        length = np.linalg.norm(left)
        if length > _DEPENDENT:
            independent_columns.append(j)
            orthonormal = np.column_stack([orthonormal, left / length])
    return independent_columns, orthonormal


def _varied(chosen: PredictorSet, models: Mask, training: Mask, scale: bool) -> Array:
    values = chosen.values[models]
    if not training.any():
        return values[:, :0]
    # about one model, so that equal values differ by exactly 0
    values = values - values[training][0]
    values = values[:, np.ptp(values[training], axis=0) > 0]
    values = values / np.abs(values[training]).max(0, initial=0) if scale else values
    values = values - values[training].mean(0)
    return values / values[training].std(0) if scale else values


def _read_set(name: str, given: ArrayLike, scores: Any) -> PredictorSet:
    where = f"predictors['{name}']"
    # a data frame or a series; lists have a method of that name
    table: Any = given if hasattr(given, "index") and not callable(given.index) else None
    if table is not None and len(table) == len(scores) and not table.index.equals(scores.index):
        plain = list(range(len(scores)))
        if plain not in (list(table.index), list(scores.index)):
            raise ConfigError(
                "The predictors name other models than the scores, or in another order.",
                where=where,
                expected=f"{list(scores.index[:3])} ...",
                found=f"{list(table.index[:3])} ...",
                fix="Select the rows by the scores' index: predictors.loc[scores.index].",
            )
    try:
        if table is None:
            values = np.array(given, dtype=np.float64)
        else:
            values = table.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"The predictors '{name}' are no numbers.", where=where) from error
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or len(values) != len(scores) or not values.shape[1]:
        raise ConfigError(
            "The predictors do not match the scores.",
            where=where,
            expected=f"({len(scores)},) or ({len(scores)}, n_columns)",
            found=f"{np.shape(given)}",
        )
    values = np.where(np.isfinite(values), values, np.nan)
    return PredictorSet(name, values, hasattr(given, "columns"))


@dataclass(frozen=True)
class Design:
    """Sets and models (n_models,) of some regressions, and to how many components sets are cut."""

    sets: Mapping[str, PredictorSet]
    models: Mask
    n_components: Mapping[str, int]

    def parts(self, training: Mask | None = None) -> dict[str, Array]:
        """(n, n_columns) of each set by name, as the training models (n,) decide; or all."""
        n = int(self.models.sum())
        training = np.ones(n, dtype=bool) if training is None else training
        return {
            name: columns(chosen, self.models, training, self.n_components.get(name))
            for name, chosen in self.sets.items()
        }


def side_by_side(parts: Mapping[str, Array], names: Sequence[str]) -> Array:
    """(n, n_columns) of these sets."""
    n = len(next(iter(parts.values())))
    return np.concatenate([np.empty((n, 0)), *(parts[name] for name in names)], axis=1)


def make_design(sets: Mapping[str, PredictorSet], models: Mask) -> tuple[Design, list[str]]:
    """The sets cut to a third of the models (n_models,) in all, but conditions; that in words."""
    n = int(models.sum())
    if not n:
        return Design(sets, models, {}), []
    ranks = {name: rank(chosen, models) for name, chosen in sets.items() if name != CONDITIONS}
    counts = dict(zip(ranks, share_out([*ranks.values()], n // 3), strict=True))
    notes = []
    if n < len(models):
        word = "model" if n == len(models) - 1 else "models"
        notes.append(f"{len(models) - n} {word} without a score or a predictor left out")
    for name in ranks:
        n_columns = sets[name].values.shape[1]
        if not ranks[name]:
            notes.append(f"{name}: constant")
        elif counts[name] < ranks[name]:
            notes.append(f"{name}: {counts[name]} of {ranks[name]} principal components")
        elif ranks[name] < n_columns:
            notes.append(f"{name}: {ranks[name]} of {n_columns} columns, which make up the others")
    cut = {name: counts[name] for name in ranks if counts[name] < ranks[name]}
    return Design(sets, models, cut), notes
