from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

from landscape.analysis.basins import find_basins
from landscape.analysis.basins.active import default_budget, find_basins_actively
from landscape.analysis.basins.active.fill import complete_gaps
from landscape.analysis.basins.answer import divide
from landscape.analysis.simulation import block_gaps, bridge_gaps, chain_gaps
from landscape.core.errors import ConfigError, DataError


class Oracle:
    """Answers from a full matrix; remembers every round."""

    def __init__(self, gaps, errors=None):
        self.gaps, self.errors, self.rounds = gaps, errors, []

    def __call__(self, pairs):
        self.rounds.append(pairs.tolist())
        first, second = pairs.T
        if self.errors is None:
            return self.gaps[first, second]
        return self.gaps[first, second], self.errors[first, second]

    @property
    def asked(self):
        return [tuple(pair) for pairs in self.rounds for pair in pairs]


def shuffled(gaps, labels, seed):
    order = np.random.default_rng(seed).permutation(len(gaps))
    return gaps[np.ix_(order, order)], labels[order]


def blocks(sizes, seed=0):
    """Basins: .005 nats within, log-normal about .5 between."""
    gaps, labels = block_gaps(sizes, between=0.5, within=0.004, spread=0.2, rng=0)
    return shuffled(gaps, labels, seed)


def n_pairs(n):
    return n * (n - 1) // 2


POPULATIONS = {
    "four, uneven": ("basins", lambda: blocks((40, 30, 20, 10))),
    "small basin": ("basins", lambda: blocks((88, 12))),
    "outlier": ("basins", lambda: blocks((99, 1))),
    "one": ("one", lambda: blocks((100,))),
}


@pytest.mark.parametrize("name", POPULATIONS)
def test_few_pairs_give_the_complete_answer(name):
    answer, population = POPULATIONS[name]
    gaps, labels = population()
    oracle = Oracle(gaps)
    active = find_basins_actively(100, oracle)
    complete = divide(gaps, None, 0.02)  # without the groups, which take long
    assert active.answer == complete.answer == answer
    assert active.n_basins == complete.n_basins
    assert (active.labels == complete.labels).all()
    assert adjusted_rand_score(active.labels, labels) == 1
    assert active.doubtful == ()
    assert len(oracle.asked) <= 0.15 * 4950
    assert len(oracle.rounds) < 40  # in rounds, so that a machine can work on many at a time
    names = [f"m{k}" for k in range(100)]
    assert active.sentence(names).startswith(f"From {len(oracle.asked)} of 4,950 pairs: ")


def test_what_was_measured_is_told_from_what_was_filled_in():
    gaps, labels = blocks((60, 40), seed=3)
    oracle = Oracle(gaps)
    active = find_basins_actively(100, oracle)
    expected = np.zeros((100, 100), dtype=bool)
    for i, j in oracle.asked:
        expected[i, j] = expected[j, i] = True
    assert (active.gaps[expected] == gaps[expected]).all()
    off = ~np.eye(100, dtype=bool)
    assert np.isnan(active.gaps[off & ~expected]).all()
    assert not active.gaps.diagonal().any()
    assert (active.completed[expected] == gaps[expected]).all()
    same = labels[:, None] == labels
    assert active.completed[same & off].max() < active.completed[~same].min()
    # only of measured pairs is anything shown
    assert (active.states.apart == (expected & ~same)).all()
    assert ((active.states.joined & off) == (expected & same)).all()
    assert active.states.n_measured == len(oracle.asked)


def test_models_that_could_not_be_told_are_named_and_left_out():
    gaps, _ = blocks((1,) * 60)
    oracle = Oracle(gaps)
    active = find_basins_actively(60, oracle)
    assert active.answer == "apart"
    sure = np.setdiff1d(np.arange(60), active.doubtful)
    assert active.n_basins == len(sure) < 60
    assert (active.labels[list(active.doubtful)] == -1).all()
    asked = {tuple(pair) for pair in oracle.asked}
    assert all((i, j) in asked for i in sure for j in sure if i < j)
    said = active.sentence([f"m{k}" for k in range(60)])
    assert f"No two of {len(sure)} models share a basin" in said
    assert f"{len(active.doubtful)} doubtful models (m" in said


@pytest.mark.parametrize("sizes", [(1, 1), (2, 1), (12, 12), (23, 1)])
def test_small_populations_are_measured_completely(sizes):
    gaps, _ = blocks(sizes, seed=1)
    n = len(gaps)
    active, complete = find_basins_actively(n, Oracle(gaps)), find_basins(gaps)
    assert (active.gaps == gaps).all()
    assert (active.completed == gaps).all()
    assert active.answer == complete.answer
    assert (active.labels == complete.labels).all()
    names = [f"m{k}" for k in range(n)]
    assert active.sentence(names) == complete.sentence(names)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(25, 40), st.data())
def test_no_population_exceeds_its_budget(seed, n, data):
    rng = np.random.default_rng(seed)
    gaps = squareform(rng.lognormal(-4, data.draw(st.floats(0, 2)), n_pairs(n)))
    errors = np.full_like(gaps, data.draw(st.sampled_from([0.0, 0.01])))
    budget = data.draw(st.integers(28 + 2 * (n - 8), n_pairs(n)))
    oracle = Oracle(gaps, errors)
    active = find_basins_actively(n, oracle, budget=budget, rng=seed)
    assert len(oracle.asked) == np.isfinite(active.gaps[np.triu_indices(n, 1)]).sum() <= budget
    assert len(set(oracle.asked)) == len(oracle.asked)
    assert all(0 <= i < j < n for i, j in oracle.asked)
    assert np.isfinite(active.completed).all()
    assert np.allclose(active.completed, active.completed.T)
    assert (active.completed >= 0).all()
    again = Oracle(gaps, errors)
    find_basins_actively(n, again, budget=budget, rng=seed)
    assert again.rounds == oracle.rounds


def test_budgets_grow_as_n_log_n():
    assert [default_budget(n) for n in (2, 10, 24, 28, 48)] == [1, 45, 276, 378, 400]
    for n in (100, 1000, 10_000):
        assert default_budget(n) == int(1.1 * n * math.log2(n)) <= 0.15 * n_pairs(n)


def test_a_model_that_joins_two_basins_is_set_aside():
    labels = np.repeat([0, 1, 2], [57, 42, 1])
    gaps, labels = shuffled(bridge_gaps((57, 42), between=0.5, bridges=1), labels, 1)
    active = find_basins_actively(100, Oracle(gaps))
    assert (active.answer, active.n_basins) == ("bridged", 2)
    assert active.aside == tuple(np.flatnonzero(labels == 2))
    rest = labels < 2
    assert adjusted_rand_score(active.labels[rest], labels[rest]) == 1


def test_a_dense_chain_is_no_basin():
    gaps = chain_gaps(60, reach=12, slope=0.02)
    active = find_basins_actively(60, Oracle(gaps))
    assert active.answer in ("chain", "mixed")
    assert active.n_basins is None


def test_noise_is_no_barrier():
    rng = np.random.default_rng(0)
    gaps = np.abs(squareform(rng.normal(0, 0.05, n_pairs(60))))
    active = find_basins_actively(60, Oracle(gaps, np.full_like(gaps, 0.05)))
    assert active.answer == "undecided"
    assert not active.states.apart.any()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda m: np.full(m, -0.1), "lowest -0.1"),
        (lambda m: (np.ones(m), np.ones((m, 1))), "found: shape"),
    ],
)
def test_answers_that_cannot_be_used(answer, message):
    with pytest.raises(DataError, match=message):
        find_basins_actively(30, lambda pairs: answer(len(pairs)))


def test_questions_that_cannot_be_asked():
    with pytest.raises(ConfigError, match="too small to find basins") as caught:
        find_basins_actively(100, None, budget=211)
    assert "212 pairs at least for 100 models: all of 8 of them" in str(caught.value)
    assert "found: 211" in str(caught.value)


def test_filled_gaps_are_those_of_the_parts():
    gaps, labels = blocks((6, 6, 1))
    gaps = np.where(np.eye(13, dtype=bool), 0, np.where(labels[:, None] == labels, 0.01, 0.4))
    holes = gaps.copy()
    first, second = (np.flatnonzero(labels == basin) for basin in (0, 1))
    for i, j in ((first[0], first[1]), (first[0], second[0])):
        holes[i, j] = holes[j, i] = np.nan
    assert complete_gaps(holes, labels) == pytest.approx(gaps)
    bridge = bridge_gaps((5, 5), between=0.5)
    bridge[10, 7:10] = bridge[7:10, 10] = np.nan
    assert not complete_gaps(bridge, np.repeat([0, 1, 0], [5, 5, 1]))[10].any()
