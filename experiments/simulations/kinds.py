"""Planted populations: true gaps in nats of many kinds, drawn for any number of models."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.spatial.distance import pdist, squareform

Rng = np.random.Generator
Draw = Callable[[int, Rng], np.ndarray]

WITHIN, BETWEEN = (0.0, 0.008), (0.08, 0.2)  # nats; the tolerance is .02
STEPS = (0.008, 0.012)  # of a sparse chain: neighbours are joined, all others apart


def between(
    sizes: Sequence[int],
    rng: Rng,
    within: tuple[float, float] = WITHIN,
    spread: float = 0.0,
    high: tuple[float, float] = BETWEEN,
) -> np.ndarray:
    """Basins of these sizes; with a spread, gaps between are log-normal about .1 nats."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    first, second = np.triu_indices(len(labels), 1)
    across = rng.uniform(*high, len(first))
    if spread:
        across = np.maximum(0.1 * np.exp(rng.normal(0, spread, len(first))), 0.03)
    low = rng.uniform(*within, len(first))
    return squareform(np.where(labels[first] == labels[second], low, across))


def line(places: np.ndarray) -> np.ndarray:
    """Squared distances of models at some places, (n,) or (n, n_dims)."""
    return squareform(pdist(places.reshape(len(places), -1), "sqeuclidean"))


def chain(n: int, rng: Rng, steps: tuple[float, float] = STEPS) -> np.ndarray:
    """Models on a line, neighbours so many nats apart."""
    return line(np.cumsum(np.r_[0, np.sqrt(rng.uniform(*steps, n - 1))]))


def joined_to_all(gaps: np.ndarray, rng: Rng) -> np.ndarray:
    """The last model has no barrier to any other."""
    low = rng.uniform(0, 0.006, len(gaps))
    gaps[-1], gaps[:, -1] = low, low
    gaps[-1, -1] = 0
    return gaps


def one_barrier(n: int, rng: Rng) -> np.ndarray:
    """No barriers but one, just above the tolerance."""
    gaps = rng.uniform(0, 0.006, n * (n - 1) // 2)
    gaps[0] = 0.025
    return squareform(gaps)


def near_copies(n: int, rng: Rng) -> np.ndarray:
    """Five steps of each of n / 5 runs: no gap within a run, large ones between runs."""
    runs = np.repeat(np.arange(n // 5), 5)
    return between([1] * (n // 5), rng, high=(0.3, 1.0))[np.ix_(runs, runs)]


def heavy_tails(n: int, rng: Rng) -> np.ndarray:
    """Gaps that are sums of two models' own distances, some of them far out."""
    far = rng.lognormal(-0.5, 1, n)
    first, second = np.triu_indices(n, 1)
    return squareform(0.05 + 0.05 * (far[first] + far[second]))


def hierarchy(n: int, rng: Rng) -> np.ndarray:
    """Four basins in two pairs: .05 to .08 nats within a pair, .25 to .4 between the two."""
    quarter = n // 4
    gaps = between([quarter] * 4, rng)
    labels = np.repeat(np.arange(4), quarter)
    first, second = np.triu_indices(len(labels), 1)
    near = labels[first] // 2 == labels[second] // 2
    high = np.where(near, rng.uniform(0.05, 0.08, len(near)), rng.uniform(0.25, 0.4, len(near)))
    same = labels[first] == labels[second]
    return squareform(np.where(same, squareform(gaps), high))


def mixed(n: int, rng: Rng) -> np.ndarray:
    """A basin and a chain, far from each other."""
    half = n // 2
    gaps = between([half, n - half], rng)
    gaps[half:, half:] = chain(n - half, rng)
    return gaps


def ring(n: int, rng: Rng) -> np.ndarray:
    """A closed chain."""
    angles = 2 * np.pi * np.arange(n) / n
    radius = 0.1 / (2 * np.sin(np.pi / n))
    return line(radius * np.column_stack([np.cos(angles), np.sin(angles)]))


KINDS: dict[str, tuple[str, Draw, tuple[int, ...]]] = {
    "no gaps": ("one", lambda n, rng: np.zeros((n, n)), (3, 6, 12, 24, 48)),
    "small gaps": (
        "one",
        lambda n, rng: squareform(rng.uniform(0, 0.006, n * (n - 1) // 2)),
        (3, 6, 12, 24, 48),
    ),
    "one barrier": ("", one_barrier, (3, 6, 12, 24, 48)),
    "two": ("basins", lambda n, rng: between([n - n // 3, n // 3], rng), (3, 6, 12, 24, 48, 100)),
    "three": (
        "basins",
        lambda n, rng: between([n - 2 * (n // 3), n // 3, n // 3], rng),
        (6, 12, 24, 48, 100),
    ),
    "four": (
        "basins",
        lambda n, rng: between([n - 3 * (n // 4)] + [n // 4] * 3, rng),
        (8, 12, 24, 48, 100),
    ),
    "uneven sizes": (
        "basins",
        lambda n, rng: between([n - n // 4 - n // 8, n // 4, n // 8], rng),
        (8, 16, 32, 64),
    ),
    "spread gaps, 9 + 3 + 2": (
        "basins",
        lambda n, rng: between([n * 9 // 14, n * 3 // 14, n * 2 // 14], rng, (0, 0.01), 0.5),
        (14, 28, 56),
    ),
    "hierarchy": ("basins", hierarchy, (12, 24, 48)),
    "apart but for one pair": (
        "basins",
        lambda n, rng: between([2] + [1] * (n - 2), rng),
        (3, 6, 12, 24, 48),
    ),
    "core and singles": (
        "basins",
        lambda n, rng: between([n - n // 3] + [1] * (n // 3), rng),
        (6, 12, 24, 48),
    ),
    "one outlier": ("basins", lambda n, rng: between([n - 1, 1], rng), (6, 12, 24, 48, 100)),
    "all apart": ("apart", lambda n, rng: between([1] * n, rng), (3, 6, 12, 24, 48, 100)),
    "heavy tails": ("apart", heavy_tails, (3, 6, 12, 24, 48)),
    "star": ("bridged", lambda n, rng: joined_to_all(between([1] * n, rng), rng), (6, 12, 24)),
    "bridge": (
        "bridged",
        lambda n, rng: joined_to_all(between([n // 2, n - n // 2], rng), rng),
        (7, 13, 25, 49),
    ),
    "sparse chain": ("chain", chain, (6, 12, 24, 48)),
    "uneven chain": ("chain", lambda n, rng: chain(n, rng, (0.0005, 0.013)), (12, 24, 48)),
    "wide chain": (
        "chain",
        lambda n, rng: line(np.arange(n) * np.sqrt(0.012) / 3),
        (12, 24, 48),
    ),
    "ring": ("chain", ring, (8, 12, 24)),
    "mixed": ("mixed", mixed, (12, 24, 48)),
    "continuum of one dimension": ("", lambda n, rng: 0.1 * line(rng.normal(size=n)), (12, 48)),
    "continuum of two dimensions": (
        "",
        lambda n, rng: 0.05 * line(rng.normal(size=(n, 2))),
        (12, 48),
    ),
}
"""By name: the answer ("" where it differs from draw to draw), the gaps, and numbers of models."""
