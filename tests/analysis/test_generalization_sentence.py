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
    return Explanation(table, ("in-domain", "weight distance", "basin"), "basin", 10_000, False)


@pytest.mark.parametrize(
    ("numbers", "parts"),
    [
        ({}, ["says more about hans than in-domain and weight", ".62 with it and .31 without"]),
        ({"n_models": 12, "p_value": 0.0001}, ["p < .001, q = .002", "With 12 models"]),
        ({"full_cv_r2": -0.104, "cv_gain": -0.41}, ["does not help to predict", "−.10 with it"]),
        ({"p_value": 0.03, "q_value": 0.06}, ["may say more", "among 2 groups", "q = .060"]),
    ],
)
def test_what_a_basin_says_more(numbers, parts):
    sentence = explanation_sentence(explained(**numbers), "hans")
    assert all(part in sentence for part in parts)


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
    few = explain(scores, {"basin": rng.normal(size=4)}, conditions=[0, 0, 1, 1])
    text = explanation_sentence(few, "g")
    assert "cannot be told: 4 models are too few for 2 predictors" in text
    five = explain(pd.DataFrame({"g": [1.0, 2, 4, 3, 5]}), {"basin": [0, 1, 0, 1, 0.5]}, rng=0)
    assert five.exact
    one = Explanation(five.table, ("basin",), "basin", 12, True)
    text = explanation_sentence(one, "g")
    assert "is not shown" in text
    assert "5 models allow 12 permutations" in text
    assert ", q" not in text


def test_other_targets_and_notes():
    rng = np.random.default_rng(0)
    scores = pd.DataFrame({"g": rng.normal(size=12), "flat": 1.0})
    sets = {"weight distance": rng.normal(size=(12, 9)), "basin": rng.normal(size=12)}
    found = explain(scores, sets, target="weight distance")
    assert "weight distance says more about flat than basin cannot" in explanation_sentence(
        found, "flat"
    )
    assert "weight distance: 3 of 9 principal components" in explanation_sentence(found, "g")
    with pytest.raises(ConfigError, match="no group 'hand'"):
        explanation_sentence(found, "hand")
