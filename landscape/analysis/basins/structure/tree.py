"""The level at which two models join: single linkage of the gaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform

from landscape.analysis.basins.checks import check_gaps
from landscape.core.arrays import Array


def merge_heights(gaps: ArrayLike) -> Array:
    """The level at which two models join: the least largest gap of any chain between them.

    Single linkage's heights are the edges of the minimum spanning tree (Gower and Ross 1969).
    """
    matrix = check_gaps(gaps, complete=False)
    if len(matrix) < 2:
        return matrix
    beyond = np.nanmax(matrix) + 1.0  # what is not measured joins after all that is
    pairs = squareform(np.where(np.isnan(matrix), beyond, matrix), checks=False)
    heights = squareform(cophenet(linkage(pairs, method="single")))
    return np.where(heights < beyond, heights, np.nan)


def fill_unmeasured(gaps: ArrayLike, pairs: ArrayLike) -> Array:
    """Gaps with the pairs that were never measured at their merge height, the least they can be."""
    matrix, ends = np.asarray(gaps, dtype=np.float64), np.asarray(pairs)
    measured = np.eye(len(matrix), dtype=bool)
    measured[ends[:, 0], ends[:, 1]] = measured[ends[:, 1], ends[:, 0]] = True
    return matrix if measured.all() else np.where(measured, matrix, merge_heights(matrix))
