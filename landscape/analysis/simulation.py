"""Populations with a known answer: true gaps, and the losses that a sample of examples shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist, squareform

from landscape.core.arrays import Array, Indices

Tail = Literal["normal", "student", "lognormal"]

_MODES = 3  # sines that make up what one example does along one path


@dataclass(frozen=True)
class Simulated:
    """What a store of such a population would hold.

    Losses (n_pairs, n_points, n_examples) in nats, pairs in the order of condensed matrices,
    positions from 0 to 1, and the true gaps (n_models, n_models).
    """

    losses: NDArray[np.float32]
    pairs: Indices
    positions: Array
    gaps: Array


def simulate_losses(
    gaps: ArrayLike,
    *,
    n_examples: int,
    n_points: int = 11,
    noise: ArrayLike = 0.5,
    tail: Tail = "lognormal",
    shared: float = 0.5,
    uneven: float = 1.0,
    carrying: float = 1.0,
    dip: float = 0.0,
    rng: np.random.Generator | int,
) -> Simulated:
    """Per-example losses along all lines of a population with these true gaps.

    Example e loses along the line of models i and j: a line between what i and j lose on it, plus
    4 t (1 - t) times the gap times how much of the barrier e carries, plus a sum of sines with
    random coefficients of mean 0. Examples are the same for all pairs; a share of the coefficients
    belongs to the two models rather than to the pair, so that gaps of one model go together.

    Args:
        gaps: (n_models, n_models) true gaps in nats, symmetric.
        n_examples: Of the sample.
        n_points: Odd, so that the middle of a line is among them.
        noise: Nats, standard deviation of an example's deviation at the middle of a line, of all
            or (n_models, n_models): near-copies have less. 0.5 is what MNLI classifiers show.
        tail: Of all that is random: ``normal``, ``student`` (3 degrees of freedom), or
            ``lognormal`` (sigma 1, skewed).
        shared: Share of the noise's variance that belongs to the models, in [0, 1].
        uneven: Sigma of the log-normal share of the barrier that an example carries; 0: all alike.
        carrying: Chance that an example carries any of it; those that do carry as much more.
        dip: Nats by which a line without a gap lies lower in its middle; 0: exactly straight, where
            a gap of 0 is hardest to see.
        rng: A generator or a seed.
    """
    matrix = np.asarray(gaps, dtype=np.float64)
    generator = np.random.default_rng(rng)
    n = len(matrix)
    first, second = np.triu_indices(n, 1)
    t = np.linspace(0.0, 1.0, n_points)
    ends = generator.lognormal(-1.0, 1.0, (n, n_examples)).astype(np.float32)
    carried = generator.lognormal(-(uneven**2) / 2, uneven, n_examples).astype(np.float32)
    if carrying < 1:
        carried *= (generator.random(n_examples) < carrying) / np.float32(carrying)
    heights = matrix[first, second]
    heights = np.where(heights > 0, heights, -dip)
    # the second and third sine stand for curves that do not bend as one
    sizes = np.array([1.0, 0.5, 0.25]) / np.sqrt(1 + 0.25**2)
    noises = np.broadcast_to(np.asarray(noise, dtype=np.float64), matrix.shape)[first, second]
    of_models = _draw(generator, tail, (n, _MODES, n_examples))
    bump = (4 * t * (1 - t)).astype(np.float32)
    waves = np.sin(np.pi * np.outer(np.arange(1, _MODES + 1), t)) * sizes[:, None]
    losses = np.empty((len(first), n_points, n_examples), dtype=np.float32)
    for k, (i, j, height) in enumerate(zip(first, second, heights, strict=True)):
        pair = _draw(generator, tail, (_MODES, n_examples))
        mixed = np.sqrt(shared / 2) * (of_models[i] + of_models[j]) + np.sqrt(1 - shared) * pair
        along = (noises[k] * waves.T).astype(np.float32) @ mixed
        along += np.outer(1 - t, ends[i]) + np.outer(t, ends[j])
        losses[k] = along + np.float32(height) * np.outer(bump, carried)
    return Simulated(losses, np.column_stack([first, second]), t, matrix)


def block_gaps(
    sizes: Sequence[int],
    *,
    between: float,
    within: float = 0.0,
    spread: float = 0.0,
    rng: np.random.Generator | int,
) -> tuple[Array, Indices]:
    """Basins of these sizes: gaps (n, n) in nats, and the true labels (n,)."""
    generator = np.random.default_rng(rng)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    first, second = np.triu_indices(len(labels), 1)
    medians = np.where(labels[first] == labels[second], within, between)
    return squareform(medians * np.exp(generator.normal(0, spread, len(medians)))), labels


def effect_gaps(
    n_models: int,
    *,
    mean: float,
    effects: Literal["equal", "exponential", "gamma", "lognormal"] = "exponential",
    spread: float = 0.0,
    rng: np.random.Generator | int,
) -> Array:
    """One basin whose models lie more or less far from everyone: gap = a_i + a_j, (n, n) nats."""
    generator = np.random.default_rng(rng)
    if effects == "equal":
        far = np.ones(n_models)
    elif effects == "exponential":
        far = generator.exponential(1, n_models)
    elif effects == "gamma":
        far = generator.gamma(2, 0.5, n_models)
    else:
        far = generator.lognormal(-0.5, 1, n_models)
    first, second = np.triu_indices(n_models, 1)
    sums = mean / 2 * (far[first] + far[second])
    return squareform(sums * np.exp(generator.normal(0, spread, len(sums))))


def chain_gaps(n_models: int, *, reach: float, slope: float) -> Array:
    """A chain: neighbours share a valley, ends do not, (n, n) nats."""
    places = np.arange(n_models, dtype=np.float64)[:, None]
    return squareform(np.maximum(pdist(places) - reach, 0) * slope)


def bridge_gaps(sizes: tuple[int, int], *, between: float, bridges: int = 1) -> Array:
    """Two basins, and models joined without a gap to both; bridges come last, (n, n) nats."""
    n = sum(sizes) + bridges
    gaps = np.zeros((n, n))
    gaps[: sizes[0], sizes[0] : n - bridges] = between
    return gaps + gaps.T


def _draw(rng: np.random.Generator, tail: Tail, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Random numbers of mean 0 and variance 1."""
    if tail == "normal":
        return rng.standard_normal(shape, dtype=np.float32)
    if tail == "student":
        return (rng.standard_t(3, shape) / np.sqrt(3)).astype(np.float32)
    skewed = np.exp(rng.standard_normal(shape, dtype=np.float32)) - np.exp(0.5)
    return np.asarray(skewed / np.sqrt((np.e - 1) * np.e), dtype=np.float32)
