"""Basins of a large population from few pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from landscape.analysis.basins.active.assign import (
    assign,
    find_misfits,
    joins_two,
    place,
    seem,
)
from landscape.analysis.basins.active.blocks import TOLERANCE
from landscape.analysis.basins.active.core import (
    Core,
    candidate,
    decide,
    fit,
    others,
    refuse_singles,
)
from landscape.analysis.basins.active.measured import Measure, MeasuredGaps
from landscape.analysis.basins.active.number import join_basins, refute
from landscape.analysis.basins.active.result import Active, summarize
from landscape.core.arrays import Labels
from landscape.core.errors import ConfigError

_ALL_MEASURED = 24  # models up to which every pair is
_SLOPE = 1.1  # pairs beyond that: this times N log2 N
_LEAST = 400
_CORE_SHARE = 0.27  # of the budget
_LARGER_SHARE = 0.5  # of the budget, for the core in which groups are doubtful
_LEAST_CORE = 8
_RESERVE = 0.2  # of the budget, not touched before misfits were looked for once
_HELD = 3  # pairs for each model of the core, kept for misfits while groups are candidates
_MISFITS = 0.25  # of the core, that join it at a time
_MEMBERS = 3  # of each candidate group, before the complete answer is asked again
_ROUGH = 3.0  # log-odds, 20 to 1, that are enough while groups are candidates
_TURNS = 8
_WRONG = 0.05  # assignments expected to be wrong in the whole population


@dataclass(frozen=True)
class _Setting:
    """What stays the same all through."""

    order: Labels
    threshold: float
    most: int
    misfits: int
    largest: int
    reserve: int
    held: int
    seed: int


def default_budget(n_models: int) -> int:
    """Pairs: all up to 24 models, else 1.1 N log2 N and 400 at least; 730 of 4,950 for 100."""
    every = n_models * (n_models - 1) // 2
    if n_models <= _ALL_MEASURED:
        return every
    return min(every, max(_LEAST, int(_SLOPE * n_models * math.log2(n_models))))


def find_basins_actively(
    n_models: int,
    measure: Measure,
    *,
    budget: int | None = None,
    rng: np.random.Generator | int = 0,
) -> Active:
    """Find the basins of a population by asking for few of its gaps.

    1. A random core of models is measured completely, and ``find_basins`` says how many basins it
       has. Only a random sample is a fair test: well-spread models alone would look like groups.
    2. Every other model is held against landmarks of the core (farthest point first, Gonzalez
       1985), likeliest basin first, until the log-odds of its basin leave 0.05 wrong models
       expected in all, or ``k + 2 log2 N`` pairs are spent.
    3. Models that lie farther from their likeliest basin than its own do, join the core, and
       ``find_basins`` is asked again, until no basin is new. An outlier must also lie farther out
       than the farthest of N exponential effects does in 19 of 20 populations.
    4. Where the core is one basin but its gaps exceed the tolerance, the groups that stand out
       most in it are candidates: the core is widened evenly, to half of the budget at most, and
       ``find_basins`` is asked again. What it does not confirm is dropped.
    5. Basins of the core that are one to the models outside it are joined, by the coarsest level
       whose mean silhouette is within a standard error of the highest.
    6. Groups that are an accident of the core are dropped: the mean silhouette of the models
       outside it must reach 0.8 of the core's own.
    7. Models joined to two basins alike go to the nearer centroid of the Nystrom embedding.

    No number of basins is found but by ``find_basins``; how often all this gives the complete
    answer is measured in ``experiments/simulations``.

    Args:
        n_models: Size of the population.
        measure: From pairs (m, 2), the lower model first and no pair twice in all, to gaps (m,) in
            nats, or to (gaps, standard errors), each (m,). It is called once a round. The same
            answers, seed and budget give the same questions: an interrupted search is replayed
            from stored answers.
        budget: Pairs that may be measured; ``default_budget`` when absent.
        rng: A generator or a seed.

    Raises:
        ConfigError: Fewer than two models, or a budget too small to hold every model against two
            others.
        DataError: An answer that is not one finite gap of 0 or more for each pair.
    """
    every = n_models * (n_models - 1) // 2
    allowed = _check(n_models, budget)
    generator = np.random.default_rng(rng)
    measured = MeasuredGaps(n_models, measure, allowed)
    n_random = n_models if allowed == every else _core_size(_CORE_SHARE * allowed)
    setting = _Setting(
        order=generator.permutation(n_models),
        threshold=math.log(n_models / _WRONG),
        most=2 * math.ceil(math.log2(n_models)),
        misfits=max(4, int(_MISFITS * n_random)),
        largest=_core_size(_LARGER_SHARE * allowed),
        reserve=int(_RESERVE * allowed),
        held=_HELD * n_random,
        seed=int(generator.integers(2**31)),
    )
    sample = np.sort(setting.order[:n_random])
    measured.ask_all(sample)
    core = decide(measured, sample, setting.seed)
    core, apart = _widen(measured, core, setting)
    _assign(measured, core, setting)
    everyone = np.arange(n_models)
    joined = join_basins(measured, core, place(measured, core, everyone)[0])
    if joined.k < core.k:
        core, apart = refuse_singles(measured, joined), apart[:0]
        _assign(measured, core, setting)
    refuted = refute(measured, core) if core.k > 1 else None
    if refuted:
        core, apart = replace(core, labels=np.zeros_like(core.labels)), apart[:0]
    return summarize(
        measured,
        core,
        refuted,
        apart=apart,
        n_random=n_random,
        threshold=setting.threshold,
    )


def _core_size(n_pairs: float) -> int:
    """The most models that have no more pairs; eight at least."""
    return max(_LEAST_CORE, int((1 + math.sqrt(1 + 8 * n_pairs)) / 2))


def _widen(measured: MeasuredGaps, first: Core, setting: _Setting) -> tuple[Core, Labels]:
    """The core with all basins found, and the models for whose test no pairs were left."""
    core = first
    gaps = measured.gaps[np.ix_(first.models, first.models)]
    if first.k == 1 and len(gaps) < len(measured.gaps) and gaps.max() > TOLERANCE:
        core = candidate(measured, first)
    tried: set[int] = set()
    reserve = setting.reserve
    for _ in range(_TURNS):
        reserved = 0 if core.tested else setting.held
        _assign(measured, core, setting, max(reserve, reserved))
        reserve = 0
        far = find_misfits(measured, core, len(tried) + 2 * setting.misfits)
        far = np.array([model for model in far if model not in tried], dtype=np.intp)
        members, extra = core.models, far[: setting.misfits]
        if not core.tested and not len(far):
            members = _even_out(measured, core, setting)
            extra = _larger(measured, core, setting)
        while len(extra) and measured.price(np.append(members, extra)) > measured.left - reserved:
            extra = extra[:-1]
        if not len(extra):
            if core.tested:
                return core, far
            core = first
            continue
        tried.update(map(int, extra))
        wider = np.append(members, extra)
        measured.ask_all(wider)
        again = decide(measured, wider, setting.seed)
        if not core.tested:
            rejected = candidate(measured, again) if len(far) else first
            core = again if again.k > 1 else rejected
        elif again.k > core.k or _has_new(again, extra):
            core = again
        else:  # what lay apart is no basin
            return core, far[:0]
    return (core if core.tested else first), np.empty(0, dtype=np.intp)


def _assign(measured: MeasuredGaps, core: Core, setting: _Setting, reserve: int = 0) -> None:
    assign(
        measured,
        core,
        threshold=setting.threshold if core.tested else _ROUGH,
        most=core.k + (setting.most if core.tested else 3),
        reserve=reserve,
    )


def _has_new(core: Core, models: Labels) -> bool:
    """Whether a basin, one of several, consists of these models alone."""
    new = [np.isin(core.models[core.labels == basin], models).all() for basin in range(core.k)]
    return core.k > 1 and any(new)


def _even_out(measured: MeasuredGaps, core: Core, setting: _Setting) -> Labels:
    """The core without models joined to two groups, as far as it has more than its share."""
    outside = others(measured, core)
    blocks = fit(measured, core)
    share = joins_two(measured, core, outside, blocks).mean() if len(outside) else 1.0
    inside = np.flatnonzero(joins_two(measured, core, core.models, blocks))
    return np.delete(core.models, inside[round(share * len(core.models)) :])


def _larger(measured: MeasuredGaps, core: Core, setting: _Setting) -> Labels:
    """Random models that bring each group to three and the core to its most, as far as they can."""
    outside = setting.order[~np.isin(setting.order, core.models)]
    basins = seem(measured, core, outside)
    missing = [
        outside[basins == basin][: max(0, _MEMBERS - size)] for basin, size in enumerate(core.sizes)
    ]
    few = np.concatenate(missing)
    rest = outside[~np.isin(outside, few)]
    return np.append(few, rest[: max(0, setting.largest - len(core.models) - len(few))])


def _check(n_models: int, budget: int | None) -> int:
    """The pairs that may be measured."""
    if n_models < 2:
        raise ConfigError("A population needs at least two models.", found=n_models)
    if budget is None:
        return default_budget(n_models)
    every = n_models * (n_models - 1) // 2
    least = every
    if n_models > _LEAST_CORE:
        least = min(every, math.comb(_LEAST_CORE, 2) + 2 * (n_models - _LEAST_CORE))
    if budget < least:
        raise ConfigError(
            "The budget of pairs is too small to find basins.",
            where="budget",
            expected=f"{least} pairs at least for {n_models} models: all of "
            f"{min(n_models, _LEAST_CORE)} of them, and two for each other",
            found=budget,
            fix="Allow more pairs, or leave models out.",
        )
    return min(budget, every)
