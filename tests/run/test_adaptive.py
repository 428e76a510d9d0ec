from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from landscape.analysis.barriers import RULES, convexity_gap
from landscape.records import read_store
from landscape.run.measure.adaptive import (
    PILOT_PAIRS,
    Smoothness,
    bounds,
    growing_rules,
    highest,
    learn_smoothness,
    refine,
)

FIGURES = Path(__file__).parents[2] / "figures"
STORES = sorted(FIGURES.glob("*.h5"))
GROWING = growing_rules()
GRID = np.linspace(0, 1, 11)

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(2, 12)
rules = st.sampled_from(GROWING)


def uneven(rng, n_points):
    steps = rng.uniform(0.2, 1, n_points - 1)
    return np.concatenate([[0], np.cumsum(steps) / steps.sum()])


def bent(rng, t, bend):
    """A curve whose second divided differences, doubled, are at most ``bend`` in size."""
    turns = rng.uniform(-bend, bend, len(t) - 2) * rng.choice([0, 1], len(t) - 2)
    turns = np.where(rng.random(len(turns)) < 0.5, np.sign(turns) * bend, turns)
    slopes = rng.normal() + np.concatenate([[0], np.cumsum(turns * (t[2:] - t[:-2]) / 2)])
    return np.concatenate([[0], np.cumsum(slopes * np.diff(t))]) + rng.normal()


def a_curve_as_assumed(rng, n_points):
    """A grid, an assumption, and losses that fulfil it."""
    t = uneven(rng, n_points)
    shape, curvature = np.cumsum(rng.normal(size=n_points)) - 2, rng.choice([0, 1, 10, 50])
    y = np.exp(shape + bent(rng, t, 1.5 * curvature)) - 1e-4
    assume(y.min() >= 0 and y.max() < 100)
    likely = np.flatnonzero(rng.random(n_points - 2) < rng.choice([0, 0.4])) + 1
    return t, Smoothness(t, shape, float(curvature), tuple(likely.tolist())), y


class Recorder:
    """A measurement that keeps what it was asked for, and what it answered."""

    def __init__(self, y, error, rng):
        self.y = y
        self.fast = y + rng.uniform(-1, 1, len(y)) * (error or 0)
        self.asked = []
        self.calls = 0

    def __call__(self, points, exact):
        self.calls += 1
        self.asked += [(point, exact) for point in points]
        return (self.y if exact else self.fast)[list(points)]


def gap_of(refined, t, rule="convexity_gap"):
    known = np.isfinite(refined.exact)
    return RULES[rule](refined.exact[known], t[known])


def slow_highest(low, high, t, rule):
    n = len(t)
    values = [0.0]
    if rule == "convexity_gap":
        for i, k, j in combinations(range(n), 3):
            values.append(high[k] - np.interp(t[k], t[[i, j]], low[[i, j]]))
    elif rule == "bump_height":
        for i, k, j in combinations(range(n), 3):
            values.append(high[k] - max(low[i], low[j]))
    elif rule == "saddle":
        return max(high)
    else:
        # one point up, all others down
        for k in range(n):
            values.append(RULES[rule](np.where(np.arange(n) == k, high, low), t))
    return max(values)


@given(seeds, sizes, rules)
def test_the_highest_gap_is_that_of_the_highest_curve(seed, n_points, rule):
    rng = np.random.default_rng(seed)
    t = uneven(rng, n_points)
    low = rng.normal(size=n_points)
    high = low + rng.exponential(size=n_points) * rng.choice([0, 1], n_points)
    upper, deciding = highest(low, high, t, rule)
    assert upper == pytest.approx(slow_highest(low, high, t, rule), abs=1e-12)
    one_up = np.where(np.eye(n_points, dtype=bool), high, low)
    assert upper == pytest.approx(RULES[rule](one_up, t).max(), abs=1e-12)
    inside = low + (high - low) * rng.random((500, n_points)).round(rng.integers(0, 3))
    assert RULES[rule](inside, t).max() <= upper + 1e-12
    # the points that decide it do so alone
    assert list(deciding) == sorted(set(deciding))
    free = np.isin(np.arange(n_points), deciding)
    assert highest(np.where(free, low, high), high, t, rule)[0] == pytest.approx(upper, abs=1e-12)


@given(seeds, sizes, rules)
def test_without_width_the_highest_gap_is_the_gap(seed, n_points, rule):
    rng = np.random.default_rng(seed)
    t, y = uneven(rng, n_points), rng.normal(size=n_points)
    assert highest(y, y, t, rule)[0] == pytest.approx(RULES[rule](y, t), abs=1e-12)


@given(seeds, sizes, rules)
def test_more_points_never_lower_a_growing_rule(seed, n_points, rule):
    rng = np.random.default_rng(seed)
    t, y = uneven(rng, n_points), rng.normal(size=n_points)
    kept = rng.random(n_points) < 0.5
    kept[[0, -1]] = True
    assert RULES[rule](y[kept], t[kept]) <= RULES[rule](y, t) + 1e-12


@given(seeds, st.integers(3, 12), st.sampled_from([0, 1e-4, 1e-2]))
def test_a_curve_as_assumed_lies_within_its_bounds(seed, n_points, error):
    rng = np.random.default_rng(seed)
    _, smoothness, y = a_curve_as_assumed(rng, n_points)
    errors = error * rng.choice([0, 1], n_points)
    values = y + rng.uniform(-1, 1, n_points) * errors
    unknown = rng.random(n_points) < 0.6
    unknown[[0, -1]] = False
    values[unknown] = np.nan
    low, high = bounds(values, errors, smoothness)
    slack = 1e-9 * (1 + y)
    assert (low <= y + slack).all()
    assert (y <= high + slack).all()
    assert (low >= 0).all()
    exact = ~unknown & (errors == 0)
    np.testing.assert_array_equal(low[exact], y[exact])
    np.testing.assert_array_equal(high[exact], y[exact])
    assert (high - low)[~unknown].max() <= 2 * error + 1e-12


def test_the_bound_between_two_points_is_a_parabola_over_their_line():
    smoothness = Smoothness(GRID, np.zeros(11), 4.0)
    values = np.full(11, np.nan)
    values[[0, -1]] = np.exp([0.0, 1.0]) - 1e-4
    low, high = bounds(values, np.zeros(11), smoothness)
    room = 1.5 * 4 * GRID * (1 - GRID) / 2
    np.testing.assert_allclose(low, np.maximum(np.exp(GRID - room) - 1e-4, 0))
    np.testing.assert_allclose(high, np.exp(GRID + room) - 1e-4)


def test_a_barrier_widens_its_own_bounds_and_noise_does_not():
    smoothness = Smoothness(GRID, np.zeros(11), 0.0)
    values = np.full(11, np.nan)
    values[[0, 5, 10]] = 0.1, 0.1, 0.1
    low, high = bounds(values, np.zeros(11), smoothness)
    np.testing.assert_allclose(high, low)
    values[5] = 0.11
    low, high = bounds(values, np.zeros(11), smoothness)
    seen = 8 * np.log(0.1101 / 0.1001)  # of the parabola through the three
    middle = np.log(0.1001) + GRID[2] * 2 * np.log(0.1101 / 0.1001)
    room = 3 * seen * GRID[2] * (0.5 - GRID[2]) / 2
    assert high[2] == pytest.approx(np.exp(middle + room) - 1e-4)
    low, high = bounds(values, np.full(11, 0.02), smoothness)
    np.testing.assert_allclose(
        high[1:5], np.exp(np.interp(GRID[1:5], [0, 0.5], np.log([0.1201, 0.1301]))) - 1e-4
    )


@given(seeds, st.integers(2, 8))
def test_the_pilot_is_within_what_it_teaches(seed, n_curves):
    rng = np.random.default_rng(seed)
    t = uneven(rng, 9)
    curves = rng.exponential(size=(n_curves, 9))
    smoothness = learn_smoothness(curves, t, "convexity_gap")
    logs = np.log(curves + 1e-4)
    np.testing.assert_allclose(smoothness.shape, logs.mean(0))
    # the parabola through three neighbours, by numpy
    bends = [
        abs(2 * np.polyfit(t[k : k + 3], row[k : k + 3], 2)[0])
        for row in logs - logs.mean(0)
        for k in range(7)
    ]
    assert smoothness.curvature == pytest.approx(max(bends) * n_curves / (n_curves - 1), rel=1e-6)


@settings(deadline=None)
@given(
    seeds,
    sizes,
    rules,
    st.sampled_from([0.0, 0.002, 0.05]),
    st.sampled_from([None, 0.0, 1e-3]),
    st.booleans(),
)
def test_the_gap_of_a_curve_as_assumed_is_within_the_tolerance(
    seed, n_points, rule, tolerance, error, adaptive
):
    rng = np.random.default_rng(seed)
    t, smoothness, y = a_curve_as_assumed(rng, n_points)
    measure = Recorder(y, error, rng)
    refined = refine(
        measure,
        y[[0, -1]],
        t,
        rule=rule,
        tolerance=tolerance,
        smoothness=smoothness if adaptive else None,
        error=error,
    )
    found, whole = gap_of(refined, t, rule), RULES[rule](y, t)
    slack = 1e-9 * (1 + y.max())
    assert found - slack <= whole <= found + refined.tolerance + slack
    assert refined.tolerance <= tolerance + slack
    # nothing twice in one format, never the ends, exactly after screening or at the start
    assert len(measure.asked) == len(set(measure.asked))
    assert {point for point, _ in measure.asked} <= set(range(1, n_points - 1))
    start = len(smoothness.deciding) if adaptive else 0
    assert measure.asked[:start] == [(point, True) for point in smoothness.deciding][:start]
    for place, (point, exact) in enumerate(measure.asked[start:], start):
        assert not exact or error is None or (point, False) in measure.asked[:place]
    assert error is not None or all(exact for _, exact in measure.asked)
    for values, answers, format in (
        (refined.exact, y, True),
        (refined.screened, measure.fast, False),
    ):
        points = [point for point, exact in measure.asked if exact == format]
        points += [0, n_points - 1] if format else []
        np.testing.assert_array_equal(values[points], answers[points])
        assert np.isfinite(values).sum() == len(points)


@given(seeds, sizes, st.sampled_from(list(RULES)))
def test_without_smoothness_and_screening_the_grid_is_measured_in_one_call(seed, n_points, rule):
    rng = np.random.default_rng(seed)
    t, y = uneven(rng, n_points), rng.exponential(size=n_points)
    measure = Recorder(y, None, rng)
    refined = refine(measure, y[[0, -1]], t, rule=rule, tolerance=0, smoothness=None, error=None)
    assert measure.calls == (n_points > 2)
    assert refined.tolerance == 0
    np.testing.assert_array_equal(refined.exact, y)
    assert gap_of(refined, t, rule) == RULES[rule](y, t)


@given(seeds, sizes, rules)
def test_screening_alone_is_one_call_and_then_certifies(seed, n_points, rule):
    rng = np.random.default_rng(seed)
    t, y = uneven(rng, n_points), rng.exponential(size=n_points)
    measure = Recorder(y, 0.01, rng)
    refined = refine(measure, y[[0, -1]], t, rule=rule, tolerance=0, smoothness=None, error=0.01)
    assert np.isfinite(refined.screened[1:-1]).all()
    assert measure.asked[: n_points - 2] == [(point, False) for point in range(1, n_points - 1)]
    assert gap_of(refined, t, rule) == pytest.approx(RULES[rule](y, t), abs=1e-12)


@pytest.mark.parametrize("error", [None, 0.001])
def test_the_start_is_exact_where_the_pilot_agrees_else_at_the_quarters(error):
    barrier = np.maximum(0.1, 0.5 - np.abs(GRID - 0.4))
    other = np.maximum(0.1, 0.5 - np.abs(GRID - 0.7))
    learnt = learn_smoothness(np.array([barrier, barrier + 0.01, other]), GRID, "barrier_height")
    assert learnt.deciding == ()  # two in three are not enough
    learnt = learn_smoothness(
        np.array([barrier + 0.01 * k for k in range(3)] + [other]), GRID, "saddle"
    )
    assert learnt.deciding == (4,)
    measure = Recorder(barrier, error, np.random.default_rng(0))
    settings_ = {"rule": "barrier_height", "tolerance": 0, "smoothness": learnt, "error": error}
    refine(measure, barrier[[0, -1]], GRID, **settings_)
    assert measure.asked[0] == (4, True)
    # a pilot without gaps says nothing of where they would be
    learnt = learn_smoothness(np.array([GRID**2, GRID**2 + 0.01]), GRID, "convexity_gap")
    assert learnt.deciding == ()
    measure = Recorder(GRID**2, error, np.random.default_rng(0))
    settings_ = {"rule": "convexity_gap", "tolerance": 0, "smoothness": learnt, "error": error}
    refine(measure, GRID[[0, -1]], GRID, **settings_)
    assert measure.asked[:3] == [(point, error is None) for point in (2, 5, 8)]


def test_a_loss_that_is_not_finite_ends_it():
    y = np.full(11, 0.5)
    y[5] = np.nan
    flat = Smoothness(GRID, np.zeros(11), 0.0, (2, 5, 8))
    settings_ = {"rule": "convexity_gap", "tolerance": 0.01, "smoothness": flat, "error": None}
    measure = Recorder(y, None, np.random.default_rng(0))
    refined = refine(measure, np.array([0.5, 0.5]), GRID, **settings_)
    assert np.isnan(refined.tolerance)
    assert measure.calls == 1
    refined = refine(measure, np.array([np.inf, 0.5]), GRID, **settings_)
    assert np.isnan(refined.tolerance)
    assert measure.calls == 1


@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize("overflow", [np.nan, np.inf])
def test_an_overflow_of_the_fast_format_is_measured_exactly(adaptive, overflow):
    y = 0.5 + GRID * (1 - GRID)
    measure = Recorder(y, 0.001, np.random.default_rng(0))
    measure.fast[5] = overflow
    smoothness = (
        learn_smoothness(np.array([y, y + 0.01]), GRID, "convexity_gap") if adaptive else None
    )
    refined = refine(
        measure,
        y[[0, -1]],
        GRID,
        rule="convexity_gap",
        tolerance=0.001,
        smoothness=smoothness,
        error=0.001,
    )
    assert refined.exact[5] == y[5]
    assert convexity_gap(y) - gap_of(refined, GRID) <= refined.tolerance <= 0.001
    assert len(measure.asked) == len(set(measure.asked))


def mean_curves(path):
    results = read_store(path)
    name = next(n for n, data in results.datasets.items() if data.role == "in_domain")
    return results.datasets[name].losses.mean(-1, dtype=np.float64), results.positions


@pytest.mark.parametrize("error", [None, 0.002])
@pytest.mark.parametrize(
    ("path", "pilot"),
    [(path, "spread") for path in STORES]
    # so many pairs are not learnt from six that are alike
    + [(p, pilot) for p in STORES if p.stem != "strategies_99" for pilot in ("first", "lowest")],
    ids=lambda value: getattr(value, "stem", value),
)
def test_on_real_populations_no_gap_is_missed_and_points_are_saved(path, pilot, error):
    curves, t = mean_curves(path)
    gaps = convexity_gap(curves, t)
    # the pairs of lowest gap cross no barrier
    order = np.arange(len(curves)) if pilot == "first" else np.argsort(gaps)
    if pilot == "spread":
        chosen = np.unique(np.linspace(0, len(curves) - 1, PILOT_PAIRS).astype(int))
        rest = np.random.default_rng(0).permutation(np.setdiff1d(order, chosen))
        order = np.concatenate([chosen, rest[:400]])
    smoothness = learn_smoothness(curves[order[:PILOT_PAIRS]], t, "convexity_gap")
    rng = np.random.default_rng(0)
    cost = []
    for pair in order[PILOT_PAIRS:]:
        y = curves[pair]
        refined = refine(
            Recorder(y, error, rng),
            y[[0, -1]],
            t,
            rule="convexity_gap",
            tolerance=0.01,
            smoothness=smoothness,
            error=error,
        )
        found = gap_of(refined, t)
        assert refined.tolerance <= 0.01
        assert found - 1e-12 <= gaps[pair] <= found + refined.tolerance + 1e-12
        # a screened point takes a third of an exact one's time
        cost.append(np.isfinite(refined.exact).sum() - 2 + np.isfinite(refined.screened).sum() / 3)
    assert np.mean(cost) < (7 if error is None else 5)


def test_the_stores_are_there():
    assert len(STORES) >= 4
