from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score, silhouette_score

from landscape.analysis.basins import cut_into, find_basins, order_by_basin
from landscape.analysis.basins.null import additive_null, null_silhouettes
from landscape.analysis.basins.silhouette import cuts, silhouette
from landscape.core.errors import ConfigError


def symmetric(pairs):
    return squareform(np.maximum(pairs, 0))


def block_gaps(sizes, within=0.01, between=0.5, spread=0.2, seed=0):
    """Gaps with log-normal noise, and the true labels."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    first, second = np.triu_indices(len(labels), 1)
    medians = np.where(labels[first] == labels[second], within, between)
    noise = np.random.default_rng(seed).normal(0, spread, len(medians))
    return symmetric(medians * np.exp(noise)), labels


def one_basin_gaps(seed, effects="gamma"):
    """A smooth additive population of 6 to 20 models with noise."""
    rng = np.random.default_rng([seed, 1])
    n = int(rng.integers(6, 21))
    first, second = np.triu_indices(n, 1)
    far = {
        "gamma": rng.gamma(2, 0.05, n),
        "exponential": rng.exponential(0.1, n),
        "equal": np.full(n, 0.1),
    }[effects]
    mean = far[first] + far[second]
    return symmetric(mean * np.exp(rng.normal(0, 0.3, len(mean))) + rng.normal(0, 0.02, len(mean)))


@pytest.mark.parametrize("sizes", [(8, 7), (5, 1), (12, 4), (2, 1), (3, 1), (5, 5, 5), (7, 5, 3)])
def test_clear_blocks_are_found(sizes):
    gaps, labels = block_gaps(sizes)
    basins = find_basins(gaps)
    assert basins.n_basins == len(sizes)
    assert adjusted_rand_score(basins.labels, labels) == 1
    assert np.bincount(basins.labels).tolist() == sorted(sizes, reverse=True)
    evidence = basins.evidence
    best = evidence.candidates.tolist().index(len(sizes))
    expected = silhouette_score(gaps, labels, metric="precomputed")
    assert evidence.silhouettes[best] == pytest.approx(expected)
    assert evidence.verdict == "groups"
    # few models are told apart by their barriers alone, more by their silhouette too
    assert evidence.sharp
    if len(labels) > 12:
        assert evidence.silhouettes[best] > evidence.null_quantile
        assert evidence.p_value <= 0.05


def test_tiny_gaps_are_one_basin_however_they_lie():
    gaps, labels = block_gaps((8, 7), within=0.001, between=0.01)
    basins = find_basins(gaps)
    assert basins.n_basins == 1
    assert not basins.labels.any()
    assert basins.evidence.reason == "One basin: no gap exceeds .02 nats."
    # the split behind centroid distance is there all the same
    assert adjusted_rand_score(basins.split, labels) == 1
    assert find_basins(gaps, tolerance=0.005).n_basins == 2
    assert find_basins(np.zeros((5, 5))).n_basins == 1


def test_gaps_within_their_own_noise_are_one_basin():
    gaps, _ = block_gaps((8, 7), within=0.01, between=0.1)
    assert find_basins(gaps, noise=np.full_like(gaps, 0.01)).n_basins == 2
    basins = find_basins(gaps, noise=np.full_like(gaps, 0.1))
    assert basins.n_basins == 1
    assert basins.evidence.reason == "One basin: no gap exceeds .02 nats beyond example noise."
    assert basins.evidence.noise == pytest.approx(0.1)


def test_one_long_gap_makes_no_basin():
    gaps = np.full((8, 8), 0.005)
    np.fill_diagonal(gaps, 0)
    gaps[0, 1] = gaps[1, 0] = 1.9
    assert find_basins(gaps).n_basins == 1


def test_one_basin_populations_are_rarely_split():
    # how often, of hundreds: experiments/simulations/false_positives.py
    kinds = ("gamma", "equal", "exponential")
    gaps = [one_basin_gaps(seed, effects) for effects in kinds for seed in range(4)]
    assert sum(find_basins(matrix).n_basins > 1 for matrix in gaps) <= 2


def test_two_noisy_blocks_are_nearly_always_found():
    found = 0
    for seed in range(6):
        gaps, labels = block_gaps((9, 6), within=0.05, between=0.4, spread=0.7, seed=seed)
        basins = find_basins(gaps)
        found += basins.n_basins == 2 and adjusted_rand_score(basins.labels, labels) > 0.7
    assert found >= 4


def test_two_models():
    near, far = np.array([[0, 0.01], [0.01, 0]]), np.array([[0, 0.3], [0.3, 0]])
    assert find_basins(near).n_basins == 1
    basins = find_basins(far)
    assert basins.labels.tolist() == [0, 1]
    assert basins.evidence.reason == "Two basins: the one gap, .30 nats, exceeds .02 nats."
    assert np.isnan(basins.evidence.null_quantile)
    assert basins.merge_tree.tolist() == [[0, 1, 0.3, 2]]
    assert basins.centroid_distance[0] < 0 < basins.centroid_distance[1]


def test_three_equal_gaps_are_one_basin():
    assert find_basins(0.3 * (1 - np.eye(3))).n_basins == 1


@pytest.mark.parametrize("k", [1, 2, 3, 4, 8])
def test_the_number_of_basins_can_be_asked_for(k):
    gaps, _ = block_gaps((4, 4))
    basins = find_basins(gaps, k)
    assert basins.n_basins == k
    assert len(np.unique(basins.labels)) == k
    assert basins.embedding.shape == (8, max(2, k))
    assert basins.evidence.reason.split(",")[0].lower() in (
        "one basin",
        "two basins",
        "three basins",
        "four basins",
        "eight basins",
    )
    assert set(np.unique(basins.split)) == {0, 1}
    if k == 2:
        assert (basins.labels == basins.split).all()


def test_centroid_distance_is_of_the_two_sides_in_the_embedding():
    for sizes, k in (((8, 7), 2), ((8, 7), 1), ((6, 4, 3), 3)):
        gaps, labels = block_gaps(sizes)
        basins = find_basins(gaps, k)
        centres = [basins.embedding[labels == side].mean(0) for side in (0, 1)]
        away = [np.linalg.norm(basins.embedding - centre, axis=1) for centre in centres]
        np.testing.assert_allclose(basins.centroid_distance, away[0] - away[1])
        assert (basins.centroid_distance[labels == 0] < 0).all()
        assert (basins.centroid_distance[labels == 1] > 0).all()
        assert ((basins.centroid_distance > 0) == basins.split).all()
    # of equal basins the one with the first model is basin 0
    assert find_basins(block_gaps((5, 5))[0]).labels.tolist() == [0] * 5 + [1] * 5


def test_affinity_and_its_scale():
    gaps, _ = block_gaps((8, 7))
    basins = find_basins(gaps)
    assert basins.delta == np.median(gaps[np.triu_indices(15, 1)])
    assert basins.delta_rule == "median"
    fixed = find_basins(gaps, delta=1.0)
    assert (fixed.delta, fixed.delta_rule) == (1, "given")
    # the embedding's eigenvalues are those of I - D^-1/2 S D^-1/2 without self-affinities
    weights = np.exp(-(gaps**2) / 2) - np.eye(15)
    root = weights.sum(0) ** -0.5
    expected = np.linalg.eigvalsh(np.eye(15) - root[:, None] * weights * root)
    np.testing.assert_allclose(fixed.evidence.eigenvalues, expected, atol=1e-12)
    mostly_zero = np.zeros((6, 6))
    mostly_zero[0, 1] = mostly_zero[1, 0] = 0.3
    assert find_basins(mostly_zero).delta == pytest.approx(0.3 / 15)
    assert find_basins(np.zeros((3, 3))).delta == 1


def test_an_underflowing_affinity_gives_the_same_basins():
    gaps, labels = block_gaps((7, 5, 3))
    assert adjusted_rand_score(find_basins(gaps, 3, delta=0.005).labels, labels) == 1


@settings(max_examples=4, deadline=None)
@given(st.permutations(range(12)), st.sampled_from([(7, 5), (11, 1), (5, 4, 3)]))
def test_the_order_of_the_models_does_not_matter(order, sizes):
    gaps, _ = block_gaps(sizes)
    order = np.array(order)
    plain, shuffled = find_basins(gaps), find_basins(gaps[np.ix_(order, order)])
    np.testing.assert_array_equal(shuffled.labels, plain.labels[order])
    distance = plain.centroid_distance[order]
    scale = np.abs(distance).max()
    np.testing.assert_allclose(shuffled.centroid_distance, distance, atol=1e-6 * scale)
    assert shuffled.evidence.null_quantile == pytest.approx(plain.evidence.null_quantile, abs=0.03)


def test_the_answer_is_the_seeds():
    gaps = one_basin_gaps(3)
    first, again, other = (find_basins(gaps, rng=seed).evidence for seed in (4, 4, 5))
    assert first.null_quantile == again.null_quantile != other.null_quantile
    default, zero = find_basins(gaps).evidence, find_basins(gaps, rng=0).evidence
    assert default.null_quantile == zero.null_quantile


def test_cuts_and_silhouettes_of_many_matrices_equal_the_libraries():
    gaps = np.array([block_gaps((5, 4, 3), spread=1.5, seed=seed)[0] for seed in range(6)])
    trees = np.array([linkage(squareform(matrix), "average") for matrix in gaps])
    found_cuts = cuts(trees, 6)
    assert sorted(found_cuts) == [2, 3, 4, 5, 6]
    for k, labels in found_cuts.items():
        found = silhouette(gaps, labels, k)
        for matrix, tree, row, score in zip(gaps, trees, labels, found, strict=True):
            assert adjusted_rand_score(row, fcluster(tree, k, "maxclust")) == 1
            assert sorted(set(row)) == list(range(k))
            assert score == pytest.approx(silhouette_score(matrix, row, metric="precomputed"))


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
        assert (np.diff(basins.centroid_distance[members]) >= 0).all()


def changed(i, j, value):
    gaps = block_gaps((3, 3))[0]
    gaps[i, j] = gaps[j, i] = value
    return gaps


@pytest.mark.parametrize(
    ("gaps", "options", "text"),
    [
        (np.zeros((3, 4)), {}, r"square matrix[\s\S]*shape \(3, 4\)"),
        (np.zeros((1, 1)), {}, "at least two models"),
        (changed(0, 1, np.nan), {}, "1 of 15 pairs of models have no gap"),
        (np.full((6, 6), np.nan), {}, "15 of 15 pairs"),
        (np.arange(9.0).reshape(3, 3), {}, r"symmetric[\s\S]*models 0 and 1[\s\S]*1 and 3"),
        (changed(2, 4, -0.1), {}, r"models 2 and 4[\s\S]*-0.1"),
        (changed(2, 2, 0.1), {}, r"models 2 and 2[\s\S]*found: 0.1"),
        (changed(2, 4, np.inf), {}, "found: inf"),
        (changed(0, 1, 0.1), {"delta": 0}, "positive number of nats, or 'median'"),
        (changed(0, 1, 0.1), {"delta": "mean"}, "found: 'mean'"),
        (changed(0, 1, 0.1), {"n_basins": 7}, "expected: 1 to 6"),
        (changed(0, 1, 0.1), {"n_basins": 0}, "found: 0"),
        (changed(0, 1, 0.1), {"tolerance": -1}, "tolerance"),
        (changed(0, 1, 0.1), {"noise": np.zeros((5, 5))}, r"expected: shape \(6, 6\)"),
        (changed(0, 1, 0.1), {"noise": -np.ones((6, 6))}, "standard errors, 0 or more"),
    ],
)
def test_bad_gaps_are_refused(gaps, options, text):
    with pytest.raises(ConfigError, match=text):
        find_basins(gaps, **options)


def test_equal_barriers_between_all_are_named_as_such() -> None:
    gaps = np.full((8, 8), 0.07)
    np.fill_diagonal(gaps, 0)
    basins = find_basins(gaps)
    assert basins.n_basins == 1
    assert basins.evidence.reason.endswith("though 28 of 28 gaps exceed .02 nats.")


@pytest.mark.parametrize("delta", ["median", 0.3])
def test_a_cut_has_the_labels_of_basins_that_were_asked_for(delta) -> None:
    gaps = squareform(np.random.default_rng(3).gamma(1, 0.1, 45))
    for k in (1, 2, 5, 9):
        asked = find_basins(gaps, k, delta=delta, rng=4)
        np.testing.assert_array_equal(cut_into(gaps, k, delta=delta, rng=4), asked.labels)
