"""What is measured at points of weight space, one module an indicator; the loss is the first."""

from landscape.core.registry import load_modules
from landscape.indicators.registry import (
    INDICATORS,
    Indicator,
    Quantity,
    Reading,
    indicator,
    read_indicator,
)

load_modules(__name__, __path__)

__all__ = [
    "INDICATORS",
    "Indicator",
    "Quantity",
    "Reading",
    "indicator",
    "read_indicator",
]
