"""Predicted probabilities: those of an ensemble, and how far they can be believed; no torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax, logsumexp

from landscape.core.errors import ConfigError


def ensemble(logits: ArrayLike) -> np.ndarray:
    """Log-probabilities of the mean of several models' probabilities.

    Lakshminarayanan et al. 2017, arXiv 1612.01474.

    Args:
        logits: (n_models, n_examples, n_labels), an ``Evaluation``'s for instance.

    Returns:
        (n_examples, n_labels), in nats.

    Raises:
        ConfigError: Another shape, or no models.
    """
    array = np.asarray(logits, dtype=np.float64)
    if array.ndim != 3 or not len(array):
        raise ConfigError(
            "An ensemble is made of the logits of its models.",
            where="ensemble(logits)",
            expected="(n_models, n_examples, n_labels)",
            found=f"shape {array.shape}",
        )
    return logsumexp(log_softmax(array, axis=-1), axis=0) - np.log(len(array))


def calibration_error(probs: ArrayLike, labels: ArrayLike, n_bins: int = 15) -> Any:
    """Expected calibration error: how far confidence and accuracy lie apart, in [0, 1].

    sum_m |B_m| / n |accuracy(B_m) - confidence(B_m)| over bins of equal width,
    ((m - 1) / n_bins, m / n_bins], of the largest probability. Guo et al. 2017, arXiv 1706.04599.

    Args:
        probs: (..., n_examples, n_labels) probabilities; each point of a curve or surface has its
            own value.
        labels: (n_examples,) label indices.
        n_bins: How many bins; the value depends on it.

    Returns:
        (...), or a number.

    Raises:
        ConfigError: No probabilities, labels that do not fit them, or no bins.
    """
    if n_bins < 1:
        raise ConfigError("There must be at least one bin.", where="n_bins", found=n_bins)
    p, y = _checked(probs, labels)
    confidence = p.max(-1)
    gap = (p.argmax(-1) == y) - confidence
    # the bin of (0, 1 / n_bins] is 0; rounding must not push a confidence of 1 out of the last one
    place = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    total = np.zeros(p.shape[:-2])
    for number in range(n_bins):
        total += np.abs(np.where(place == number, gap, 0.0).sum(-1))
    return (total / len(y))[()]


def brier(probs: ArrayLike, labels: ArrayLike) -> Any:
    """Brier score: the mean squared distance to the right label's one-hot vector, in [0, 2].

    Summed over labels, as Brier (1950) has it; halved, it is what is often used for two labels.

    Args:
        probs: (..., n_examples, n_labels) probabilities.
        labels: (n_examples,) label indices.

    Returns:
        (...), or a number.

    Raises:
        ConfigError: No probabilities, or labels that do not fit them.
    """
    p, y = _checked(probs, labels)
    return ((p - np.eye(p.shape[-1])[y]) ** 2).sum(-1).mean(-1)[()]


def _checked(probs: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    p, y = np.asarray(probs, dtype=np.float64), np.asarray(labels)
    if p.ndim < 2 or y.shape != p.shape[-2:-1] or not y.size:
        raise ConfigError(
            "The labels do not fit the probabilities.",
            expected="probs (..., n_examples, n_labels), labels (n_examples,), at least one",
            found=f"probs {p.shape}, labels {y.shape}",
        )
    if y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= p.shape[-1]:
        raise ConfigError(
            "The labels must be indices of the probabilities' last axis.",
            expected=f"0 to {p.shape[-1] - 1}",
            found=sorted(set(y.tolist()))[:10],
        )
    # of what came from float32, a sum is 1 to six digits
    if not ((p >= 0).all() and np.allclose(p.sum(-1), 1, atol=1e-4)):
        raise ConfigError(
            "These are no probabilities: they must be 0 or more and sum to 1.",
            found=f"from {p.min():g} to {p.max():g}, sums from {p.sum(-1).min():g} to "
            f"{p.sum(-1).max():g}",
            fix="of logits, take the softmax; of log-probabilities, the exponential",
        )
    return p, y
