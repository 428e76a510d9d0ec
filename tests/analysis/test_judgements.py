"""The answer by loss, calibrated loss and accuracy, on a store that the demo made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from landscape.analysis.analysis import Analysis, analyze
from landscape.analysis.barriers import convexity_gap
from landscape.analysis.judgements import LEVELS, criterion_values
from landscape.core.sentences import Answer, Criterion, criteria_sentences
from landscape.records import read_store

STORE = Path(__file__).parents[2] / "figures" / "demo_mirrored_heads.h5"


@pytest.fixture(scope="module")
def heads() -> Analysis:
    return analyze(read_store(STORE), n_resamples=200)


def test_each_gap_is_that_of_its_own_curve(heads: Analysis) -> None:
    results, (i, j) = heads.results, heads.results.pairs[7]
    data = results.datasets[heads.dataset]
    table = results.indicators["calibrated_loss"]
    calibrated = table.arrays[f"{heads.dataset}/losses"]
    n = len(results.models)
    place = {
        (int(p), int(t)): row
        for row, (p, t) in enumerate(zip(table.path, table.point, strict=True))
    }
    inner = range(1, len(results.positions) - 1)
    rows = [place[i, 0], *(place[n + 7, t] for t in inner), place[j, 0]]
    curves = {
        Criterion.LOSS: data.losses[7].mean(1, dtype=np.float64),
        Criterion.CALIBRATED: calibrated[rows].mean(1, dtype=np.float64),
        Criterion.ACCURACY: (data.predictions[7] != data.labels).mean(1),
    }
    assert [judgement.criterion for judgement in heads.judgements] == list(curves)
    for judgement in heads.judgements:
        expected = max(0, convexity_gap(curves[judgement.criterion], results.positions))
        assert judgement.gaps[i, j] == pytest.approx(expected, abs=1e-6)
        assert judgement.at(0.02).states.n_apart == judgement.division.states.n_apart


def test_confidence_makes_most_of_these_barriers(heads: Analysis) -> None:
    by_loss, calibrated, by_accuracy = (each.division for each in heads.judgements)
    assert by_loss.answer == "apart"
    assert by_loss.states.n_apart == 36
    assert calibrated.states.n_apart < 20
    assert by_accuracy.states.n_apart < 20
    first, *each = heads.answer
    assert first.startswith("By loss no two models share a basin; by calibrated loss ")
    assert [sentence.split(":")[0] for sentence in each] == ["Loss", "Calibrated loss", "Accuracy"]
    assert "points" in each[2]
    assert "36 of 36 lines" in each[0]


def test_fewer_pairs_are_apart_at_higher_tolerances(heads: Analysis) -> None:
    for judgement in heads.judgements:
        apart = [judgement.at(level).states.n_apart for level in LEVELS]
        assert apart == sorted(apart, reverse=True)
    assert heads.judgements[0].at(10).answer == "one"


def test_what_was_not_measured_is_not_judged(heads: Analysis) -> None:
    results = heads.results
    without = replace(results, indicators={})
    assert criterion_values(without, Criterion.CALIBRATED, heads.dataset) is None
    table = results.indicators["calibrated_loss"]
    arrays = {name: values.copy() for name, values in table.arrays.items()}
    arrays[f"{heads.dataset}/losses"][-1, 0] = np.nan
    holes = replace(results, indicators={"calibrated_loss": replace(table, arrays=arrays)})
    assert criterion_values(holes, Criterion.CALIBRATED, heads.dataset) is None
    assert criterion_values(holes, Criterion.ACCURACY, heads.dataset) is not None


def test_answers_that_agree_are_said_once() -> None:
    both = [(Criterion.LOSS, Answer.ONE, 1), (Criterion.ACCURACY, Answer.ONE, 1)]
    said = criteria_sentences(both, ["One basin.", "One basin, too."], same=True)
    assert said == ["One basin.", "The same comes out by accuracy."]
    assert criteria_sentences(both[:1], ["One basin."], same=True) == ["One basin."]
