"""Principal planes from inner products, against the singular values of the weights themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from landscape.checkpoints.gram_matrix import gram
from landscape.core.errors import ConfigError
from landscape.paths import Geometry, Span, pca

seeds = st.integers(0, 2**32 - 1)


def trajectory(seed: int, n: int = 6, size: int = 40) -> np.ndarray:
    """(n, size) weights of checkpoints along a training run, far from the origin."""
    rng = np.random.default_rng(seed)
    return 5 * rng.normal(size=size) + np.cumsum(rng.normal(size=(n, size)), axis=0)


def inner(weights: np.ndarray) -> np.ndarray:
    anchors = [
        {"a": torch.tensor(w[:24]).reshape(4, 6), "b": torch.tensor(w[24:])} for w in weights
    ]
    return gram(anchors)


@given(seeds, st.integers(3, 8), st.integers(1, 2), st.sampled_from(["mean", 0, -1]))
def test_it_is_the_singular_value_decomposition_of_the_weights(
    seed: int, n: int, n_dims: int, origin: str | int
) -> None:
    weights = trajectory(seed, n)
    found = pca(inner(weights), n_dims, origin=origin)  # type: ignore[arg-type]
    _, s, vt = np.linalg.svd(weights - weights.mean(0), full_matrices=False)
    axes = found.axes @ weights
    np.testing.assert_allclose(np.abs(np.sum(axes * vt[:n_dims], axis=1)), 1, atol=1e-6)
    np.testing.assert_allclose(axes @ axes.T, np.eye(n_dims), atol=1e-8)
    np.testing.assert_allclose(found.explained, (s**2 / np.sum(s**2))[:n_dims], rtol=1e-7)
    start = weights.mean(0) if origin == "mean" else weights[int(origin)]
    np.testing.assert_allclose(found.origin @ weights, start, atol=1e-10)
    coordinates = (weights - start) @ axes.T
    np.testing.assert_allclose(found.coordinates, coordinates, atol=1e-7)
    left = weights - start - coordinates @ axes
    np.testing.assert_allclose(found.off_plane, np.linalg.norm(left, axis=1), atol=1e-6)
    np.testing.assert_allclose(found.axes.sum(1), 0, atol=1e-8)
    # the sign: the first checkpoint far out lies at a negative coordinate
    for column in (found.coordinates - found.coordinates.mean(0)).T:
        far = np.flatnonzero(np.abs(column) >= np.abs(column).max() * 0.5000001)
        assert column[far[0]] < 0


@given(seeds, st.integers(0, 5))
def test_what_the_differences_are_taken_from_does_not_matter(seed: int, origin: int) -> None:
    weights = trajectory(seed)
    moved = weights - weights[origin]
    first, other = pca(inner(weights)), pca(moved @ moved.T)
    # and neither does a point that is no checkpoint
    zero = pca(weights @ weights.T)
    for name in ("axes", "coordinates", "explained", "off_plane"):
        for found in (other, zero):
            np.testing.assert_allclose(getattr(found, name), getattr(first, name), atol=1e-5)


@given(seeds)
def test_a_span_is_its_origin_plus_steps_along_its_axes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = trajectory(seed)
    found = pca(inner(weights), origin=-1)
    x, y = np.sort(rng.normal(size=4)), np.sort(rng.normal(size=3))
    span = Span(found.origin, found.axes, x, y)
    assert isinstance(span, Geometry)
    assert max(found.span(points=15).shape) == 15
    assert span.shape == (3, 4)
    axes = found.axes @ weights
    made = span.coefficients() @ weights
    for row, theta in enumerate(made):
        i, j = divmod(row, 4)
        assert span.positions[row].tolist() == [x[j], y[i]]
        np.testing.assert_allclose(theta, weights[-1] + x[j] * axes[0] + y[i] * axes[1], atol=1e-8)
    np.testing.assert_allclose(span.coefficients().sum(1), 1, atol=1e-9)
    np.testing.assert_array_equal(span.basis(span.positions), span.coefficients())


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(ConfigError, match=r"(?s)principal axes.*from 1 to 3 for 4 checkpoints"):
        pca(inner(trajectory(0, 4)), 4)
    line = np.outer(np.arange(4.0), np.ones(40))
    with pytest.raises(ConfigError, match=r"(?s)fewer dimensions.*at most 1"):
        pca(inner(line))
    with pytest.raises(ConfigError, match=r"(?s)ascend.*Span\(y\)"):
        Span(np.ones(3), np.ones((2, 3)), np.arange(2), np.array([1, 0]))
