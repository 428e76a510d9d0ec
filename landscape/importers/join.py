"""Curves on several data sets and scores, brought to the models and pairs of one of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from landscape.core.errors import ConfigError, require_known
from landscape.importers.curves import MeasuredCurve, PublishedCurves
from landscape.importers.names import check_name, require_same_models

CurveSets = dict[str, list[MeasuredCurve]]

_FIX = "mend the names, or leave out the models that do not match (--allow-missing)"


def split_sets(curves: Sequence[MeasuredCurve], dataset: str | None) -> tuple[str, CurveSets]:
    """Tell the data sets of curves apart, and say which one makes the gaps.

    Curves of no named set (a pickle's) belong to the only one that is named beside them.

    Args:
        curves: Of one or more data sets.
        dataset: The name of the one that makes the gaps; the only one where it is None. Where
            there is only one it takes this name.

    Returns:
        The name, and from each name to its curves, that one first.

    Raises:
        ConfigError: The name is needed and not given, or is not one of several.
    """
    sets: CurveSets = {}
    for curve in curves:
        sets.setdefault(curve.dataset, []).append(curve)
    if "" in sets and len(sets) <= 2:
        named = next((name for name in sets if name), dataset or "")
        # in the order in which they are believed
        sets = {named: list(curves)}
    if dataset is None:
        if len(sets) != 1 or "" in sets:
            raise ConfigError(
                "Which data set are the curves of?" if "" in sets else "There are several sets.",
                where="dataset",
                expected="the name of the one that makes the gaps",
                found=", ".join(name or "a set without a name" for name in sets),
                fix="name it (--dataset)",
            )
        dataset = next(iter(sets))
    elif len(sets) == 1:
        sets = {dataset: next(iter(sets.values()))}
    else:
        require_known("data set", dataset, [name for name in sets if name], where="dataset")
        sets.pop("", None)
    return dataset, {dataset: sets.pop(dataset), **sets}


def check_set_names(names: Collection[str]) -> None:
    """Refuse names that no store can keep.

    Raises:
        DataError: Characters that cannot be printed.
        ConfigError: A name with "/", or of dots alone.
    """
    for name in names:
        check_name(name, "the data set's name", "data set")
        if "/" in name or not name.strip("."):
            raise ConfigError("A data set's name cannot be used.", found=name, expected="no '/'")


def shared_models(
    models: Sequence[str], others: Sequence[str], what: str, allow_missing: bool
) -> tuple[set[str], list[str]]:
    """The models that two sources share, and what was left out.

    Args:
        models: Of the curves that make the gaps.
        others: Of the other source.
        what: What that is.
        allow_missing: Leave out what stands on one side only.

    Raises:
        DataError: A model stands on one side only, and that is not allowed.
    """
    if not allow_missing:
        require_same_models(models, others, what=what, fix=_FIX)
    kept = set(models) & set(others)
    lines = []
    if lost := [name for name in models if name not in kept]:
        lines.append(f"left out, not in the {what}: {', '.join(lost)}")
    if extra := [name for name in others if name not in kept]:
        lines.append(f"left out, only in the {what}: {', '.join(extra)}")
    return kept, lines


def keep_models(curves: PublishedCurves, kept: Collection[str]) -> tuple[PublishedCurves, str]:
    """The curves whose ends are both known, among some models; and how many were left out.

    A model that is left without a pair is left out too.

    Args:
        curves: Of all models.
        kept: Names of those that stay.
    """
    stays = np.array([name in kept for name in curves.models])
    rows = stays[curves.pairs].all(axis=1)
    open_ended = rows & ~np.isfinite(curves.losses[:, [0, -1]]).all(axis=1)
    rows &= ~open_ended
    used = np.unique(curves.pairs[rows])
    line = ""
    if open_ended.any():
        pairs = [" - ".join(curves.models[i] for i in pair) for pair in curves.pairs[open_ended]]
        more = f" and {len(pairs) - 5} more" if len(pairs) > 5 else ""
        line = f"left out, without a loss at both ends: {', '.join(pairs[:5])}{more}"
    return PublishedCurves(
        dataset=curves.dataset,
        models=tuple(curves.models[i] for i in used),
        pairs=np.searchsorted(used, curves.pairs[rows]),
        positions=curves.positions,
        losses=curves.losses[rows],
        accuracies=None if curves.accuracies is None else curves.accuracies[rows],
        metric=curves.metric,
        model_losses=curves.model_losses[used],
        distances=curves.distances[rows],
        notes=curves.notes,
    ), line


def align(curves: PublishedCurves, main: PublishedCurves) -> tuple[PublishedCurves, str]:
    """Curves on another data set at the models, pairs and points of the main one.

    Points where the main set has no loss are left out: a point of a pair is evaluated or is not.

    Args:
        curves: On the other set.
        main: On the set that makes the gaps.

    Returns:
        The curves, and how much of them was left out.
    """
    index = {name: i for i, name in enumerate(curves.models)}
    rows = {(int(a), int(b)): k for k, (a, b) in enumerate(curves.pairs)}
    near = np.abs(curves.positions[None] - main.positions[:, None])
    column = np.where(near.min(axis=1) < 1e-9, near.argmin(axis=1), -1)
    losses = np.full(main.losses.shape, np.nan)
    accuracies = None if curves.accuracies is None else losses.copy()
    for k, (a, b) in enumerate(main.pairs):
        # both sides sort the same names by the same rule, so that first stays first
        ends = index.get(main.models[a], -1), index.get(main.models[b], -1)
        row = rows.get(ends)
        if row is None:
            continue
        known = (column >= 0) & np.isfinite(main.losses[k])
        losses[k, known] = curves.losses[row, column[known]]
        if accuracies is not None and curves.accuracies is not None:
            accuracies[k, known] = curves.accuracies[row, column[known]]
    model_losses = np.array(
        [curves.model_losses[index[m]] if m in index else np.nan for m in main.models]
    )
    lost = int(np.isfinite(curves.losses).sum() - np.isfinite(losses).sum())
    line = f"left out: {lost} points of {curves.losses.size} on '{curves.dataset}'" if lost else ""
    return PublishedCurves(
        dataset=curves.dataset,
        models=main.models,
        pairs=main.pairs,
        positions=main.positions,
        losses=losses,
        accuracies=accuracies,
        metric=curves.metric,
        model_losses=model_losses,
        distances=main.distances,
        notes=curves.notes,
    ), line


def score_roles(columns: Sequence[str], given: Mapping[str, str], dataset: str) -> dict[str, str]:
    """What each score is for: given, else in-domain where it is named after the data set.

    Args:
        columns: The scores' names.
        given: From some of them to their roles.
        dataset: The set that makes the gaps.

    Raises:
        ConfigError: A role of a score that there is not, or a role that there is not.
    """
    for column, role in given.items():
        require_known("score", column, columns, where="roles")
        require_known("role", role, ("in_domain", "challenge", "covariate"), where=column)
    own = (f"{dataset}:", f"{dataset} (")
    return {
        name: given.get(
            name, "in_domain" if name == dataset or name.startswith(own) else "challenge"
        )
        for name in columns
    }


def finite_points(losses: NDArray[np.float64]) -> str:
    """How many points are known, in words."""
    return f"{int(np.isfinite(losses).sum())} of {losses.size}"
