from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from landscape.analysis.analysis import analyze
from landscape.analysis.statistics import (
    Explanation,
    explanation_sentence,
    find_conditions,
    score_facts,
    split_half,
)
from landscape.core.errors import ConfigError
from landscape.output.report.answer import answer
from landscape.records import read_store
from landscape.records.store import write_store
from landscape.run.config import AnalysisConfig
from tests.analyses import FOCUS, TWO, make_results

FAMILIES = tuple(f"{family}-{n}" for n in range(5) for family in ("last", "head"))
FORMER = {"rule": "last", "learning_rate": 3e-4, "seed": 0, "head_seed": 0, "name": "a"}


def with_recipes(recipes, places=TWO):
    results = make_results(places)
    table = results.checkpoints.assign(labels="", recipe=recipes)
    return replace(results, checkpoints=table)


def recipes(**changes):
    """Two conditions in turn; seeds and names differ everywhere."""
    return [
        FORMER | {"seed": n, "head_seed": n % 3, "name": f"m{n}"} | (changes if n % 2 else {})
        for n in range(len(TWO))
    ]


def test_recipes_that_differ_in_more_than_seeds_are_conditions():
    conditions = find_conditions(with_recipes(recipes(rule="first", steps=300)))
    assert conditions.source == "recipe"
    assert conditions.names == ("rule=first, steps=300", "rule=last, steps=")
    assert conditions.labels.tolist() == [1, 0] * 5
    assert find_conditions(with_recipes(recipes())) is None
    # a task of several lines; what differs everywhere is no condition
    nested = [{"task": {"train": "a" if n < 4 else "b"}, "order": n} for n in range(10)]
    assert find_conditions(with_recipes(nested)).names == ("task.train=a", "task.train=b")
    assert find_conditions(with_recipes([{}] * 10)) is None


def test_steps_of_a_training_are_conditions():
    results = make_results(TWO)
    table = results.checkpoints.assign(step=[100.0] * 5 + [200.0] * 5)
    assert find_conditions(replace(results, checkpoints=table)).names == ("step=100", "step=200")


def test_names_that_fall_into_families_are_asked_about():
    conditions = find_conditions(make_results(TWO, names=FAMILIES))
    assert (conditions.names, conditions.source) == (("head", "last"), "names")
    assert conditions.labels.tolist() == [1, 0] * 5
    assert find_conditions(make_results(TWO, names=FAMILIES), "names").source == "given"
    for chosen in ("none", "recipe"):
        assert find_conditions(make_results(TWO, names=FAMILIES), chosen) is None
    # names of one family, and of as many as there are models
    assert find_conditions(make_results(TWO)) is None
    assert find_conditions(make_results(TWO, names=tuple("abcdefghij"))) is None


def test_conditions_by_patterns_of_names():
    results = make_results(TWO, names=FAMILIES)
    given = AnalysisConfig(conditions={"*-0": "first", "*": "later"}).conditions
    conditions = find_conditions(results, given)
    assert (conditions.names, conditions.source) == (("first", "later"), "given")
    assert conditions.labels.tolist() == [0, 0] + [1] * 8
    with pytest.raises(ConfigError, match="head-0") as raised:
        find_conditions(results, {"last-*": "last"})
    assert "analysis.conditions" in str(raised.value)


def test_a_store_keeps_the_recipes(tmp_path):
    results = with_recipes(recipes(rule="first"))
    datasets = {name: replace(data, groups={}) for name, data in results.datasets.items()}
    write_store(replace(results, datasets=datasets), tmp_path / "store.h5")
    back = read_store(tmp_path / "store.h5")
    assert back.checkpoints["recipe"].tolist() == results.checkpoints["recipe"].tolist()
    assert find_conditions(back).names == ("rule=first", "rule=last")


def test_the_answer_says_what_conditions_leave():
    names = tuple(f"{'near' if place < 0.5 else 'far'}-{n}" for n, place in enumerate(TWO))
    analysis = analyze(make_results(TWO, names=names), n_resamples=50, focus=FOCUS)
    text = " ".join(answer(analysis))
    assert "over all 10 models and by" in text
    assert "within a training condition (far and near, by the models' names)" in text
    assert "it is more than the conditions" in text
    row = analysis.relation.table.set_index("group").loc[FOCUS]
    assert np.isnan(row["p_within"])
    assert "within training conditions basins do not differ" in text
    places = tuple(float(place > 0.5) for place in TWO)  # nothing is left within
    plain = analyze(make_results(places, names=names), n_resamples=50, focus=FOCUS)
    assert "it tells the conditions apart, and nothing more is shown" in " ".join(answer(plain))
    unasked = analyze(make_results(TWO, names=names), n_resamples=50, conditions="none")
    assert unasked.conditions is None
    assert "training condition" not in " ".join(answer(unasked))


def alpha(right):
    """Cronbach's of (n_models, n_examples): the mean of all split-half reliabilities."""
    n = right.shape[1]
    return n / (n - 1) * (1 - right.var(0, ddof=1).sum() / right.sum(1).var(ddof=1))


@pytest.mark.parametrize("spread", [0.0, 0.04, 0.3])
def test_split_half_reliability_is_cronbachs_alpha(spread):
    rng = np.random.default_rng(5)
    skill = 0.5 + spread * rng.uniform(-1, 1, 60)
    right = (rng.random((60, 300)) < skill[:, None]).astype(float)
    found = split_half(lambda half: right[:, half].mean(1), np.arange(300), rng)
    assert found == pytest.approx(max(alpha(right), 0), abs=0.05)
    assert np.isnan(split_half(lambda half: np.ones(60), np.arange(300), rng))
    assert np.isnan(split_half(lambda half: right[:, half].mean(1), np.arange(1), rng))


def test_every_score_has_its_reliability_and_place():
    results = make_results(TWO)
    facts = score_facts(results)
    data = results.datasets["hans"]
    right = (data.model_predictions == data.labels).astype(float)
    group = data.groups["heuristic / label"] == FOCUS.removeprefix("hans: ")
    assert facts.reliability["hans"] == pytest.approx(alpha(right), abs=0.05)
    assert facts.reliability[FOCUS] == pytest.approx(alpha(right[:, group]), abs=0.05)
    assert facts.parents[FOCUS] == "hans"
    assert facts.ranges[FOCUS] == (0, 1)
    finer = np.where(group, np.array(["x", "y"])[np.arange(len(group)) // 4 % 2], "")
    matthews = replace(data, groups=data.groups | {"finer": finer}, metric="matthews")
    facts = score_facts(replace(results, datasets=results.datasets | {"hans": matthews}))
    assert facts.parents["hans: x"] == FOCUS
    assert facts.ranges["hans: x"] == (-1, 1)
    table = analyze(results, n_resamples=20).relation.table.set_index("group")
    assert table.loc[FOCUS, "reliability"] == pytest.approx(alpha(right[:, group]), abs=0.05)


def explained(reliability, **numbers):
    row = {"group": "hans", "n_models": 40, "n_controls": 3, "n_target": 1, "note": ""}
    row |= {"reduced_cv_r2": 0.3, "full_cv_r2": 0.6, "cv_gain": 0.3, "p_value": 1e-3}
    table = pd.DataFrame([row | {"q_value": 0.002} | numbers])
    return Explanation(table, ("conditions", "dev", "basin"), "basin", 9999, False, reliability)


@pytest.mark.parametrize(
    ("reliability", "parts"),
    [
        ({"dev": 0.95}, ["The basin says more about hans than conditions and dev"]),
        ({"dev": 0.42}, ["left open", "dev has a reliability of .42, below .9"]),
        ({}, ["says more", "That supposes that dev is measured well"]),
        ({"basin": 0.1, "dev": 0.9}, ["says more"]),  # what is weak in the target is not its gain
    ],
)
def test_more_is_not_said_beside_a_noisy_control(reliability, parts):
    text = explanation_sentence(explained(reliability), "hans")
    assert all(part in text for part in parts)
    assert ("says more about hans than conditions and dev:" in text) == (
        len(parts) == 1 or not reliability
    )
