from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, matthews_corrcoef, roc_auc_score

from landscape.analysis.basins import find_basins
from landscape.analysis.statistics import pair_kinds, relate, score_groups
from landscape.core.errors import ConfigError, DataError


def predictions_and_labels(n_classes, n_models=4, n_examples=90, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_classes, size=n_examples)
    wrong = rng.integers(n_classes, size=(n_models, n_examples))
    skill = rng.uniform(size=(n_models, 1))
    return np.where(rng.uniform(size=wrong.shape) < skill, labels, wrong).astype(np.uint8), labels


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("metric", ["accuracy", "matthews"])
def test_scores_equal_scikit_learns(n_classes, metric):
    predictions, labels = predictions_and_labels(n_classes)
    predictions[0] = 1  # a model that always says the same
    groups = {"heuristic": np.resize(["overlap", "constituent", ""], 90)}
    table = score_groups(predictions, labels, groups, metric, "hans")
    assert table.columns.tolist() == ["hans", "hans: constituent", "hans: overlap"]
    oracle = accuracy_score if metric == "accuracy" else matthews_corrcoef
    for column, rows in (
        ("hans", slice(None)),
        ("hans: overlap", groups["heuristic"] == "overlap"),
        ("hans: constituent", groups["heuristic"] == "constituent"),
    ):
        expected = [oracle(labels[rows], guess[rows]) for guess in predictions]
        np.testing.assert_allclose(table[column], expected, atol=1e-12)


def test_matthews_of_a_group_with_one_class_is_missing():
    predictions, labels = predictions_and_labels(2)
    groups = {"class": np.where(labels == 1, "yes", "no")}
    table = score_groups(predictions, labels, groups, "matthews", "cola")
    assert table["cola"].notna().all()
    assert table[["cola: yes", "cola: no"]].isna().to_numpy().all()
    accuracy = score_groups(predictions, labels, groups, "accuracy", "cola")
    np.testing.assert_allclose(accuracy["cola: yes"], (predictions[:, labels == 1] == 1).mean(1))


def test_a_value_of_two_groupings_keeps_both_columns():
    predictions, labels = predictions_and_labels(2, n_examples=4)
    groups = {
        "first": np.array(["a", "a", "b", "b"]),
        "second": np.array(["a", "b", "c", "c"]),
        "third": np.array(["c", "c", "b", "b"]),
    }
    table = score_groups(predictions, labels, groups, "accuracy", "set")
    assert table.columns.tolist() == [
        *("set", "set: a", "set: b", "set: a (second)", "set: b (second)", "set: c"),
        "set: c (third)",
    ]
    np.testing.assert_array_equal(table["set: a (second)"], predictions[:, 0] == labels[0])


def test_predictions_that_do_not_fit_their_labels_are_refused():
    predictions, _ = predictions_and_labels(2)
    with pytest.raises(DataError, match=r"\(4, 90\) and \(3,\)"):
        score_groups(predictions, np.zeros(3), {}, "accuracy", "hans")


def population(sizes=(6, 5), n_columns=3, shift=0.1, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    scores = rng.normal(0.6, 0.1, (len(labels), n_columns)) - shift * labels[:, None]
    distance = labels - 0.5 + rng.normal(0, 0.2, len(labels))
    return labels, pd.DataFrame(scores, columns=[f"g{i}" for i in range(n_columns)]), distance


COLUMNS = [
    "group",
    *(f"basin_{basin}_{what}" for basin in (0, 1) for what in ("mean", "low", "high")),
    *("difference", "difference_low", "difference_high", "auc", "hedges_g"),
    *("p_value", "q_value", "p_within"),
    *(
        f"{name}{within}{end}"
        for name in ("spearman", "pearson")
        for within in ("", "_within")
        for end in ("", "_low", "_high")
    ),
    "reliability",
]


def test_two_basins_against_scipy_and_brute_force():
    labels, scores, distance = population()
    relation = relate(labels, scores, centroid_distance=distance, confidence=0.9)
    assert relation.table.columns.tolist() == COLUMNS
    assert (relation.n_basins, relation.confidence) == (2, 0.9)
    p_values = []
    for (_, row), name in zip(relation.table.iterrows(), scores, strict=True):
        first, second = scores[name][labels == 0], scores[name][labels == 1]
        assert row["group"] == name
        assert row["basin_0_mean"] == pytest.approx(first.mean())
        assert row["difference"] == pytest.approx(first.mean() - second.mean())
        assert row["auc"] == pytest.approx(roc_auc_score(labels == 0, scores[name]))
        pooled = math.sqrt((5 * first.var() + 4 * second.var()) / 9)
        factor = math.gamma(4.5) / math.sqrt(4.5) / math.gamma(4)
        assert row["hedges_g"] == pytest.approx(factor * row["difference"] / pooled)
        values, extreme = scores[name].to_numpy(), 0
        for rows in itertools.combinations(range(11), 6):
            inside = np.isin(np.arange(11), rows)
            moved = values[inside].mean() - values[~inside].mean()
            extreme += abs(moved) >= abs(row["difference"]) - 1e-12
        p_values.append(extreme / math.comb(11, 6))
        assert row["p_value"] == pytest.approx(p_values[-1])
        assert row["pearson"] == pytest.approx(stats.pearsonr(distance, scores[name]).statistic)
        assert row["spearman"] == pytest.approx(stats.spearmanr(distance, scores[name]).statistic)
    expected = stats.false_discovery_control(p_values)
    np.testing.assert_allclose(relation.table["q_value"], expected)


def test_three_basins_are_compared_by_f():
    labels, scores, _ = population((2, 3, 3), 2)
    table = relate(labels, scores).table
    values = scores["g1"].to_numpy()

    def f(basins):
        groups = [values[np.array(basins) == basin] for basin in range(3)]
        return stats.f_oneway(*groups).statistic

    relabellings = set(itertools.permutations(labels.tolist()))
    p = np.mean([f(basins) >= f(labels) - 1e-9 for basins in relabellings])
    assert table["p_value"][1] == pytest.approx(p)
    # the difference is of the two largest
    means = scores["g1"].groupby(labels).mean()
    assert table["difference"][1] == pytest.approx(means[1] - means[2])
    assert table["basin_2_mean"][1] == pytest.approx(means[2])


def test_missing_scores_leave_their_models_out():
    labels, scores, distance = population((6, 6), 4)
    scores.loc[[1, 7, 8], "g2"] = [np.nan, np.inf, np.nan]
    scores["g3"] = np.nan
    whole = relate(labels, scores, centroid_distance=distance).table
    keep = ~np.isin(np.arange(12), [1, 7, 8])
    alone = relate(labels[keep], scores.loc[keep, ["g2"]], centroid_distance=distance[keep]).table
    numbers = [c for c in COLUMNS[1:] if c != "q_value" and not c.startswith("basin")]
    np.testing.assert_allclose(
        whole.loc[2, numbers].astype(float), alone.loc[0, numbers].astype(float), atol=0.05
    )
    assert whole.loc[3, COLUMNS[1:]].isna().all()
    # a row without a p-value is no test
    p_values = whole["p_value"][:3]
    np.testing.assert_allclose(whole["q_value"][:3], stats.false_discovery_control(p_values))
    assert relate(labels, scores[["g3"]]).table["q_value"].isna().all()


def test_constant_scores():
    labels, scores, distance = population()
    scores["g1"] = 0.1
    scores["g2"] = np.where(labels == 0, 0.7, 0.1)
    table = relate(labels, scores, centroid_distance=distance).table
    flat, apart = table.loc[1], table.loc[2]
    assert (flat["difference"], flat["auc"], flat["p_value"]) == (0, 0.5, 1)
    assert flat[["hedges_g", "pearson", "pearson_low", "spearman"]].isna().all()
    assert (apart["auc"], apart["difference"]) == (1, pytest.approx(0.6))
    assert np.isnan(apart["hedges_g"])
    assert apart["p_value"] == pytest.approx(1 / math.comb(11, 5))
    assert relate(labels, scores, centroid_distance=np.ones(11)).table["pearson"].isna().all()


def test_perfect_correlation_has_an_interval_of_a_point():
    scores = pd.DataFrame({"up": np.arange(6.0), "down": -np.arange(6.0)})
    table = relate([0, 0, 0, 1, 1, 1], scores, centroid_distance=np.arange(6)).table
    assert table["pearson"].tolist() == table["spearman"].tolist() == [1, -1]
    assert table["pearson_low"].tolist() == table["pearson_high"].tolist() == [1, -1]


def test_a_basin_of_one_model_has_no_p_value():
    labels, scores, _ = population((5, 1))
    table = relate(labels, scores).table
    assert table[["difference", "auc"]].notna().all(axis=None)
    unknown = ["p_value", "q_value", "difference_low", "basin_1_low", "basin_1_high"]
    assert table[unknown].isna().all(axis=None)
    # of three basins the two with company are tested, as if they were alone
    labels, scores, _ = population((4, 3, 1))
    three, two = relate(labels, scores).table, relate(labels[:7], scores[:7]).table
    np.testing.assert_allclose(three["p_value"], two["p_value"])


def test_one_basin_leaves_only_correlations():
    _, scores, distance = population()
    relation = relate(np.zeros(11, int), scores, centroid_distance=distance)
    assert relation.n_basins == 1
    assert "basin_1_mean" not in relation.table
    for name in ("difference", "difference_low", "auc", "hedges_g", "p_value", "q_value"):
        assert relation.table[name].isna().all()
    assert relation.table["pearson"][0] == pytest.approx(np.corrcoef(distance, scores["g0"])[0, 1])


def test_basins_bring_their_own_centroid_distance():
    gaps = np.where(np.arange(9)[:, None] // 5 == np.arange(9) // 5, 0.01, 0.5)
    np.fill_diagonal(gaps, 0)
    basins = find_basins(gaps + 0.0001 * np.add.outer(np.arange(9), np.arange(9)) * (gaps > 0))
    _, scores, _ = population((5, 4))
    table = relate(basins, scores).table
    distance = basins.groups.centroid_distance
    given = relate(basins.labels, scores, centroid_distance=distance).table
    pd.testing.assert_frame_equal(table, given)
    assert relate(basins.labels, scores).table["pearson"].isna().all()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"basins": np.zeros(4, int)}, "expected: 4 rows"),
        ({"basins": np.full(11, -1)}, "whole numbers from 0"),
        ({"scores": pd.DataFrame({"g0": ["a"] * 11})}, "'g0' are no numbers"),
        ({"centroid_distance": np.zeros(4)}, r"expected: \(11,\)"),
        ({"confidence": 95}, "between 0 and 1"),
    ],
)
def test_bad_relations_are_refused(change, text):
    labels, scores, _ = population()
    with pytest.raises(ConfigError, match=text):
        relate(**{"basins": labels, "scores": scores, **change})


GENERALISING, MIXED, HEURISTIC = (
    "generalising-generalising",
    "generalising-heuristic",
    "heuristic-heuristic",
)


def test_kinds_of_pairs():
    scores = [0.9, 0.1, 0.5, 0.2, 0.8, 0.6]
    pairs = [(0, 4), (0, 1), (1, 0), (3, 1), (0, 2), (2, 5)]
    assert pair_kinds(scores, pairs).tolist() == [GENERALISING, MIXED, MIXED, HEURISTIC, "", ""]
    # five models: a third is one and two thirds, and two are not a third
    assert pair_kinds(scores[:5], [(0, 1), (0, 4)]).tolist() == [MIXED, ""]
    # ties go by place; NaN is at neither end; two models are one of each
    assert pair_kinds([0.5] * 3, [(0, 2), (0, 1)]).tolist() == [MIXED, ""]
    assert pair_kinds([np.nan, 0.2, 0.3], [(1, 2), (0, 1)]).tolist() == [MIXED, ""]
    assert pair_kinds([np.nan, 0.2], [(0, 1)]).tolist() == [""]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_each_end_has_its_share(scores):
    n = len(scores)
    pairs = np.array(list(itertools.combinations(range(n), 2)))
    kinds = pair_kinds(scores, pairs)
    count = max(1, n // 3)
    assert (kinds == MIXED).sum() == count**2
    assert (kinds == GENERALISING).sum() == (kinds == HEURISTIC).sum() == math.comb(count, 2)
