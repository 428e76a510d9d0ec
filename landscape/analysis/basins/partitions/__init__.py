"""Partitions of a population compared: do losses, behavior and weights find the same basins?"""

from landscape.analysis.basins.partitions.compare import (
    adjusted_mutual_information,
    adjusted_rand,
    compare_partitions,
    rand_p_value,
    variation_of_information,
)
from landscape.analysis.basins.partitions.matrices import functional_distances, matrix_agreement

__all__ = [
    "adjusted_mutual_information",
    "adjusted_rand",
    "compare_partitions",
    "functional_distances",
    "matrix_agreement",
    "rand_p_value",
    "variation_of_information",
]
