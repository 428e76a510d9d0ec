"""Gap matrix to basins: affinity, spectral embedding, labels, how many, and how sure."""

from landscape.analysis.basins.find import Basins, cut_into, find_basins, order_by_basin
from landscape.analysis.basins.membership import Membership
from landscape.analysis.basins.mixture import Mixture
from landscape.analysis.basins.number import Evidence

__all__ = [
    "Basins",
    "Evidence",
    "Membership",
    "Mixture",
    "cut_into",
    "find_basins",
    "order_by_basin",
]
