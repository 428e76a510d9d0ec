from __future__ import annotations

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
    learn_smoothness,
    refine,
)

FIGURES = Path(__file__).parents[2] / "figures"
STORES = sorted(FIGURES.glob("*.h5"))
GROWING = [name for name, rule in RULES.items() if rule.grows]
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

    def __call__(self, points, exact):
        self.asked += [(point, exact) for point in points]
        return (self.y if exact else self.fast)[list(points)]


def gap_of(refined, t, rule="convexity_gap"):
    known = np.isfinite(refined.exact)
    return RULES[rule](refined.exact[known], t[known])


@given(seeds, sizes, rules)
def test_more_points_never_lower_a_growing_rule(seed, n_points, rule):
    rng = np.random.default_rng(seed)
    t, y = uneven(rng, n_points), rng.normal(size=n_points)
    kept = rng.random(n_points) < 0.5
    kept[[0, -1]] = True
    assert RULES[rule](y[kept], t[kept]) <= RULES[rule](y, t) + 1e-12


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
    # nothing twice in one format, never the ends
    assert len(measure.asked) == len(set(measure.asked))
    assert {point for point, _ in measure.asked} <= set(range(1, n_points - 1))
    assert error is not None or all(exact for _, exact in measure.asked)
    exact = np.isfinite(refined.exact)
    np.testing.assert_array_equal(refined.exact[exact], y[exact])


def test_a_loss_that_is_not_finite_ends_it():
    flat = Smoothness(GRID, np.zeros(11), 0.0, (2, 5, 8))
    for ends, middle in ((np.array([0.5, 0.5]), np.nan), (np.array([np.inf, 0.5]), 0.5)):
        measure = Recorder(np.where(GRID == 0.5, middle, 0.5), None, np.random.default_rng(0))
        refined = refine(
            measure, ends, GRID, rule="saddle", tolerance=0.01, smoothness=flat, error=None
        )
        assert np.isnan(refined.tolerance)
        assert len(measure.asked) <= 3


@pytest.mark.parametrize("overflow", [np.nan, np.inf])
def test_an_overflow_of_the_fast_format_is_measured_exactly(overflow):
    y = 0.5 + GRID * (1 - GRID)
    measure = Recorder(y, 0.001, np.random.default_rng(0))
    measure.fast[5] = overflow
    smoothness = learn_smoothness(np.array([y, y + 0.01]), GRID, "convexity_gap")
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


@pytest.mark.parametrize("error", [None, 0.002])
@pytest.mark.parametrize("path", STORES, ids=lambda path: path.stem)
def test_on_real_populations_no_gap_is_missed_and_points_are_saved(path, error):
    results = read_store(path)
    dataset, t = next(iter(results.datasets.values())), results.positions  # in-domain ones first
    curves = dataset.losses.mean(-1, dtype=np.float64)
    if len(curves) <= PILOT_PAIRS:
        pytest.skip("all pairs are pilots")
    gaps, rng = convexity_gap(curves, t), np.random.default_rng(0)
    pilot = np.unique(np.linspace(0, len(curves) - 1, PILOT_PAIRS).astype(int))
    smoothness = learn_smoothness(curves[pilot], t, "convexity_gap")
    cost = []
    for pair in rng.permutation(np.setdiff1d(np.arange(len(curves)), pilot))[:200]:
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
    assert np.mean(cost) < (8 if error is None else 5)
