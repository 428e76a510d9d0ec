"""Which models share a basin: planted populations, what must not change the answer, its words."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import squareform

from landscape.analysis.basins import Division, divide, find_basins
from landscape.analysis.basins.answer import in_words
from landscape.analysis.basins.noise import Noise, make_noise
from landscape.analysis.simulation import simulate_losses
from landscape.core.sentences import Answer
from landscape.core.wording import short
from tests.analysis.basins.planted import PLANTED, blocks, of_losses, sampled

TOLERANCE = 0.02
HAS_BASINS = {Answer.ONE, Answer.BASINS, Answer.APART, Answer.BRIDGED}


def population(n: int, seed: int, noise: float = 0.0) -> tuple[np.ndarray, Noise | None]:
    """Gaps of groups of models, some of them off, no two alike; and what noise does to them."""
    rng = np.random.default_rng(seed)
    group = rng.integers(1 + rng.integers(n), size=n)
    first, second = np.triu_indices(n, 1)
    typical = np.where(group[first] == group[second], 0.006, 0.08)
    off = rng.random(len(first)) < rng.choice([0.0, 0.1, 0.3])
    typical = np.where(off, rng.choice([0.006, 0.08], len(first)), typical)
    gaps = squareform(typical * rng.uniform(0.7, 1.3, len(first)))
    if not noise:
        return gaps, None
    errors = squareform(noise * rng.uniform(0.5, 1.5, len(first)))
    return gaps, make_noise(gaps, errors, None, None, None, np.random.default_rng(0))


def partition(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label)) for label in set(labels.tolist()) - {-1}}


def by_definition(gaps: np.ndarray, models: list[int]) -> list[set[int]]:
    """Models that are joined, by a line or through others."""
    left, parts = set(models), []
    while left:
        part, new = set(), {min(left)}
        while new:
            part |= new
            new = {j for j in left - part if any(gaps[i, j] <= TOLERANCE for i in part)}
        parts.append(part)
        left -= part
    return parts


def is_clean(gaps: np.ndarray, part: set[int]) -> bool:
    return all(gaps[pair] <= TOLERANCE for pair in combinations(sorted(part), 2))


def check_basins(division: Division, joined: np.ndarray) -> None:
    """A basin has no pair apart inside, and one in which none is joined does not share one."""
    labels = division.labels
    same = (labels[:, None] == labels) & (labels >= 0)
    if division.answer in HAS_BASINS:
        assert division.n_basins == len(partition(labels))
        assert not (division.states.apart & same).any()
        assert not (joined & ~same & (labels >= 0) & (labels[:, None] >= 0)).any()
    else:
        assert division.n_basins is None
        assert (labels == division.parts).all()
    sizes = np.bincount(labels[labels >= 0])
    assert (np.diff(sizes) <= 0).all()
    n = len(labels)
    states = division.states
    assert states.n_apart + states.n_joined + states.n_undecided == n * (n - 1) // 2
    assert not (states.apart & states.joined).any()
    assert len(division.is_basin) == division.n_connected == division.parts.max() + 1
    assert 1 <= division.at_least <= n


@pytest.mark.parametrize("name", PLANTED)
def test_planted_gaps_have_their_answer(name):
    gaps, answer, n_basins, sizes = PLANTED[name]
    basins = find_basins(gaps)
    assert basins.answer is answer
    assert basins.n_basins == n_basins
    assert np.bincount(basins.labels[basins.labels >= 0]).tolist() == sizes
    bridged = answer is Answer.BRIDGED
    assert basins.aside == ((len(gaps) - 1,) if bridged else ())
    if n_basins is not None:
        # each basin is a basin, but for models that join several, and all are certain
        assert basins.at_least == n_basins
        assert all(basins.is_basin) is not bridged
    assert basins.n_connected == (1 if bridged else len(sizes))
    check_basins(basins, gaps <= TOLERANCE)
    # figures tell models apart by basins where there are some of several models
    several = answer in (Answer.BASINS, Answer.BRIDGED)
    assert (basins.shown.noun == "basin") is several
    if several:
        assert basins.shown.labels is basins.labels


@pytest.mark.parametrize("name", PLANTED)
def test_planted_gaps_are_found_in_a_sample_of_examples(name):
    gaps, answer, n_basins, sizes = PLANTED[name]
    quiet = {"noise": 0.03} if answer is Answer.ONE else {}
    division = sampled(gaps, **quiet)
    assert division.answer is answer
    assert division.n_basins == n_basins
    labels = division.labels[division.labels >= 0]
    assert np.bincount(labels).tolist() == sizes
    assert division.aside == ((len(gaps) - 1,) if answer is Answer.BRIDGED else ())
    if n_basins is not None:
        assert partition(division.labels) == partition(find_basins(gaps).labels)
        assert division.at_least <= n_basins
        upper = np.triu(division.states.apart)
        assert not (upper & (gaps <= TOLERANCE)).any()


def test_too_few_examples_leave_it_open():
    division = sampled(blocks(6), n_examples=64, noise=0.15)
    assert division.answer is Answer.UNDECIDED
    assert division.n_basins is None
    assert division.states.n_undecided > 0
    assert division.needed > 64
    # with about as many as it names, it is shown
    enough = sampled(blocks(6), n_examples=2 * division.needed, noise=0.15)
    assert enough.answer is Answer.ONE


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_without_noise_the_answer_is_the_definition(n, seed):
    gaps, _ = population(n, seed)
    division = divide(gaps, None, TOLERANCE)
    check_basins(division, gaps <= TOLERANCE)
    parts = by_definition(gaps, list(range(n)))
    clean = [is_clean(gaps, part) for part in parts]
    assert partition(division.parts) == {frozenset(part) for part in parts}
    members = [set(np.flatnonzero(division.parts == part)) for part in range(len(parts))]
    assert list(division.is_basin) == [is_clean(gaps, part) for part in members]
    if all(clean):
        single = Answer.ONE if len(parts) == 1 else Answer.BASINS
        assert division.answer is (Answer.APART if len(parts) == n else single)
        assert partition(division.labels) == partition(division.parts)
        return
    bridges = {
        model
        for model in range(n)
        for rest in [by_definition(gaps, [k for k in range(n) if k != model])]
        if len(rest) > 1
        and all(is_clean(gaps, part) for part in rest)
        and sum(min(gaps[model, k] for k in part) <= TOLERANCE for part in rest) > 1
    }
    if division.answer is Answer.BRIDGED:
        assert set(division.aside) <= bridges
        rest = by_definition(gaps, [k for k in range(n) if k not in division.aside])
        assert partition(division.labels) == {frozenset(part) for part in rest}
    else:
        assert not bridges
        assert division.answer is (Answer.MIXED if any(clean) else Answer.CHAIN)


@settings(max_examples=100, deadline=None)
@given(
    st.permutations(range(9)), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.004, 0.015, 0.05])
)
def test_the_order_of_the_models_changes_nothing(order, seed, noise):
    order = np.array(order)
    gaps, known = population(9, seed, noise)
    at = np.ix_(order, order)
    turned = known
    if known is not None:
        errors = squareform(known.errors)[at]
        turned = make_noise(gaps[at], errors, None, None, None, np.random.default_rng(1))
    plain, other = divide(gaps, known, TOLERANCE), divide(gaps[at], turned, TOLERANCE)
    assert (other.answer, other.n_basins) == (plain.answer, plain.n_basins)
    assert (other.at_least, other.n_connected) == (plain.at_least, plain.n_connected)
    assert sorted(order[list(other.aside)]) == list(plain.aside)
    assert {frozenset(order[list(part)]) for part in partition(other.labels)} == partition(
        plain.labels
    )
    assert (other.states.apart == plain.states.apart[at]).all()
    assert (other.states.joined == plain.states.joined[at]).all()
    check_basins(plain, plain.states.joined)


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-3, 1e3), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.004, 0.015, 0.05]))
def test_a_common_factor_changes_nothing(factor, seed, noise):
    gaps, known = population(8, seed, noise)
    scaled = None
    if known is not None:
        errors = squareform(known.errors) * factor
        scaled = make_noise(gaps * factor, errors, None, None, None, np.random.default_rng(1))
    plain, other = divide(gaps, known, TOLERANCE), divide(gaps * factor, scaled, TOLERANCE * factor)
    assert (other.answer, other.n_basins) == (plain.answer, plain.n_basins)
    assert (other.at_least, other.aside) == (plain.at_least, plain.aside)
    assert (other.labels == plain.labels).all()
    assert other.states.tolerance == pytest.approx(factor * plain.states.tolerance)
    np.testing.assert_allclose(other.states.highest, factor * plain.states.highest)


@pytest.mark.parametrize("name", ["8 and 8 alone", "6 + 6 and a bridge", "chain"])
def test_resampled_noise_goes_with_the_models_and_the_scale(name):
    losses = simulate_losses(PLANTED[name][0], n_examples=256, noise=0.25, rng=0).losses
    plain = of_losses(losses)
    n = len(plain.labels)
    order = np.random.default_rng(2).permutation(n)
    pair_of = squareform(np.arange(len(losses)))
    first, second = order[np.array(np.triu_indices(n, 1))]
    turned = losses[pair_of[first, second]]
    turned = np.where((first > second)[:, None, None], turned[:, ::-1], turned)
    other = of_losses(turned)
    assert (other.answer, other.at_least) == (plain.answer, plain.at_least)
    assert {frozenset(order[list(part)]) for part in partition(other.labels)} == partition(
        plain.labels
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_no_seed_changes_the_answer(seed):
    gaps, known = population(9, 5, 0.01)
    errors = squareform(known.errors)
    for noise in (None, errors):
        first, other = (find_basins(gaps, noise=noise, rng=k) for k in (0, seed))
        assert first.answer is other.answer
        assert first.at_least == other.at_least
        assert (first.labels == other.labels).all()
        assert (first.states.apart == other.states.apart).all()
        assert (first.states.joined == other.states.joined).all()


def said(division: Division, gaps: np.ndarray) -> str:
    return in_words(division, gaps, [f"seed-{model}" for model in range(len(gaps))])


@pytest.mark.parametrize("name", PLANTED)
def test_sentences_hold_the_numbers_of_their_answer(name):
    gaps, answer, n_basins, sizes = PLANTED[name]
    division = find_basins(gaps)
    text = division.sentence([f"seed-{model}" for model in range(len(gaps))])
    n = len(gaps)
    n_pairs = n * (n - 1) // 2
    above = squareform(gaps)[squareform(gaps) > TOLERANCE]
    parts = [f"{short(TOLERANCE)} nats"]
    if answer is Answer.ONE:
        parts += ["One basin", short(gaps.max()), f"{n_pairs} lines" if n > 2 else "the line"]
    else:
        parts.append(f"{len(above)} of {n_pairs} line")
    if answer is Answer.APART:
        parts += [f"No two of {n} models", f"lowest {short(above.min())}"]
        parts.append(f"median {short(np.median(above))}")
    if answer in (Answer.BASINS, Answer.BRIDGED):
        each = "one model each" if max(sizes) == 1 else sizes[0]
        parts += [f" basins of {each}", "none within a basin"]
    if answer is Answer.BRIDGED:
        parts.append(f"seed-{n - 1}, joined to {'both' if n_basins == 2 else 'several'}")
    if answer is Answer.CHAIN and len(sizes) == 1:
        parts += [f"All {n} models are linked through others", "no division into basins"]
    if answer in (Answer.CHAIN, Answer.MIXED) and len(sizes) > 1:
        parts += [f"2 parts of {sizes[0]} and {sizes[1]}"]
        parts.append("1 is a basin" if answer is Answer.MIXED else "none is a basin")
    assert [part for part in parts if part not in text] == []
    assert "beyond noise" not in text


def test_sentences_say_what_noise_leaves_open():
    gaps = blocks(6)
    open_ = sampled(gaps, n_examples=64, noise=0.15)
    text = said(open_, gaps)
    assert text.startswith("No barrier was shown")
    assert f"up to {short(open_.states.highest.max())} nats could be hidden" in text
    assert f"about {open_.needed:,} examples would tell" in text
    gaps = blocks(3, 3)
    errors = np.full_like(gaps, 0.022)
    noise = make_noise(gaps, errors, None, None, None, np.random.default_rng(0))
    rough = divide(gaps, noise, TOLERANCE)
    text = said(rough, gaps)
    assert f"{short(1.5 * 0.022)} nats beyond noise" in text
    assert "raised from .02 nats" in text
