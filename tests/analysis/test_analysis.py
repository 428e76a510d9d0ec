"""Points that are not evaluated, not exact or not finite: what becomes of gaps and curves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import interp1d

from landscape.analysis.analysis import Analysis, analyze
from landscape.analysis.barriers import convexity_gap
from landscape.analysis.basins import find_basins
from landscape.core.errors import ConfigError
from landscape.output.tables import indicator_table
from landscape.output.words import coverage
from landscape.records import Results
from landscape.records.results import Measured
from tests.analyses import FOCUS, TWO, make_results, thin_out
from tests.pages import page_of

SPOILT = 3, 10  # pairs


@pytest.fixture(scope="module")
def whole() -> Results:
    return make_results(TWO, n_examples=80)


@pytest.fixture(scope="module")
def thin(whole: Results) -> Results:
    return thin_out(whole)


@pytest.fixture(scope="module")
def analysis(thin: Results) -> Analysis:
    return analyze(thin, n_resamples=20, focus=FOCUS)


def test_a_gap_is_that_of_the_pairs_exact_points(thin: Results, analysis: Analysis) -> None:
    assert len(np.unique(thin.exact, axis=0)) > 30
    for k, (a, b) in enumerate(thin.pairs):
        points = [p for p in range(11) if thin.formats[k, p] == 1]
        means = [sum(map(float, thin.datasets["mnli_dev"].losses[k, p])) / 80 for p in points]
        expected = convexity_gap(means, thin.positions[points])
        assert analysis.gaps.estimate[a, b] == pytest.approx(expected, abs=1e-12)
        assert analysis.gaps.estimate[b, a] == analysis.gaps.estimate[a, b]


def test_basins_are_settled_when_the_tolerances_cannot_change_them(thin: Results) -> None:
    analysis = analyze(thin, n_resamples=20, n_basins=2, delta=0.1)
    upper = analysis.gaps.estimate.copy()
    for (i, j), allowed in zip(thin.pairs, thin.tolerance, strict=True):
        upper[i, j] = upper[j, i] = upper[i, j] + allowed
    labels = find_basins(upper, 2, delta=0.1, rng=0).labels
    assert analysis.settled == np.array_equal(labels, analysis.basins.labels)
    # a pair of one basin that may be as far apart as any: the halves are open again
    apart = thin.tolerance.copy()
    same = analysis.basins.labels[thin.pairs[:, 0]] == analysis.basins.labels[thin.pairs[:, 1]]
    apart[same] = 5.0
    assert not analyze(
        replace(thin, tolerance=apart), n_resamples=20, n_basins=2, delta=0.1
    ).settled


def test_curves_are_missing_where_nothing_was_evaluated(
    whole: Results, thin: Results, analysis: Analysis
) -> None:
    full = analyze(whole, n_resamples=20, focus=FOCUS).curves[FOCUS]
    curves = analysis.curves[FOCUS]
    missing = thin.formats == 0
    np.testing.assert_array_equal(curves.evaluated, ~missing)
    assert curves.measured.all()
    filled = curves.filled
    for name in ("losses", "low", "high", "accuracy"):
        values, lines = getattr(curves, name), getattr(filled, name)
        np.testing.assert_array_equal(np.isnan(values), missing)
        exact = thin.formats == 1
        np.testing.assert_array_equal(values[exact], getattr(full, name)[exact])
        for row, line, known in zip(values, lines, curves.evaluated, strict=True):
            straight = interp1d(thin.positions[known], row[known])(thin.positions)
            np.testing.assert_allclose(line, straight, rtol=1e-12)


def test_largest_tolerance_and_differences_are_found(thin: Results, analysis: Analysis) -> None:
    assert analysis.tolerance == max(thin.tolerance)
    sets = thin.datasets.values()
    assert analysis.difference == max(d for s in sets for d in s.difference.ravel() if d == d)
    means = [
        abs(data.losses[k, p].mean(dtype=float) - data.screened[k, p])
        for data in sets
        for k, p in np.argwhere(thin.formats == 1)
    ]
    assert analysis.mean_difference == pytest.approx(max(means), rel=1e-12)


def test_a_tolerance_is_of_the_gaps_that_it_was_reached_for(whole: Results, thin: Results) -> None:
    assert np.isnan(analyze(thin, n_resamples=20, rule="saddle").tolerance)
    assert np.isnan(analyze(thin, n_resamples=20, dataset="hans").tolerance)
    every = analyze(whole, n_resamples=20, rule="saddle")
    assert every.tolerance == 0
    assert every.settled
    assert np.isnan([every.difference, every.mean_difference]).all()


@pytest.mark.parametrize(
    ("codes", "precision", "parts"),
    [
        ([3, 3, 3, 3], "bf16", []),
        ([1, 1, 1, 1], "auto", []),
        ([1, 1, 0, 1], "fp32", ["3 of 4 points", "3 in fp32", "than 0.25 nats"]),
        ([1, 4, 1, 1], "fp32", ["4 of 4 points", "1 in fp64"]),
        ([1, 1, 3, 1], "auto", ["4 of 4 points", "1 in bf16", "than 0.25 nats"]),
    ],
)
def test_coverage_in_words(
    whole: Results, analysis: Analysis, codes: list[int], precision: str, parts: list[str]
) -> None:
    attributes = {**whole.attributes, "precision": precision}
    results = replace(whole, formats=np.array([codes], dtype=np.uint8), attributes=attributes)
    analysis = replace(analysis, results=results, tolerance=0.25)
    said = coverage(analysis)
    assert bool(said) == bool(parts)
    assert all(part in " ".join(said) for part in parts)
    unsettled = coverage(replace(analysis, settled=not analysis.settled))
    assert (unsettled != said) == ("than 0.25 nats" in parts)


def spoilt(results: Results, value: float, rows: tuple[int, ...] = SPOILT) -> Results:
    data = results.datasets["mnli_dev"]
    losses = data.losses.copy()
    losses[list(rows), 4, -1] = value
    return replace(results, datasets={**results.datasets, "mnli_dev": replace(data, losses=losses)})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_other_pairs_have_the_gaps_that_they_had(whole: Results, value: float) -> None:
    found = analyze(spoilt(whole, value), n_resamples=20)
    sound = analyze(whole, n_resamples=20)
    left_out = np.isnan(found.gaps.estimate[tuple(whole.pairs.T)])
    assert tuple(np.flatnonzero(left_out)) == SPOILT
    kept = whole.pairs[~left_out]
    for name in ("estimate", "low", "high"):
        at = tuple(kept.T)
        own, wanted = (getattr(one.gaps, name)[at] for one in (found, sound))
        np.testing.assert_allclose(own, wanted, rtol=1e-9)
    assert found.results.pairs.tolist() == kept.tolist()
    names = [tuple(whole.models[k] for k in whole.pairs[row]) for row in SPOILT]
    t = f"{whole.positions[4]:.2g}"
    assert found.not_finite == tuple(f"{a} and {b} at t = {t}" for a, b in names)
    assert sound.not_finite == ()
    assert found.basins.labels.tolist() == sound.basins.labels.tolist()


def test_the_report_names_the_pairs(whole: Results) -> None:
    analysis = analyze(spoilt(whole, np.nan), n_resamples=20)
    words = page_of(analysis).text
    assert all(line in words for line in ("2 pairs have losses", *analysis.not_finite))
    assert "never measured" not in words


def test_a_model_without_finite_losses_is_left_out_and_named(whole: Results) -> None:
    of_last = tuple(np.flatnonzero((whole.pairs == len(whole.models) - 1).any(axis=1)).tolist())
    n_rows = len(whole.models) + len(whole.pairs) + len(whole.points)
    path = np.arange(n_rows, dtype=np.int32)
    norm = Measured(path, 0 * path, 0 * path, {"norm": path * 1.0}, {"norm": ("row",)}, {})
    analysis = analyze(
        replace(spoilt(whole, np.nan, of_last), indicators={"norm": norm}), n_resamples=20
    )
    sound = analyze(whole, n_resamples=20)
    assert analysis.left_out == whole.models[-1:]
    assert analysis.models == whole.models[:-1]
    assert analysis.not_finite == ()
    np.testing.assert_allclose(
        analysis.gaps.estimate, sound.gaps.estimate[:-1, :-1], rtol=1e-9, atol=1e-12
    )
    words = page_of(analysis).text
    assert f"{whole.models[-1]} is left out" in words
    assert "never measured" not in words
    table = indicator_table(analysis.results, "norm")  # each value is the row that it had
    both = indicator_table(replace(whole, indicators={"norm": norm}), "norm")
    kept = ~both["path"].str.contains(whole.models[-1])
    assert table["path"].tolist() == both["path"][kept].tolist()
    assert table["norm"].tolist() == both["norm"][kept].tolist()


def test_nothing_but_losses_that_are_not_finite_is_an_error(whole: Results) -> None:
    every = tuple(range(len(whole.pairs)))
    with pytest.raises(ConfigError, match=r"(?s)No pair has finite losses.*mnli_dev.*overflows"):
        analyze(spoilt(whole, np.nan, every))
