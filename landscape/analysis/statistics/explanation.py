"""What explains how models generalise: does the basin say more than the rest?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from landscape.analysis.statistics.effects import partial_correlate
from landscape.analysis.statistics.hierarchy import group_q_values
from landscape.analysis.statistics.permutation import (
    block_codes,
    permute_within,
    restrict,
    share_at_least,
)
from landscape.analysis.statistics.predictors import (
    CONDITIONS,
    Design,
    PredictorSet,
    basis,
    independent,
    make_design,
    read_sets,
    side_by_side,
)
from landscape.analysis.statistics.regression import (
    cross_validated,
    draw_folds,
    explained,
    freedman_lane,
)
from landscape.analysis.statistics.scores import as_numbers
from landscape.core.arrays import Array
from landscape.core.errors import ConfigError, require_known

if TYPE_CHECKING:
    import pandas as pd


_ROOM = 3  # models that there must be beyond the predictors


@dataclass(frozen=True)
class Explanation:
    """What sets of predictors explain of each column of scores: ``explain`` describes the table.

    ``sets`` has the conditions first; ``n_permutations`` counts the order of the models as it is,
    and ``exact`` says whether these are all orders there are. ``reliability`` is that of the sets,
    where it is known.
    """

    table: pd.DataFrame
    sets: tuple[str, ...]
    target: str
    n_permutations: int
    exact: bool
    reliability: Mapping[str, float] = field(default_factory=dict)


def explain(
    scores: pd.DataFrame,
    predictors: Mapping[str, Any],
    *,
    target: str = "basin",
    conditions: ArrayLike | None = None,
    reliability: Mapping[str, float] | None = None,
    parents: Mapping[str, str] | None = None,
    n_permutations: int = 9999,
    rng: np.random.Generator | int | None = None,
) -> Explanation:
    """Regress every column of scores on sets of predictors, with one of them and without it.

    Ordinary least squares with a constant. The reduced model has all sets but ``target``, the full
    model has all. Constant columns are left out, and columns that others before them make up.
    There are no more predictors than a third of the models, but at least one a set: a set that does
    not get all its columns gives its leading principal components. All this is decided anew by the
    training models of every fold. A model without a score, or without one of the predictors, is
    left out of that row. With ``conditions`` their means are a further set, which is never cut.

    The table has a row a column of ``scores``:

    - ``group``; ``n_models``; ``n_controls``, ``n_target``: predictors of the reduced model, and
      what the full model has more; ``n_folds``: below 20 models as many, else 10, drawn 10 times.
    - ``<set>_r2``, ``<set>_cv_r2`` for every set alone, ``reduced_``, ``full_``: R2 in-sample, and
      cross-validated: 1 - squared errors on models left out / those of the training models' mean.
    - ``gain``, ``cv_gain``: of the full over the reduced model.
    - ``p_value``: of the gain in-sample, permutation test of Freedman and Lane (1983) with the
      partial F as statistic, exchanging models of one condition only. ``q_value``: over the
      hierarchy of groups, see ``statistics.hierarchy``.
    - ``partial_spearman``, ``_low``, ``_high``: rank correlation of a target of one dimension with
      the score given the other sets, Fisher's 95% interval with a model less for every control and
      the variance of Bonett and Wright (2000).
    - ``note``: what was left out or cut, or why numbers are NaN. Fewer than 3 models more than
      predictors leave no regression.

    Args:
        scores: A row a model, a column a group.
        predictors: From a name to (n_models,) or (n_models, n_columns), in order. The columns of a
            data frame have units of their own and are standardised before principal components;
            those of an array are coordinates in one space, and are not.
        target: The set whose gain is asked for.
        conditions: (n_models,) or (n_models, n_columns) values of what structures the population
            (training data, hyperparameters, trainer): models are exchanged where they agree.
        reliability: By set, how well it is measured, in [0, 1]; of sets not named nothing is known.
        parents: By column, that which it lies directly within; ``a`` of ``a: b`` when absent.
        n_permutations: Random ones at most; all there are where they are no more.
        rng: A generator or a seed, for permutations and folds; seed 0 when absent.

    Raises:
        ConfigError: Scores, predictors or conditions that do not match or are no numbers, no such
            target, or n_permutations out of range.
    """
    import pandas as pd

    n = len(scores)
    values = as_numbers(scores, n, "themselves")
    sets = {chosen.name: chosen for chosen in read_sets(predictors, scores)}
    _check(sets, target, n_permutations)
    blocked = block_codes(conditions, n)
    if conditions is not None:
        indicators = (blocked[:, None] == np.unique(blocked)).astype(np.float64)
        sets = {CONDITIONS: PredictorSet(CONDITIONS, indicators, own_units=True), **sets}
    generator = np.random.default_rng(0 if rng is None else rng)
    orders, exact = permute_within(blocked, n_permutations, generator)
    complete = np.all([np.isfinite(chosen.values).all(1) for chosen in sets.values()], axis=0)
    rows = []
    observed = np.full(values.shape[1], np.nan)
    null = np.full((len(orders), values.shape[1]), np.nan)
    finite = np.isfinite(values) & complete[:, None]
    patterns, which = np.unique(finite, axis=1, return_inverse=True)
    for pattern, models in enumerate(patterns.T):
        here = np.flatnonzero(which == pattern)
        scored = values[np.ix_(models, here)]
        design, notes = make_design(sets, models)
        numbers, reason, reduced, added = _regress(design, target, scored, generator)
        within = restrict(orders, blocked, models)
        if not reason and (within == within[0]).all():
            reason = "the conditions leave no models to exchange"
        if not reason:
            observed[here], null[:, here] = freedman_lane(reduced, added, scored, within)
        table = pd.DataFrame(numbers, index=here)
        table["note"] = "; ".join(filter(None, [*notes, reason]))
        if len(scored):
            exact_fit = ~np.isfinite(observed[here]) if not reason else here < 0
            table.loc[exact_fit, "note"] = "; ".join([*notes, "the other sets explain it exactly"])
            table.loc[~(scored != scored[0]).any(0), "note"] = "the score is constant"
        rows.append(table)
    table = pd.concat(rows).sort_index()
    tested = np.isfinite(observed)
    p_values = np.full(len(table), np.nan)
    p_values[tested] = share_at_least(null[:, tested], observed[tested])
    names = [str(name) for name in scores.columns]
    place = [*table.columns].index("partial_spearman")
    table.insert(place, "p_value", p_values)
    table.insert(place + 1, "q_value", group_q_values(names, p_values, parents))
    table.insert(0, "group", names)
    measured = {name: value for name, value in (reliability or {}).items() if np.isfinite(value)}
    return Explanation(table, tuple(sets), target, len(orders), exact, measured)


def _regress(
    design: Design,
    target: str,
    values: Array,
    rng: np.random.Generator,
) -> tuple[dict[str, Any], str, Array, Array]:
    """The table's numbers but the tests, why some are NaN, and the bases of reduced and added."""
    n, missing = len(values), np.full(values.shape[1], np.nan)
    others = [name for name in design.sets if name != target]
    models = {name: [name] for name in design.sets} | {"reduced": others, "full": [*others, target]}
    parts = design.parts()
    spans = {name: basis(side_by_side(parts, names)) for name, names in models.items()}
    ranks = {name: span.shape[1] - 1 for name, span in spans.items()}
    room = {name: models[name] for name in ranks if n - ranks[name] >= _ROOM}
    folds, n_drawn = draw_folds(n, rng) if room else ([], np.nan)
    predicted = cross_validated(design, room, values, folds) if room else {}
    n_controls, n_target = ranks["reduced"], ranks["full"] - ranks["reduced"]
    numbers: dict[str, Any] = {"n_models": n, "n_controls": n_controls, "n_target": n_target}
    numbers["n_folds"] = n_drawn
    for name in models:
        numbers[f"{name}_r2"] = explained(spans[name], values) if name in room else missing
        numbers[f"{name}_cv_r2"] = predicted.get(name, missing)
    numbers["gain"] = numbers["full_r2"] - numbers["reduced_r2"]
    numbers["cv_gain"] = numbers["full_cv_r2"] - numbers["reduced_cv_r2"]
    reason, n_predictors = "", n_controls + n_target
    if not n:
        reason = "no model has a score and every predictor"
    elif "full" not in room:
        reason = f"{n} models are too few for {n_predictors} predictor{'s' * (n_predictors != 1)}"
    elif not n_target:
        reason = f"nothing of {target} is left beside the other sets"
    independent_columns = independent(parts[target])
    single = not reason and len(independent_columns) == 1 and target not in design.n_components
    correlation = (missing,) * 3
    if single:
        correlation = partial_correlate(
            parts[target][:, independent_columns[0]], values, side_by_side(parts, others)
        )
    names = ("partial_spearman", "partial_spearman_low", "partial_spearman_high")
    numbers |= dict(zip(names, correlation, strict=True))
    return numbers, reason, spans["reduced"], spans["full"][:, spans["reduced"].shape[1] :]


def _check(
    sets: Mapping[str, Any],
    target: str,
    n_permutations: int,
) -> None:
    require_known("set of predictors", target, sets, where="target")
    if reserved := {CONDITIONS, "full", "reduced"} & set(sets):
        raise ConfigError(
            "A set of predictors has a name that the table uses.",
            where="predictors",
            expected=f"names other than {CONDITIONS}, full and reduced",
            found=min(reserved),
        )
    if n_permutations < 1:
        raise ConfigError("At least one permutation is needed.", found=n_permutations)
