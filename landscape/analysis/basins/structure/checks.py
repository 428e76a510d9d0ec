"""What every part of the structure asks of its matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from landscape.core.arrays import Array
from landscape.core.errors import ConfigError


def check_numbers(tolerance: float, *counts: int) -> None:
    """Refuse a tolerance in nats or a count below 0.

    Raises:
        ConfigError: One is.
    """
    if not tolerance >= 0:
        raise ConfigError("The tolerance must not be negative.", found=tolerance)
    if min(counts, default=0) < 0:
        raise ConfigError("A number of triples or draws must not be negative.", found=min(counts))


def around(outer: Array, opposite: Array | None = None) -> Array:
    """(n,) sums over j, k of outer_ij opposite_jk outer_ki, of symmetric matrices."""
    between = outer if opposite is None else opposite
    return ((outer @ between) * outer).sum(1)


def ratio(part: Any, whole: Any) -> Any:
    """The quotient, NaN where there is nothing to share."""
    return np.where(whole > 0, part, np.nan) / np.where(whole > 0, whole, 1)
