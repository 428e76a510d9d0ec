from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import ConvexHull

from landscape.analysis.barriers import RULES, barrier_height, convexity_gap
from landscape.core.errors import ConfigError

area_above_minimum, bump_height, max_endpoint_barrier, mean_endpoint_barrier = (
    RULES[name]
    for name in (
        "area_above_minimum",
        "bump_height",
        "max_endpoint_barrier",
        "mean_endpoint_barrier",
    )
)
saddle, signed_deviation = RULES["saddle"], RULES["signed_deviation"]
finite = st.floats(-50, 50, allow_nan=False, width=32)
curves = st.integers(2, 9).flatmap(lambda n: arrays(np.float64, n, elements=finite))


def positions_for(curve, seed=3):
    """Unevenly spaced positions from 0 to 1."""
    steps = np.random.default_rng(seed).uniform(0.1, 1, len(curve) - 1)
    return np.concatenate([[0], np.cumsum(steps) / steps.sum()])


def slow_convexity_gap(curve, t):
    gaps = [0.0]
    for i, k, j in itertools.combinations(range(len(curve)), 3):
        gaps.append(curve[k] - np.interp(t[k], [t[i], t[j]], [curve[i], curve[j]]))
    return max(gaps)


def slow_bump_height(curve):
    triples = itertools.combinations_with_replacement(range(len(curve)), 3)
    return max(curve[k] - max(curve[i], curve[j]) for i, k, j in triples)


@given(curves)
def test_the_rules_equal_brute_force(curve):
    t = positions_for(curve)
    chord = np.interp(t, [0, 1], [curve[0], curve[-1]])
    assert convexity_gap(curve, t) == pytest.approx(slow_convexity_gap(curve, t), abs=1e-9)
    assert barrier_height(curve, t) == pytest.approx(max(curve - chord), abs=1e-9)
    assert bump_height(curve) == pytest.approx(slow_bump_height(curve), abs=1e-9)
    area = sum((b + a) / 2 * h for a, b, h in zip(curve, curve[1:], np.diff(t), strict=False))
    assert area_above_minimum(curve, t) == pytest.approx(area - min(curve), abs=1e-9)
    middle = (curve[0] + curve[-1]) / 2
    assert abs(signed_deviation(curve)) == pytest.approx(max(abs(curve - middle)), abs=1e-9)
    assert mean_endpoint_barrier(curve) == pytest.approx(max(curve) - middle, abs=1e-9)
    assert max_endpoint_barrier(curve) == max(curve) - max(curve[0], curve[-1])
    assert saddle(curve) == max(curve)


@given(curves)
def test_the_rules_are_ordered(curve):
    t = positions_for(curve)
    gap, height = convexity_gap(curve, t), barrier_height(curve, t)
    assert gap >= height >= 0
    assert gap >= bump_height(curve) - 1e-9
    assert bump_height(curve) >= max_endpoint_barrier(curve) >= 0


@given(curves)
def test_the_rules_do_not_depend_on_the_direction_of_the_path(curve):
    t = positions_for(curve)
    for name, rule in RULES.items():
        forth, back = rule(curve, t), rule(curve[::-1], 1 - t[::-1])
        assert forth == pytest.approx(back, abs=1e-9), name


def test_a_quadratic_has_its_closed_form():
    t = np.linspace(0, 1, 11)
    # above its chord by c t (1 - t), and over a segment of width w by at most c w^2 / 4
    hill = 0.3 + 0.2 * t + 0.8 * t * (1 - t)
    assert convexity_gap(hill) == pytest.approx(0.2)
    assert barrier_height(hill) == pytest.approx(0.2)
    assert convexity_gap(0.3 - 0.8 * t * (1 - t)) == 0


def test_leading_axes_are_kept_and_bad_curves_are_nan():
    losses = np.random.default_rng(0).gamma(2, 1, (3, 20_000, 7))
    losses[1, 5, 2], losses[2, 6, 0] = np.nan, np.inf
    gaps = convexity_gap(losses)
    assert gaps.shape == (3, 20_000)
    assert list(zip(*np.nonzero(np.isnan(gaps)), strict=True)) == [(1, 5), (2, 6)]
    assert gaps[2, 19_999] == convexity_gap(losses[2, 19_999])
    assert all(np.isnan(rule([np.nan, 1.0], None)) for rule in RULES.values())


@pytest.mark.parametrize(
    ("losses", "positions", "text"),
    [
        ([1.0], None, "at least two points"),
        ([1.0, 2.0, 3.0], [0.0, 1.0], r"expected: positions \(3,\)"),
        ([1.0, 2.0, 3.0], [0.0, 0.5, 0.5], "strictly ascending"),
        ([1.0, 2.0], [0.0, np.nan], "finite"),
    ],
)
def test_bad_curves_are_refused(losses, positions, text):
    for rule in RULES.values():
        with pytest.raises(ConfigError, match=text):
            rule(losses, positions)


@given(curves)
def test_the_envelope_is_the_lower_side_of_the_convex_hull(curve):
    t = positions_for(curve)
    # far above the curve, so that the hull is never flat
    points = np.vstack([np.column_stack([t, curve]), [[0, 1000], [1, 1000]]])
    corners = [k for k in ConvexHull(points).vertices if k < len(curve)]
    corners = sorted(corners, key=lambda k: t[k])
    expected = np.interp(t, t[corners], curve[corners])
    np.testing.assert_allclose(convexity_gap.without_barrier(curve, t), expected, atol=1e-9)


@given(curves)
def test_no_rule_sees_a_barrier_in_its_null_curve(curve):
    t = positions_for(curve)
    for name, rule in RULES.items():
        assert rule(rule.without_barrier(curve, t), t) == pytest.approx(0, abs=1e-9), name


@given(curves, st.floats(0, 3))
def test_a_barrier_is_the_largest_height_over_the_null_curve(curve, factor):
    t = positions_for(curve)
    for name, rule in RULES.items():
        if rule.flat is None:
            continue
        flat = rule.without_barrier(curve, t)
        found = rule(curve, t)
        assert found == pytest.approx(np.max(curve - flat), abs=1e-9), name
        # and heights that are larger or smaller make a barrier that is so
        scaled = rule(flat + factor * (curve - flat), t)
        assert scaled == pytest.approx(factor * found, abs=1e-8), name
