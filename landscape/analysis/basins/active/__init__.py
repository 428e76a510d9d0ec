"""The answer for a large population, from few of its pairs."""

from landscape.analysis.basins.active.measured import gaps_and_errors
from landscape.analysis.basins.active.search import Active, default_budget, find_basins_actively

__all__ = ["Active", "default_budget", "find_basins_actively", "gaps_and_errors"]
