"""Which models share a basin: no barrier within, one between, or why there is no such division.

A basin is a set of models of which no two have a barrier (Frankle et al. 2020, arXiv 1912.05671;
Juneja et al. 2023, arXiv 2205.12411). Where having no barrier is not transitive, no partition says
who joins whom, and the answer says that instead. Nothing here is random, and neither the order of
the models nor a common factor of gaps and tolerance changes anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform

from landscape.analysis.basins.noise import Noise
from landscape.analysis.basins.spectral import by_size
from landscape.analysis.basins.states import PairStates, boundaries, p_joined, pair_states
from landscape.core.arrays import Array, Labels, Mask
from landscape.core.sentences import Answer, Criterion, answer_sentence, few_pairs_sentence

_LEAST = 2  # basins that are certain, of an answer that has several
_MOST_ASIDE = 0.1  # of the models, and one in any case
_LIKELY = 0.1  # chance of having no barrier, above which a pair counts as joined


@dataclass(frozen=True)
class Division:
    """Which models share a basin.

    Attributes:
        answer: ``one``: no pair has a barrier, and that is shown of all; ``undecided``: no barrier
            is shown, but not that there is none; ``basins``: no barrier within, one between any
            two; ``apart``: no two models share one; ``bridged``: basins, once a few models that
            join several are set aside; ``chain``: models linked through others though direct lines
            have barriers; ``mixed``: some connected parts are basins, others chains.
        n_basins: Of ``one``, ``basins``, ``apart`` and ``bridged``; else None.
        labels: (n_models,) the basin of each model, 0 the largest, -1 where it is set aside; where
            there are no basins, its connected part.
        aside: Models that join several basins.
        at_least: As many basins there are at least: between so many groups the mean gap exceeds
            the tolerance, at 5% for all together.
        n_connected: Connected parts of the graph of joined pairs.
        is_basin: (n_connected,) whether each connected part is a basin, in the order of ``parts``.
        parts: (n_models,) the connected part of each model, 0 the largest.
        states: What is shown of each pair.
        needed: About as many examples as would show that there is no barrier; None where that is
            not known.
    """

    answer: Answer
    n_basins: int | None
    labels: Labels
    aside: tuple[int, ...]
    at_least: int
    n_connected: int
    is_basin: tuple[bool, ...]
    parts: Labels
    states: PairStates
    needed: int | None
    doubtful: tuple[int, ...] = field(default=(), kw_only=True)


def divide(
    gaps: Array,
    noise: Noise | None,
    tolerance: float,
    n_examples: int | None = None,
    *,
    measured: Mask | None = None,
) -> Division:
    """The answer for gaps (n_models, n_models) nats.

    Average linkage of the bias-corrected gaps is cut at the tolerance, but only where the mean gap
    between the two parts exceeds it at 5%, or some pair has a barrier. A pair is then taken as
    joined where its gap, given those of its block (empirical Bayes, random effects by
    DerSimonian and Laird 1986), may well be below the tolerance, or is shown to be: a division
    holds only where no barrier within and some barrier across is likely of every pair.

    Args:
        gaps: Symmetric, zero on the diagonal.
        noise: What a sample of examples does to them.
        tolerance: Nats below which a gap is no barrier.
        n_examples: That the gaps are from, to say how many would tell.
        measured: (n_models, n_models) bool; of other pairs nothing is shown. All when absent.
    """
    states = pair_states(gaps, noise, tolerance, measured)
    division = _divide(gaps, noise, states)
    return replace(division, needed=_needed(noise, states, n_examples))


def _divide(gaps: Array, noise: Noise | None, states: PairStates) -> Division:
    n = len(gaps)
    everyone, together = np.arange(n), np.zeros(n, dtype=np.intp)
    found = partial(Division, states=states, needed=None)
    if not states.n_apart:
        unknown = ~states.measured & (gaps > states.tolerance)
        open_ = states.n_undecided or not states.n_measured or unknown.any()
        answer, n_basins = (Answer.UNDECIDED, None) if open_ else (Answer.ONE, 1)
        return found(answer, n_basins, together, (), 1, 1, (True,), together)
    corrected = _corrected(gaps, noise)
    groups, joined = _joined(everyone, corrected, noise, states)
    at_least = _at_least(gaps, groups, noise, states.tolerance)
    parts, is_basin = _parts(joined)
    n_parts = len(is_basin)
    rest = (n_parts, is_basin, parts)
    # barriers are shown, but all pairs may well be joined, or not who is parted from whom
    if all(is_basin) and (n_parts == 1 or at_least < _LEAST):
        return found(Answer.UNDECIDED, None, parts, (), at_least, *rest)
    if all(is_basin):
        answer = Answer.APART if n_parts == n else Answer.BASINS
        return found(answer, n_parts, parts, (), at_least, *rest)
    for aside in _bridges(joined, corrected):
        others = np.delete(everyone, aside)
        inside, clean = _parts(_joined(others, corrected, noise, states)[1])
        touched = [len(np.unique(inside[joined[model][others]])) for model in aside]
        if all(clean) and len(clean) > 1 and min(touched) > 1 and at_least >= _LEAST:
            labels = np.full(n, -1, dtype=np.intp)
            labels[others] = inside
            k = len(clean)
            return found(Answer.BRIDGED, k, labels, aside, min(at_least, k), *rest)
    answer = Answer.MIXED if any(is_basin) else Answer.CHAIN
    return found(answer, None, parts, (), at_least, *rest)


def _corrected(gaps: Array, noise: Noise | None) -> Array:
    return gaps if noise is None else np.asarray(squareform(noise.corrected, checks=False))


def _joined(
    models: Labels, corrected: Array, noise: Noise | None, states: PairStates
) -> tuple[Labels, Mask]:
    """Groups of some models, (n,), and which of these count as joined, (n, n)."""
    grid = np.ix_(models, models)
    some = corrected[grid]
    groups = _groups(models, some, noise, states)
    if noise is None:
        joined = some <= states.tolerance
    else:
        errors = np.maximum(squareform(noise.errors, checks=False), states.tolerance / 100)[grid]
        joined = p_joined(some, errors, groups, states.tolerance) > _LIKELY
        joined = (joined | states.joined[grid]) & ~states.apart[grid]
    np.fill_diagonal(joined, True)
    return groups, joined


def _groups(models: Labels, corrected: Array, noise: Noise | None, states: PairStates) -> Labels:
    """Average linkage, cut from the top where the two parts are shown to be parted."""
    n = len(models)
    labels = np.zeros(n, dtype=np.intp)
    if n == 1:
        return labels
    order = _in_order(corrected)
    tree = linkage(squareform(corrected[np.ix_(order, order)], checks=False), "average")
    members = [[int(k)] for k in order]
    for first, second in tree[:, :2].astype(int):
        members.append(members[first] + members[second])
    todo, group = [2 * n - 2], 0
    while todo:
        node = todo.pop()
        if node >= n:
            first, second = tree[node - n, :2].astype(int)
            height = tree[node - n, 2]
            rows, columns = models[members[first]], models[members[second]]
            margin = 0.0 if noise is None else noise.margin_of_mean(rows, columns)
            if height > states.tolerance and (
                height - margin > states.tolerance or states.apart[np.ix_(rows, columns)].any()
            ):
                todo += [first, second]
                continue
        labels[members[node]] = group
        group += 1
    return by_size(labels)


def _in_order(gaps: Array) -> Labels:
    """Models by their sorted gaps, so that ties fall alike whatever the order they came in."""
    return np.lexsort(np.sort(gaps, axis=1).T[::-1])


def _parts(joined: Mask) -> tuple[Labels, tuple[bool, ...]]:
    """Connected parts (n,), 0 the largest, and whether all pairs of each are joined."""
    n_parts, raw = connected_components(joined, directed=False)
    parts = by_size(raw)
    members = [parts == part for part in range(n_parts)]
    return parts, tuple(bool(joined[np.ix_(rows, rows)].all()) for rows in members)


def _bridges(joined: Mask, corrected: Array) -> Iterator[tuple[int, ...]]:
    """Models to set aside, one more each time: of most triples in which only two pairs are joined.

    A model must join the two others in one of these; of equals, in most.
    """
    alive = np.arange(len(joined))
    aside: list[int] = []
    for _ in range(max(1, int(_MOST_ASIDE * len(joined)))):
        links = joined[np.ix_(alive, alive)] & ~np.eye(len(alive), dtype=bool)
        between = links.astype(np.float64) @ links  # models that join both
        degrees = links.sum(1)
        open_pairs = degrees * (degrees - 1) - (between * links).sum(1)
        between[links | np.eye(len(alive), dtype=bool)] = 0
        triples = np.where(open_pairs > 0, open_pairs / 2 + between.sum(1), 0)
        if not open_pairs.max() > 0:
            return
        nearness = corrected[np.ix_(alive, alive)].sum(1)
        best = np.lexsort((nearness, -open_pairs, -triples))[0]
        aside.append(int(alive[best]))
        alive = np.delete(alive, best)
        yield tuple(sorted(aside))


def _at_least(gaps: Array, groups: Labels, noise: Noise | None, tolerance: float) -> int:
    """The size of a set of groups with a boundary shown between any two of them."""
    open_ = ~boundaries(gaps, groups, noise, tolerance)
    np.fill_diagonal(open_, False)
    sizes, alive = np.bincount(groups), np.ones(len(open_), dtype=bool)
    near = np.bincount(groups, gaps.sum(1)) / sizes  # decides between equals
    while (count := (open_ & alive & alive[:, None]).sum(1)).any():
        alive[np.lexsort((near, sizes, -count))[0]] = False
    return int(alive.sum())


def _needed(noise: Noise | None, states: PairStates, n_examples: int | None) -> int | None:
    """As errors fall with the root of the examples; one digit is as much as this is worth."""
    if noise is None or n_examples is None or not noise.resampled:
        return None
    middle = float(np.median(noise.corrected))
    wider, room = float(states.highest.max()) - middle, states.asked - middle
    if not wider > room > 0:
        return None
    least = n_examples * (wider / room) ** 2
    digit = 10 ** int(np.log10(least))
    return int(np.ceil(least / digit)) * digit


def in_words(
    division: Division,
    gaps: Array,
    models: Sequence[str],
    criterion: Criterion = Criterion.LOSS,
) -> str:
    """One plain sentence or two; of gaps (n_models, n_models), NaN where not measured."""
    states, upper = division.states, np.triu_indices(len(gaps), 1)
    barriers = gaps[upper][states.apart[upper]]
    lowest, median = (barriers.min(), np.median(barriers)) if len(barriers) else (np.nan, np.nan)
    shown = division.parts if division.n_basins is None else division.labels
    within = (shown[:, None] == shown) & (shown >= 0) & states.measured
    answer = answer_sentence(
        division.answer,
        np.bincount(shown[shown >= 0]).tolist(),
        criterion=criterion,
        n_apart=states.n_apart,
        n_pairs=states.n_measured,
        tolerance=states.tolerance,
        asked=states.asked,
        beyond_noise=states.beyond_noise,
        gaps=(float(lowest), float(median), float(states.highest[upper].max(initial=0.0))),
        at_least=division.at_least,
        aside=[models[model] for model in division.aside],
        n_clean=sum(division.is_basin),
        n_open=int((within & ~states.joined & ~states.apart).sum()) // 2,
        n_examples=division.needed,
    )
    return few_pairs_sentence(
        answer,
        n_measured=int(np.isfinite(gaps[upper]).sum()),
        n_pairs=len(upper[0]),
        doubtful=[models[model] for model in division.doubtful],
    )
