"""Curves and gaps between named models, brought to one order, one direction and one grid."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from landscape.core.arrays import Array, Indices
from landscape.core.errors import DataError
from landscape.importers.names import natural_key

if TYPE_CHECKING:
    import pandas as pd

Metric = Literal["accuracy", "matthews"]

POINT_COLUMNS = ("dataset", "model_a", "model_b", "t", "loss", "accuracy", "matthews", "source")
"""Of points, a row each: ``t`` is 0 at ``model_a``; ``dataset`` is "" where not said; ``source`` is
a file without its folder; NaN is a missing value."""
GAP_COLUMNS = ("dataset", "model_a", "model_b", "gap", "source")
"""Of gaps, a row each: nats."""
_TOLERANCE = 1e-3  # nats: two records of one number that differ by more are reported


@dataclass(frozen=True)
class Curves:
    """Curves of many pairs on one data set.

    Attributes:
        models: (n_models) names, numbers in them in the order of numbers.
        pairs: (n_pairs, 2) model indices, first < second.
        positions: (n_points,) of all pairs, from 0 at a pair's first model to 1 at its second.
        losses: (n_pairs, n_points) nats, NaN where a pair lacks the point.
        accuracies: (n_pairs, n_points) of ``metric``, NaN where unknown.
        model_losses: (n_models,) nats, of the first curve that ends in the model.
        notes: What disagrees, is missing or is left out, a line each.
        gaps: (n_models, n_models) nats, 0 on the diagonal, NaN where unknown, of pairs whose gap
            came without its curve: nothing is known of their losses; else None.
    """

    models: tuple[str, ...]
    pairs: Indices
    positions: Array
    losses: Array = field(repr=False)
    accuracies: Array = field(repr=False)
    metric: Metric
    model_losses: Array
    notes: tuple[str, ...] = ()
    gaps: Array | None = None


def gather_curves(points: pd.DataFrame, *, like: Curves | None = None) -> Curves:
    """Bring points to one order of models, one direction of pairs, and one grid.

    B-A is A-B backwards. Of two records of one point the first is kept, and a difference of more
    than .001 nats is noted. Values that are not finite count as missing. Pairs without a loss at
    both ends are left out. With ``like``, its models, pairs, positions and points are taken.

    Raises:
        DataError: No curves, positions outside [0, 1], or several metrics.
    """
    import pandas as pd

    metric = _check(points)
    models, table = _orient(points, like.models if like else None)
    t = table["t"].where(~table["backwards"], 1 - table["t"])
    table = table.assign(t=t, key=_key(t.to_numpy()))
    values = table[["loss", metric]]
    table[["loss", metric]] = values.where(np.isfinite(values))
    by_point = table.groupby(["a", "b", "key"])
    first = by_point[["loss", metric]].first()
    notes = _disagreements(by_point["loss"], table, models)
    keys = sorted({0.0, 1.0, *table["key"]})
    every = first["loss"].unstack("key").reindex(columns=keys)
    ends = pd.concat([every[0.0].droplevel(1), every[1.0].droplevel(0)])
    if like:
        pairs = pd.MultiIndex.from_arrays([*like.pairs.T], names=["a", "b"])
        every = every.reindex(index=pairs, columns=_key(like.positions))
    losses = every.to_numpy(np.float64, copy=True)
    accuracies = first[metric].unstack("key").reindex_like(every).to_numpy(np.float64, copy=True)
    curves = Curves(
        models=models,
        pairs=np.array(every.index.to_list(), dtype=np.intp),
        positions=table.groupby("key")["t"].first().reindex(every.columns).to_numpy(copy=True),
        losses=losses,
        accuracies=accuracies,
        metric=metric,
        model_losses=ends.groupby(level=0).first().reindex(range(len(models))).to_numpy(),
        notes=tuple(notes),
    )
    if like is None:
        curves.positions[[0, -1]] = 0, 1  # a key is rounded
        return _with_both_ends(curves)
    losses[np.isnan(like.losses)] = accuracies[np.isnan(like.losses)] = np.nan
    if lost := int(first["loss"].notna().sum() - np.isfinite(losses).sum()):
        notes.append(f"left out: {lost} points that the other curves do not have")
    return replace(curves, positions=like.positions, notes=tuple(notes))


def gather_gaps(table: pd.DataFrame) -> Curves:
    """Bring gaps to one order of models and one direction of pairs, without any losses.

    Of two records of a pair the first is kept, and a difference of more than .001 nats noted.

    Raises:
        DataError: No known gap, or one below 0.
    """
    wrong = table[table["gap"] < 0]
    if len(wrong):
        at = wrong.iloc[0]
        raise DataError(
            f"The gap of {at['model_a']} and {at['model_b']} is no gap.",
            where=at["source"],
            expected="convexity gaps: nats, 0 or more",
            found=at["gap"],
        )
    models, table = _orient(table[table["gap"].notna()])
    by_pair = table.groupby(["a", "b"])["gap"]
    first, spread = by_pair.first(), by_pair.max() - by_pair.min()
    pairs = np.array(first.index.to_list(), dtype=np.intp)
    matrix = np.full((len(models), len(models)), np.nan)
    np.fill_diagonal(matrix, 0)
    matrix[pairs[:, 0], pairs[:, 1]] = matrix[pairs[:, 1], pairs[:, 0]] = first
    notes = [
        f"{models[a]} - {models[b]}: two gaps that differ by {largest:.4g} nats; the first is kept"
        for (a, b), largest in zip(pairs, spread, strict=True)
        if largest > _TOLERANCE
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


def _check(points: pd.DataFrame) -> Metric:
    """The metric of points whose positions and metrics can be."""
    metrics: list[Metric] = [m for m in ("accuracy", "matthews") if points[m].notna().any()]
    if len(metrics) > 1:
        raise DataError("The curves have two metrics.", expected="accuracy or matthews")
    metric = metrics[0] if metrics else "accuracy"
    bounds = {"t": (0, 1), metric: (-1 if metric == "matthews" else 0, 1)}
    for column, (low, high) in bounds.items():
        outside = ~points[column].between(low, high) & (points[column].notna() | (column == "t"))
        if outside.any():
            at = points[outside].iloc[0]
            raise DataError(
                f"The curve {at['model_a']} - {at['model_b']} has a point that cannot be.",
                where=f"{column}, {at['source']}",
                expected=f"{low} to {high}",
                found=at[column],
            )
    return metric


def _orient(
    table: pd.DataFrame, models: tuple[str, ...] | None = None
) -> tuple[tuple[str, ...], pd.DataFrame]:
    """Models in order, and rows between two of them by their numbers a < b, maybe backwards."""
    table = table[table["model_a"] != table["model_b"]]
    if models is None:
        models = tuple(sorted({*table["model_a"], *table["model_b"]}, key=natural_key))
    table = table[table["model_a"].isin(models) & table["model_b"].isin(models)]
    if table.empty:
        raise DataError("There is nothing between two models.", expected="pairs of models")
    number = {name: k for k, name in enumerate(models)}
    a, b = (table[side].map(number).astype(np.intp) for side in ("model_a", "model_b"))
    return models, table.assign(a=np.minimum(a, b), b=np.maximum(a, b), backwards=a > b)


def _disagreements(losses: Any, table: pd.DataFrame, models: tuple[str, ...]) -> list[str]:
    spread = (losses.max() - losses.min()).groupby(["a", "b"]).max().reset_index()
    notes = []
    for a, b, largest in spread[spread["loss"] > _TOLERANCE].itertuples(index=False):
        sources = table["source"][(table["a"] == a) & (table["b"] == b)].unique()
        notes.append(
            f"{models[a]} - {models[b]}: the losses in {', '.join(sources)} differ by up to "
            f"{largest:.4g} nats; the first are kept"
        )
    return notes


def _key(t: Array) -> Array:
    """What positions are told apart by: 1 - t of one curve is the t of another."""
    return np.asarray(np.round(t, 9) + 0.0)


def _with_both_ends(curves: Curves) -> Curves:
    """Less the pairs without a loss at both ends, and the models that are left without a pair."""
    whole = np.isfinite(curves.losses[:, [0, -1]]).all(axis=1)
    used, losses = np.unique(curves.pairs[whole]), curves.losses[whole]
    notes = list(curves.notes)
    if not whole.any():
        raise DataError("No curve has a loss at both of its ends.")
    if not whole.all():
        names = [" - ".join(curves.models[k] for k in pair) for pair in curves.pairs[~whole]]
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        notes.append(f"left out, without a loss at both ends: {', '.join(names[:5])}{more}")
    if missing := int(np.isnan(losses).sum()):
        notes.append(f"{missing} of {losses.size} points are missing")
    return replace(
        curves,
        models=tuple(curves.models[k] for k in used),
        pairs=np.searchsorted(used, curves.pairs[whole]),
        losses=losses,
        accuracies=curves.accuracies[whole],
        model_losses=curves.model_losses[used],
        notes=tuple(notes),
    )
