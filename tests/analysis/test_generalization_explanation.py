from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from landscape.analysis.statistics import explain
from landscape.analysis.statistics.predictors import make_design, read_sets
from landscape.analysis.statistics.regression import cross_validated, draw_folds
from landscape.core.errors import ConfigError


def population(n=14, n_groups=2, effect=0.0, seed=0):
    """Scores and three sets of predictors with four columns in all."""
    rng = np.random.default_rng(seed)
    basin = np.where(np.arange(n) % 2, 0.5, -0.5) + rng.normal(0, 0.2, n)
    domain = pd.DataFrame({"accuracy": rng.normal(0.8, 0.01, n), "loss": rng.normal(size=n)})
    domain["loss"] += basin
    scores = rng.normal(size=(n, n_groups)) + effect * basin[:, None]
    scores = pd.DataFrame(scores + 0.5 * domain[["loss"]].to_numpy())
    scores.columns = [f"g{i}" for i in range(n_groups)]
    return scores, {"in-domain": domain, "sharpness": rng.normal(size=n), "basin": basin}


def stacked(predictors, names):
    return np.column_stack([predictors[name] for name in names])


def out_of_sample(values, predict):
    """R2 of leave-one-out predictions against leave-one-out means."""
    means = (values.sum() - values) / (len(values) - 1)
    return 1 - ((values - predict) ** 2).sum() / ((values - means) ** 2).sum()


def test_shares_of_variance_against_scikit_learn():
    scores, predictors = population()
    table = explain(scores, predictors, n_permutations=9).table
    models = {name: [name] for name in predictors} | {
        "reduced": ["in-domain", "sharpness"],
        "full": ["in-domain", "sharpness", "basin"],
    }
    for (_, row), group in zip(table.iterrows(), scores, strict=True):
        values = scores[group].to_numpy()
        for name, sets in models.items():
            x = stacked(predictors, sets)
            fit = LinearRegression()
            assert row[f"{name}_r2"] == pytest.approx(fit.fit(x, values).score(x, values))
            predict = cross_val_predict(fit, x, values, cv=LeaveOneOut())
            assert row[f"{name}_cv_r2"] == pytest.approx(out_of_sample(values, predict))
        assert row["gain"] == pytest.approx(row["full_r2"] - row["reduced_r2"])
        assert row["cv_gain"] == pytest.approx(row["full_cv_r2"] - row["reduced_cv_r2"])
        assert row[["n_models", "n_controls", "n_target", "n_folds"]].tolist() == [14, 3, 1, 14]
        assert row["note"] == ""
    assert (table["cv_gain"] < 0).any()  # noise costs more than it tells, and is not hidden


def test_folds_against_scikit_learn():
    scores, predictors = population(25)
    design, _ = make_design(
        {chosen.name: chosen for chosen in read_sets(predictors, scores)}, np.ones(25, dtype=bool)
    )
    folds, n_folds = draw_folds(25, np.random.default_rng(0))
    assert (n_folds, len(folds)) == (10, 100)
    assert np.bincount(np.concatenate(folds)).tolist() == [10] * 25
    sets = ["basin", "in-domain"]
    found = cross_validated(design, {"these": sets}, scores.to_numpy(), folds)
    for values, r2 in zip(scores.to_numpy().T, found["these"], strict=True):
        x, errors, total = stacked(predictors, sets), 0.0, 0.0
        for fold in folds:
            train = np.setdiff1d(np.arange(25), fold)
            fit = LinearRegression().fit(x[train], values[train])
            errors += ((values[fold] - fit.predict(x[fold])) ** 2).sum()
            total += ((values[fold] - values[train].mean()) ** 2).sum()
        assert r2 == pytest.approx(1 - errors / total)


@pytest.mark.parametrize("own_units", [True, False])
def test_sets_too_large_give_principal_components_of_the_training_models(own_units):
    scores, predictors = population(15, 1)
    wide = np.random.default_rng(1).normal(size=(15, 8)) * np.arange(1, 9)
    table = explain(
        scores,
        {"wide": pd.DataFrame(wide) if own_units else wide, "basin": predictors["basin"]},
        n_permutations=9,
    ).table
    components = make_pipeline(*[StandardScaler()] * own_units, PCA(4))
    both = make_pipeline(
        make_column_transformer((components, slice(0, 8)), remainder="passthrough"),
        LinearRegression(),
    )
    x, values = np.column_stack([wide, predictors["basin"]]), scores["g0"].to_numpy()
    row = table.iloc[0]
    assert row["full_r2"] == pytest.approx(both.fit(x, values).score(x, values))
    predict = cross_val_predict(both, x, values, cv=LeaveOneOut())
    assert row["full_cv_r2"] == pytest.approx(out_of_sample(values, predict))
    assert row["note"] == "wide: 4 of 8 principal components"


def test_constant_and_collinear_columns_change_nothing():
    scores, predictors = population()
    more = dict(predictors)
    more["in-domain"] = more["in-domain"].assign(
        flat=0.1, twice=more["in-domain"]["loss"] * 2 - more["in-domain"]["accuracy"]
    )
    more["nothing"] = np.full(14, 0.3)
    more["basin"] = more.pop("basin")
    plain, table = (explain(scores, p, n_permutations=99).table for p in (predictors, more))
    shared = [column for column in plain.columns if column != "note"]
    pd.testing.assert_frame_equal(plain[shared], table[shared])
    assert table["nothing_r2"].tolist() == [0, 0]
    assert table["nothing_cv_r2"].tolist() == [0, 0]
    assert table["note"][0] == (
        "in-domain: 2 of 4 columns, which make up the others; nothing: constant"
    )


@pytest.mark.parametrize("target", [np.full(14, 2.0), "sharpness"])
def test_a_target_that_adds_nothing_is_not_tested(target):
    scores, predictors = population()
    predictors["basin"] = predictors["sharpness"] * -3 + 1 if isinstance(target, str) else target
    table = explain(scores, predictors, n_permutations=9).table
    assert table["n_target"].tolist() == [0, 0]
    np.testing.assert_allclose(table[["gain", "cv_gain"]], 0, atol=1e-12)
    assert table[["p_value", "q_value", "partial_spearman"]].isna().all(axis=None)
    assert table["note"].str.endswith("nothing of basin is left beside the other sets").all()


def f_statistic(values, reduced, full):
    errors = [((values - x @ np.linalg.lstsq(x, values)[0]) ** 2).sum() for x in (reduced, full)]
    return (errors[0] - errors[1]) / errors[1]


@pytest.mark.parametrize("blocks", [None, ["x", "y", "x", "x", "y", "y", "x"]])
def test_freedman_and_lane_by_brute_force(blocks):
    scores, predictors = population(7, 3, effect=1, seed=4)
    predictors = {name: predictors[name] for name in ("sharpness", "basin")}
    explanation = explain(scores, predictors, conditions=blocks)
    codes = np.zeros(7) if blocks is None else np.array(blocks) == "x"
    reduced = np.column_stack([np.ones(7), codes, predictors["sharpness"]])
    full = np.column_stack([reduced, predictors["basin"]])
    orders = [
        list(order)
        for order in itertools.permutations(range(7))
        if (codes[list(order)] == codes).all()
    ]
    assert (explanation.n_permutations, explanation.exact) == (len(orders), True)
    null = np.empty((len(orders), 3))
    for g, values in enumerate(scores.to_numpy().T):
        fit = reduced @ np.linalg.lstsq(reduced, values)[0]
        left = values - fit
        null[:, g] = [f_statistic(fit + left[order], reduced, full) for order in orders]
    observed = null[0]
    table = explanation.table
    p_values = (null >= observed * (1 - 1e-9)).mean(0)
    np.testing.assert_allclose(table["p_value"], p_values)
    np.testing.assert_allclose(table["q_value"], stats.false_discovery_control(p_values))
    if blocks is not None:
        means = LinearRegression().fit(codes[:, None], scores["g0"])
        assert table["conditions_r2"][0] == pytest.approx(means.score(codes[:, None], scores["g0"]))
        assert explanation.sets == ("conditions", "sharpness", "basin")
        assert table["n_controls"].tolist() == [2, 2, 2]


def test_partial_correlations_by_the_inverse_covariance():
    scores, predictors = population()
    table = explain(scores, predictors, n_permutations=9).table
    variables = np.column_stack([stacked(predictors, predictors), scores["g1"]])
    precision = np.linalg.inv(np.cov(stats.rankdata(variables, axis=0).T))
    r = -precision[3, 4] / math.sqrt(precision[3, 3] * precision[4, 4])
    assert table["partial_spearman"][1] == pytest.approx(r)
    half = stats.norm.ppf(0.975) * math.sqrt((1 + r**2 / 2) / (14 - 3 - 3))  # three controls
    assert table["partial_spearman_low"][1] == pytest.approx(math.tanh(math.atanh(r) - half))
    assert table["partial_spearman_high"][1] == pytest.approx(math.tanh(math.atanh(r) + half))


def test_a_target_of_two_dimensions():
    scores, predictors = population(18)
    basins = np.arange(18) % 3
    predictors["basin"] = (basins[:, None] == np.arange(3)) * 1.0
    predictors = {name: predictors[name] for name in ("sharpness", "basin")}
    table = explain(scores, predictors, n_permutations=4999).table
    assert table["n_target"].tolist() == [2, 2]
    assert table["partial_spearman"].isna().all()
    # with normal scores the permutation test of F is near the F test
    reduced = np.column_stack([np.ones(18), predictors["sharpness"]])
    full = np.column_stack([reduced, predictors["basin"][:, :2]])
    f = [f_statistic(values, reduced, full) * 14 / 2 for values in scores.to_numpy().T]
    np.testing.assert_allclose(table["p_value"], stats.f.sf(f, 2, 14), atol=0.03)


def test_models_without_a_score_or_a_predictor_are_left_out():
    scores, predictors = population(8, 3, effect=1)
    predictors = {name: predictors[name] for name in ("sharpness", "basin")}
    predictors["sharpness"][6] = np.nan
    scores.loc[2, "g1"] = np.inf
    scores["g2"] = np.nan
    whole = explain(scores, predictors, n_permutations=math.factorial(8)).table
    for group, kept in (("g0", [0, 1, 2, 3, 4, 5, 7]), ("g1", [0, 1, 3, 4, 5, 7])):
        alone = explain(
            scores.loc[kept, [group]], {name: p[kept] for name, p in predictors.items()}
        ).table
        one = whole[whole["group"] == group].iloc[0]
        for column in ("n_models", "full_cv_r2", "gain", "p_value", "partial_spearman_low"):
            assert one[column] == pytest.approx(alone[column][0]), column
    assert [note[:1] for note in whole["note"]] == ["1", "2", "n"]  # models that are left out
    assert whole["q_value"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
def test_too_few_models_say_so(n):
    scores, predictors = population(n, 1)
    predictors["weights"] = np.random.default_rng(0).normal(size=(n, 3))
    row = explain(scores, predictors).table.iloc[0]
    assert row[["full_r2", "full_cv_r2", "gain", "p_value", "q_value"]].isna().all()
    n_predictors = row["n_controls"] + row["n_target"]
    assert n - n_predictors < 3
    assert (f"{n} models are too few for {n_predictors} predictor" in row["note"]) == (n > 1)


def test_constant_and_explained_scores():
    scores, predictors = population()
    scores["flat"] = 0.1
    scores["same"] = 2 * predictors["sharpness"] + 1
    table = explain(scores, predictors, n_permutations=99).table
    assert table["note"].tolist() == [
        "",
        "",
        "the score is constant",
        "the other sets explain it exactly",
    ]
    assert table["full_r2"].isna().tolist() == [False, False, True, False]
    assert table["p_value"].isna().tolist() == [False, False, True, True]
    assert table["reduced_cv_r2"][3] == pytest.approx(1)


def test_a_basin_that_matters_is_found():
    scores, predictors = population(100, 3, effect=3)
    scores["g2"] = population(100, 3)[0]["g2"]
    table = explain(scores, predictors, n_permutations=999).table
    assert (table["q_value"] < 0.01).tolist() == [True, True, False]
    assert (table["cv_gain"] > 0.1).tolist() == [True, True, False]
    assert (table["partial_spearman_low"] > 0).tolist() == [True, True, False]
    for effect in (0, 3):  # what the basin truly adds is about its share of the variance
        scores, predictors = population(1000, 1, effect)
        row = explain(scores, predictors, n_permutations=1).table.iloc[0]
        own = effect**2 * np.var(predictors["basin"])
        own *= 1 - np.corrcoef(predictors["basin"], predictors["in-domain"]["loss"])[0, 1] ** 2
        assert row["cv_gain"] == pytest.approx(own / scores["g0"].var(), abs=0.03)


NUMBERS = ["full_r2", "full_cv_r2", "gain", "p_value", "partial_spearman"]


@settings(max_examples=5, deadline=None)
@given(
    st.permutations(range(7)),
    st.sampled_from([-3.0, 0.01, 1000.0]),
    st.floats(-100, 100),
    st.integers(0, 9),
)
def test_neither_units_nor_the_order_of_the_models_matter(order, scale, shift, seed):
    scores, predictors = population(7, 2, effect=1, seed=seed)
    predictors.pop("sharpness")
    table = explain(scores, predictors).table
    moved = {
        "in-domain": predictors["in-domain"].iloc[order] * [scale, 7] + shift,
        "basin": predictors["basin"][order] * scale,
    }
    again = explain((scores * scale + shift).iloc[order], moved).table
    np.testing.assert_allclose(again[NUMBERS], table[NUMBERS], rtol=1e-6, atol=1e-9)


NAMED = pd.DataFrame({"x": np.arange(14.0)}, index=list("abcdefghijklmn"))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"target": "basins"}, "no set of predictors 'basins'.*\n.*\n.*\n.*did you mean 'basin'"),
        ({"predictors": {}}, "no predictors"),
        ({"predictors": {"basin": np.zeros(3)}}, r"predictors\['basin'\]"),
        ({"predictors": {"basin": pd.Series(["a"] * 14)}}, "'basin' are no numbers"),
        ({"predictors": {"basin": np.zeros(14), "full": np.zeros(14)}}, "found: full"),
        ({"scores": NAMED, "predictors": {"basin": NAMED[::-1]}}, "another order"),
        ({"conditions": [0, 1]}, "conditions do not match"),
    ],
)
def test_bad_explanations_are_refused(change, text):
    scores, predictors = population()
    with pytest.raises(ConfigError, match=text):
        explain(**{"scores": scores, "predictors": predictors, **change})
