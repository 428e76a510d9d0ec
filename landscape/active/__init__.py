"""Basins of a large population from few of its pairs."""

from landscape.active.confirm import Confirmation
from landscape.active.landmarks import farthest_points
from landscape.active.nystrom import nystrom_embedding
from landscape.active.oracle import gaps_and_errors
from landscape.active.result import Active
from landscape.active.search import default_budget, find_basins_actively

__all__ = [
    "Active",
    "Confirmation",
    "default_budget",
    "farthest_points",
    "find_basins_actively",
    "gaps_and_errors",
    "nystrom_embedding",
]
