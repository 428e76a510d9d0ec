"""Whether an explanation says more than the other sets of predictors do."""

from __future__ import annotations

from math import isfinite

from scipy import stats

from landscape.analysis.statistics.explanation import Explanation
from landscape.analysis.statistics.predictors import CONDITIONS
from landscape.core import relation_sentences
from landscape.core.errors import require_known
from landscape.core.relation_sentences import Gain

_LEVEL = 0.05
_LEAST_GAIN = 0.01  # of cross-validated R^2
_RELIABLE = 0.9  # a control measured worse leaves to the target what it should explain
_MANY = 30  # models; with fewer, a cross-validated R2 is a rough number


def explanation_sentence(explanation: Explanation, group: str) -> str:
    """Whether the target says more about a group's scores than the other sets, and how surely.

    It says more where its q-value is at most .05 and it predicts models left out better. That is
    withheld where one of the other sets has a reliability below .9: what noise takes from a control
    passes for what the target adds (Westfall and Yarkoni 2016, PLOS ONE 11(3)). What is not found
    is not said to be absent: how much a population of this size would show is added.

    Raises:
        ConfigError: No such group.
    """
    table = explanation.table
    require_known("group", group, table["group"], where="explanation")
    row = table[table["group"] == group].iloc[0]
    p_value, q_value, note = float(row["p_value"]), float(row["q_value"]), str(row["note"])
    shown = p_value <= _LEVEL
    gain = Gain.BY_CHANCE if shown else Gain.NOT_SHOWN
    if not isfinite(p_value):
        gain, note = Gain.UNKNOWN, note.rsplit("; ", 1)[-1]
    elif q_value <= _LEVEL:
        gain = Gain.MORE if row["cv_gain"] > _LEAST_GAIN else Gain.NO_HELP
    others = [other for other in explanation.sets if other != explanation.target]
    noisy = {name: value for name, value in explanation.reliability.items() if name in others}
    worst = min(noisy, key=lambda name: noisy[name], default="")
    if gain in (Gain.MORE, Gain.NO_HELP) and worst and noisy[worst] < _RELIABLE:
        gain = Gain.WITHHELD
    n, m = int(row["n_models"]), int(row["n_target"])
    left = n - m - int(row["n_controls"]) - 1
    # what reaches the level: the F of these degrees of freedom
    f = float(stats.f.isf(_LEVEL, m, left)) if m > 0 and left > 0 else float("nan")
    few_orders = explanation.n_permutations * _LEVEL < 1
    return relation_sentences.explanation_sentence(
        gain,
        group,
        explanation.target,
        others,
        with_it=float(row["full_cv_r2"]),
        without=float(row["reduced_cv_r2"]),
        p_value=p_value,
        q_value=q_value,
        n_tested=int(table["p_value"].count()),
        n_groups=len(table),
        limits=relation_sentences.limits_of(
            n,
            shown=shown,
            few=n < _MANY,
            n_permutations=explanation.n_permutations if few_orders else None,
            share=m * f / (m * f + left),
            single=m == 1,
        )
        if gain is not Gain.UNKNOWN
        else "",
        note=note,
        worst=(worst, noisy.get(worst, 1.0)),
        unknown=[name for name in others if name not in noisy and name != CONDITIONS],
    )
