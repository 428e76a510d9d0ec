"""Gaps to affinities, affinities to a spectral embedding, the embedding to labels."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray

from landscape.core.arrays import Array, Labels
from landscape.core.errors import ConfigError

_AFFINITY_FLOOR = 1e-6  # keeps the graph connected where exp() underflows


def choose_delta(gaps: Array, delta: float | str) -> tuple[float, str]:
    """The affinity's scale: the median of gaps (n_pairs,), else their mean, else 1; or as given."""
    if delta == "median":
        return float(np.median(gaps) or gaps.mean() or 1.0) if len(gaps) else 1.0, "median"
    try:
        scale = float(delta)
    except ValueError:
        scale = math.nan
    if not 0 < scale < math.inf:
        raise ConfigError(
            "The affinity's scale cannot be used.",
            where="delta",
            expected="a positive number of nats, or 'median'",
            found=repr(delta),
        )
    return scale, "given"


def embed(affinity: Array, n_components: int, seed: int) -> Array:
    """Spectral embedding (n_models, n_components), first component kept."""
    from sklearn.manifold import spectral_embedding

    # ARPACK finds fewer components than models; sklearn's other solver is dense at this size
    solver = "arpack" if n_components < len(affinity) else "lobpcg"
    return np.asarray(
        spectral_embedding(
            np.maximum(affinity, _AFFINITY_FLOOR),
            n_components=n_components,
            eigen_solver=solver,
            random_state=seed,
            drop_first=False,
        )
    )


def cluster(embedding: Array, k: int, seed: int) -> Labels:
    """Labels (n_models,) by k-means; group 0 is the largest."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # models that coincide in the embedding can fill fewer than k clusters
        warnings.simplefilter("ignore", ConvergenceWarning)
        raw = KMeans(k, n_init=10, random_state=seed).fit_predict(embedding)
    return by_size(raw)


def by_size(labels: NDArray[np.integer]) -> Labels:
    """The same groups named by size: 0 is the largest; of equals, the one with the first model."""
    _, first, inverse, counts = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(first), dtype=np.intp)
    rank[np.lexsort((first, -counts))] = np.arange(len(first))
    return rank[inverse]


def two_sides(embedding: Array, labels: Labels) -> tuple[Labels, Array]:
    """Labels of two sides, and centroid distance: positive is nearer to side 1."""
    if labels.max() == 0:  # every model at one place
        return labels, np.zeros(len(labels))
    to_first, to_second = (
        np.linalg.norm(embedding - embedding[labels == side].mean(0), axis=1) for side in (0, 1)
    )
    distance = to_first - to_second
    return np.where(labels < 2, labels, (distance > 0).astype(np.intp)), distance
