"""Gap matrix to basins: affinity, spectral embedding, labels, how many, and how sure."""

from landscape.basins.find import Basins, find_basins, leaf_order, order_by_basin
from landscape.basins.membership import Membership
from landscape.basins.mixture import Mixture
from landscape.basins.number import Evidence

__all__ = [
    "Basins",
    "Evidence",
    "Membership",
    "Mixture",
    "find_basins",
    "leaf_order",
    "order_by_basin",
]
