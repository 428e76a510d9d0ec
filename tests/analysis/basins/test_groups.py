"""Groups of models by their gaps: spectral clustering, and how many it finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score, silhouette_score

from landscape.analysis import simulation
from landscape.analysis.basins import cut_into, find_basins, order_by_basin
from landscape.analysis.basins.null import additive_null, null_silhouettes
from landscape.analysis.simulation import effect_gaps
from landscape.core.errors import ConfigError
from landscape.core.sentences import Answer


def block_gaps(sizes, within=0.01, between=0.5, spread=0.2, seed=0):
    """Gaps with log-normal noise, and the true labels."""
    return simulation.block_gaps(sizes, within=within, between=between, spread=spread, rng=seed)


@pytest.mark.parametrize("sizes", [(8, 7), (5, 1), (12, 4), (2, 1), (3, 1), (5, 5, 5), (7, 5, 3)])
def test_clear_blocks_are_found(sizes):
    gaps, labels = block_gaps(sizes)
    groups = find_basins(gaps).groups
    assert groups.n_groups == len(sizes)
    assert adjusted_rand_score(groups.labels, labels) == 1
    assert np.bincount(groups.labels).tolist() == sorted(sizes, reverse=True)
    evidence = groups.evidence
    best = evidence.candidates.tolist().index(len(sizes))
    expected = silhouette_score(gaps, labels, metric="precomputed")
    assert evidence.silhouettes[best] == pytest.approx(expected)
    assert evidence.verdict == "groups"
    # few models are told apart by their barriers alone, more by their silhouette too
    assert evidence.sharp
    if len(labels) > 12:
        assert evidence.silhouettes[best] > evidence.null_quantile
        assert evidence.p_value <= 0.05


def test_tiny_gaps_are_one_group_however_they_lie():
    gaps, labels = block_gaps((8, 7), within=0.001, between=0.01)
    groups = find_basins(gaps).groups
    assert groups.n_groups == 1
    assert not groups.labels.any()
    # the split behind centroid distance is there all the same
    assert adjusted_rand_score(groups.split, labels) == 1
    assert find_basins(gaps, tolerance=0.005).groups.n_groups == 2
    assert find_basins(np.zeros((5, 5))).groups.n_groups == 1


def test_gaps_within_their_own_noise_are_one_group():
    gaps, _ = block_gaps((8, 7), within=0.01, between=0.1)
    assert find_basins(gaps, noise=np.full_like(gaps, 0.01)).groups.n_groups == 2
    groups = find_basins(gaps, noise=np.full_like(gaps, 0.1)).groups
    assert groups.n_groups == 1
    assert groups.evidence.noise == pytest.approx(0.1)


def changed(gaps, i, j, value):
    gaps = gaps.copy()
    gaps[i, j] = gaps[j, i] = value
    return gaps


@pytest.mark.parametrize(
    "gaps",
    [changed(0.005 * (1 - np.eye(8)), 0, 1, 1.9), 0.3 * (1 - np.eye(3)), 0.07 * (1 - np.eye(8))],
)
def test_one_long_gap_or_gaps_that_are_all_alike_make_no_groups(gaps):
    assert find_basins(gaps).groups.n_groups == 1


def test_gaps_without_groups_are_rarely_split():
    kinds = ("gamma", "equal", "exponential")
    gaps = [
        effect_gaps(6 + 3 * seed, mean=0.2, effects=effects, spread=0.3, rng=seed)
        for effects in kinds
        for seed in range(2)
    ]
    assert sum(find_basins(matrix).groups.n_groups > 1 for matrix in gaps) <= 1


def test_two_models():
    near, far = np.array([[0, 0.01], [0.01, 0]]), np.array([[0, 0.3], [0.3, 0]])
    assert find_basins(near).groups.n_groups == 1
    basins = find_basins(far)
    groups = basins.groups
    assert groups.labels.tolist() == [0, 1]
    assert np.isnan(groups.evidence.null_quantile)
    assert basins.merge_tree.tolist() == [[0, 1, 0.3, 2]]
    assert groups.centroid_distance[0] < 0 < groups.centroid_distance[1]


@pytest.mark.parametrize("k", [1, 2, 3, 8])
def test_a_number_that_is_asked_for_forces_groups_and_leaves_the_answer(k):
    gaps, _ = block_gaps((4, 4))
    forced, free = find_basins(gaps, k), find_basins(gaps)
    assert (forced.answer, forced.n_basins) == (free.answer, free.n_basins) == (Answer.BASINS, 2)
    groups = forced.groups
    assert groups.n_groups == k
    assert groups.evidence.verdict == "asked"
    assert forced.shown.noun == ("group" if k > 1 else "model")
    assert free.shown.noun == "basin"
    assert len(np.unique(groups.labels)) == k
    assert groups.embedding.shape == (8, max(2, k))
    assert set(np.unique(groups.split)) == {0, 1}
    if k == 2:
        assert (groups.labels == groups.split).all()


def test_centroid_distance_is_of_the_two_sides_in_the_embedding():
    for sizes, k in (((8, 7), 2), ((8, 7), 1), ((6, 4, 3), 3)):
        gaps, labels = block_gaps(sizes)
        groups = find_basins(gaps, k).groups
        centres = [groups.embedding[labels == side].mean(0) for side in (0, 1)]
        away = [np.linalg.norm(groups.embedding - centre, axis=1) for centre in centres]
        np.testing.assert_allclose(groups.centroid_distance, away[0] - away[1])
        assert (groups.centroid_distance[labels == 0] < 0).all()
        assert (groups.centroid_distance[labels == 1] > 0).all()
        assert ((groups.centroid_distance > 0) == groups.split).all()
    # of equal groups the one with the first model is group 0
    assert find_basins(block_gaps((5, 5))[0]).groups.labels.tolist() == [0] * 5 + [1] * 5


def test_affinity_and_its_scale():
    gaps, _ = block_gaps((8, 7))
    groups = find_basins(gaps).groups
    assert groups.delta == np.median(gaps[np.triu_indices(15, 1)])
    assert groups.delta_rule == "median"
    fixed = find_basins(gaps, delta=1.0).groups
    assert (fixed.delta, fixed.delta_rule) == (1, "given")
    # the embedding's eigenvalues are those of I - D^-1/2 S D^-1/2 without self-affinities
    weights = np.exp(-(gaps**2) / 2) - np.eye(15)
    root = weights.sum(0) ** -0.5
    expected = np.linalg.eigvalsh(np.eye(15) - root[:, None] * weights * root)
    np.testing.assert_allclose(fixed.evidence.eigenvalues, expected, atol=1e-12)
    mostly_zero = np.zeros((6, 6))
    mostly_zero[0, 1] = mostly_zero[1, 0] = 0.3
    assert find_basins(mostly_zero).groups.delta == pytest.approx(0.3 / 15)
    assert find_basins(np.zeros((3, 3))).groups.delta == 1


def test_an_underflowing_affinity_gives_the_same_groups():
    gaps, labels = block_gaps((7, 5, 3))
    assert adjusted_rand_score(find_basins(gaps, 3, delta=0.005).groups.labels, labels) == 1


@settings(max_examples=4, deadline=None)
@given(st.permutations(range(12)), st.sampled_from([(7, 5), (11, 1), (5, 4, 3)]))
def test_the_order_of_the_models_does_not_matter(order, sizes):
    gaps, _ = block_gaps(sizes)
    order = np.array(order)
    plain, shuffled = (find_basins(some).groups for some in (gaps, gaps[np.ix_(order, order)]))
    np.testing.assert_array_equal(shuffled.labels, plain.labels[order])
    distance = plain.centroid_distance[order]
    scale = np.abs(distance).max()
    np.testing.assert_allclose(shuffled.centroid_distance, distance, atol=1e-6 * scale)
    assert shuffled.evidence.null_quantile == pytest.approx(plain.evidence.null_quantile, abs=0.03)


def test_nulls_are_the_seeds():
    gaps = effect_gaps(15, mean=0.2, effects="gamma", spread=0.3, rng=3)
    first, again, other = (find_basins(gaps, rng=seed).groups.evidence for seed in (4, 4, 5))
    assert first.null_quantile == again.null_quantile != other.null_quantile
    default, zero = (find_basins(gaps, rng=seed).groups.evidence for seed in (None, 0))
    assert default.null_quantile == zero.null_quantile


def test_the_null_of_additive_gaps_has_no_residuals():
    # a_i + a_j fits exactly, so that only redrawn exponential effects remain: no blocks, but the
    # spread of silhouettes that 400 such populations show when drawn here without any fit
    far = np.linspace(0.05, 0.2, 9)
    gaps = far[:, None] + far[None]
    np.fill_diagonal(gaps, 0)
    null = null_silhouettes(additive_null(gaps), 9, np.array([2]), np.random.default_rng(0))[:, 0]
    rng, drawn = np.random.default_rng(1), []
    for _ in range(400):
        effects = rng.exponential(far.mean(), 9)
        free = effects[:, None] + effects[None]
        np.fill_diagonal(free, 0)
        labels = fcluster(linkage(squareform(free), "average"), 2, "maxclust")
        drawn.append(silhouette_score(free, labels, metric="precomputed"))
    levels = [0.5, 0.9]
    expected = np.quantile(drawn, levels)
    np.testing.assert_allclose(np.quantile(null, levels), expected, atol=0.04)


def test_the_merge_tree_has_the_heights_of_the_spanning_tree():
    gaps, _ = block_gaps((6, 4), spread=0.8)
    basins = find_basins(gaps)
    spanning = np.sort(minimum_spanning_tree(gaps).data)
    np.testing.assert_allclose(basins.merge_tree[:, 2], spanning)
    order = order_by_basin(basins)
    assert sorted(order) == list(range(10))
    assert (np.diff(basins.labels[order]) >= 0).all()
    for basin in (0, 1):
        members = order[basins.labels[order] == basin]
        assert (np.diff(basins.groups.centroid_distance[members]) >= 0).all()


TWO_OF_THREE = block_gaps((3, 3))[0]


@pytest.mark.parametrize(
    ("gaps", "options", "text"),
    [
        (np.zeros((3, 4)), {}, r"square matrix[\s\S]*shape \(3, 4\)"),
        (np.zeros((1, 1)), {}, "at least two models"),
        (changed(TWO_OF_THREE, 0, 1, np.nan), {}, "1 of 15 pairs of models have no gap"),
        (np.arange(9.0).reshape(3, 3), {}, r"symmetric[\s\S]*models 0 and 1[\s\S]*1 and 3"),
        (changed(TWO_OF_THREE, 2, 4, -0.1), {}, r"models 2 and 4[\s\S]*-0.1"),
        (changed(TWO_OF_THREE, 2, 2, 0.1), {}, r"models 2 and 2[\s\S]*found: 0.1"),
        (changed(TWO_OF_THREE, 2, 4, np.inf), {}, "found: inf"),
        (TWO_OF_THREE, {"delta": "mean"}, "found: 'mean'"),
        (TWO_OF_THREE, {"n_basins": 7}, "expected: 1 to 6"),
        (TWO_OF_THREE, {"tolerance": -1}, "tolerance"),
        (TWO_OF_THREE, {"noise": np.zeros((5, 5))}, r"expected: shape \(6, 6\)"),
        (TWO_OF_THREE, {"noise": -np.ones((6, 6))}, "standard errors, 0 or more"),
        (TWO_OF_THREE, {"draws": np.zeros((30, 15))}, "null"),
    ],
)
def test_bad_gaps_are_refused(gaps, options, text):
    with pytest.raises(ConfigError, match=text):
        find_basins(gaps, **options)


@pytest.mark.parametrize("delta", ["median", 0.3])
def test_a_cut_has_the_labels_of_groups_that_were_asked_for(delta) -> None:
    gaps = squareform(np.random.default_rng(3).gamma(1, 0.1, 45))
    for k in (1, 2, 5, 9):
        asked = find_basins(gaps, k, delta=delta, rng=4).groups
        np.testing.assert_array_equal(cut_into(gaps, k, delta=delta, rng=4), asked.labels)
