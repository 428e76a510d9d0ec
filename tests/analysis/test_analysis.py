"""Stores whose points are not all evaluated, or not all exact: their gaps, curves and figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from scipy.interpolate import interp1d

from landscape.analysis.analysis import Analysis, analyze
from landscape.analysis.barriers import RULES, bootstrap_gaps
from landscape.analysis.basins import find_basins
from landscape.core.errors import ConfigError
from landscape.output.plots import FIGURES, caption
from landscape.output.words import coverage
from landscape.records import Results
from tests.analyses import FOCUS, TWO, make_analysis, make_results, thin_out


@pytest.fixture(scope="module")
def whole() -> Results:
    return make_results(TWO, n_examples=80)


@pytest.fixture(scope="module")
def thin(whole: Results) -> Results:
    return thin_out(whole)


@pytest.fixture(scope="module")
def two() -> Analysis:
    return make_analysis(TWO)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return make_analysis(TWO, thin=True)


def convexity_gap(curve: list[float], t: list[float]) -> float:
    """By its definition, point by point."""
    gap = 0.0
    for i in range(len(t)):
        for j in range(i + 1, len(t)):
            for k in range(i + 1, j):
                line = ((t[j] - t[k]) * curve[i] + (t[k] - t[i]) * curve[j]) / (t[j] - t[i])
                gap = max(gap, curve[k] - line)
    return gap


def test_a_gap_is_that_of_the_pairs_exact_points(thin: Results) -> None:
    analysis = analyze(thin, n_resamples=20)
    assert len(np.unique(thin.exact, axis=0)) > 30
    for k, (a, b) in enumerate(thin.pairs):
        points = [p for p in range(11) if thin.formats[k, p] == 1]
        means = [sum(map(float, thin.datasets["mnli_dev"].losses[k, p])) / 80 for p in points]
        expected = convexity_gap(means, [float(thin.positions[p]) for p in points])
        assert analysis.gaps.estimate[a, b] == pytest.approx(expected, abs=1e-12)
        assert analysis.gaps.estimate[b, a] == analysis.gaps.estimate[a, b]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("method", ["percentile", "basic", "bca"])
def test_every_pair_sees_the_same_examples_as_if_it_were_alone(
    thin: Results, rule: str, method: str
) -> None:
    losses, t, seen = thin.datasets["mnli_dev"].losses[:9], thin.positions, thin.exact[:9]
    options = {"n_resamples": 30, "method": method, "rng": 5}
    together = bootstrap_gaps(losses, rule, t, points=seen, **options)
    for k, mask in enumerate(seen):
        alone = bootstrap_gaps(losses[k, mask], rule, t[mask], **options)
        for name in ("estimate", "low", "high", "standard_error", "bias"):
            np.testing.assert_allclose(
                getattr(together, name)[k], getattr(alone, name), rtol=1e-9, atol=1e-12
            )


def test_what_is_only_screened_makes_no_gap(thin: Results) -> None:
    data = thin.datasets["mnli_dev"]
    losses = data.losses.copy()
    losses[thin.formats == 3] = np.inf
    wild = replace(thin, datasets={**thin.datasets, "mnli_dev": replace(data, losses=losses)})
    found = bootstrap_gaps(losses, positions=thin.positions, points=wild.exact, rng=0)
    kept = bootstrap_gaps(data.losses, positions=thin.positions, points=thin.exact, rng=0)
    np.testing.assert_array_equal(found.estimate, kept.estimate)
    np.testing.assert_array_equal(found.high, kept.high)


def test_a_whole_grid_gives_bit_for_bit_what_it_gave_before(whole: Results) -> None:
    """Against the arithmetic as it was before points could be missing."""
    losses = whole.datasets["mnli_dev"].losses
    analysis = analyze(whole, n_resamples=40, seed=3)
    weights = np.random.default_rng(3).multinomial(80, np.full(80, 1 / 80), size=40) / 80
    block = losses.astype(np.float64)
    resampled = (weights @ block.reshape(-1, 80).T).reshape(40, -1, 11)
    draws = RULES["convexity_gap"](resampled, whole.positions)
    estimate = RULES["convexity_gap"](block.mean(-1), whole.positions)
    at = tuple(whole.pairs.T)
    np.testing.assert_array_equal(analysis.gaps.estimate[at], estimate)
    np.testing.assert_array_equal(
        analysis.gaps.standard_error[at], np.sort(draws, axis=0).std(0, ddof=1)
    )
    np.testing.assert_array_equal(
        analysis.curves["mnli_dev"].losses, losses.mean(2, dtype=np.float64)
    )
    assert analysis.curves[FOCUS.split(":")[0]].evaluated.all()
    assert analysis.curves["mnli_dev"].filled is analysis.curves["mnli_dev"]
    assert analysis.tolerance == 0
    assert np.isnan([analysis.difference, analysis.mean_difference]).all()
    assert analysis.settled


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


def test_curves_are_missing_where_nothing_was_evaluated(whole: Results, thin: Results) -> None:
    full = analyze(whole, n_resamples=20, focus=FOCUS).curves[FOCUS]
    curves = analyze(thin, n_resamples=20, focus=FOCUS).curves[FOCUS]
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


def test_largest_tolerance_and_differences_are_found(thin: Results) -> None:
    analysis = analyze(thin, n_resamples=20)
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
    assert analyze(whole, n_resamples=20, rule="saddle").tolerance == 0


def test_points_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"points do not match(?s:.*)\(2, 5\)(?s:.*)\(2, 4\)"):
        bootstrap_gaps(np.ones((2, 5, 6)), points=np.ones((2, 4)))
    points = np.zeros((2, 5))
    points[:, 1] = 1
    with pytest.raises(ConfigError, match="at least two points"):
        bootstrap_gaps(np.ones((2, 5, 6)), points=points)


def test_lines_go_through_the_evaluated_points_and_straight_over_the_others(
    analysis: Analysis,
) -> None:
    ax = FIGURES["loss_curves"].draw(analysis).axes[1]
    score, curve = analysis.scores[FOCUS], analysis.curves[FOCUS]
    expected: dict[str, list[np.ndarray]] = {}
    for k, ((i, j), kind) in enumerate(zip(analysis.pairs, analysis.kinds, strict=True)):
        known = curve.evaluated[k]
        straight = interp1d(curve.positions[known], curve.losses[k, known])(curve.positions)
        turned = kind == "generalising-heuristic" and score.iloc[j] > score.iloc[i]
        expected.setdefault(kind, []).append(straight[::-1] if turned else straight)
    assert not curve.evaluated.all()
    del expected[""]
    for label, values in ((line.get_label(), line.get_ydata()) for line in ax.lines):
        rows = expected[label.rsplit(" (", 1)[0].replace(" – ", "-")]
        np.testing.assert_allclose(values, np.mean(rows, axis=0), rtol=1e-12)
    lines = [c.get_segments() for c in ax.collections if isinstance(c, LineCollection)]
    drawn = np.array(sorted(np.array(s)[:, 1].tolist() for family in lines for s in family))
    wanted = np.array(sorted(row.tolist() for rows in expected.values() for row in rows))
    np.testing.assert_allclose(drawn, wanted, rtol=1e-12)
    assert all(line.get_marker() == "None" for line in ax.lines)


def test_band_of_a_lone_pair_goes_over_missing_points() -> None:
    analysis = make_analysis((0.0, 1.0), thin=True)
    ax = FIGURES["loss_curves"].draw(analysis).axes[0]
    curve = analysis.curves[analysis.dataset]
    (band,) = [item for item in ax.collections if not isinstance(item, LineCollection)]
    corners = band.get_paths()[0].vertices
    assert np.isfinite(corners).all()
    assert corners[:, 1].min() == pytest.approx(np.nanmin(curve.low))
    assert corners[:, 1].max() == pytest.approx(np.nanmax(curve.high))


def test_captions_say_what_was_evaluated_where_not_all_was(
    two: Analysis, analysis: Analysis
) -> None:
    formats = analysis.results.formats
    exact, screened = int((formats == 1).sum()), int((formats == 3).sum())
    for name in ("loss_curves", "gap_matrix"):
        text = caption(analysis, name)
        assert (
            f"{exact + screened} of 495 points of the lines were evaluated: {exact} in fp32, "
            f"{screened} in bf16. Gaps are those of the {exact} in full precision; on the whole "
            f"grid no gap would be larger by more than {analysis.tolerance:.2g} nats, and with "
            "gaps as large as that the basins stay the same. Between the formats, the "
            f"loss of one example differs by at most {analysis.difference:.2g} nats, "
            f"a mean loss by at most {analysis.mean_difference:.2g}." in text
        )
        assert "evaluated" not in caption(two, name)
    text = caption(analysis, "loss_curves")
    assert "at up to 11 points of the line" in text
    assert "45 pairs measured" in text
    assert "at 11 points of the line" in caption(two, "loss_curves")


@pytest.mark.parametrize(
    ("codes", "precision", "said"),
    [
        ([[3, 3, 3, 3]], "bf16", []),
        ([[1, 1, 1, 1]], "auto", []),
        (
            [[1, 1, 0, 1]],
            "fp32",
            [
                "3 of 4 points of the lines were evaluated: 3 in fp32.",
                "Gaps are those of the 3 in full precision; on the whole grid no gap would be "
                "larger by more than 0.25 nats, and with gaps as large as that the basins stay "
                "the same.",
            ],
        ),
        (
            [[1, 4, 1, 1]],
            "fp32",
            ["4 of 4 points of the lines were evaluated: 3 in fp32, 1 in fp64."],
        ),
        (
            [[1, 1, 3, 1]],
            "auto",
            [
                "4 of 4 points of the lines were evaluated: 3 in fp32, 1 in bf16.",
                "Gaps are those of the 3 in full precision; on the whole grid no gap would be "
                "larger by more than 0.25 nats, and with gaps as large as that the basins stay "
                "the same.",
            ],
        ),
    ],
)
def test_coverage_in_words(
    two: Analysis, codes: list[list[int]], precision: str, said: list[str]
) -> None:
    results = replace(
        two.results,
        formats=np.array(codes, dtype=np.uint8),
        attributes={**two.results.attributes, "precision": precision},
    )
    assert coverage(replace(two, results=results, tolerance=0.25, settled=True)) == said
    open_still = " ".join(coverage(replace(two, results=results, tolerance=0.25, settled=False)))
    assert ("would differ" in open_still) == ("stay the same" in " ".join(said))
    unknown = " ".join(coverage(replace(two, results=results, tolerance=np.nan)))
    assert ("chosen by another rule or data set." in unknown) == ("0.25" in " ".join(said))
