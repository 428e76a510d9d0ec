from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import ConvexHull

from landscape.analysis.barriers import RULES, convex_envelope, convexity_gap, null_curve
from landscape.core.errors import ConfigError

finite = st.floats(-50, 50, allow_nan=False, width=32)
curves = st.integers(2, 9).flatmap(lambda n: arrays(np.float64, n, elements=finite))
LARGEST_HEIGHT = (
    "convexity_gap",
    "barrier_height",
    "mean_endpoint_barrier",
    "max_endpoint_barrier",
    "bump_height",
)


def positions_for(curve, seed=3):
    """Unevenly spaced positions from 0 to 1."""
    steps = np.random.default_rng(seed).uniform(0.1, 1, len(curve) - 1)
    return np.concatenate([[0], np.cumsum(steps) / steps.sum()])


@given(curves)
def test_the_envelope_is_the_lower_side_of_the_convex_hull(curve):
    t = positions_for(curve)
    # far above the curve, so that the hull is never flat
    points = np.vstack([np.column_stack([t, curve]), [[0, 1000], [1, 1000]]])
    corners = [k for k in ConvexHull(points).vertices if k < len(curve)]
    corners = sorted(corners, key=lambda k: t[k])
    expected = np.interp(t, t[corners], curve[corners])
    np.testing.assert_allclose(convex_envelope(curve, t), expected, atol=1e-9)


@given(curves)
def test_the_envelope_is_convex_and_touches_the_curve(curve):
    t = positions_for(curve)
    envelope = convex_envelope(curve, t)
    assert (envelope <= curve).all()
    assert (envelope[[0, -1]] == curve[[0, -1]]).all()
    slopes = np.diff(envelope) / np.diff(t)
    assert (np.diff(slopes) >= -1e-9 * (1 + np.abs(slopes[1:]))).all()
    for i, k, j in itertools.combinations(range(len(curve)), 3):
        share = (t[k] - t[i]) / (t[j] - t[i])
        assert envelope[k] <= curve[i] + share * (curve[j] - curve[i]) + 1e-9
    assert convexity_gap(envelope, t) == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(convex_envelope(envelope, t), envelope, atol=1e-9)


@given(curves)
def test_no_rule_sees_a_barrier_in_its_null_curve(curve):
    t = positions_for(curve)
    for name, rule in RULES.items():
        assert rule(null_curve(name, curve, t), t) == pytest.approx(0, abs=1e-9), name


@given(curves, st.floats(0, 3))
def test_a_barrier_is_the_largest_height_over_the_null_curve(curve, factor):
    t = positions_for(curve)
    for name in LARGEST_HEIGHT:
        flat = null_curve(name, curve, t)
        found = RULES[name](curve, t)
        assert found == pytest.approx(np.max(curve - flat), abs=1e-9), name
        # and heights that are larger or smaller make a barrier that is so
        scaled = RULES[name](flat + factor * (curve - flat), t)
        assert scaled == pytest.approx(factor * found, abs=1e-8), name


def test_leading_axes_are_kept_and_bad_curves_are_nan():
    losses = np.random.default_rng(0).gamma(2, 1, (3, 4, 7))
    losses[1, 2, 3] = np.nan
    found = convex_envelope(losses)
    assert found.shape == (3, 4, 7)
    assert np.argwhere(np.isnan(found).any(-1)).tolist() == [[1, 2]]
    np.testing.assert_array_equal(found[2, 3], convex_envelope(losses[2, 3]))


@pytest.mark.parametrize(
    ("rule", "losses", "positions", "text"),
    [
        ("bump_heigth", [1.0, 2.0], None, "did you mean 'bump_height'"),
        ("saddle", [1.0], None, "at least two points"),
        ("saddle", [1.0, 2.0], [0.0, 0.0], "strictly ascending"),
    ],
)
def test_bad_curves_are_refused(rule, losses, positions, text):
    with pytest.raises(ConfigError, match=text):
        null_curve(rule, losses, positions)
