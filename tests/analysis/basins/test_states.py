"""Which pairs have a barrier, which have none, and what a sample leaves undecided."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.spatial.distance import squareform
from scipy.stats import lognorm, norm

from landscape.analysis.barriers import bootstrap_gaps
from landscape.analysis.basins import Division, divide
from landscape.analysis.basins.noise import Noise, make_noise
from landscape.analysis.basins.states import p_joined, pair_states
from landscape.analysis.simulation import simulate_losses
from tests.analysis.basins.planted import blocks, near_copies, of_losses, sampled

LEVEL = 0.95


def noisy(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaps and standard errors (n, n) without any order."""
    rng = np.random.default_rng(seed)
    n_pairs = n * (n - 1) // 2
    gaps = rng.choice([0.0, 0.01, 0.05, 0.2], n_pairs) * rng.uniform(0.9, 1.1, n_pairs)
    return squareform(gaps), squareform(rng.uniform(0.004, 0.02, n_pairs))


def holm_sidak(excess: list[float]) -> list[bool]:
    """Which of independent normal numbers of standard deviation 1 are above 0, by definition."""
    rejected = [False] * len(excess)
    for step, k in enumerate(sorted(range(len(excess)), key=lambda k: -excess[k])):
        if norm.sf(excess[k]) > 1 - LEVEL ** (1 / (len(excess) - step)):
            break
        rejected[k] = True
    return rejected


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 8), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.01, 0.02, 0.3]))
def test_without_noise_a_barrier_is_a_gap_above_the_tolerance(n, seed, tolerance):
    gaps, _ = noisy(n, seed)
    states = divide(gaps, None, tolerance).states
    for i, j in combinations(range(n), 2):
        assert states.apart[i, j] == states.apart[j, i] == (gaps[i, j] > tolerance)
        assert states.joined[i, j] == states.joined[j, i] == (gaps[i, j] <= tolerance)
    assert not states.apart.diagonal().any()
    assert states.n_undecided == 0
    assert not states.beyond_noise


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_normal_noise_is_stepped_down_by_holm_and_sidak(n, seed):
    gaps, errors = noisy(n, seed)
    states = divide(
        gaps, make_noise(gaps, errors, None, None, None, np.random.default_rng(0)), 0.03
    ).states
    pairs = list(combinations(range(n), 2))
    apart = holm_sidak([(gaps[pair] - 0.03) / errors[pair] for pair in pairs])
    joined = holm_sidak([(0.03 - gaps[pair]) / errors[pair] for pair in pairs])
    below = [gaps[pair] + norm.ppf(LEVEL) * errors[pair] <= 0.03 for pair in pairs]
    if all(np.logical_or(below, apart)):  # each by itself, so all
        joined = below
    assert [bool(states.apart[pair]) for pair in pairs] == apart
    assert [bool(states.joined[pair]) for pair in pairs] == joined
    assert states.n_apart == sum(apart)
    assert states.n_joined == sum(joined)
    assert states.n_apart + states.n_joined + states.n_undecided == len(pairs)
    for pair in pairs:
        assert states.highest[pair] == pytest.approx(gaps[pair] + norm.ppf(LEVEL) * errors[pair])


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 6), st.integers(0, 2**32 - 1))
def test_resampled_noise_is_stepped_down_pair_by_pair(n, seed):
    gaps, errors = noisy(n, seed)
    flat, spread = squareform(gaps), squareform(errors)
    rng = np.random.default_rng(seed)
    together = rng.normal(size=(300, 1)) + rng.normal(size=(300, len(flat)))
    null = np.abs(together) * spread / np.sqrt(2)
    draws = np.maximum(flat + rng.normal(size=null.shape) * spread, 0)
    states = divide(gaps, make_noise(gaps, errors, draws, null, None, rng), 0.03).states
    scale = [np.sqrt(np.mean(null[:, k] ** 2)) for k in range(len(flat))]
    apart: set[int] = set()
    while True:
        left = [k for k in range(len(flat)) if k not in apart]
        if not left:
            break
        largest = [max(row[k] / scale[k] for k in left) for row in null]
        margin = np.quantile(largest, LEVEL)
        more = {k for k in left if flat[k] - margin * scale[k] >= 0.03}
        if not more:
            break
        apart |= more
    assert np.flatnonzero(squareform(states.apart)).tolist() == sorted(apart)


def test_what_cannot_be_seen_is_no_tolerance():
    gaps = blocks(3, 3)
    errors = np.full_like(gaps, 0.03)
    rng = np.random.default_rng(0)
    states = divide(gaps, make_noise(gaps, errors, None, None, None, rng), 0.02).states
    assert (states.asked, states.tolerance) == (0.02, pytest.approx(1.5 * 0.03))
    states = divide(gaps, make_noise(gaps, errors / 3, None, None, None, rng), 0.02).states
    assert states.asked == states.tolerance == 0.02


def test_of_pairs_that_were_not_measured_nothing_is_shown():
    gaps, errors = noisy(7, 1)
    measured = squareform(np.arange(21) % 3 > 0).astype(bool)
    for noise in (None, make_noise(gaps, errors, None, None, None, np.random.default_rng(0))):
        states = pair_states(gaps, noise, 0.02, measured)
        assert not (states.apart | states.joined)[~measured & ~np.eye(7, dtype=bool)].any()
        assert states.n_measured == 14
        assert states.n_apart + states.n_joined + states.n_undecided == 14
        assert states.n_apart > 0


def of_normal(gaps: np.ndarray, error: float) -> Noise | None:
    return make_noise(gaps, np.full_like(gaps, error), None, None, None, np.random.default_rng(0))


def counts(basins: Division) -> tuple[int, int, int]:
    states = basins.states
    return states.n_apart, states.n_joined, states.n_undecided


def test_a_sample_shows_what_it_is_large_enough_for():
    gaps = blocks(4, 4)
    few, many = (sampled(gaps, n_examples=n, noise=0.15) for n in (64, 4096))
    assert counts(many) == (16, 12, 0)
    assert (many.states.apart == (gaps > 0.02)).all()
    assert few.states.n_undecided > 0
    # what is shown of few examples is true all the same
    assert not (few.states.apart & (gaps <= 0.02)).any()
    assert not (few.states.joined & (gaps > few.states.tolerance)).any()


def test_noise_alone_shows_no_barriers():
    with_barriers = [
        sampled(np.zeros((8, 8)), n_examples=128, noise=0.5, seed=seed).states.n_apart > 0
        for seed in range(10)
    ]
    assert sum(with_barriers) <= 2


def test_near_copies_do_not_hide_the_barriers_of_others():
    # pairs within a run hardly have noise: their few odd examples must not decide for all
    losses, run = near_copies(4, 5, n_examples=64)
    basins = of_losses(losses)
    across = run[:, None] != run
    assert (basins.states.apart == across).all()
    assert basins.n_basins == 4
    assert np.bincount(basins.labels).tolist() == [5] * 4


def moments(values, variances):
    """Mean and variance of true values, by DerSimonian and Laird's formulas, one by one."""
    weights = [1 / v for v in variances]
    mean = sum(w * x for w, x in zip(weights, values, strict=True)) / sum(weights)
    q = sum(w * (x - mean) ** 2 for w, x in zip(weights, values, strict=True))
    room = sum(weights) - sum(w**2 for w in weights) / sum(weights)
    return mean, max((q - (len(values) - 1)) / room, 0.0) if len(values) > 1 else 0.0


def test_how_likely_a_pair_is_joined_is_bayes_with_a_log_normal_block():
    rng = np.random.default_rng(3)
    groups = np.array([0, 0, 0, 1, 1, 1, 1])
    first, second = np.triu_indices(7, 1)
    same = groups[first] == groups[second]
    gaps = np.where(same, rng.uniform(0.0, 0.015, 21), rng.lognormal(np.log(0.06), 0.6, 21))
    errors = rng.uniform(0.006, 0.015, 21)
    likely = squareform(p_joined(squareform(gaps), squareform(errors), groups, 0.02))
    for k, (i, j) in enumerate(zip(first, second, strict=True)):
        block = (groups[first] == groups[i]) & (groups[second] == groups[j])
        n = block.sum()
        mean, variance = moments(gaps[block], errors[block] ** 2)
        of_kind, variance_of_kind = moments(gaps[same == same[k]], errors[same == same[k]] ** 2)
        mean = (n * mean + 3 * of_kind) / (n + 3)
        variance = ((n - 1) * variance + 3 * variance_of_kind) / (n + 2)
        if not variance:
            assert likely[k] == pytest.approx(float(mean <= 0.02))
            continue
        sigma = np.sqrt(np.log(1 + variance / mean**2))
        prior = lognorm(sigma, scale=mean * np.exp(-(sigma**2) / 2))

        def density(gap, k=k, prior=prior):
            return prior.pdf(gap) * norm.pdf(gaps[k], gap, errors[k])

        below, above = (quad(density, *ends, limit=200)[0] for ends in ((0, 0.02), (0.02, 1.0)))
        assert likely[k] == pytest.approx(below / (below + above), abs=0.03)


def test_all_are_joined_where_each_is_by_itself():
    corrected = np.array([0.001, 0.003, 0.0115])
    states = pair_states(squareform(corrected), of_normal(squareform(corrected), 0.005), 0.02)
    assert states.n_joined == 3
    np.testing.assert_allclose(squareform(states.highest), corrected + norm.ppf(0.95) * 0.005)
    corrected[2] = 0.0125
    states = pair_states(squareform(corrected), of_normal(squareform(corrected), 0.005), 0.02)
    assert states.n_joined == 2


def test_a_barrier_is_rarely_missed():
    rng = np.random.default_rng(0)
    missed, true = 0, np.array([0.0, 0.004, 0.02 + 1e-9])
    for _ in range(2000):
        gaps = squareform(np.maximum(true + rng.normal(0, 0.004, 3), 0))
        missed += pair_states(gaps, of_normal(gaps, 0.004), 0.02).n_joined == 3
    assert missed / 2000 <= 0.065  # 5% promised, 3.1 standard errors


def test_without_a_floor_near_copies_hide_barriers():
    runs = np.repeat(np.arange(5), 4)
    rng = np.random.default_rng(2)
    gaps = squareform(rng.uniform(0.3, 1.0, 10))[np.ix_(runs, runs)]
    drawn = simulate_losses(
        gaps, n_examples=64, noise=np.where(gaps > 0, 0.5, 0.05), dip=0.12, tail="student", rng=rng
    )
    seen = bootstrap_gaps(drawn.losses, n_resamples=300, keep_draws=True, rng=rng)
    estimate, errors = squareform(seen.estimate), squareform(seen.standard_error)
    corrected = squareform(seen.corrected)
    noise = make_noise(estimate, errors, seen.draws, seen.null, corrected, rng)
    with_floor = pair_states(estimate, noise, 0.02)
    without = pair_states(estimate, noise, 0.02, least=1e-9)
    assert not with_floor.apart[gaps == 0].any()
    assert with_floor.n_apart > without.n_apart > 0
    assert with_floor.n_apart > 0.7 * (gaps > 0).sum() / 2
