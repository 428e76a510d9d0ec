from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import bootstrap

from landscape.barriers import (
    RULES,
    area_above_minimum,
    barrier_height,
    bootstrap_gaps,
    bump_height,
    convexity_gap,
    max_endpoint_barrier,
    mean_endpoint_barrier,
    saddle,
    signed_deviation,
)
from landscape.errors import ConfigError

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


@given(curves, finite, finite)
def test_gap_and_height_ignore_what_is_affine_in_the_position(curve, constant, slope):
    t = positions_for(curve)
    for rule in (convexity_gap, barrier_height):
        tilted = rule(curve + constant + slope * t, t)
        assert tilted == pytest.approx(rule(curve, t), abs=1e-9)


def test_a_quadratic_has_its_closed_form():
    t = np.linspace(0, 1, 11)
    # above its chord by c t (1 - t), and over a segment of width w by at most c w^2 / 4
    hill = 0.3 + 0.2 * t + 0.8 * t * (1 - t)
    assert convexity_gap(hill) == pytest.approx(0.2)
    assert barrier_height(hill) == pytest.approx(0.2)
    assert convexity_gap(0.3 - 0.8 * t * (1 - t)) == 0
    # two valleys with a hill between: sin^2 has barrier 1 over (1/4 ... 3/4), and 0 below its ends
    valleys = np.cos(2 * np.pi * np.linspace(0, 1, 41)) ** 2
    assert barrier_height(valleys) == pytest.approx(0, abs=1e-12)
    assert convexity_gap(valleys) == pytest.approx(1)
    assert signed_deviation(valleys) == pytest.approx(-1)


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
        (1.0, None, "at least two points"),
        ([1.0, 2.0, 3.0], [0.0, 1.0], r"expected: positions \(3,\)"),
        ([1.0, 2.0, 3.0], [0.0, 1.0, 0.5], "strictly ascending"),
        ([1.0, 2.0, 3.0], [0.0, 0.5, 0.5], "strictly ascending"),
        ([1.0, 2.0], [0.0, np.nan], "finite"),
    ],
)
def test_bad_curves_are_refused(losses, positions, text):
    for rule in RULES.values():
        with pytest.raises(ConfigError, match=text):
            rule(losses, positions)


def example_losses(n_pairs=3, n_examples=60, seed=0):
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, 11)
    hill = 0.5 + np.arange(n_pairs)[:, None] * t * (1 - t)
    per_example = rng.gamma(2, 0.5, (n_pairs, 1, n_examples))
    return hill[..., None] * per_example + rng.normal(0, 0.1, (n_pairs, 11, n_examples))


@pytest.mark.parametrize("method", ["percentile", "basic"])
@pytest.mark.parametrize("rule", ["convexity_gap", "saddle"])
def test_resamples_are_paired_and_shared_by_all_pairs(method, rule):
    losses = example_losses()
    found = bootstrap_gaps(losses, rule, n_resamples=200, method=method, confidence=0.9, rng=5)
    counts = np.random.default_rng(5).multinomial(60, np.full(60, 1 / 60), size=200)
    draws = np.empty((200, 3))
    for r, count in enumerate(counts):
        rows = np.repeat(np.arange(60), count)
        draws[r] = [RULES[rule](pair[:, rows].mean(1), None) for pair in losses]
    estimate = RULES[rule](losses.mean(-1), None)
    low, high = np.percentile(draws, [5, 95], axis=0)
    if method == "basic":
        low, high = 2 * estimate - high, 2 * estimate - low
    np.testing.assert_allclose(found.estimate, estimate)
    np.testing.assert_allclose(found.low, low)
    np.testing.assert_allclose(found.high, high)
    np.testing.assert_allclose(found.standard_error, draws.std(0, ddof=1))
    np.testing.assert_allclose(found.bias, draws.mean(0) - estimate)
    assert (found.confidence, found.n_resamples) == (0.9, 200)


def test_bca_agrees_with_scipy():
    losses = example_losses(1, n_examples=40, seed=2)[0] ** 3
    found = bootstrap_gaps(losses, "saddle", method="bca", n_resamples=40_000, rng=0)
    expected = bootstrap(
        (losses,),
        lambda sample, axis: sample.mean(axis).max(0),
        n_resamples=20_000,
        batch=1000,
        method="BCa",
        axis=-1,
        rng=np.random.default_rng(1),
        vectorized=True,
    )
    interval = expected.confidence_interval
    width = interval.high - interval.low
    plain = bootstrap_gaps(losses, "saddle", n_resamples=40_000, rng=0)
    assert abs(found.low - interval.low) < 0.02 * width
    assert abs(found.high - interval.high) < 0.02 * width
    # the correction is large here, so that agreement says something
    assert abs(plain.high - interval.high) > 0.05 * width


def test_a_flat_curve_shows_the_upward_bias_of_the_maximum():
    noise = np.random.default_rng(0).normal(1, 1, (50, 11, 200))
    found = bootstrap_gaps(noise, n_resamples=200)
    assert (found.estimate > 0).all()  # the true gap is 0
    assert (found.bias > 0).mean() > 0.9


def test_degenerate_resamples_collapse_the_interval():
    losses = np.repeat(np.linspace(0, 1, 5)[None, :, None] ** 2, 8, axis=2)
    for method in ("percentile", "basic", "bca"):
        found = bootstrap_gaps(losses, n_resamples=50, method=method)
        assert found.low == found.high == found.estimate == 0


def test_chunks_shapes_and_missing_pairs():
    losses = np.tile(example_losses(), (300, 1, 1)).reshape(30, 30, 11, 60).astype(np.float32)
    losses[3, 4, 0, 0] = np.nan
    for method in ("percentile", "bca"):
        found = bootstrap_gaps(losses, n_resamples=500, method=method, rng=1)
        alone = bootstrap_gaps(losses[29, 29], n_resamples=500, method=method, rng=1)
        for name in ("estimate", "low", "high", "standard_error", "bias"):
            values = getattr(found, name)
            assert values.shape == (30, 30)
            assert np.argwhere(np.isnan(values)).tolist() == [[3, 4]]
            assert values[29, 29] == pytest.approx(getattr(alone, name))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"rule": "convexity_gaps"}, "did you mean 'convexity_gap'"),
        ({"method": "studentized"}, "percentile, basic or bca"),
        ({"confidence": 95}, "between 0 and 1"),
        ({"n_resamples": 1}, "two resamples"),
        ({"losses": np.ones((2, 11, 1))}, "at least two examples"),
        ({"positions": [0, 1]}, "expected: positions"),
    ],
)
def test_bad_bootstraps_are_refused(arguments, text):
    with pytest.raises(ConfigError, match=text):
        bootstrap_gaps(**{"losses": example_losses(), **arguments})
