from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import landscape
from landscape.paths import (
    Bezier,
    Directions,
    Plane,
    PolyChain,
    Simplex,
    SimplexSample,
    as_coefficients,
)

seeds = st.integers(0, 2**32 - 1)


def test_line_mixes_its_ends() -> None:
    line = landscape.Line(points=11)
    coefficients = line.coefficients()
    assert coefficients.shape == (11, 2)
    a, b = np.array([1.0, -2.0]), np.array([3.0, 5.0])
    for t, row in zip(np.arange(11) / 10, coefficients, strict=True):
        np.testing.assert_allclose(row @ np.stack([a, b]), a + t * (b - a), atol=1e-15)
    assert coefficients[0].tolist() == [1, 0]
    assert coefficients[-1].tolist() == [0, 1]


@pytest.mark.parametrize("kind", [landscape.Line, landscape.Bezier, landscape.PolyChain])
@pytest.mark.parametrize("at", [[0.1, 1], [0, 0.6, 0.5, 1], [[0, 1]], [0, np.nan, 1]])
def test_a_path_refuses_positions_that_do_not_ascend_from_0_to_1(kind, at) -> None:
    with pytest.raises(landscape.LandscapeError, match="ascend from 0 to 1"):
        kind(at=at)


def casteljau(points: np.ndarray, t: float) -> np.ndarray:
    while len(points) > 1:
        points = (1 - t) * points[:-1] + t * points[1:]
    return points[0]


@given(seeds, st.integers(1, 6), st.floats(0, 1))
def test_a_bezier_curve_is_de_casteljaus(seed: int, degree: int, t: float) -> None:
    anchors = np.random.default_rng(seed).normal(size=(degree + 1, 3))
    row = Bezier(degree=degree).basis([t])[0]
    np.testing.assert_allclose(row @ anchors, casteljau(anchors, t), atol=1e-12)
    assert row.sum() == pytest.approx(1)


def test_a_bezier_curve_holds_its_ends_to_the_bit() -> None:
    assert Bezier(5, degree=3).coefficients()[[0, -1]].tolist() == [[1, 0, 0, 0], [0, 0, 0, 1]]
    assert Bezier(degree=1).coefficients().tolist() == landscape.Line().coefficients().tolist()


@given(seeds, st.integers(0, 5), st.floats(0, 1), st.booleans())
def test_a_chain_is_straight_between_its_anchors(seed, bends, t, even) -> None:
    rng = np.random.default_rng(seed)
    anchors = rng.normal(size=(bends + 2, 3))
    knots = np.linspace(0, 1, bends + 2)
    if not even:
        steps = rng.uniform(0.1, 1, bends + 1)
        knots = np.concatenate([[0], np.cumsum(steps) / steps.sum()])
        knots[-1] = 1
    chain = PolyChain(bends=bends, knots=None if even else knots.tolist())
    row = chain.basis([t])[0]
    expected = [np.interp(t, knots, column) for column in anchors.T]
    np.testing.assert_allclose(row @ anchors, expected, atol=1e-12)
    assert np.count_nonzero(row) <= 2
    np.testing.assert_allclose(chain.basis(knots), np.eye(bends + 2), atol=1e-12)


def test_curves_refuse_what_cannot_be() -> None:
    with pytest.raises(landscape.LandscapeError, match="degree is at least 1"):
        Bezier(degree=0)
    with pytest.raises(landscape.LandscapeError, match=r"(?s)a knot for each end.*3 of them"):
        PolyChain(bends=1, knots=[0, 1])


def corners_of(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    while True:
        corners = rng.normal(size=(3, 2))
        sides = corners[1:] - corners[0]
        if abs(np.linalg.det(sides)) > 0.1 * np.square(sides).sum() ** 0.5:
            return corners


@given(seeds)
def test_a_plane_gives_back_its_coordinates(seed: int) -> None:
    corners = corners_of(seed)
    plane = Plane.around(corners, points=7)
    matrix = plane.coefficients()
    np.testing.assert_allclose(matrix.sum(1), 1)
    np.testing.assert_allclose(matrix @ corners, plane.positions, atol=1e-9)
    np.testing.assert_allclose(plane.basis(corners), np.eye(3), atol=1e-9)
    assert plane.shape == (len(plane.y), len(plane.x))
    assert max(plane.shape) == 7
    # one spacing both ways, and the corners inside with their margin
    steps = np.concatenate([np.diff(plane.x), np.diff(plane.y)])
    np.testing.assert_allclose(steps, steps[0])
    for k, axis in enumerate((plane.x, plane.y)):
        room = 0.2 * np.ptp(corners[:, k])
        assert axis[0] <= corners[:, k].min() - room + 1e-9
        assert axis[-1] >= corners[:, k].max() + room - 1e-9


def test_a_grid_lies_row_by_row() -> None:
    slice_ = Directions(x=[0, 1, 2], y=[-1, 1])
    assert slice_.shape == (2, 3)
    assert slice_.coefficients().tolist() == [[1, x, y] for y in (-1, 1) for x in (0, 1, 2)]
    line = Directions(x=[-1, 0])
    assert line.shape == (2,)
    assert line.coefficients().tolist() == [[1, -1], [1, 0]]


def test_planes_refuse_what_cannot_be() -> None:
    with pytest.raises(landscape.LandscapeError, match=r"(?s)finite and ascend.*Plane\(x\)"):
        Plane([[0, 0], [1, 0], [0, 1]], x=[1, 0], y=[0, 1])
    with pytest.raises(landscape.LandscapeError, match="not on one line"):
        Plane.around([[0, 0], [1, 0], [2, 0]])


@given(st.integers(1, 5), st.integers(1, 6))
def test_a_simplex_grid_holds_every_multiple_once(vertices: int, divisions: int) -> None:
    matrix = Simplex(vertices, divisions).coefficients()
    assert matrix.shape == (comb(divisions + vertices - 1, vertices - 1), vertices)
    counts = np.rint(matrix * divisions)
    np.testing.assert_allclose(matrix * divisions, counts, atol=1e-9)
    assert (counts >= 0).all()
    assert (counts.sum(1) == divisions).all()
    assert len({tuple(row) for row in counts}) == len(counts)


def test_a_simplex_is_sampled_evenly() -> None:
    points = SimplexSample(((0, 1, 2),), 3, np.ones(1), 20_000).coefficients()
    np.testing.assert_allclose(points.sum(1), 1)
    # of a flat distribution, each coordinate has mean 1/3 and variance 1/18
    np.testing.assert_allclose(points.mean(0), 1 / 3, atol=0.01)
    np.testing.assert_allclose(points.var(0), 1 / 18, atol=0.003)
    with pytest.raises(landscape.LandscapeError, match="at least one vertex"):
        Simplex(0)


@pytest.mark.parametrize("matrix", [np.ones(3), np.ones((4, 3)), np.full((2, 2), np.inf)])
def test_coefficients_must_fit_the_anchors(matrix: np.ndarray) -> None:
    with pytest.raises(landscape.LandscapeError, match=r"\(n_points, 2\)"):
        as_coefficients(matrix, 2)
