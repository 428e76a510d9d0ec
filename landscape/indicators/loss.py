"""The loss of every example, and what the model says of it: what barriers are made of."""

from __future__ import annotations

import numpy as np

from landscape.indicators.registry import Indicator, Quantity, Reading, indicator


@indicator
class Loss(Indicator):
    """Cross-entropy in nats, and predictions; it is always measured."""

    name = "loss"
    text = "cross-entropy of each example, and its predicted label"

    def measure(self, reading: Reading) -> dict[str, Quantity]:
        """``losses`` and ``predictions``, (n_points, n_examples)."""
        return {
            "losses": Quantity(reading.losses.astype(np.float32), ("example",), "nats"),
            "predictions": Quantity(reading.predictions.astype(np.uint8), ("example",)),
        }
