"""What is measured at points of weight space, one module an indicator; the loss is the first."""

from landscape.indicators import calibrated_loss, loss
from landscape.indicators.registry import (
    INDICATORS,
    Indicator,
    Quantity,
    Reading,
    indicator,
    read_indicator,
)

__all__ = [
    "INDICATORS",
    "Indicator",
    "Quantity",
    "Reading",
    "calibrated_loss",
    "indicator",
    "loss",
    "read_indicator",
]
