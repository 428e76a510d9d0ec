"""Which models share a basin, from few of their pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.spatial.distance import squareform

from landscape.analysis.basins.active.fill import complete_gaps
from landscape.analysis.basins.active.measured import Measure, MeasuredGaps
from landscape.analysis.basins.answer import Division, divide, in_words
from landscape.analysis.basins.noise import Noise
from landscape.analysis.basins.states import PairStates
from landscape.core.arrays import Array, Labels, Mask
from landscape.core.errors import ConfigError

_ALL_MEASURED = 24  # models up to which every pair is
_SLOPE = 1.1  # pairs beyond that: this times N log2 N
_LEAST = 400
_CORE_SHARE = 0.27  # of the budget
_LEAST_CORE = 8
_ENOUGH = 3  # pairs with members of a model's own part
_CLEAR = 2.0  # standard errors
_LARGE = 0.1  # of the core: parts that a model, placed elsewhere, is held against


@dataclass(frozen=True)
class Active(Division):
    """Which models share a basin, from few of their pairs.

    Pairs that were never measured, and those of doubtful models, are neither apart nor joined.

    Attributes:
        gaps: (n_models, n_models) nats, zero on the diagonal, NaN where never measured.
        completed: (n_models, n_models) nats, the unmeasured ones filled by what measured pairs of
            the same parts say.
    """

    gaps: Array = field(repr=False)
    completed: Array = field(repr=False)

    def sentence(self, models: Sequence[str]) -> str:
        """The answer in plain words, with models' names."""
        return in_words(self, self.gaps, models)


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
    tolerance: float = 0.02,
    rng: np.random.Generator | int = 0,
) -> Active:
    """The answer of ``find_basins`` for a population, by asking for few of its gaps.

    1. A random core of models is measured completely, and divided into parts.
    2. Every other model is held against one member of each part, the largest first, until it joins
       one; then against two more of that, and one of each other large part, for it may join two.
    3. Models that are apart from every part join the core, for they may share a basin; until there
       are none, or the budget is spent.
    4. ``divide`` answers, unmeasured gaps filled by those of the same parts, for all but the
       models that had too few pairs for that: these stay doubtful. How often it is the complete
       answer is measured in ``experiments/simulations``.

    Args:
        n_models: Size of the population.
        measure: From pairs (m, 2), the lower model first and no pair twice in all, to gaps (m,) in
            nats, or to (gaps, standard errors), each (m,). It is called once a round. The same
            answers, seed and budget give the same questions: an interrupted search is replayed
            from stored answers.
        budget: Pairs that may be measured; ``default_budget`` when absent.
        tolerance: Nats below which a gap is no barrier.
        rng: A generator or a seed: which models are the core, and who stands for a part.

    Raises:
        ConfigError: Fewer than two models, or a budget too small to hold every model against two
            others.
        DataError: An answer that is not one finite gap of 0 or more for each pair.
    """
    measured = MeasuredGaps(n_models, measure, _check(n_models, budget))
    every = math.comb(n_models, 2)
    order = np.random.default_rng(rng).permutation(n_models)
    n_core = n_models if measured.left == every else _core_size(_CORE_SHARE * measured.left)
    core = order[:n_core]
    measured.ask_all(core)
    evidence = _Evidence(measured, core, order, tolerance)
    while measured.left:
        pairs = evidence.questions()
        if not len(pairs):
            strangers = evidence.strangers()
            while len(strangers) and measured.price(np.append(core, strangers)) > measured.left:
                strangers = strangers[:-1]
            if not len(strangers):
                break
            core = np.append(core, strangers)
            measured.ask_all(core)
        else:
            measured.ask(pairs)
        evidence = _Evidence(measured, core, order, tolerance)
    return _summary(evidence)


@dataclass(frozen=True)
class _Evidence:
    """What the pairs so far say of every model.

    ``order`` (n_models,): a model's place says whom it is held against first.
    """

    measured: MeasuredGaps
    core: Labels
    order: Labels
    tolerance: float

    @cached_property
    def part(self) -> Labels:
        """(n_core,) the part of each model of the core, 0 the largest; -1 of one that joins two."""
        at = np.ix_(self.core, self.core)
        gaps = self.measured.gaps[at]
        division = divide(gaps, _noise(gaps, self.measured.errors[at]), self.tolerance)
        return division.parts if division.n_basins is None else division.labels

    @cached_property
    def sizes(self) -> Labels:
        """(n_parts,) models of the core."""
        return np.bincount(self.part[self.part >= 0])

    @cached_property
    def outside(self) -> Labels:
        """Models beside the core, in order."""
        return self.order[~np.isin(self.order, self.core)]

    @cached_property
    def counts(self) -> Array:
        """(n_outside, n_parts) pairs of each other model with each part."""
        return self._sums(~np.isnan(self._block))

    @cached_property
    def excess(self) -> Array:
        """(n_outside, n_parts) median gap less what joined models may have, in standard errors.

        Not the mean: where a part is linked only, a model joins most of it, but not all.
        """
        known = np.maximum(self.counts, 1)
        medians = np.full(self.counts.shape, np.nan)
        for part in range(len(self.sizes)):
            some = self.counts[:, part] > 0
            medians[some, part] = np.nanmedian(self._block[some][:, self.part == part], axis=1)
        errors = self.measured.errors[np.ix_(self.outside, self.core)]
        spread = np.sqrt(self._sums(np.nan_to_num(errors) ** 2)) / known
        # gaps of 0 come out above it, by noise, for the core's models as for others
        limit = np.maximum(self.tolerance, self._within())
        return np.asarray((medians - limit) / np.maximum(spread, self.tolerance / 100))

    @property
    def joins(self) -> Mask:
        """(n_outside, n_parts) whether a model joins a part."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.excess <= 0.5)

    def questions(self) -> Labels:
        """(m, 2) the next pair of every model that is not yet held against what it should be."""
        pairs = []
        missing = self._missing()
        for row in np.flatnonzero(missing.any(1)):
            model = self.outside[row]
            new = np.isnan(self.measured.gaps[model, self.core])
            for part in np.flatnonzero(missing[row]):
                members = self.core[new & (self.part == part)]
                if len(members):
                    pairs.append((model, members[int(self.order[model]) % len(members)]))
                    break
        return np.array(pairs, dtype=np.intp).reshape(-1, 2)

    def strangers(self) -> Labels:
        """Models that are apart from every part."""
        alone = (self.counts > 0).all(1) & ~self.joins.any(1)
        return np.asarray(self.outside[alone])

    @property
    def doubtful(self) -> Mask:
        """(n_outside,) bool: in no part, or by too few pairs, or in two."""
        return np.asarray(self._unconfirmed().any(1) | (self.joins.sum(1) != 1))

    def _unconfirmed(self) -> Mask:
        """(n_outside, n_parts) parts that a model joins or may join, by too few pairs."""
        with np.errstate(invalid="ignore"):
            unclear = np.abs(self.excess) < _CLEAR
        few = self.counts < np.minimum(_ENOUGH, self.sizes)
        return np.asarray((self.joins | unclear) & few)

    def _missing(self) -> Mask:
        """(n_outside, n_parts) parts that a model should yet be held against, largest first."""
        more, placed = self._unconfirmed(), self.joins.any(1, keepdims=True)
        large = self.sizes > max(1.0, _LARGE * len(self.core))
        unseen = (self.counts == 0) & (~placed | large)
        return np.where(more.any(1, keepdims=True), more, unseen)

    @cached_property
    def _block(self) -> Array:
        return np.asarray(self.measured.gaps[np.ix_(self.outside, self.core)])

    def _sums(self, values: Array | Mask) -> Array:
        """(n_outside, n_parts) of (n_outside, n_core)."""
        return values.astype(np.float64) @ (self.part[:, None] == np.arange(len(self.sizes)))

    def _within(self) -> Array:
        """(n_parts,) median gaps within the core's parts."""
        gaps = self.measured.gaps[np.ix_(self.core, self.core)]
        inside = [
            gaps[np.ix_(self.part == part, self.part == part)] for part in range(len(self.sizes))
        ]
        return np.array([np.median(squareform(some)) if len(some) > 1 else 0 for some in inside])


def _summary(evidence: _Evidence) -> Active:
    measured, core = evidence.measured, evidence.core
    n, k, n_outside = len(evidence.order), len(evidence.sizes), len(evidence.outside)
    doubtful = np.zeros(n, dtype=bool)
    doubtful[evidence.outside] = evidence.doubtful
    labels = np.empty(n, dtype=np.intp)
    labels[core] = np.where(evidence.part < 0, k + n_outside + np.arange(len(core)), evidence.part)
    if n_outside:
        nearest = np.where(np.isnan(evidence.excess), np.inf, evidence.excess).argmin(1)
        alone = k + np.arange(n_outside)
        labels[evidence.outside] = np.where(evidence.joins.any(1), nearest, alone)
    labels = np.unique(labels, return_inverse=True)[1].astype(np.intp)
    completed = complete_gaps(measured.gaps, labels)
    filled = np.median(measured.errors[measured.mask])
    errors = np.where(measured.mask | np.eye(n, dtype=bool), measured.errors, filled)
    sure = np.flatnonzero(~doubtful)
    at = np.ix_(sure, sure)
    some = completed[at]
    division = divide(
        some, _noise(some, errors[at]), evidence.tolerance, measured=measured.mask[at]
    )
    return Active(
        **vars(_for_all(division, sure, n)),
        gaps=measured.gaps,
        completed=completed,
    )


def _for_all(division: Division, some: Labels, n: int) -> Division:
    """A division of some models, (n_some,), as one of n: the others are in no basin."""
    at = np.ix_(some, some)

    def spread(values: Any, otherwise: int) -> Any:
        whole = np.full((n, n) if values.ndim == 2 else n, otherwise, values.dtype)
        whole[at if values.ndim == 2 else some] = values
        return whole

    states: dict[str, Any] = {
        name: spread(value, 0) if isinstance(value, np.ndarray) else value
        for name, value in vars(division.states).items()
    }
    return replace(
        division,
        labels=spread(division.labels, -1),
        parts=spread(division.parts, -1),
        aside=tuple(int(some[model]) for model in division.aside),
        doubtful=tuple(np.setdiff1d(np.arange(n), some).tolist()),
        states=PairStates(**states),
    )


def _noise(gaps: Array, errors: Array) -> Noise | None:
    """Normal and independent; None of an oracle that gives no errors."""
    if not errors.any():
        return None
    flat, spread = squareform(gaps, checks=False), squareform(errors, checks=False)
    nothing = np.empty((0, len(flat)))
    return Noise(nothing, nothing, spread, flat, False)


def _core_size(n_pairs: float) -> int:
    """The most models that have no more pairs; eight at least."""
    return max(_LEAST_CORE, int((1 + math.sqrt(1 + 8 * n_pairs)) / 2))


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
