"""How well labels separate a gap matrix, for many matrices at a time."""

from __future__ import annotations

import math

import numpy as np

from landscape.core.arrays import Array, Labels, Mask


def silhouettes(gaps: Array, labels: Labels, k: int) -> Array:
    """scikit-learn's silhouette_samples (..., n) of labels (..., n) on many gaps (..., n, n)."""
    member = labels[..., None] == np.arange(k)
    sizes = member.sum(-2)
    sums = gaps @ member.astype(np.float64)
    size_of_group = np.take_along_axis(sizes, labels, -1)
    within = np.take_along_axis(sums, labels[..., None], -1)[..., 0] / np.maximum(
        size_of_group - 1, 1
    )
    others = sums / np.maximum(sizes, 1)[..., None, :]
    # a group without models, or a model's own, is never the nearest other one
    nearest = np.where(member | (sizes == 0)[..., None, :], np.inf, others).min(-1)
    larger = np.maximum(within, nearest)
    counts = (size_of_group > 1) & (larger > 0) & np.isfinite(larger)
    return np.asarray(np.where(counts, nearest - within, 0) / np.where(counts, larger, 1))


def fewest(scores: Array, eligible: Mask | bool = True) -> int:
    """The first of several divisions that falls short of the best by a standard error at most.

    Of the paired difference, over models (Breiman et al. 1984, for trees): where numbers nearly
    tie, a few models more or less would decide; more basins want a reason.
    """
    allowed = np.broadcast_to(eligible, len(scores))
    means = np.where(allowed, scores.mean(1), -np.inf)
    short = scores[int(means.argmax())] - scores
    error = short.std(1, ddof=1) / math.sqrt(scores.shape[1])
    return int(np.argmax(allowed & (short.mean(1) <= error)))


def cuts(trees: Array, most: int) -> dict[int, Labels]:
    """Labels (n_trees, n) of trees (n_trees, n - 1, 4) cut into ``most`` down to 2 groups."""
    n_trees, n = len(trees), trees.shape[1] + 1
    names = np.tile(np.arange(n), (n_trees, 1))  # the trees' own names of each model's group
    labels = {}
    for merge in range(n - 1):
        if n - merge <= most:
            present = np.zeros((n_trees, n + merge), dtype=bool)
            np.put_along_axis(present, names, True, axis=1)
            labels[n - merge] = np.take_along_axis(present.cumsum(1) - 1, names, axis=1)
        merged = (names[..., None] == trees[:, None, merge, :2]).any(-1)
        names[merged] = n + merge
    return labels


def separation(gaps: Array, labels: Labels) -> float:
    """The smallest median gap between two groups; -inf where there is one group only."""
    members = [labels == group for group in range(labels.max() + 1)]
    medians = [
        float(np.median(gaps[np.ix_(first, second)]))
        for i, first in enumerate(members)
        for second in members[:i]
    ]
    return min(medians, default=-math.inf)


def mean_separation(gaps: Array, labels: Labels, k: int) -> Array:
    """The smallest mean gap between two of k groups, (...) of labels (..., n), gaps (..., n, n)."""
    member = (labels[..., None] == np.arange(k)).astype(np.float64)
    sizes = member.sum(-2)
    sums = np.swapaxes(member, -1, -2) @ gaps @ member
    first, second = np.triu_indices(k, 1)
    return np.asarray(
        (sums / (sizes[..., :, None] * sizes[..., None, :]))[..., first, second].min(-1)
    )
