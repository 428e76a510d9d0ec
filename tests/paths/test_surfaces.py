from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from landscape.paths.refinement import FLOOR, RefinedSurface, fill_surface, refine_surface

seeds = st.integers(0, 2**32 - 1)
sides = st.integers(2, 14)
steps = st.integers(1, 6)


class Recorder:
    """A measurement that keeps what it was asked for."""

    def __init__(self, losses: np.ndarray) -> None:
        self.losses = losses.reshape(losses.shape[0] * losses.shape[1], -1)
        self.calls: list[list[int]] = []

    def __call__(self, indices: list[int]) -> np.ndarray:
        assert all(type(index) is int for index in indices)
        self.calls.append(indices)
        return self.losses[indices]

    @property
    def asked(self) -> list[int]:
        return [index for call in self.calls for index in call]


def filled_of(found: RefinedSurface, shape: tuple[int, ...]) -> np.ndarray:
    """All points, as figures draw them."""
    return fill_surface(found.values, shape, found.evaluated, log=True)


def grid(n_y: int, n_x: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.meshgrid(np.linspace(-1, 1, n_y), np.linspace(-1, 1, n_x), indexing="ij")
    return x, y


def bumpy(seed: int, n_y: int, n_x: int, n_sets: int = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.exponential(size=(n_y, n_x, n_sets))


def first_lines(n: int, coarse: int) -> list[int]:
    return sorted({k for k in range(n) if k % coarse == 0} | {n - 1})


def with_middles(lines: list[int]) -> list[int]:
    return sorted(set(lines) | {(a + b) // 2 for a, b in pairwise(lines)})


@given(seeds, sides, sides, steps, st.sampled_from([0.0, 0.1, 1.0]))
def test_no_point_is_measured_twice_and_values_are_what_was_measured(
    seed: int, n_y: int, n_x: int, coarse: int, tolerance: float
) -> None:
    losses = bumpy(seed, n_y, n_x)
    measure = Recorder(losses)
    found = refine_surface(measure, (n_y, n_x), tolerance=tolerance, coarse=coarse)
    assert len(measure.asked) == len(set(measure.asked))
    assert all(call == sorted(call) for call in measure.calls)
    np.testing.assert_array_equal(np.flatnonzero(found.evaluated), np.sort(measure.asked))
    np.testing.assert_array_equal(found.values[found.evaluated], measure.losses[found.evaluated])
    assert np.isnan(found.values[~found.evaluated]).all()
    assert found.saved == pytest.approx(1 - len(measure.asked) / (n_y * n_x))
    # first lines, borders among them, in the first call; their cells' midpoints in the second
    rows, columns = first_lines(n_y, coarse), first_lines(n_x, coarse)
    assert measure.calls[0] == [r * n_x + c for r in rows for c in columns]
    start = {r * n_x + c for r in with_middles(rows) for c in with_middles(columns)}
    assert {index for call in measure.calls[:2] for index in call} == start
    filled = filled_of(found, (n_y, n_x))
    np.testing.assert_array_equal(filled[found.evaluated], measure.losses[found.evaluated])
    assert np.isfinite(filled).all()


@given(seeds, sides, sides, steps)
def test_what_does_not_bend_is_measured_at_the_first_cells_only_and_filled_exactly(
    seed: int, n_y: int, n_x: int, coarse: int
) -> None:
    x, y = grid(n_y, n_x)
    a, b, c = np.random.default_rng(seed).uniform(-1, 1, 3)
    measure = Recorder(np.exp(a * x + b * y + c * x * y) - FLOOR)  # at least exp(-3) - 0.01
    found = refine_surface(measure, (n_y, n_x), tolerance=1e-9, coarse=coarse)
    rows, columns = (with_middles(first_lines(n, coarse)) for n in (n_y, n_x))
    assert len(measure.asked) == len(rows) * len(columns)
    np.testing.assert_allclose(filled_of(found, (n_y, n_x)), measure.losses, rtol=1e-9)


@given(seeds, sides, sides, steps, st.floats(0.001, 0.3))
def test_a_quadratic_is_within_the_tolerance_everywhere(
    seed: int, n_y: int, n_x: int, coarse: int, tolerance: float
) -> None:
    x, y = grid(n_y, n_x)
    a, b, c = np.random.default_rng(seed).normal(size=3) * 2
    losses = np.exp(a * x**2 + b * y**2 + c * x * y + 0.5)
    measure = Recorder(losses)
    found = refine_surface(measure, (n_y, n_x), tolerance=tolerance, coarse=coarse)
    filled = filled_of(found, losses.shape)[:, 0]
    off = np.abs(np.log(filled + FLOOR) - np.log(losses.ravel() + FLOOR))
    assert off.max() <= 1.25 * tolerance  # cells of uneven parts are judged off their middle


def crooked_valleys(n: int) -> np.ndarray:
    """Two narrow valleys with a barrier between them, walls of 30 times their loss."""
    x, y = grid(n, n)
    valley = np.minimum((x - 0.5 + 0.3 * y**2) ** 2, (x + 0.5 - 0.2 * y) ** 2)
    return 0.1 + 3 * valley / (0.15 + valley)


def three_basins(n: int) -> np.ndarray:
    """Three checkpoints of a loss of 0.4, barriers between them, a plateau of 1.6 around."""
    x, y = grid(n, n)
    centers = ((-0.5, -0.4), (0.5, -0.4), (0.0, 0.5))
    nearest = np.min([(x - a) ** 2 + (y - b) ** 2 for a, b in centers], axis=0)
    return 0.4 + 1.2 * (1 - np.exp(-4 * nearest))


@pytest.mark.parametrize(
    ("surface", "n", "least"),
    [(three_basins, 21, 0.1), (three_basins, 41, 0.5), (crooked_valleys, 41, 0.08)],
)
@pytest.mark.parametrize("tolerance", [0.1, 0.02])
def test_creases_are_followed_and_points_saved(
    surface: Callable[[int], np.ndarray], n: int, least: float, tolerance: float
) -> None:
    losses = surface(n)
    found = refine_surface(Recorder(losses), (n, n), tolerance=tolerance)
    filled = filled_of(found, losses.shape)[:, 0]
    off = np.abs(np.log(filled + FLOOR) - np.log(losses.ravel() + FLOOR))
    assert off.max() <= 1.05 * tolerance
    if tolerance == 0.1:
        assert found.saved > least


@settings(deadline=None)
@given(seeds, sides, sides, steps, st.floats(0, 1))
def test_a_resumed_surface_is_the_same_and_measures_only_the_rest(
    seed: int, n_y: int, n_x: int, coarse: int, share: float
) -> None:
    losses = bumpy(seed, n_y, n_x)
    settings_ = {"tolerance": 0.5, "coarse": coarse}
    whole = refine_surface(Recorder(losses), (n_y, n_x), **settings_)
    kept = whole.evaluated & (np.random.default_rng(seed).random(n_y * n_x) < share)
    known = np.where(kept[:, None], whole.values, np.nan)
    before = known.copy()
    measure = Recorder(losses)
    resumed = refine_surface(measure, (n_y, n_x), earlier=known, **settings_)
    np.testing.assert_array_equal(known, before)
    assert not kept[measure.asked].any()
    np.testing.assert_array_equal(resumed.evaluated, whole.evaluated)
    np.testing.assert_array_equal(resumed.values, whole.values)
    nothing = Recorder(losses)
    refine_surface(nothing, (n_y, n_x), earlier=whole.values, **settings_)
    assert not nothing.calls


def test_losses_that_are_not_finite_bend_nothing_and_stay() -> None:
    losses = np.ones((9, 9))
    losses[0, 0], losses[8, 8] = np.inf, np.nan
    found = refine_surface(Recorder(losses), (9, 9), tolerance=0.1)
    assert found.evaluated.sum() == 25
    filled = filled_of(found, (9, 9))[:, 0].reshape(9, 9)
    assert np.isinf(filled[0, 0])
    assert np.isnan(filled[8, 8])
    np.testing.assert_allclose(filled[2:7, 2:7], 1)
    assert np.isnan(filled[1, 1])


@given(seeds, st.integers(1, 4), st.integers(1, 4), st.integers(2, 5))
def test_filling_is_bilinear_between_lines(seed: int, m_y: int, m_x: int, coarse: int) -> None:
    n_y, n_x = m_y * coarse + 1, m_x * coarse + 1
    values = np.full((n_y, n_x), np.nan)
    rng = np.random.default_rng(seed)
    values[::coarse, ::coarse] = rng.normal(size=(m_y + 1, m_x + 1))
    exact = RegularGridInterpolator(
        (np.arange(m_y + 1), np.arange(m_x + 1)), values[::coarse, ::coarse]
    )
    at = np.stack(np.meshgrid(np.arange(n_y), np.arange(n_x), indexing="ij"), -1) / coarse
    found = fill_surface(values.ravel(), (n_y, n_x), ~np.isnan(values.ravel()))
    np.testing.assert_allclose(found.reshape(n_y, n_x), exact(at), atol=1e-12)


@pytest.mark.parametrize("n_known", [1, 2, 3, 5, 12])
def test_scattered_points_are_enough(n_known: int) -> None:
    x, y = grid(6, 5)
    plane = (2 + x + 3 * y).ravel()
    chosen = np.random.default_rng(1).permutation(np.arange(1, 30))[:n_known]  # no corner 0
    values = np.full(30, np.nan)
    values[chosen] = plane[chosen]
    found = fill_surface(values, (6, 5), ~np.isnan(values))
    np.testing.assert_array_equal(found[chosen], plane[chosen])
    assert np.isfinite(found).all()
    assert plane[chosen].min() - 1e-9 <= found.min()
    assert found.max() <= plane[chosen].max() + 1e-9
    assert np.isnan(fill_surface(np.full(30, np.nan), (6, 5), np.zeros(30, bool))).all()
