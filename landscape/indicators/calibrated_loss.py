"""The loss with the logits of each point divided by one temperature, which others' labels chose.

A barrier in raw loss can be confidence alone: averaged heads give short logits. What is left of it
here is not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from landscape.indicators.registry import Indicator, Quantity, Reading, Role, indicator

_WIDEST = 6.0  # of the logarithm of a temperature


@indicator
class CalibratedLoss(Indicator):
    """Cross-entropy in nats after temperature scaling, cross-fitted over halves of the examples.

    Attributes:
        seed: Of the halves.
    """

    name = "calibrated_loss"
    text = "cross-entropy of each example, its logits divided by a temperature fitted on others"
    source = "arXiv:1706.04599"

    on: tuple[Role, ...] = ("in_domain",)
    seed: int = 0

    def measure(self, reading: Reading) -> dict[str, Quantity]:
        """``losses`` (n_points, n_examples), and ``temperature`` (n_points, 2), one a half."""
        losses, temperatures = calibrated_losses(reading.logits, reading.labels, seed=self.seed)
        return {
            "losses": Quantity(losses.astype(np.float32), ("example",), "nats"),
            "temperature": Quantity(temperatures, ("half",)),
        }


def calibrated_losses(
    logits: ArrayLike, labels: ArrayLike, *, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Losses under one temperature a point, fitted on the other half of the examples.

    Fitted by likelihood as if there were one example more, an average one whose label is drawn at
    random: a half that is all predicted right would else ask for a temperature of 0, under which
    one wrong prediction of the other half costs without bound.

    Args:
        logits: (n_points, n_examples, n_labels).
        labels: (n_examples,) indices.
        seed: Of the two random halves.

    Returns:
        (n_points, n_examples) nats, and (n_points, 2) the temperature that each half was read at.
        It is 1 where the other half is empty or has logits that are not finite.
    """
    scores, right = np.asarray(logits, np.float64), np.asarray(labels)
    order = np.random.default_rng(seed).permutation(len(right))
    halves = np.array_split(order, 2)
    losses, temperatures = np.empty(scores.shape[:2]), np.ones((len(scores), 2))
    for half, (rows, other) in enumerate((halves, halves[::-1])):
        for point, values in enumerate(scores):
            temperatures[point, half] = _temperature(values[other], right[other])
            scaled = values[rows] / temperatures[point, half]
            losses[point, rows] = _cross_entropy(scaled, right[rows])
    return losses, temperatures


def _cross_entropy(logits: NDArray[np.float64], labels: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.asarray(logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels])


def _temperature(logits: NDArray[np.float64], labels: NDArray[np.integer]) -> float:
    if not len(labels) or not np.isfinite(logits).all():
        return 1.0

    def cost(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        norm = logsumexp(scaled, axis=1)
        right = scaled[np.arange(len(labels)), labels]
        return float((norm - right).sum() + (norm - scaled.mean(1)).mean())

    fitted = minimize_scalar(cost, bounds=(-_WIDEST, _WIDEST), method="bounded")
    return float(np.exp(fitted.x))
