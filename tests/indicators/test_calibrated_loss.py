"""Temperatures against a dense grid of them, and what no temperature may change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landscape.indicators.calibrated_loss import calibrated_losses
from landscape.run.config import ExperimentConfig


def case(seed: int, n: int = 41, n_points: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are right more often than not, with a confidence of their own."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    logits = rng.normal(size=(n_points, n, 3)) + 0.8 * np.eye(3)[labels]
    return logits * rng.lognormal(0, 1.5, (n_points, 1, 1)), labels


def losses_at(logits: np.ndarray, labels: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """(n_temperatures, n_examples) cross-entropy, spelled out."""
    scaled = logits[None] / temperature[:, None, None]
    scaled = scaled - scaled.max(2, keepdims=True)
    return np.log(np.exp(scaled).sum(2)) - scaled[:, np.arange(len(labels)), labels]


@pytest.mark.parametrize("seed", range(4))
def test_each_half_is_read_at_the_best_temperature_of_the_other(seed: int) -> None:
    logits, labels = case(seed)
    losses, temperatures = calibrated_losses(logits, labels, seed=seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    first, second = order[:21], order[21:]
    grid = np.exp(np.linspace(-5, 5, 5001))
    for point, values in enumerate(logits):
        for half, (own, other) in enumerate(((first, second), (second, first))):
            n = len(other)
            any_label = [losses_at(values[other], np.full(n, k), grid).mean(1) for k in range(3)]
            total = losses_at(values[other], labels[other], grid).sum(1) + np.mean(any_label, 0)
            best = grid[total.argmin()]
            assert temperatures[point, half] == pytest.approx(best, rel=3e-3)
            expected = losses_at(values[own], labels[own], np.array([best]))[0]
            np.testing.assert_allclose(losses[point, own], expected, atol=0.02)


@settings(max_examples=25)
@given(seed=st.integers(0, 999), scale=st.floats(0.05, 20), shift=st.floats(-50, 50))
def test_confidence_alone_changes_nothing(seed: int, scale: float, shift: float) -> None:
    logits, labels = case(seed, n_points=1)
    losses, temperatures = calibrated_losses(logits, labels)
    again, scaled = calibrated_losses(scale * logits + shift, labels)
    inside = np.abs(np.log([temperatures, scaled])).max() < 5.5
    if inside:
        np.testing.assert_allclose(again, losses, atol=5e-3)
        np.testing.assert_allclose(scaled, scale * temperatures, rtol=5e-3)


def test_it_is_measured_where_nothing_else_is_said() -> None:
    config = ExperimentConfig(name="x", checkpoints=["a", "b"], task="mnli")
    assert [indicator.name for indicator in config.indicators] == ["calibrated_loss"]
    assert config.indicators[0].on == ("in_domain",)


def test_halves_without_an_error_ask_for_no_endless_confidence() -> None:
    labels = np.zeros(400, dtype=int)
    logits = np.tile([4.0, -4.0], (1, 400, 1))
    logits[0, 7] = [-1.0, 1.0]
    losses, temperatures = calibrated_losses(logits, labels)
    # about one wrong prediction in as many examples as there are
    assert temperatures.min() > 1
    assert losses.max() < 2
    assert losses.mean() < 0.01


def test_what_has_no_temperature_is_read_as_it_is() -> None:
    logits, labels = case(0)
    losses, temperatures = calibrated_losses(logits[:, :1], labels[:1])
    assert temperatures[:, 0].tolist() == [1, 1]  # no other example to fit one on
    plain = [losses_at(point, labels[:1], np.ones(1))[0] for point in logits[:, :1]]
    np.testing.assert_allclose(losses, plain)
    logits[0, 3] = np.nan
    losses, temperatures = calibrated_losses(logits, labels)
    assert 1.0 in temperatures[0]
    assert np.isfinite(losses[1]).all()
    assert np.isnan(losses[0]).sum() == 1
