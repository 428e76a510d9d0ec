"""Partitions of a population compared: do losses, behavior and weights find the same basins?"""

from landscape.analysis.basins.partitions.compare import compare_partitions, rand_p_value
from landscape.analysis.basins.partitions.matrices import disagreement, matrix_agreement

__all__ = ["compare_partitions", "disagreement", "matrix_agreement", "rand_p_value"]
