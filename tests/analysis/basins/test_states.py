"""Which pairs have a barrier, which have none, and what a sample leaves undecided."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import squareform
from scipy.stats import norm

from landscape.analysis.basins import Division, divide
from landscape.analysis.basins.noise import make_noise
from landscape.analysis.basins.states import pair_states
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
    assert [bool(states.apart[pair]) for pair in pairs] == apart
    assert [bool(states.joined[pair]) for pair in pairs] == joined
    assert states.n_apart == sum(apart)
    assert states.n_joined == sum(joined)
    assert states.n_apart + states.n_joined + states.n_undecided == len(pairs)
    quantile = norm.ppf(LEVEL ** (1 / len(pairs)))
    for pair in pairs:
        assert states.highest[pair] == pytest.approx(gaps[pair] + quantile * errors[pair])


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
