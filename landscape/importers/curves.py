"""Curves between named models, brought to one order and one grid."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from landscape.core.errors import DataError
from landscape.importers.names import MAX_MODELS, natural_key

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Metric = Literal["accuracy", "matthews"]

POINT_COLUMNS = ("dataset", "model_a", "model_b", "t", "loss", "accuracy", "metric", "source")
"""Of points, a row each: ``t`` is 0 at ``model_a``; ``accuracy`` is by ``metric``, "" where there
is none; ``dataset`` is "" where not said; ``source`` is a file without its folder."""
TOLERANCE = 1e-3
"""Nats: two records of one number that differ by more are reported."""
_MAX_VALUES = 20_000_000


@dataclass(frozen=True)
class Curves:
    """Curves of many pairs on one data set.

    Attributes:
        models: (n_models) names, numbers in them in the order of numbers.
        pairs: (n_pairs, 2) model indices, first < second.
        positions: (n_points,) of all pairs, from 0 at a pair's first model to 1 at its second.
        losses: (n_pairs, n_points) nats, NaN where a pair lacks the point.
        accuracies: (n_pairs, n_points) of ``metric``, NaN where unknown.
        metric: ``accuracy`` or ``matthews``.
        model_losses: (n_models,) nats, of the first curve that ends in the model; NaN where none
            has that end.
        notes: What disagrees, is missing or is left out, a line each.
        gaps: (n_models, n_models) nats, 0 on the diagonal, NaN where unknown, of pairs whose gap
            came without its curve: nothing is known of their losses; else None.
    """

    models: tuple[str, ...]
    pairs: NDArray[np.intp]
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
    than ``TOLERANCE`` is noted; a point that only the second has is taken from it. Values that are
    not finite count as missing. Pairs without a loss at both ends are left out.

    Args:
        points: ``POINT_COLUMNS``, of one data set.
        like: Curves whose models, pairs and positions to take instead, and of these only points
            where they have losses: a point of a pair is evaluated or is not.

    Raises:
        DataError: No curves, positions outside [0, 1], several metrics, too many points.
    """
    metric = _checked_metric(points)
    points = points[points["model_a"] != points["model_b"]]
    names = set(points["model_a"]) | set(points["model_b"])
    models = like.models if like else tuple(sorted(names, key=natural_key))
    table = _oriented(points, models)
    if not len(table):
        raise DataError("There are no curves between two models.")
    by_point = table.groupby(["a", "b", "key"])
    first = by_point[["loss", "accuracy"]].first().reset_index()
    spread = (by_point["loss"].max() - by_point["loss"].min()).groupby(["a", "b"]).max()
    notes = []
    for a, b, largest in spread[spread > TOLERANCE].reset_index().itertuples(index=False):
        sources = table["source"][(table["a"] == a) & (table["b"] == b)].unique()
        notes.append(
            f"{models[a]} - {models[b]}: the losses in {', '.join(sources)} differ by up to "
            f"{largest:.4g} nats; the first are kept"
        )
    if like:
        pairs, positions = like.pairs, like.positions
    else:
        pairs = first[["a", "b"]].drop_duplicates().to_numpy(np.intp)
        exact = {0.0: 0.0, 1.0: 1.0}  # a key is rounded
        keys = np.unique([*first["key"], 0.0, 1.0])
        where = dict(zip(table["key"][::-1], table["t"][::-1], strict=True)) | exact
        positions = np.array([where[key] for key in keys.tolist()])
    if len(models) > MAX_MODELS or len(pairs) * len(positions) > _MAX_VALUES:
        raise DataError(
            "There are too many models, or the curves have too few points in common.",
            expected=f"up to {MAX_MODELS} models, and up to {_MAX_VALUES} points of all pairs",
            found=f"{len(models)} models, {len(pairs)} pairs, {len(positions)} positions",
        )
    n = len(models)
    row = _places(first["a"] * n + first["b"], pairs @ [n, 1])
    column = _places(first["key"], _key(positions))
    inside = (row >= 0) & (column >= 0)
    losses = np.full((len(pairs), len(positions)), np.nan)
    accuracies = losses.copy()
    losses[row[inside], column[inside]] = first["loss"][inside]
    accuracies[row[inside], column[inside]] = first["accuracy"][inside]
    if like:
        losses[np.isnan(like.losses)] = accuracies[np.isnan(like.losses)] = np.nan
        if lost := int(first["loss"].notna().sum() - np.isfinite(losses).sum()):
            notes.append(f"left out: {lost} points that the other curves do not have")
    ends = _ends(first, n)
    curves = Curves(models, pairs, positions, losses, accuracies, metric, ends, tuple(notes))
    return curves if like else _with_both_ends(curves)


def _checked_metric(points: pd.DataFrame) -> Metric:
    outside = points[~points["t"].between(0, 1)]
    if len(outside):
        at = outside.iloc[0]
        raise DataError(
            f"The curve {at['model_a']} - {at['model_b']} has a position that is not on its line.",
            where=at["source"],
            expected="0 to 1",
            found=at["t"],
        )
    metrics = sorted(set(points["metric"]) - {""})
    if len(metrics) > 1:
        raise DataError(
            "The curves have different metrics.",
            where=", ".join(sorted(set(points["source"]))[:5]),
            expected="one of accuracy and matthews",
            found=" and ".join(metrics),
        )
    return "matthews" if metrics == ["matthews"] else "accuracy"


def _oriented(points: pd.DataFrame, models: tuple[str, ...]) -> pd.DataFrame:
    """Points from the first model to the second of them, of known models; finite values only."""
    number = {name: k for k, name in enumerate(models)}
    known = points["model_a"].isin(number) & points["model_b"].isin(number)
    points = points[known]
    a, b = (points[side].map(number).astype(np.intp) for side in ("model_a", "model_b"))
    t = points["t"].where(a < b, 1 - points["t"])
    table = points[["loss", "accuracy", "source"]].assign(
        a=np.minimum(a, b), b=np.maximum(a, b), t=t, key=_key(t.to_numpy())
    )
    values = table[["loss", "accuracy"]]
    table[["loss", "accuracy"]] = values.where(np.isfinite(values))
    return table


def _key(t: Array) -> Array:
    """What positions are told apart by: 1 - t of one curve is the t of another."""
    return np.asarray(np.round(t, 9) + 0.0)


def _places(values: pd.Series, ascending: NDArray[np.generic]) -> NDArray[np.intp]:
    """Where each value stands among others, -1 where it does not."""
    places = np.searchsorted(ascending, values).clip(max=len(ascending) - 1)
    return np.where(ascending[places] == values, places, -1)


def _ends(first: pd.DataFrame, n: int) -> Array:
    """(n,) losses of the models themselves."""
    import pandas as pd

    ends = [
        first.loc[first["key"] == key, [side, "loss"]].set_axis(["model", "loss"], axis=1)
        for side, key in (("a", 0.0), ("b", 1.0))
    ]
    return pd.concat(ends).groupby("model")["loss"].first().reindex(range(n)).to_numpy(np.float64)


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
