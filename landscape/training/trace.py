"""Whether a training is at its end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Convergence:
    """Whether the training loss still falls at the end.

    Attributes:
        last: Mean loss of the last quarter of the steps, nats.
        before: Mean loss of the quarter before it, nats.
        error: Standard error of their difference, nats, from means of tenths of a quarter.
        converged: Whether the fall is within two standard errors.
    """

    last: float
    before: float
    error: float
    converged: bool


def convergence(losses: np.ndarray) -> Convergence:
    """Compare the last two quarters of a trace of losses (n_steps,)."""
    quarter = len(losses) // 4
    if quarter < 2:
        return Convergence(*(float(np.mean(losses)),) * 2, np.nan, False)
    last, before = losses[-quarter:], losses[-2 * quarter : -quarter]
    # neighbouring steps share batches and drift: blocks, not steps, are the observations
    blocks = [
        [part.mean() for part in np.array_split(half, min(10, quarter))] for half in (last, before)
    ]
    error = float(np.sqrt(sum(np.var(b, ddof=1) / len(b) for b in blocks)))
    fall = float(before.mean() - last.mean())
    return Convergence(float(last.mean()), float(before.mean()), error, fall <= 2 * error)
