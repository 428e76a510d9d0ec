"""Ensembles and calibration of probabilities against scipy, scikit-learn and sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import brier_score_loss

from landscape.analysis.statistics.calibration import brier, calibration_error, ensemble
from landscape.core.errors import ConfigError

RNG = np.random.default_rng(0)


def test_an_ensemble_averages_probabilities() -> None:
    logits = 5 * RNG.normal(size=(4, 30, 3))
    found = ensemble(logits)
    np.testing.assert_allclose(np.exp(found), softmax(logits, axis=-1).mean(0), atol=1e-12)
    assert np.isfinite(ensemble(np.array([[[0.0, 2000.0]], [[0.0, 3000.0]]]))).all()
    with pytest.raises(ConfigError, match=r"\(n_models, n_examples, n_labels\)"):
        ensemble(logits[0])


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(2, 5), st.integers(1, 20), st.integers(0, 999))
def test_calibration_error_is_the_sum_over_bins(n: int, k: int, n_bins: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(k), size=(2, n))
    labels = rng.integers(k, size=n)
    for point in range(2):
        total, counted = 0.0, 0
        for m in range(n_bins):
            confidence = [
                (p.max(), p.argmax() == y)
                for p, y in zip(probs[point], labels, strict=True)
                if m / n_bins < p.max() <= (m + 1) / n_bins
            ]
            if confidence:
                means = np.mean(confidence, axis=0)
                total += len(confidence) / n * abs(means[1] - means[0])
                counted += len(confidence)
        assert counted == n
        found = calibration_error(probs, labels, n_bins)
        assert found.shape == (2,)
        assert found[point] == pytest.approx(total, abs=1e-9)


def test_brier_is_scikit_learns() -> None:
    probs = RNG.dirichlet(np.ones(2), size=50)
    labels = RNG.integers(2, size=50)
    expected = 2 * brier_score_loss(labels, probs[:, 1])
    assert brier(probs, labels) == pytest.approx(expected)
    curve = np.stack([probs, probs[:, ::-1]])
    np.testing.assert_allclose(brier(curve, labels), [expected, brier(probs[:, ::-1], labels)])


def test_what_are_no_probabilities() -> None:
    even = np.full((3, 2), 0.5)
    for measure in (calibration_error, brier):
        with pytest.raises(ConfigError, match="of log-probabilities, the exponential"):
            measure(np.log(even), [0, 1, 0])
        with pytest.raises(ConfigError, match="indices"):
            measure(even, [0, 1, 2])
