"""What explains how models generalise: does the basin say more than the rest?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.analysis.statistics.design import Design, make_design, side_by_side
from landscape.analysis.statistics.effects import partial_correlate
from landscape.analysis.statistics.permutation import (
    permute_models,
    restrict,
    share_at_least,
)
from landscape.analysis.statistics.predictors import basis, independent, read_sets
from landscape.analysis.statistics.regression import (
    cross_validated,
    draw_folds,
    explained,
    freedman_lane,
)
from landscape.analysis.statistics.relation import control_false_discoveries
from landscape.analysis.statistics.scores import as_numbers
from landscape.core.arrays import Array
from landscape.core.errors import require_known

if TYPE_CHECKING:
    import pandas as pd


_ROOM = 3  # models that there must be beyond the predictors
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Explanation:
    """What sets of predictors explain of each column of scores.

    Attributes:
        table: A row a group (column of scores); see ``explain``.
        sets: The names of the sets of predictors, in their order.
        target: The set that is the question.
        n_permutations: How many orders of the models were compared, the one as it is included.
        exact: Whether these are all orders there are.
        confidence: Nominal coverage of every interval, in (0, 1).
    """

    table: pd.DataFrame
    sets: tuple[str, ...]
    target: str
    n_permutations: int
    exact: bool
    confidence: float


def explain(
    scores: pd.DataFrame,
    predictors: Mapping[str, Any],
    *,
    target: str = "basin",
    n_permutations: int = 9999,
    rng: np.random.Generator | int | None = None,
) -> Explanation:
    """Regress every column of scores on sets of predictors, with one of them and without it.

    Ordinary least squares with a constant. The reduced model has all sets but ``target``, the full
    model has all. Constant columns are left out, and columns that others before them make up.
    There are no more predictors than a third of the models, but at least one a set: where the sets
    have more, they take turns in order, and a set that does not get all its columns gives its
    leading principal components; what is cut off is not controlled for. Scaling, components and
    what is left out are decided anew by the training models of every fold. A model without a
    score, or without one of the predictors, is left out of that row.

    The table has a row a column of ``scores``:

    - ``group``; ``n_models``; ``n_controls``, ``n_target``: predictors of the reduced model, and
      what the full model has more.
    - ``<set>_r2``, ``<set>_cv_r2`` for every set alone, ``reduced_``, ``full_``: R2 in-sample, and
      cross-validated: 1 - squared errors on models left out / those of the training models' mean.
      It is negative where that mean predicts better. Below 20 models each is left out alone;
      of more, 10 folds are drawn 10 times.
    - ``gain``, ``cv_gain``: of the full over the reduced model. The first is never negative, the
      second is where the target's noise costs more than it tells.
    - ``p_value``: of the gain in-sample, permutation test of Freedman and Lane (1983) with the
      partial F as statistic, which Anderson and Robinson (2001) and Winkler et al. (2014) find to
      hold its level. ``q_value``: Benjamini and Hochberg (1995) over the rows.
    - ``partial_pearson``, ``_low``, ``_high``: correlation of a target of one dimension with the
      score given the other sets, Fisher's interval with a model less for every control. NaN for
      targets of several dimensions.
    - ``note``: what was left out or cut, or why numbers are NaN. Fewer than 3 models more than
      predictors leave no regression.

    Args:
        scores: A row a model, a column a group.
        predictors: From a name to (n_models,) or (n_models, n_columns), in order. The columns of a
            data frame have units of their own and are standardised before principal components;
            those of an array are coordinates in one space, and are not.
        target: The set whose gain is asked for.
        n_permutations: Random ones at most; all there are where they are no more.
        rng: A generator or a seed, for permutations and folds; seed 0 when absent.

    Raises:
        ConfigError: Scores or predictors that do not match, or no such target.
    """
    import pandas as pd

    n = len(scores)
    values = as_numbers(scores, n, "themselves")
    sets = {chosen.name: chosen for chosen in read_sets(predictors, n)}
    require_known("set of predictors", target, sets, where="target")
    generator = np.random.default_rng(0 if rng is None else rng)
    orders, exact = permute_models(n, n_permutations, generator)
    complete = np.all([np.isfinite(chosen.values).all(1) for chosen in sets.values()], axis=0)
    rows = []
    observed = np.full(values.shape[1], np.nan)
    null = np.full((len(orders), values.shape[1]), np.nan)
    known = np.isfinite(values) & complete[:, None]
    patterns, which = np.unique(known, axis=1, return_inverse=True)
    for pattern, models in enumerate(patterns.T):
        here = np.flatnonzero(which == pattern)
        scored = values[np.ix_(models, here)]
        design, notes = make_design(sets, models)
        numbers, reason = _regress(design, target, scored, generator)
        if not reason:
            observed[here], null[:, here] = freedman_lane(
                *_bases(design, target), scored, restrict(orders, models)
            )
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
    if tested.any():
        p_values[tested] = share_at_least(null[:, tested], observed[tested])
    tests = {"p_value": p_values, "q_value": control_false_discoveries(p_values)}
    place = [*table.columns].index("partial_pearson")
    for i, (name, column) in enumerate(tests.items()):
        table.insert(place + i, name, column)
    table.insert(0, "group", [str(name) for name in scores.columns])
    return Explanation(table, tuple(sets), target, len(orders), exact, _CONFIDENCE)


def _regress(
    design: Design, target: str, values: Array, rng: np.random.Generator
) -> tuple[dict[str, Any], str]:
    """The table's numbers but the tests, for scores (n_models, n_groups), and why some are NaN."""
    n, missing = len(values), np.full(values.shape[1], np.nan)
    others = [name for name in design.sets if name != target]
    models = {name: [name] for name in design.sets} | {"reduced": others, "full": [*others, target]}
    parts = design.parts()
    spans = {name: basis(side_by_side(parts, names)) for name, names in models.items()}
    ranks = {name: span.shape[1] - 1 for name, span in spans.items()}
    room = {name: models[name] for name in ranks if n - ranks[name] >= _ROOM}
    predicted = cross_validated(design, room, values, draw_folds(n, rng)) if room else {}
    n_controls, n_target = ranks["reduced"], ranks["full"] - ranks["reduced"]
    numbers: dict[str, Any] = {"n_models": n, "n_controls": n_controls, "n_target": n_target}
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
    own = independent(parts[target])
    single = not reason and len(own) == 1 and target not in design.n_components
    correlation = (missing,) * 3
    if single:
        column, controls = parts[target][:, own[0]], side_by_side(parts, others)
        correlation = partial_correlate(column, values, controls, _CONFIDENCE)
    names = ("partial_pearson", "partial_pearson_low", "partial_pearson_high")
    numbers |= dict(zip(names, correlation, strict=True))
    return numbers, reason


def _bases(design: Design, target: str) -> tuple[Array, Array]:
    """Orthonormal columns (n, .) of the reduced model, and of what the full one adds."""
    others = [name for name in design.sets if name != target]
    parts = design.parts()
    reduced = basis(side_by_side(parts, others))
    return reduced, basis(side_by_side(parts, [*others, target]))[:, reduced.shape[1] :]
