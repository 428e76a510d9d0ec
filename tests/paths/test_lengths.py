from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import landscape
from landscape.checkpoints.gram_matrix import gram
from landscape.core.errors import ConfigError
from landscape.paths import (
    Bezier,
    PolyChain,
    arc_lengths,
    coordinates,
    distances,
    path_mean,
    volume,
)

seeds = st.integers(0, 2**32 - 1)


def anchors_of(seed: int, n: int) -> tuple[list[dict[str, torch.Tensor]], np.ndarray]:
    """Anchors of two tensors, and the same as rows."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 10))
    return [
        {"w": torch.tensor(row[:6]).reshape(2, 3), "b": torch.tensor(row[6:])} for row in rows
    ], rows


@given(seeds, st.integers(1, 5))
def test_the_gram_matrix_is_that_of_flat_differences(seed: int, n: int) -> None:
    anchors, rows = anchors_of(seed, n)
    moved = rows - rows[0]
    np.testing.assert_allclose(gram(anchors), moved @ moved.T, atol=1e-12)


@given(seeds)
def test_distances_and_lengths_are_those_of_the_points(seed: int) -> None:
    anchors, rows = anchors_of(seed, 3)
    inner = gram(anchors)
    direct = np.linalg.norm(rows[:, None] - rows[None], axis=-1)
    np.testing.assert_allclose(distances(inner), direct, atol=1e-9)
    for path in (Bezier(9), PolyChain(5)):
        matrix = path.coefficients()
        points = matrix @ rows
        steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
        np.testing.assert_allclose(arc_lengths(inner, matrix), [0, *np.cumsum(steps)], atol=1e-9)
    np.testing.assert_allclose(
        distances(inner, matrix), np.linalg.norm(points[:, None] - points[None], axis=-1), atol=1e-7
    )


@given(seeds)
def test_the_mean_along_a_path_is_an_integral_over_its_length(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = np.concatenate([[0], np.cumsum(rng.uniform(0.1, 2, 6))])
    slope, start = rng.normal(size=2)
    # of a straight function, the value half-way
    found = path_mean(start + slope * lengths, lengths)
    assert found == pytest.approx(start + slope * lengths[-1] / 2)
    assert path_mean([1.0, 3.0], [0, 0]) == 2


@given(seeds, st.integers(1, 3), st.integers(0, 2))
def test_coordinates_keep_the_distances_of_what_spans_them(seed, n_dims, more) -> None:
    anchors, rows = anchors_of(seed, n_dims + 1 + more)
    found = coordinates(gram(anchors), n_dims)
    assert found.shape == (n_dims + 1 + more, n_dims)
    core = slice(0, n_dims + 1)
    direct = np.linalg.norm(rows[core, None] - rows[None, core], axis=-1)
    between = np.linalg.norm(found[core, None] - found[None, core], axis=-1)
    np.testing.assert_allclose(between, direct, atol=1e-9)
    # Gram and Schmidt by QR, signs made positive
    q, r = np.linalg.qr((rows[1 : n_dims + 1] - rows[0]).T)
    q = q * np.sign(np.diag(r))
    np.testing.assert_allclose(found, (rows - rows[0]) @ q, atol=1e-9)


@given(seeds, st.integers(1, 5))
def test_the_volume_is_cayley_and_mengers(seed: int, n: int) -> None:
    anchors, rows = anchors_of(seed, n)
    squares = np.square(rows[:, None] - rows[None]).sum(-1)
    bordered = np.ones((n + 1, n + 1))
    bordered[0, 0] = 0
    bordered[1:, 1:] = squares
    k = n - 1
    square = (-1) ** (k + 1) * np.linalg.det(bordered) / (2**k * math.factorial(k) ** 2)
    assert volume(gram(anchors)) == pytest.approx(math.sqrt(max(square, 0)), rel=1e-6)


def test_errors_say_what_is_wrong() -> None:
    flat = [{"w": torch.tensor(v)} for v in ([0.0, 0.0], [1.0, 1.0], [2.0, 2.0])]
    with pytest.raises(ConfigError, match="depend on each other"):
        coordinates(gram(flat))
    with pytest.raises(ConfigError, match="There are no anchors"):
        gram([])
    with pytest.raises(ConfigError, match="lacks the parameter 'w'"):
        gram([flat[0], {"v": torch.zeros(2)}])


def test_checkpoints_on_disk_are_measured_as_they_are(populations) -> None:
    members = [landscape.load_checkpoint(populations["bert"] / f"member-{i}") for i in range(2)]
    squares = sum(
        float((members[0].params[n].double() - members[1].params[n].double()).square().sum())
        for n in members[0].params
    )
    assert distances(gram(members))[0, 1] == pytest.approx(math.sqrt(squares))
