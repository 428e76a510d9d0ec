from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import eigh
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import adjusted_rand_score, silhouette_samples

from landscape.analysis.basins import find_basins
from landscape.analysis.basins.active import default_budget, find_basins_actively
from landscape.analysis.basins.active.blocks import complete_gaps
from landscape.analysis.basins.active.core import Core, refuse_singles
from landscape.analysis.basins.active.landmarks import nystrom_embedding
from landscape.analysis.basins.active.measured import MeasuredGaps
from landscape.analysis.basins.active.number import join_basins, silhouettes
from landscape.analysis.simulation import block_gaps, bridge_gaps, cloud_gaps, effect_gaps
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


def blocks(sizes, seed=0, **kwargs):
    gaps, labels = block_gaps(
        sizes, **{"between": 0.5, "within": 0.01, "spread": 0.3} | kwargs, rng=0
    )
    return shuffled(gaps, labels, seed)


POPULATIONS = {
    "four, uneven": lambda: blocks((40, 30, 20, 10)),
    "small basin": lambda: blocks((88, 12)),
    "outlier": lambda: blocks((99, 1), within=0.005, spread=0.2),
    "heavy tails": lambda: blocks((50, 50), spread=1.0),
    "bridges": lambda: shuffled(
        bridge_gaps((57, 38), between=0.5, bridges=5), np.repeat([0, 1, 0], [57, 38, 5]), 1
    ),
    "flat": lambda: (np.zeros((100, 100)), np.zeros(100, dtype=int)),
    "continuum": lambda: (cloud_gaps(100, mean=0.3, n_dims=1, rng=0), np.zeros(100, dtype=int)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", POPULATIONS)
def test_few_pairs_give_the_basins(name):
    gaps, labels = POPULATIONS[name]()
    oracle = Oracle(gaps)
    active = find_basins_actively(100, oracle)
    assert adjusted_rand_score(active.labels, labels) == 1
    if name in ("four, uneven", "small basin"):  # as good as the truth for the others, and slow
        assert (active.labels == find_basins(gaps).labels).all()
    assert active.n_measured == len(oracle.asked) <= 0.15 * 4950
    assert len(oracle.rounds) < 40  # in rounds, so that a machine can work on many at a time
    assert active.share == active.n_measured / 4950
    assert f"{active.n_measured} of 4,950 pairs" in active.reason


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
    at = np.ix_(active.core, active.core)
    assert (expected | ~off)[at].all()
    assert (active.basins.labels == find_basins(gaps[at]).labels).all()
    assert not active.uncertain.any()


@pytest.mark.parametrize("sizes", [(1, 1), (2, 1), (12, 12), (23, 1)])
def test_small_populations_are_measured_completely(sizes):
    gaps, _ = blocks(sizes, seed=1)
    n = len(gaps)
    active = find_basins_actively(n, Oracle(gaps))
    assert (active.labels == find_basins(gaps).labels).all()
    assert active.n_measured == n * (n - 1) // 2
    assert active.share == 1
    assert (active.gaps == gaps).all()
    assert (active.completed == gaps).all()
    assert (active.core == np.arange(n)).all()
    assert not active.uncertain.any()


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(25, 32), st.data())
def test_no_population_exceeds_its_budget(seed, n, data):
    rng = np.random.default_rng(seed)
    gaps = squareform(rng.lognormal(-2, data.draw(st.floats(0, 2)), n * (n - 1) // 2))
    budget = data.draw(st.integers(28 + 2 * (n - 8), n * (n - 1) // 2))
    oracle = Oracle(gaps)
    active = find_basins_actively(n, oracle, budget=budget, rng=seed)
    assert len(oracle.asked) == active.n_measured <= budget
    assert len(set(oracle.asked)) == len(oracle.asked)
    assert all(0 <= i < j < n for i, j in oracle.asked)
    assert active.labels.max() + 1 == active.n_basins
    counts = np.bincount(active.labels)
    assert (np.diff(counts) <= 0).all()
    assert np.isfinite(active.completed).all()
    assert np.allclose(active.completed, active.completed.T)
    assert (active.completed >= 0).all()


def test_budgets_grow_as_n_log_n():
    assert [default_budget(n) for n in (2, 10, 24, 28, 48)] == [1, 45, 276, 378, 400]
    for n in (100, 1000, 10_000):
        assert default_budget(n) == int(1.1 * n * math.log2(n)) <= 0.15 * n * (n - 1) / 2


def test_chance_groups_of_the_core_are_refuted_by_the_others(monkeypatch):
    gaps = effect_gaps(60, mean=0.3, effects="exponential", spread=0.2, rng=0)

    def forced(matrix, n_basins=None, **kwargs):
        return find_basins(matrix, 2, **{k: v for k, v in kwargs.items() if k != "noise"})

    monkeypatch.setattr("landscape.analysis.basins.active.core.find_basins", forced)
    active = find_basins_actively(60, Oracle(gaps))
    assert active.basins.n_basins == 2
    assert active.n_basins == 1
    assert not active.labels.any()


def test_models_joined_to_two_basins_are_uncertain():
    gaps, labels = shuffled(
        bridge_gaps((57, 38), between=0.5, bridges=5), np.repeat([0, 1, 2], [57, 38, 5]), 1
    )
    active = find_basins_actively(100, Oracle(gaps))
    assert (active.uncertain == (labels == 2)).all()
    assert (active.labels[labels == 2] == 0).all()  # the larger
    assert "5 models" in active.reason


def test_noise_is_told_to_the_complete_answer():
    rng = np.random.default_rng(0)
    gaps = np.abs(squareform(rng.normal(0, 0.05, 60 * 59 // 2)))
    errors = np.full_like(gaps, 0.05)
    active = find_basins_actively(60, Oracle(gaps, errors))
    assert active.n_basins == 1
    assert active.basins.evidence.noise == pytest.approx(0.05)


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


def test_nystrom_from_all_models_is_the_spectral_embedding():
    gaps = blocks((9, 6, 5))[0]
    affinity = np.exp(-0.5 * (gaps / 0.4) ** 2)
    # of the walk D^-1 S: S v = lambda D v
    exact = eigh(affinity, np.diag(affinity.sum(1)))[1][:, ::-1]
    found = nystrom_embedding(gaps, np.arange(20), delta=0.4, weights=np.ones(20), n_components=3)
    assert found[:, 0] == pytest.approx(np.ones(20))
    for component in (1, 2):
        ratio = found[:, component] / exact[:, component]
        assert ratio == pytest.approx(np.full(20, ratio[0]))
    assert (found**2).mean(0) == pytest.approx(np.ones(3))


def test_filled_gaps_are_additive():
    rng = np.random.default_rng(0)
    far = rng.uniform(0.1, 0.2, 12)
    gaps = far[:, None] + far
    np.fill_diagonal(gaps, 0)
    holes = gaps.copy()
    holes[3, 7] = holes[7, 3] = np.nan
    found = complete_gaps(holes, np.zeros(12, dtype=int))
    assert found[3, 7] == pytest.approx(gaps[3, 7], abs=0.05)
    bridge = bridge_gaps((5, 5), between=0.5)
    bridge[10, 7:10] = bridge[7:10, 10] = np.nan
    found = complete_gaps(bridge, np.repeat([0, 1, 0], [5, 5, 1]))
    assert not found[10].any()


def test_basins_that_only_few_models_show_are_joined():
    # a tight basin and a wide one, of three pieces that few models tell apart
    rng = np.random.default_rng(0)
    places = np.concatenate([rng.normal(0, 0.01, 40), rng.uniform(1.0, 1.6, 20)])
    gaps = squareform(pdist(places[:, None], "sqeuclidean"))
    labels = np.digitize(places, [0.5, 1.2, 1.4])
    models = np.array([*range(10), *range(40, 52)])
    measured = MeasuredGaps(60, Oracle(gaps), 1770)
    measured.ask_all(range(60))
    core = Core(models, labels[models], None, tested=True)
    joined = join_basins(measured, core, labels)
    assert adjusted_rand_score(joined.labels, models >= 40) == 1
    assert joined.n_joined == 2


def test_a_single_model_must_lie_farther_out_than_the_farthest_of_many():
    gaps, labels = blocks((19, 1), within=0.05, spread=0.1)
    labels = (labels == 1).astype(int)
    for apart, kept in ((0.5, True), (0.1, False)):
        some = np.where((labels[:, None] != labels), apart, gaps)
        measured = MeasuredGaps(60, Oracle(np.pad(some, (0, 40))), 190)
        measured.ask_all(range(20))
        core = Core(np.arange(20), labels, None, tested=True)
        found = refuse_singles(measured, core)
        assert (found.k == 2) is kept
        assert found.n_refused == (not kept)


def test_silhouettes_are_scikit_learns():
    gaps, labels = blocks((7, 5, 4))
    own = np.where(np.eye(16, dtype=bool), np.nan, gaps)
    expected = silhouette_samples(gaps, labels, metric="precomputed")
    assert silhouettes(own, labels, labels) == pytest.approx(expected)
