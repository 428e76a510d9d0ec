from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from landscape.analysis.statistics import relate


def one_basin(values, **options):
    scores = pd.DataFrame({"g": values})
    return relate(np.zeros(len(values), int), scores, **options).table.iloc[0]


@pytest.mark.parametrize(("successes", "n"), [(0, 3), (2, 5), (10, 10), (1, 2), (7, 20)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_of_ones_and_noughts_the_interval_is_clopper_and_pearsons(successes, n, confidence):
    row = one_basin(np.arange(n) < successes, confidence=confidence)
    exact = stats.binomtest(successes, n).proportion_ci(confidence, "exact")
    assert row["basin_0_low"] == pytest.approx(exact.low, abs=0.015)
    assert row["basin_0_high"] == pytest.approx(exact.high, abs=0.015)
    # by symmetry, of failures, and of another range
    other = one_basin(np.arange(n) >= successes, confidence=confidence)
    assert other["basin_0_low"] == pytest.approx(1 - exact.high, abs=0.015)
    wide = one_basin(2.0 * (np.arange(n) < successes) - 1, ranges={"g": (-1, 1)})
    narrow = one_basin(np.arange(n) < successes)
    assert wide["basin_0_low"] == pytest.approx(2 * narrow["basin_0_low"] - 1, abs=0.03)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=10), st.integers(2, 8))
def test_intervals_stay_in_the_range_and_hold_their_mean(values, split):
    labels = np.arange(len(values)) >= min(split, len(values) - 2)
    row = relate(labels.astype(int), pd.DataFrame({"g": values})).table.iloc[0]
    for basin in (0, 1):
        low, mean, high = (row[f"basin_{basin}_{what}"] for what in ("low", "mean", "high"))
        assert -1e-9 <= low <= mean + 1e-9
        assert mean - 1e-9 <= high <= 1 + 1e-9
    assert -1 - 1e-9 <= row["difference_low"] <= row["difference"] + 1e-9
    assert row["difference"] - 1e-9 <= row["difference_high"] <= 1 + 1e-9


@pytest.mark.parametrize("n", [2, 5, 10])
def test_few_models_of_two_kinds_are_covered(n):
    rng = np.random.default_rng(n)
    two = np.where(rng.random((2 * n, 400)) < 0.2, 0.95, 0.03)  # the true mean is .214
    table = relate(np.repeat([0, 1], n), pd.DataFrame(two), n_resamples=99).table
    inside = (table["basin_0_low"] <= 0.214) & (table["basin_0_high"] >= 0.214)
    assert inside.mean() >= 0.93
    assert ((table["difference_low"] <= 0) & (table["difference_high"] >= 0)).mean() >= 0.93
    # a single model has none
    alone = relate(np.arange(n + 1) // n, pd.DataFrame(two[: n + 1])).table
    assert alone[["basin_1_low", "basin_1_high", "difference_low"]].isna().all(axis=None)


def test_scores_without_a_range_have_students_and_welchs():
    rng = np.random.default_rng(0)
    first, second = rng.normal(5, 1, 6), rng.normal(3, 2, 4)
    scores = pd.DataFrame({"g": np.concatenate([first, second])})
    row = relate(np.repeat([0, 1], [6, 4]), scores, confidence=0.9).table.iloc[0]
    mean = stats.ttest_1samp(first, 0).confidence_interval(0.9)
    assert [row["basin_0_low"], row["basin_0_high"]] == pytest.approx([mean.low, mean.high])
    welch = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.9)
    assert [row["difference_low"], row["difference_high"]] == pytest.approx([*welch])


def pooled(x, y, conditions, rank):
    """Correlation within conditions, one at a time."""
    products, squares = 0.0, np.zeros(2)
    for condition in np.unique(conditions):
        parts = [values[conditions == condition] for values in (x, y)]
        parts = [stats.rankdata(part) if rank else part for part in parts]
        first, second = (part - part.mean() for part in parts)
        products += first @ second
        squares += [first @ first, second @ second]
    return products / np.sqrt(squares.prod())


def test_correlations_within_conditions_by_hand():
    rng = np.random.default_rng(1)
    conditions = np.array(list("aaaaabbbbcccd"))
    x, y = rng.normal(size=(2, 13)) + 5 * (conditions == "a")
    row = relate(
        np.arange(13) % 2, pd.DataFrame({"g": y}), centroid_distance=x, conditions=conditions
    ).table.iloc[0]
    assert row["spearman_within"] == pytest.approx(pooled(x, y, conditions, True))
    assert row["pearson_within"] == pytest.approx(pooled(x, y, conditions, False))
    assert row["pearson_within"] < row["pearson"]


def test_what_only_conditions_make_is_gone_within_them():
    rng = np.random.default_rng(3)
    conditions = np.repeat([0, 1, 2], 12)
    clouds = rng.normal(0, 0.02, (2, 36))
    x, y = clouds[0] - 2.0 * (conditions == 2), 0.1 + clouds[1] + 0.8 * (conditions == 2)
    labels = ((conditions == 2) ^ (np.arange(36) % 12 == 0)).astype(int)
    row = relate(
        labels, pd.DataFrame({"g": y}), centroid_distance=x, conditions=conditions
    ).table.iloc[0]
    assert row["pearson"] < -0.95
    assert row["spearman_high"] < 0
    assert row["spearman_within_low"] < 0 < row["spearman_within_high"]
    assert row["p_value"] < 0.001
    assert row["p_within"] > 0.05


@pytest.mark.parametrize("n", [12, 40])
def test_ranks_cover_where_outliers_are_and_fishers_interval_does_not(n):
    rng, n_columns = np.random.default_rng(n), 60
    true = 6 / np.pi * np.arcsin(0.25)  # of normal values with r = .5
    covered = {"spearman": [], "fisher": []}
    for _ in range(6):
        x = rng.normal(size=n)
        y = 0.5 * x[:, None] + np.sqrt(0.75) * rng.normal(size=(n, n_columns))
        y[rng.random(y.shape) < 0.05] *= 12  # ranks hardly change
        table = relate(
            np.zeros(n, int), pd.DataFrame(y), centroid_distance=x, n_resamples=299
        ).table
        covered["spearman"] += (
            (table["spearman_low"] <= true) & (true <= table["spearman_high"])
        ).tolist()
        ends = [stats.pearsonr(x, column).confidence_interval() for column in y.T]
        covered["fisher"] += [low <= 0.5 <= high for low, high in ends]
    assert np.mean(covered["spearman"]) >= 0.92
    assert np.mean(covered["fisher"]) < np.mean(covered["spearman"])
    if n == 40:
        assert np.mean(covered["fisher"]) < 0.85


def tree_bh(p_values, children, top, level):
    """TreeBH as published: families downwards, each at a level cut by the shares selected above."""

    def simes(node):
        p = (
            sorted(simes(child) for child in children[node])
            if node in children
            else [p_values[node]]
        )
        return min(len(p) * value / (rank + 1) for rank, value in enumerate(p))

    rejected = set()
    todo = [(top, level)]
    while todo:
        family, at = todo.pop()
        p = np.array([simes(node) for node in family])
        ordered = np.sort(p)
        fits = np.flatnonzero(ordered <= at * np.arange(1, len(p) + 1) / len(p))
        if not len(fits):
            continue
        n_selected = fits[-1] + 1
        for node, value in zip(family, p, strict=True):
            if value <= at * n_selected / len(p):
                if node in children:
                    todo.append((children[node], at * n_selected / len(p)))
                else:
                    rejected.add(node)
    return rejected


NAMES = ["dev", "hans", "hans: a", "hans: b", "hans: a1", "hans: a2", "hans: a3", "paws", "paws: x"]
PARENTS = {"hans: a1": "hans: a", "hans: a2": "hans: a", "hans: a3": "hans: a"}
CHILDREN = {
    "in hans": ["hans", "in a", "hans: b"],
    "in a": ["hans: a", "hans: a1", "hans: a2", "hans: a3"],
    "in paws": ["paws", "paws: x"],
}
TOP = ["dev", "in hans", "in paws"]


@pytest.mark.parametrize("seed", range(2))
def test_false_discoveries_over_the_hierarchy(seed):
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], 5)
    effects = np.array([0, 0, 2, 0, 3, 1, 0, 0, 1.5])
    scores = pd.DataFrame(rng.normal(size=(10, 9)) + effects * labels[:, None], columns=NAMES)
    table = relate(labels, scores, parents=PARENTS).table
    p = dict(zip(NAMES, table["p_value"], strict=True))
    for level, name in itertools.product(np.linspace(0.003, 0.6, 25), NAMES):
        q = table.loc[table["group"] == name, "q_value"].item()
        if abs(q - level) > 1e-9:
            assert (name in tree_bh(p, CHILDREN, TOP, level)) == (q <= level), (name, level, q)
    # without groups in groups: Benjamini and Hochberg
    flat = relate(labels, scores.set_axis([f"g{i}" for i in range(9)], axis=1)).table
    expected = stats.false_discovery_control(flat["p_value"])
    np.testing.assert_allclose(flat["q_value"], expected)
