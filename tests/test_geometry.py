from __future__ import annotations

import numpy as np
import pytest

import landscape
from landscape.geometry import as_coefficients


def test_line_mixes_its_ends() -> None:
    line = landscape.Line(points=11)
    coefficients = line.coefficients()
    assert coefficients.shape == (11, 2)
    a, b = np.array([1.0, -2.0]), np.array([3.0, 5.0])
    for t, row in zip(np.arange(11) / 10, coefficients, strict=True):
        np.testing.assert_allclose(row @ np.stack([a, b]), a + t * (b - a), atol=1e-15)
    assert coefficients[0].tolist() == [1, 0]
    assert coefficients[-1].tolist() == [0, 1]


def test_line_takes_uneven_positions() -> None:
    np.testing.assert_array_equal(landscape.Line(at=[0, 0.1, 1]).coefficients()[1], [0.9, 0.1])


@pytest.mark.parametrize("at", [[0, 0.5], [0.1, 1], [0, 0.6, 0.5, 1], [[0, 1]], [0, np.nan, 1]])
def test_line_refuses_positions_that_do_not_ascend_from_0_to_1(at: list[float]) -> None:
    with pytest.raises(landscape.LandscapeError, match="ascend from 0 to 1"):
        landscape.Line(at=at)


def test_line_refuses_one_point() -> None:
    with pytest.raises(landscape.LandscapeError, match="at least two points"):
        landscape.Line(points=1)


@pytest.mark.parametrize("matrix", [np.ones(3), np.ones((4, 3)), np.full((2, 2), np.inf)])
def test_coefficients_must_fit_the_anchors(matrix: np.ndarray) -> None:
    with pytest.raises(landscape.LandscapeError, match=r"\(n_points, 2\)"):
        as_coefficients(matrix, 2)
