"""An indicator of one's own: this class, and its name in the configuration."""

from __future__ import annotations

import numpy as np

from landscape.indicators import Indicator, Quantity, Reading


class Margin(Indicator):
    """How far the right label's logit stands above the best other one.

    Attributes:
        scale: What margins are divided by.
    """

    name = "margin"
    text = "the right label's logit less the largest other one"

    scale: float = 1.0

    def measure(self, reading: Reading) -> dict[str, Quantity]:
        """``margins`` (n_points, n_examples), and the ``share`` above 0 of each point."""
        rows = np.arange(len(reading.labels))
        others = reading.logits.copy()
        others[:, rows, reading.labels] = -np.inf
        margins = (reading.logits[:, rows, reading.labels] - others.max(2)) / self.scale
        return {
            "margins": Quantity(margins.astype(np.float32), ("example",)),
            "share": Quantity((margins > 0).mean(1), unit="1"),
        }
