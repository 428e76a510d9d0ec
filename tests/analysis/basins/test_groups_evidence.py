"""What the number of groups rests on: nulls, noise, bridges, membership, kinds of gaps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import adjusted_rand_score

from landscape.analysis.barriers import bootstrap_gaps
from landscape.analysis.basins import find_basins
from landscape.analysis.basins.mixture import fit_mixture
from landscape.analysis.basins.null import (
    even_continuum_null,
    normal_continuum_null,
    squares,
)
from landscape.analysis.basins.number import n_bridges
from landscape.analysis.basins.silhouette import mean_separation, separation
from landscape.analysis.simulation import block_gaps, bridge_gaps, chain_gaps, simulate_losses


def analyzed(gaps, seed=0, n_basins=None, **options):
    """Groups of what a sample of examples shows of true gaps."""
    drawn = simulate_losses(gaps, **{"n_examples": 256, "noise": 0.25, "rng": seed, **options})
    found = bootstrap_gaps(drawn.losses, n_resamples=200, keep_draws=True, rng=seed)
    return find_basins(
        squareform(found.estimate),
        n_basins,
        noise=squareform(found.standard_error),
        draws=found.draws,
        null=found.null,
        rng=seed,
    ).groups


def test_the_continuum_has_the_spread_of_the_gaps():
    places = np.random.default_rng(0).normal(size=(12, 2)) * [3, 1]
    gaps = squareform(pdist(places, "sqeuclidean"))
    for make in (even_continuum_null, normal_continuum_null):
        drawn = make(gaps)(np.random.default_rng(1), 4000)
        # expected squared distance: twice the summed variances of the places
        expected = 2 * places.var(0, ddof=1).sum()
        assert drawn.mean() == pytest.approx(expected, rel=0.03)
        assert (drawn >= 0).all()
    one = squares(even_continuum_null(gaps)(np.random.default_rng(1), 1), 12)[0]
    # squared distances of points in a plane: classical scaling finds two axes and no more
    centring = np.eye(12) - 1 / 12
    lengths = np.linalg.eigvalsh(-0.5 * centring @ one @ centring)
    assert (lengths > 1e-9).sum() == 2
    assert lengths.min() > -1e-9


def test_separations_are_those_of_the_closest_two_groups():
    gaps, labels = block_gaps((4, 3, 2), between=0.5, within=0.1, spread=0.6, rng=3)
    pairs = [(0, 1), (0, 2), (1, 2)]
    blocks = [gaps[np.ix_(labels == a, labels == b)] for a, b in pairs]
    assert separation(gaps, labels) == min(np.median(block) for block in blocks)
    many = np.stack([gaps, 2 * gaps])
    expected = min(block.mean() for block in blocks)
    np.testing.assert_allclose(
        mean_separation(many, np.stack([labels, labels]), 3), [expected, 2 * expected]
    )
    assert separation(gaps, np.zeros(9, dtype=int)) == -np.inf


def test_groups_are_the_basins_where_the_answer_has_some():
    gaps, labels = block_gaps((5, 4, 3), between=0.3, within=0.005, rng=0)
    found = find_basins(gaps)
    assert found.answer == "basins"
    assert found.groups.evidence.sharp
    np.testing.assert_array_equal(found.groups.labels, found.labels)
    np.testing.assert_array_equal(found.labels, labels)
    alone, _ = block_gaps((2, 1, 1, 1), between=0.3, within=0.005, rng=0)
    assert find_basins(alone).n_basins == 4
    assert not find_basins(alone).groups.evidence.sharp  # more than half as many as models


def test_a_bridge_is_named_and_does_not_join_the_groups():
    gaps = bridge_gaps((8, 7), between=0.4)
    labels = np.array([0] * 8 + [1] * 7 + [0])
    assert n_bridges(gaps <= 0.02, labels) == 1
    exact = find_basins(gaps).groups.evidence
    assert exact.sharp
    assert exact.reason.endswith("they are the basins, and models that join several.")
    groups = analyzed(gaps)
    assert groups.n_groups == 2
    assert groups.membership.between.tolist() == [False] * 15 + [True]
    assert groups.membership.second[-1] == 1 - groups.labels[-1]
    # with the bridge in either group
    assert adjusted_rand_score(groups.labels[:15], labels[:15]) == 1


@pytest.mark.parametrize("n", [6, 10, 20])
def test_a_chain_has_no_groups(n):
    gaps = chain_gaps(n, reach=max(1, n / 5), slope=1 / n)
    halves = np.arange(n) // (n // 2)
    assert n_bridges(gaps <= 0.02, halves) > max(1, n // 10)
    assert find_basins(gaps).groups.evidence.verdict == "no groups"


def test_sure_members_and_unsure_ones():
    gaps, _ = block_gaps((6, 5), between=0.4, rng=0)
    gaps[0, 6:] = gaps[6:, 0] = 0.21
    gaps[0, 1:6] = gaps[1:6, 0] = 0.19
    groups = analyzed(gaps, n_basins=2, noise=0.5)
    own = groups.membership.probability[np.arange(11), groups.labels]
    assert own[0] < 0.95
    assert groups.membership.between.tolist() == [True] + [False] * 10
    assert (own[1:] > 0.99).all()
    np.testing.assert_allclose(groups.membership.probability.sum(1), 1)
    others = np.setdiff1d(np.flatnonzero(groups.labels == groups.labels[1]), [1])
    near = groups.membership.distance[1]
    assert near[groups.labels[1]] == pytest.approx(gaps[1, others].mean(), abs=0.1)
    exact = find_basins(gaps, 2).groups
    assert exact.membership.distance[1, exact.labels[1]] == pytest.approx(gaps[1, others].mean())
    one = find_basins(gaps, 1).groups.membership
    assert (one.probability == 1).all()
    assert (one.second == -1).all()


def test_noise_alone_is_one_valley():
    for seed in range(2):
        groups = analyzed(np.zeros((9, 9)), seed=seed, noise=0.5, shared=0.9)
        assert groups.n_groups == 1
        assert groups.evidence.verdict == "one valley"


def test_the_noise_says_how_much_a_largest_gap_is_worth():
    gaps, _ = block_gaps((5, 5), between=0.5, rng=0)
    strong = analyzed(gaps).evidence
    assert strong.p_noise == pytest.approx(1 / 201)
    assert strong.n_barriers == 25
    assert strong.stabilities[0] == pytest.approx(1)
    assert strong.noise_quantiles[0] > 0
    plain = find_basins(gaps).groups.evidence
    assert np.isnan(plain.p_noise)
    assert np.isnan(plain.stabilities).all()
    assert (plain.noise_quantiles == 0).all()


def test_two_kinds_of_gaps_and_one():
    gaps, labels = block_gaps((8, 8), between=0.5, within=0.02, spread=0.3, rng=0)
    mixture = fit_mixture(gaps)
    assert mixture.n_kinds == 2
    assert mixture.share == pytest.approx(56 / 120, abs=0.02)
    assert 0.05 < mixture.threshold < 0.3
    assert ((mixture.probability > 0.5) == (labels[:, None] != labels)).all()
    lower = np.sqrt(gaps[(labels[:, None] == labels) & ~np.eye(16, dtype=bool)])
    assert mixture.means[0] == pytest.approx(lower.mean() ** 2, rel=0.02)
    equal, _ = block_gaps((16,), between=1, within=0.3, spread=0.2, rng=0)
    assert fit_mixture(equal).n_kinds == 1
    assert fit_mixture(np.zeros((8, 8))) is None
    assert fit_mixture(gaps[:4, :4]) is None
