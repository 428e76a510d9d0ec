"""The structure of a gap matrix: who joins whom and at which level, and what no partition can say.

Juneja et al. 2023 (arXiv 2205.12411) asked this of the convexity gap by triangle inequality and
clustering coefficient.
"""

from landscape.analysis.basins.structure.coefficients import Clustering, clustering
from landscape.analysis.basins.structure.directed import Climbs, climbs, directed_links
from landscape.analysis.basins.structure.tree import fill_unmeasured, merge_heights
from landscape.analysis.basins.structure.triangles import (
    Triangles,
    Triple,
    count_triangles,
    structure_sentence,
)

__all__ = [
    "Climbs",
    "Clustering",
    "Triangles",
    "Triple",
    "climbs",
    "clustering",
    "count_triangles",
    "directed_links",
    "fill_unmeasured",
    "merge_heights",
    "structure_sentence",
]
