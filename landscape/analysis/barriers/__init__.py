"""Loss curves to barriers: rules by name, curves without a barrier, intervals over examples."""

from landscape.analysis.barriers.intervals import GapIntervals, bootstrap_gaps
from landscape.analysis.barriers.null_curves import convex_envelope, null_curve
from landscape.analysis.barriers.rules import (
    RULES,
    area_above_minimum,
    barrier_height,
    bump_height,
    convexity_gap,
    max_endpoint_barrier,
    mean_endpoint_barrier,
    saddle,
    signed_deviation,
)

__all__ = [
    "RULES",
    "GapIntervals",
    "area_above_minimum",
    "barrier_height",
    "bootstrap_gaps",
    "bump_height",
    "convex_envelope",
    "convexity_gap",
    "max_endpoint_barrier",
    "mean_endpoint_barrier",
    "null_curve",
    "saddle",
    "signed_deviation",
]
