"""The spectral embedding of a whole population from its gaps to a few landmarks."""

from __future__ import annotations

import numpy as np

from landscape.core.arrays import Array, Labels


def nystrom_embedding(
    gaps: Array, landmarks: Labels, *, delta: float, weights: Array, n_components: int
) -> Array:
    """Eigenvectors of the random walk on exp(-gap^2 / 2 delta^2), extended from the landmarks.

    A landmark stands for as many models as its weight says (Williams and Seeger 2001; Fowlkes et
    al. 2004; Zhang and Kwok 2010). With all models as landmarks it is the spectral embedding.
    """
    # the floor keeps a model that is far from every landmark connected
    affinity = np.maximum(np.exp(-0.5 * (gaps / delta) ** 2), 1e-6) * weights
    walk = affinity / affinity.sum(1, keepdims=True)
    degrees = affinity[landmarks].sum(1)
    scale = np.sqrt(degrees * weights)
    # similar to the walk between landmarks, symmetric: sqrt(w_l / d_l) S_lm sqrt(w_m / d_m)
    symmetric = walk[landmarks] * scale[:, None] / scale
    values, vectors = np.linalg.eigh((symmetric + symmetric.T) / 2)
    leading = [c for c in np.argsort(-values)[:n_components] if values[c] > 1e-9]
    embedding = np.zeros((len(gaps), n_components))
    extended = walk @ (vectors[:, leading] / scale[:, None]) / values[leading]
    extended /= np.sqrt((extended**2).mean(0))
    extended *= np.sign(extended[np.abs(extended).argmax(0), np.arange(len(leading))])
    embedding[:, : len(leading)] = extended
    return embedding
