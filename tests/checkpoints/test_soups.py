"""Recipes against what they should give, worked out another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import subspace_angles
from scipy.spatial import geometric_slerp

from landscape.checkpoints.soups import (
    greedy,
    slerp,
    uniform,
    weight_angle,
    weighted,
)
from landscape.core.errors import ConfigError
from landscape.evaluation import evaluate

RNG = np.random.default_rng(0)


def linear_models(n: int) -> tuple[list[dict[str, torch.Tensor]], torch.nn.Linear, list[object]]:
    """Noisy copies of a linear classifier, and data that the classifier itself labels."""
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(3, 8))
    inputs = torch.tensor(rng.normal(size=(400, 8)), dtype=torch.float32)
    labels = (inputs @ torch.tensor(truth, dtype=torch.float32).T).argmax(-1)
    noise = np.linspace(0.3, 3.0, n)[rng.permutation(n)]
    members = [
        {"weight": torch.tensor(truth + s * rng.normal(size=truth.shape), dtype=torch.float32)}
        for s in noise
    ]
    return members, torch.nn.Linear(8, 3, bias=False), [(inputs, labels)]


def test_uniform_and_weighted() -> None:
    np.testing.assert_array_equal(uniform(4), [0.25] * 4)
    np.testing.assert_allclose(weighted([1, 1, 2]), [0.25, 0.25, 0.5])
    np.testing.assert_allclose(weighted([-0.5, 1.5]), [-0.5, 1.5])
    for wrong in ([1, -1], [1, math.nan]):
        with pytest.raises(ConfigError, match="positive sum"):
            weighted(wrong)


def test_a_greedy_soup_is_what_souping_by_hand_gives() -> None:
    members, model, batches = linear_models(7)
    ((inputs, labels),) = batches  # type: ignore[misc]

    def accuracy_of(coefficients: np.ndarray) -> float:
        assert coefficients.shape == (7,)
        done = evaluate(model, members, coefficients[None], batches)
        return float((done.predictions[0] == labels.numpy()).mean())

    scores = [accuracy_of(row) for row in np.eye(7)]
    soup = greedy(7, accuracy_of)

    def by_hand(chosen: list[int]) -> float:
        mean = torch.stack([members[i]["weight"] for i in chosen]).mean(0)
        return float(((inputs @ mean.T).argmax(-1) == labels).float().mean())

    chosen: list[int] = []
    for member in sorted(range(7), key=lambda i: -scores[i]):
        if not chosen or by_hand([*chosen, member]) >= by_hand(chosen):
            chosen.append(member)
    assert 1 < len(chosen) < 7  # some help, some do not
    np.testing.assert_array_equal(np.flatnonzero(soup.coefficients), sorted(chosen))
    np.testing.assert_allclose(soup.coefficients[chosen], 1 / len(chosen))
    assert soup.members.tolist() == chosen
    assert soup.score == pytest.approx(by_hand(chosen), abs=1e-6)
    assert accuracy_of(soup.coefficients) >= max(scores)


def test_greedy_refuses_what_is_not_finite() -> None:
    with pytest.raises(ConfigError, match="score of a soup is not finite"):
        greedy(2, lambda row: math.nan)


@settings(deadline=None)
@given(st.floats(1e-5, math.pi - 0.1), st.integers(2, 6), st.integers(0, 99))
def test_slerp_is_scipys(angle: float, n_dims: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.normal(size=(n_dims, 2)))
    a = basis[:, 0]
    b = math.cos(angle) * a + math.sin(angle) * basis[:, 1]
    t = np.linspace(0, 1, 7)
    rows = slerp(angle, t)
    np.testing.assert_allclose(rows @ np.stack([a, b]), geometric_slerp(a, b, t), atol=1e-9)
    assert rows[0].tolist() == [1, 0]
    assert rows[-1].tolist() == [0, 1]


@pytest.mark.parametrize("angle", [0.0, 1e-6])
def test_slerp_of_nearly_parallel_ends_is_the_line(angle: float) -> None:
    t = np.linspace(0, 1, 5)
    np.testing.assert_allclose(slerp(angle, t), np.stack([1 - t, t], axis=1), atol=1e-12)


def test_slerp_of_opposite_ends_leads_nowhere() -> None:
    with pytest.raises(ConfigError, match="opposite directions"):
        slerp(math.pi, 0.5)


@pytest.mark.parametrize("length", [1.0, 2.0])
@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-5])
def test_angles_are_those_of_scipy(size: float, length: float) -> None:
    a = RNG.normal(size=50)
    b = length * a + size * RNG.normal(size=50)
    split = [{"x": v[:30].reshape(5, 6), "y": v[30:]} for v in (a, b)]
    tensors = [{name: torch.tensor(v) for name, v in part.items()} for part in split]
    expected = float(subspace_angles(a[:, None], b[:, None])[0])
    exact = {"rel": 1e-9} if length == 1 else {"abs": 1e-9}
    assert weight_angle(*tensors) == pytest.approx(expected, **exact)
    assert weight_angle(tensors[1], tensors[0]) == pytest.approx(expected, **exact)
