from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from landscape.analysis.statistics import relate
from landscape.analysis.statistics.permutation import (
    block_codes,
    permute_within,
)
from landscape.core.errors import ConfigError

BLOCKS = np.array([0, 1, 0, 1, 1, 0, 2])


def all_orders(blocks):
    """Every order in which each place keeps its block, by trying all."""
    places = range(len(blocks))
    return {p for p in itertools.permutations(places) if (blocks[list(p)] == blocks).all()}


def test_interchangeable_models_are_counted_once():
    orders, exact = permute_within(BLOCKS, 36, np.random.default_rng(0))
    assert exact
    assert {tuple(row) for row in orders.tolist()} == all_orders(BLOCKS)
    kinds = np.array([0, 1, 0, 1, 0, 1, 1])
    orders, exact = permute_within(BLOCKS, 9, np.random.default_rng(0), kinds)
    assert exact
    found = [tuple(row) for row in kinds[orders].tolist()]
    assert len(found) == len(set(found)) == 9
    assert set(found) == {tuple(kinds[list(p)].tolist()) for p in all_orders(BLOCKS)}


def test_random_orders_begin_with_the_models_as_they_are():
    orders, exact = permute_within(BLOCKS, 35, np.random.default_rng(0))
    assert not exact
    assert orders.shape == (36, 7)
    np.testing.assert_array_equal(orders[0], np.arange(7))
    assert {tuple(row) for row in orders.tolist()} < all_orders(BLOCKS)
    many, _ = permute_within(np.zeros(8, int), 4000, np.random.default_rng(0))
    # every model is as often at every place: 4000 / 8, five standard deviations
    counts = (many[1:, :, None] == np.arange(8)).sum(0)
    assert np.abs(counts - 500).max() < 5 * math.sqrt(500)


def test_blocks_of_any_values():
    np.testing.assert_array_equal(block_codes(None, 3), [0, 0, 0])
    np.testing.assert_array_equal(block_codes(["b", "a", "b"], 3), [0, 1, 0])
    table = pd.DataFrame({"rate": [1e-5, 1e-5, np.nan, np.nan], "by": ["x", "y", "x", "x"]})
    np.testing.assert_array_equal(block_codes(table, 4), [0, 1, 2, 2])
    with pytest.raises(ConfigError, match=r"expected: \(4,\) or \(4, n_columns\)"):
        block_codes([0, 1, 2], 4)


def f_given_blocks(scores, labels, blocks):
    """F of basins beside the blocks' means, by least squares."""

    dummies = (blocks[:, None] == np.unique(blocks)) * 1.0
    basins = (labels[:, None] == np.unique(labels)) * 1.0
    errors = []
    for columns in (dummies, np.hstack([dummies, basins])):
        slopes = np.linalg.lstsq(columns, scores)[0]
        errors.append(((scores - columns @ slopes) ** 2).sum())
    return (errors[0] - errors[1]) / errors[1]


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 0, 1, 0, 1], [0, 1, 2, 0, 1, 2, 2, 1]])
def test_p_values_within_blocks_by_brute_force(labels):
    labels, blocks = np.array(labels), np.array(["x", "x", "x", "x", "y", "y", "y", "x"])
    scores = np.random.default_rng(3).normal(size=(8, 2)) + 3 * (blocks == "x")[:, None]
    table = relate(labels, pd.DataFrame(scores), conditions=blocks).table
    codes = (blocks == "y").astype(int)
    relabelled = {tuple(labels[list(p)]) for p in all_orders(codes)}
    for column, p_value in zip(scores.T, table["p_within"], strict=True):
        observed = f_given_blocks(column, labels, codes)
        null = [f_given_blocks(column, np.array(r), codes) for r in relabelled]
        assert p_value == pytest.approx(np.mean(np.array(null) >= observed - 1e-9))
    plain = relate(labels, pd.DataFrame(scores)).table
    alike = ["difference", "auc", "hedges_g", "p_value", "q_value"]
    pd.testing.assert_frame_equal(plain[alike], table[alike])
    assert plain["p_within"].isna().all()


def test_one_block_is_no_block():
    rng = np.random.default_rng(0)
    labels, scores = np.arange(9) % 2, pd.DataFrame(rng.normal(size=(9, 4)))
    scores.loc[2, 3] = np.nan
    table = relate(
        labels, scores, conditions=np.ones(9), centroid_distance=rng.normal(size=9)
    ).table
    for name in ("p", "spearman", "pearson"):
        whole = table["p_value" if name == "p" else name]
        np.testing.assert_allclose(whole, table[f"{name}_within"])


def test_what_goes_with_the_blocks_is_not_the_basins():
    blocks = np.repeat([0, 1], 8)
    labels = np.array([0] * 7 + [1] + [1] * 7 + [0])
    scores = pd.DataFrame({"g": blocks + np.tile([0.0, 0.01, -0.01, 0.02], 4)})
    row = relate(labels, scores, conditions=blocks).table.iloc[0]
    assert row["p_value"] < 0.02
    assert row["p_within"] > 0.1
    # every block in one basin: nothing can be exchanged
    row = relate(blocks, scores, conditions=blocks).table.iloc[0]
    assert np.isnan(row["p_within"])
    assert row["difference"] == pytest.approx(-1)


def test_p_values_are_uniform_without_an_effect():
    rng = np.random.default_rng(24)
    blocks, labels = np.arange(24) % 4, rng.integers(2, size=24)
    scores = pd.DataFrame(rng.normal(size=(24, 300)) + 2 * rng.normal(size=4)[blocks][:, None])
    p_values = relate(labels, scores, conditions=blocks, n_resamples=499).table["p_within"]
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_blocks_of_other_models_are_refused():
    labels, scores = np.arange(12) % 2, pd.DataFrame(np.zeros((12, 6)))
    with pytest.raises(ConfigError, match="conditions do not match the models"):
        relate(labels, scores, conditions=np.zeros(3))


@pytest.mark.parametrize("with_blocks", [False, True])
def test_a_basin_of_one_scored_model_never_has_a_p_value(with_blocks):
    rng = np.random.default_rng(0)
    for sizes in itertools.product(range(1, 4), repeat=3):
        labels = np.repeat(np.arange(3), sizes)
        values = rng.normal(size=(len(labels), 4))
        values[:, 1][labels == 0] = np.nan
        values[:, 2][np.flatnonzero(labels == 1)[1:]] = np.nan
        values[:, 3][np.flatnonzero(labels == 0)[0]] = np.nan
        blocks = np.zeros(len(labels)) if with_blocks else None
        table = relate(labels, pd.DataFrame(values), conditions=blocks, n_resamples=99).table
        p_values = table["p_within" if with_blocks else "p_value"]
        compared = np.argsort(-np.array(sizes), kind="stable")[:2]
        for column, p_value in zip(values.T, p_values, strict=True):
            scored = [np.isfinite(column[labels == basin]).sum() for basin in compared]
            assert np.isnan(p_value) == (min(scored) < 2)


def test_from_one_model_to_a_hundred():
    rng = np.random.default_rng(0)
    for n in (1, 2):
        scores = pd.DataFrame({"a": np.arange(n, dtype=float)})
        table = relate(np.arange(n), scores, centroid_distance=np.arange(n)).table
        assert table[["p_value", "pearson", "pearson_low"]].isna().all(axis=None)
    for n, least in ((3, None), (6, 2 / 20), (100, 1 / 10_000)):
        labels = np.arange(n) % 2
        scores = pd.DataFrame({"a": rng.normal(size=n) * 0.01 - labels, "flat": np.full(n, 0.3)})
        table = relate(labels, scores, centroid_distance=labels).table
        assert table["difference"].tolist() == pytest.approx([1, 0], abs=0.1)
        if least is None:
            assert table["p_value"].isna().all()
        else:
            assert table["p_value"].tolist() == pytest.approx([least, 1])


def exact_p(scores, labels):
    """The two-basin permutation test in whole numbers."""
    n, size = len(scores), int((labels == 0).sum())

    def apart(rows):
        inside = sum(int(scores[i]) for i in rows)
        return abs(Fraction(inside, size) - Fraction(int(scores.sum()) - inside, n - size))

    observed = apart(np.flatnonzero(labels == 0))
    null = [apart(rows) for rows in itertools.combinations(range(n), size)]
    return sum(value >= observed for value in null) / len(null)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=5, max_size=8),
    st.sampled_from([0.1, 1 / 3, 1 / 7]),
    st.floats(0, 1),
)
def test_ties_count_whatever_the_rounding(whole, scale, offset):
    whole, labels = np.array(whole), np.arange(len(whole)) % 2
    scores = pd.DataFrame({"g": whole * scale + offset})
    expected = exact_p(whole, labels)
    table = relate(labels, scores, conditions=np.zeros(len(whole)), n_resamples=99_999).table
    assert table[["p_value", "p_within"]].iloc[0].tolist() == pytest.approx([expected] * 2)
