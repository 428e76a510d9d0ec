from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from landscape.analysis.statistics import explain, explanation_sentence
from landscape.analysis.statistics.explanation import Explanation
from landscape.core.errors import ConfigError


def explained(**numbers):
    row = {
        "group": "hans",
        "n_models": 40,
        "n_controls": 3,
        "n_target": 1,
        "reduced_cv_r2": 0.31,
        "full_cv_r2": 0.62,
        "cv_gain": 0.31,
        "p_value": 0.001,
        "q_value": 0.002,
        "note": "",
    } | numbers
    table = pd.DataFrame([row, row | {"group": "other"}])
    return Explanation(
        table, ("in-domain", "weight distance", "basin"), "basin", 10_000, False, 0.9
    )


def test_a_basin_that_says_more():
    assert explanation_sentence(explained(), "hans") == (
        "The basin says more about hans than in-domain and weight distance: cross-validated R² .62 "
        "with it and .31 without, p = .001, q = .002."
    )
    few = explanation_sentence(explained(n_models=12, p_value=0.0001), "hans")
    assert few.endswith("p < .001, q = .002. With 12 models, how much more is uncertain.")


def test_a_basin_that_does_not_predict():
    sentence = explanation_sentence(explained(full_cv_r2=-0.104, cv_gain=-0.41), "hans")
    assert sentence.startswith(
        "The basin goes with what is left of hans beside in-domain and weight distance, but does "
        "not help to predict models left out: cross-validated R² −.10 with it and .31 without"
    )


def test_what_does_not_survive_many_groups():
    sentence = explanation_sentence(explained(p_value=0.03, q_value=0.06), "hans")
    assert "may say more" in sentence
    assert "but among 2 groups that is to be expected by chance" in sentence
    assert sentence.endswith("q = .060.")


@pytest.mark.parametrize(("n", "m"), [(12, 1), (40, 2)])
def test_what_is_not_shown_is_not_denied(n, m):
    row = explained(p_value=0.2, q_value=0.4, n_models=n, n_target=m)
    sentence = explanation_sentence(row, "hans")
    assert sentence.startswith("That the basin says more about hans than in-domain")
    assert "is not shown" in sentence
    left = n - 4 - m
    if m == 1:  # the correlation that t of 5% belongs to
        t = stats.t.isf(0.025, left)
        needed = f"a partial correlation of {t / np.sqrt(t**2 + left):.2f}".replace("0.", ".")
    else:
        needed = f"{100 * stats.beta.ppf(0.95, m / 2, left / 2):.0f}% of what the others leave"
    assert sentence.endswith(f"With {n} models it takes {needed} to be seen.")


def test_too_few_permutations_or_models():
    rng = np.random.default_rng(0)
    scores = pd.DataFrame({"g": rng.normal(size=4)})
    few = explain(scores, {"basin": rng.normal(size=4)}, blocks=[0, 0, 1, 1])
    assert "is not shown" not in (text := explanation_sentence(few, "g"))
    assert text == (
        "Whether the basin says more about g than blocks cannot be told: 4 models are too few for "
        "2 predictors."
    )
    five = explain(pd.DataFrame({"g": [1.0, 2, 4, 3, 5]}), {"basin": [0, 1, 0, 1, 0.5]}, rng=0)
    assert five.exact
    one = Explanation(five.table, ("basin",), "basin", 12, True, 0.95)
    text = explanation_sentence(one, "g")
    assert text.startswith("That the basin says more about g is not shown: cross-validated R²")
    assert text.endswith("The 5 models allow 12 permutations, too few for any p-value of .05.")
    assert ", q" not in text


def test_other_targets_and_notes():
    rng = np.random.default_rng(0)
    scores = pd.DataFrame({"g": rng.normal(size=12), "flat": 1.0})
    sets = {"weight distance": rng.normal(size=(12, 9)), "basin": rng.normal(size=12)}
    found = explain(scores, sets, target="weight distance")
    assert explanation_sentence(found, "flat") == (
        "Whether weight distance says more about flat than basin cannot be told: the score is "
        "constant."
    )
    text = explanation_sentence(found, "g")
    assert "eight distance " in text
    assert text.endswith(
        "Of the models and predictors: weight distance: 3 of 9 principal components."
    )


def test_groups_that_are_not_there():
    with pytest.raises(ConfigError, match="no group 'hand'"):
        explanation_sentence(explained(), "hand")
