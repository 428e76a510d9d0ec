"""What an explanation found, in one plain sentence or two."""

from __future__ import annotations

from math import isfinite, sqrt
from typing import TYPE_CHECKING

from scipy import stats

from landscape.core.errors import require_known

if TYPE_CHECKING:
    import pandas as pd

    from landscape.analysis.statistics.explanation import Explanation

_LEVEL = 0.05
_MANY = 30  # models; with fewer, a cross-validated R2 is a rough number


def explanation_sentence(explanation: Explanation, group: str) -> str:
    """Whether the target says more about a group's scores than the other sets, and how surely.

    It says more where its q-value is at most .05 and it predicts models left out better. What is
    not found is not said to be absent: how much a population of this size would show is added.

    Args:
        explanation: From ``explain``.
        group: A column of the scores.

    Raises:
        ConfigError: No such group.
    """
    table = explanation.table
    require_known("group", group, table["group"], where="explanation")
    row = table[table["group"] == group].iloc[0]
    name = f"the {explanation.target}" if explanation.target == "basin" else explanation.target
    others = [other for other in explanation.sets if other != explanation.target]
    than = f" than {_listed(others)}" if others else ""
    if not isfinite(row["p_value"]):
        why = row["note"].rsplit("; ", 1)[-1]
        return f"Whether {name} says more about {group}{than} cannot be told: {why}."
    found = _found(row, explanation)
    strong, better = row["q_value"] <= _LEVEL, row["cv_gain"] > 0
    title = name[:1].upper() + name[1:]
    if strong and better:
        text = f"{title} says more about {group}{than}: {found}."
    elif strong:
        text = (
            f"{title} goes with what is left of {group}{_beside(others)}, but does not help to "
            f"predict models left out: {found}."
        )
    elif row["p_value"] <= _LEVEL:
        n_tested = int(table["p_value"].count())
        text = (
            f"{title} may say more about {group}{than}, but among {n_tested} groups that is to be "
            f"expected by chance: {found}."
        )
    else:
        text = f"That {name} says more about {group}{than} is not shown: {found}."
    note = f" Of the models and predictors: {row['note']}." if row["note"] else ""
    return text + _limits(row, explanation) + note


def _found(row: pd.Series, explanation: Explanation) -> str:
    q = "" if len(explanation.table) == 1 else f", q {_equals(row['q_value'])}"
    return (
        f"cross-validated R² {_number(row['full_cv_r2'])} with it and "
        f"{_number(row['reduced_cv_r2'])} without, p {_equals(row['p_value'])}{q}"
    )


def _limits(row: pd.Series, explanation: Explanation) -> str:
    """What the size of the population does to the answer."""
    n, m = int(row["n_models"]), int(row["n_target"])
    left = n - m - int(row["n_controls"]) - 1
    if row["p_value"] <= _LEVEL:
        return f" With {n} models, how much more is uncertain." if n < _MANY else ""
    if explanation.n_permutations * _LEVEL < 1:
        return (
            f" The {n} models allow {explanation.n_permutations} permutations, too few for any "
            "p-value of .05."
        )
    f = float(stats.f.isf(_LEVEL, m, left))
    share = m * f / (m * f + left)
    needed = f"{round(100 * share)}% of what the others leave"
    if m == 1:
        needed = f"a partial correlation of {_number(sqrt(share))}"
    return f" With {n} models it takes {needed} to be seen."


def _beside(others: list[str]) -> str:
    return f" beside {_listed(others)}" if others else ""


def _listed(names: list[str]) -> str:
    *head, last = names
    return f"{', '.join(head)} and {last}" if head else last


def _number(value: float) -> str:
    """``.62`` or ``−.10``."""
    text = f"{abs(value):.2f}"
    text = text[1:] if text.startswith("0") else text
    return f"\N{MINUS SIGN}{text}" if value < 0 and text != ".00" else text


def _equals(value: float) -> str:
    return "< .001" if value < 0.001 else f"= {value:.3f}".replace("0.", ".", 1)
