"""What relations of scores to basins say, in plain sentences made of numbers and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import isfinite

from landscape.core.wording import MINUS, capital, count, listed, number, percent, verb

Estimate = tuple[float, float, float]
"""A number and the ends of its interval, NaN where they are not known."""


class Gain(StrEnum):
    """Whether a set of predictors says more about scores than the others do."""

    MORE = "says more"
    WITHHELD = "would say more, but a control is measured too badly"
    NO_HELP = "goes with what is left, but does not help to predict"
    BY_CHANCE = "may say more, but among so many groups by chance"
    NOT_SHOWN = "not shown"
    UNKNOWN = "cannot be told"


def relation_sentence(
    score: str, everywhere: Estimate, pearson: float, confidence: float, forced: bool
) -> str:
    """Whether a score goes with centroid distance, by Spearman's correlation."""
    how = "neither clearly rises nor falls"
    if _is_clear(everywhere):
        how = "falls" if everywhere[0] < 0 else "rises"
    split = " of a forced two-way split" if forced else ""
    rho = _estimate(everywhere, f"{percent(confidence)} interval ")
    return (
        f"The {score} {how} with the centroid distance{split}: Spearman \u03c1 = {rho}, "
        f"Pearson r = {_bare(pearson)}."
    )


def within_sentence(
    score: str,
    everywhere: Estimate,
    within: Estimate,
    confidence: float,
    forced: bool,
    *,
    n_models: int,
    conditions: Sequence[str],
    by_names: bool,
) -> str:
    """Whether a relation to centroid distance is more than one of training conditions."""
    split = " of a forced two-way split" if forced else ""
    by = ", by the models' names" if by_names else ""
    text = (
        f"The {score} goes with the centroid distance{split} by Spearman \u03c1 = "
        f"{_estimate(everywhere, f'{percent(confidence)} interval ')} over all {n_models} models"
    )
    inside = f"within a training condition ({listed(conditions, 6)}{by})"
    if not isfinite(within[0]):
        return f"{text}; {inside} one of the two never varies, so that may be the conditions'."
    numbers = f"by {_estimate(within)} {inside}"
    overall, clear = _is_clear(everywhere), _is_clear(within)
    if overall and not clear:
        return f"{text}, but {numbers}: it tells the conditions apart, and nothing more is shown."
    if not clear:
        return f"{text} and {numbers}: neither is clear."
    if overall and everywhere[0] * within[0] > 0:
        return f"{text} and {numbers}: it is more than the conditions."
    return f"{text}, but {numbers}: conditions hide what goes on within them."


def conditions_sentence(conditions: Sequence[str]) -> str:
    """That names suggest training conditions, and what to say of it."""
    return (
        f"The models' names suggest {count(len(conditions), 'training condition')} "
        f"({listed(conditions, 6)}), and no recipe says otherwise: a relation to scores may be "
        "due to them. Confirm it by 'analysis: {conditions: names}' in the configuration, name "
        "conditions there by patterns, or say 'none'."
    )


def _is_clear(estimate: Estimate) -> bool:
    return estimate[1] * estimate[2] > 0  # not so where an end is NaN


def _estimate(estimate: Estimate, what: str = "") -> str:
    value, low, high = estimate
    ends = f" ({what}{_bare(low)} to {_bare(high)})" if isfinite(low) and isfinite(high) else ""
    return _bare(value) + ends


def explanation_sentence(
    gain: Gain,
    group: str,
    target: str,
    others: Sequence[str],
    *,
    with_it: float,
    without: float,
    p_value: float,
    q_value: float,
    n_tested: int,
    n_groups: int,
    limits: str,
    note: str,
    worst: tuple[str, float],
    unknown: Sequence[str],
) -> str:
    """Whether a set of predictors says more about a group's scores than the others do.

    ``worst`` is the set among the others that is measured worst, and its reliability; of those
    that are ``unknown`` it is not known.
    """
    name = f"the {target}" if target == "basin" else target
    than = f" than {listed(others)}" if others else ""
    if gain is Gain.UNKNOWN:
        return f"Whether {name} says more about {group}{than} cannot be told: {note}."
    q = "" if n_groups == 1 else f", q {_equals(q_value)}"
    finding = (
        f"cross-validated R² {_bare(with_it)} with it and {_bare(without)} without, "
        f"p {_equals(p_value)}{q}"
    )
    text = {
        Gain.MORE: f"{name} says more about {group}{than}",
        Gain.WITHHELD: (
            f"whether {name} says more about {group}{than} is left open: {worst[0]} has a "
            f"reliability of {_bare(worst[1])}, below .9, and what its noise hides passes for gain"
        ),
        Gain.NO_HELP: (
            f"{name} goes with what is left of {group}"
            f"{f' beside {listed(others)}' if others else ''}, but does not help to predict "
            "models left out"
        ),
        Gain.BY_CHANCE: (
            f"{name} may say more about {group}{than}, but among {n_tested} groups that is to be "
            "expected by chance"
        ),
        Gain.NOT_SHOWN: f"that {name} says more about {group}{than} is not shown",
    }[gain]
    if gain is Gain.MORE and unknown:
        are = verb(len(unknown), "is", "are")
        limits += f" That supposes that {listed(unknown)} {are} measured well."
    left_out = f" Of the models and predictors: {note}." if note else ""
    return f"{capital(text)}: {finding}.{limits}{left_out}"


def reliability_sentence(known: Mapping[str, float], unknown: Sequence[str]) -> str:
    """How well sets of predictors are measured."""
    parts = [f"{name} {_bare(value)}" for name, value in known.items()]
    parts += [f"not known of {listed(unknown)}"] if unknown else []
    return f"Split-half reliability: {', '.join(parts)}."


def limits_of(
    n_models: int, *, shown: bool, few: bool, n_permutations: int | None, share: float, single: bool
) -> str:
    """What the size of a population does to the answer, as a sentence that follows it."""
    if shown:
        return f" With {n_models} models, how much more is uncertain." if few else ""
    if n_permutations is not None:
        return (
            f" The {n_models} models allow {n_permutations} permutations, too few for any p-value "
            "of .05."
        )
    needed = f"{round(100 * share)}% of what the others leave"
    if single:
        needed = f"a partial correlation of {_bare(share**0.5)}"
    return f" With {n_models} models it takes {needed} to be seen."


def _bare(value: float) -> str:
    """``.62`` or ``−.10``."""
    text = number(value, 2)
    return text.replace("0.", ".", 1) if text.strip(MINUS).startswith("0.") else text


def _equals(value: float) -> str:
    return "< .001" if value < 0.001 else f"= {value:.3f}".replace("0.", ".", 1)
