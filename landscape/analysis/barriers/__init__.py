"""Loss curves to barriers: rules by name, and their intervals over examples."""

from landscape.analysis.barriers.intervals import GapIntervals, bootstrap_gaps
from landscape.analysis.barriers.rule import RULES, BarrierRule, barrier_rule
from landscape.analysis.barriers.rules import barrier_height, convexity_gap, rises_over

__all__ = [
    "RULES",
    "BarrierRule",
    "GapIntervals",
    "barrier_height",
    "barrier_rule",
    "bootstrap_gaps",
    "convexity_gap",
    "rises_over",
]
