"""Kinds of populations, with what is true of each, and what the analysis makes of one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

from landscape.analysis.barriers import bootstrap_gaps
from landscape.analysis.basins import Basins, find_basins
from landscape.analysis.basins.number import sharp_groups
from landscape.analysis.simulation import (
    block_gaps,
    bridge_gaps,
    chain_gaps,
    cloud_gaps,
    effect_gaps,
    simulate_losses,
)

TOLERANCE = 0.02  # nats, the default of find_basins
N_RESAMPLES = 300


@dataclass(frozen=True)
class Sample:
    """How a population is seen.

    Attributes:
        n_examples: Of the data set.
        noise: Nats, standard deviation of one example's deviation in the middle of a line.
        tail: Of what is random.
        dip: Nats by which lines without a gap sag.
    """

    n_examples: int
    noise: float
    tail: Any
    dip: float = 0.0


Rng = np.random.Generator
ONE_BASIN: dict[str, Callable[[int, Rng], np.ndarray]] = {
    "no gaps": lambda n, rng: np.zeros((n, n)),
    "gaps below the tolerance": lambda n, rng: squareform(
        rng.uniform(0, 0.75 * TOLERANCE, n * (n - 1) // 2)
    ),
    "equal gaps": lambda n, rng: effect_gaps(n, mean=0.1, effects="equal", spread=0.2, rng=rng),
    "some models farther out, exponential": lambda n, rng: effect_gaps(
        n, mean=0.1, effects="exponential", spread=0.3, rng=rng
    ),
    "some models farther out, gamma": lambda n, rng: effect_gaps(
        n, mean=0.1, effects="gamma", spread=0.3, rng=rng
    ),
    "some models farther out, log-normal": lambda n, rng: effect_gaps(
        n, mean=0.1, effects="lognormal", spread=0.3, rng=rng
    ),
    "continuum of one dimension": lambda n, rng: cloud_gaps(n, mean=0.2, n_dims=1, rng=rng),
    "continuum of two dimensions": lambda n, rng: cloud_gaps(n, mean=0.2, n_dims=2, rng=rng),
    "continuum of five dimensions": lambda n, rng: cloud_gaps(n, mean=0.2, n_dims=5, rng=rng),
    "chain": lambda n, rng: chain_gaps(n, reach=max(1.0, n / 5), slope=1.0 / n),
}
"""Populations without groups: the right answer is one basin."""


def is_split(gaps: np.ndarray) -> bool:
    """Whether true gaps divide the models sharply after all, as a few drawn at random may."""
    return sharp_groups(gaps, TOLERANCE) is not None


def seen(gaps: np.ndarray, sample: Sample, rng: Rng, n_basins: int | None = None) -> Basins:
    """Basins found from a sample of examples."""
    drawn = simulate_losses(
        gaps,
        n_examples=sample.n_examples,
        noise=sample.noise,
        tail=sample.tail,
        dip=sample.dip,
        rng=rng,
    )
    found = bootstrap_gaps(drawn.losses, n_resamples=N_RESAMPLES, keep_draws=True, rng=rng)
    return find_basins(
        squareform(found.estimate),
        n_basins,
        noise=squareform(found.standard_error),
        draws=found.draws,
        null=found.null,
        tolerance=TOLERANCE,
        rng=rng,
    )


def record(gaps: np.ndarray, sample: Sample, rng: Rng, labels: np.ndarray) -> dict[str, Any]:
    """What came out for one population whose true labels (n_models,) are known."""
    start = time.perf_counter()
    basins = seen(gaps, sample, rng)
    evidence = basins.evidence
    return {
        "n_models": len(gaps),
        "n_examples": sample.n_examples,
        "noise": sample.noise,
        "tail": sample.tail,
        "true": int(labels.max()) + 1,
        "found": basins.n_basins,
        "verdict": evidence.verdict,
        "sharp": evidence.sharp,
        "adjusted_rand": float(adjusted_rand_score(labels, basins.labels)),
        "sizes": np.bincount(basins.labels).tolist(),
        "p_value": evidence.p_value,
        "p_noise": evidence.p_noise,
        "silhouette": float(np.max(evidence.silhouettes)),
        "error": evidence.noise,
        "between": int(basins.membership.between.sum()),
        "eigengap": evidence.eigengap,
        "kinds": evidence.mixture.n_kinds if evidence.mixture else None,
        "seconds": time.perf_counter() - start,
    }


def many_basins(
    sizes: tuple[int, ...], separation: float, rng: Rng, spread: float = 0.5
) -> tuple[np.ndarray, np.ndarray]:
    """Basins with log-normal gaps between, a tenth of them within."""
    return block_gaps(sizes, between=separation, within=separation / 10, spread=spread, rng=rng)


def bridged(sizes: tuple[int, int], separation: float) -> tuple[np.ndarray, np.ndarray]:
    """Two basins and one model without a barrier to either; its own label counts as the first."""
    gaps = bridge_gaps(sizes, between=separation)
    return gaps, np.array([0] * sizes[0] + [1] * sizes[1] + [0])
