"""Gaps that are known, and what they say about averaging."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landscape.analysis.analysis import Analysis
from landscape.analysis.averaging import will_average
from landscape.core.errors import ConfigError
from tests.analyses import ONE, TWO, make_analysis

NEAR = ("seed-00", "seed-01", "seed-02")  # all at places near 0
NOISE = 0.05  # nats; the curves of these stores jump from point to point by 0.01 nats


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return make_analysis(TWO)


def with_gaps(
    analysis: Analysis, estimate: np.ndarray, low: np.ndarray, high: np.ndarray
) -> Analysis:
    """The analysis with other gaps between its first models."""
    n = len(estimate)
    parts = {}
    for name, values in (("estimate", estimate), ("low", low), ("high", high)):
        matrix = getattr(analysis.gaps, name).copy()
        matrix[:n, :n] = values
        parts[name] = matrix
    return replace(analysis, gaps=replace(analysis.gaps, **parts))


def test_models_on_both_sides_of_a_barrier_do_not(analysis: Analysis) -> None:
    found = will_average(analysis, tolerance=NOISE)
    gaps = {
        pair: analysis.gaps.estimate[pair] for pair in combinations(range(len(analysis.models)), 2)
    }
    i, j = max(gaps, key=lambda pair: gaps[pair])  # by hand: the two that lie farthest apart
    assert {TWO[i], TWO[j]} == {min(TWO), max(TWO)}
    assert found.pair == (analysis.models[i], analysis.models[j])
    assert found.gap == gaps[i, j]
    assert (found.low, found.high) == (analysis.gaps.low[i, j], analysis.gaps.high[i, j])
    assert found.verdict == "no"
    mixed = sum(abs(TWO[a] - TWO[b]) > 0.5 for a, b in gaps)
    interval = f"{found.gap:.3f} nats (95% interval {found.low:.3f} to {found.high:.3f})"
    for part in (f"{mixed} of {len(gaps)}", interval, *found.pair):
        assert part in found.reason
    # of models that are named, only those count
    near = will_average(analysis, NEAR, tolerance=NOISE)
    assert (near.models, near.n_pairs, near.verdict) == (NEAR, 3, "yes")
    two = will_average(analysis, ("seed-04", "seed-00"))
    assert (two.pair, two.verdict) == (("seed-04", "seed-00"), "no")


def test_a_gap_that_is_not_finite_is_a_no(analysis: Analysis) -> None:
    unknown = np.full((2, 2), np.nan)
    pair = analysis.models[:2]
    found = will_average(with_gaps(analysis, unknown, unknown, unknown), pair)
    assert found.verdict == "no"
    assert all(part in found.reason for part in (*pair, "not finite"))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(*[st.floats(0, 0.1, allow_subnormal=False)] * 3).map(sorted),
        min_size=6,
        max_size=6,
    ),
    st.floats(0, 0.1),
)
def test_verdicts_agree_with_a_loop_over_the_pairs(
    analysis: Analysis, triples: list[list[float]], tolerance: float
) -> None:
    matrices = np.zeros((3, 4, 4))
    for (i, j), triple in zip(combinations(range(4), 2), triples, strict=True):
        matrices[:, i, j] = matrices[:, j, i] = triple
    low, estimate, high = matrices
    found = will_average(
        with_gaps(analysis, estimate, low, high), analysis.models[:4], tolerance=tolerance
    )
    assert found.gap == max(b for _, b, _ in triples)
    assert (found.verdict == "yes") == all(c <= tolerance for _, _, c in triples)
    assert (found.verdict == "no") == any(a > tolerance for a, _, _ in triples)


def test_points_that_were_left_out_widen_the_interval() -> None:
    thin = make_analysis(ONE, thin=True)
    names = thin.models[:2]
    (pair,) = np.flatnonzero((thin.pairs == [0, 1]).all(axis=1))
    slack = thin.results.tolerance[pair]
    assert slack > 0
    highest = thin.gaps.high[0, 1]
    assert will_average(thin, names, tolerance=highest + slack).verdict == "yes"
    assert will_average(thin, names, tolerance=highest + slack / 2).verdict != "yes"
    other = make_analysis(ONE, thin=True, rule="bump_height")  # the points are not for this rule
    assert np.isnan(other.tolerance)
    found = will_average(other, names, tolerance=10)
    assert found.verdict == "unclear"
    assert "points between them were left out" in found.reason


@pytest.mark.parametrize(
    ("other", "message"), [("seed-99", "no model 'seed-99'"), ("seed-00", "each named once")]
)
def test_what_cannot_be_asked(analysis: Analysis, other: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        will_average(analysis, ["seed-00", other])


def test_rules_that_are_never_0_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"'saddle' is not 0 where there is no barrier"):
        will_average(make_analysis(ONE, rule="saddle"))
    found = will_average(make_analysis(ONE, rule="signed_deviation"), tolerance=NOISE)
    assert found.verdict == "yes"
