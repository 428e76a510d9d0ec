"""Basins of a large population from few of its pairs."""

from landscape.analysis.basins.active.confirm import Confirmation
from landscape.analysis.basins.active.landmarks import farthest_points
from landscape.analysis.basins.active.nystrom import nystrom_embedding
from landscape.analysis.basins.active.oracle import gaps_and_errors
from landscape.analysis.basins.active.result import Active
from landscape.analysis.basins.active.search import default_budget, find_basins_actively

__all__ = [
    "Active",
    "Confirmation",
    "default_budget",
    "farthest_points",
    "find_basins_actively",
    "gaps_and_errors",
    "nystrom_embedding",
]
