"""Gap matrix to basins: affinity, spectral embedding, labels, how many, and how sure."""

from landscape.analysis.basins.answer import Division, divide
from landscape.analysis.basins.find import Basins, Shown, find_basins, order_by_basin
from landscape.analysis.basins.groups import Groups, cut_into
from landscape.analysis.basins.membership import Membership
from landscape.analysis.basins.mixture import Mixture
from landscape.analysis.basins.number import Evidence

__all__ = [
    "Basins",
    "Division",
    "Evidence",
    "Groups",
    "Membership",
    "Mixture",
    "Shown",
    "cut_into",
    "divide",
    "find_basins",
    "order_by_basin",
]
