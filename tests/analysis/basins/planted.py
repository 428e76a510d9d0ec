"""Populations whose answer is known, and what a sample of examples shows of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.distance import pdist, squareform

from landscape.analysis.barriers import bootstrap_gaps
from landscape.analysis.basins import Division, divide
from landscape.analysis.basins.noise import make_noise
from landscape.analysis.simulation import block_gaps, simulate_losses
from landscape.core.sentences import Answer

STEP = 0.011  # nats between neighbours of a chain; the next but one are .044 apart


def blocks(*sizes: int) -> np.ndarray:
    """Basins of these sizes: .1 to .2 nats between, up to .006 within."""
    gaps, labels = block_gaps(sizes, between=0.14, within=0.004, spread=0.1, rng=0)
    assert gaps[labels[:, None] != labels].min(initial=1) > 0.1
    return gaps


def chain(n: int) -> np.ndarray:
    """Models on a line, each joined to its neighbours alone."""
    places = np.arange(n) * np.sqrt(STEP)
    return squareform(pdist(places[:, None], "sqeuclidean"))


def joined_to_all(gaps: np.ndarray) -> np.ndarray:
    """One model more, without a barrier to any."""
    more = np.pad(gaps, (0, 1), constant_values=0.003)
    np.fill_diagonal(more, 0)
    return more


def mixed(basin: int, links: int) -> np.ndarray:
    """A basin and a chain, far from each other."""
    gaps = blocks(basin, links)
    gaps[basin:, basin:] = chain(links)
    return gaps


PLANTED: dict[str, tuple[np.ndarray, Answer, int | None, list[int]]] = {
    "2": (blocks(2), Answer.ONE, 1, [2]),
    "12": (blocks(12), Answer.ONE, 1, [12]),
    "1 + 1": (blocks(1, 1), Answer.APART, 2, [1, 1]),
    "1 + 1 + 1": (blocks(1, 1, 1), Answer.APART, 3, [1, 1, 1]),
    "16 alone": (blocks(*[1] * 16), Answer.APART, 16, [1] * 16),
    "2 + 1": (blocks(2, 1), Answer.BASINS, 2, [2, 1]),
    "11 and an outlier": (blocks(11, 1), Answer.BASINS, 2, [11, 1]),
    "5 and 11 alone": (blocks(5, *[1] * 11), Answer.BASINS, 12, [5] + [1] * 11),
    "8 and 8 alone": (blocks(8, *[1] * 8), Answer.BASINS, 9, [8] + [1] * 8),
    "9 + 3 + 2": (blocks(9, 3, 2), Answer.BASINS, 3, [9, 3, 2]),
    "6 + 6 and a bridge": (joined_to_all(blocks(6, 6)), Answer.BRIDGED, 2, [6, 6]),
    "star": (joined_to_all(blocks(*[1] * 8)), Answer.BRIDGED, 8, [1] * 8),
    "chain": (chain(12), Answer.CHAIN, None, [12]),
    "two chains": (
        np.where(np.kron(np.eye(2), np.ones((6, 6))) > 0, np.tile(chain(6), (2, 2)), 0.3),
        Answer.CHAIN,
        None,
        [6, 6],
    ),
    "basin and chain": (mixed(6, 6), Answer.MIXED, None, [6, 6]),
}
"""By name: true gaps in nats, the answer, how many basins, the sizes of basins or linked parts."""


def sampled(gaps: np.ndarray, *, seed: int = 0, **options: Any) -> Division:
    """The answer from what a sample of examples shows of true gaps."""
    options = {"n_examples": 1024, "noise": 0.15, **options}
    return of_losses(simulate_losses(gaps, rng=seed, **options).losses)


def near_copies(n_runs: int, n_steps: int, n_examples: int) -> tuple[np.ndarray, np.ndarray]:
    """Losses along all lines between several near-copies of each of some models; whose copies.

    Lines between copies of two models have these models' losses, .6 to 1.2 nats up in the middle;
    those between two copies of one are straight but for a few odd examples.
    """
    rng = np.random.default_rng(0)
    gaps = squareform(rng.uniform(0.6, 1.2, n_runs * (n_runs - 1) // 2))
    drawn = simulate_losses(gaps, n_examples=n_examples, noise=0.5, rng=rng)
    run = np.repeat(np.arange(n_runs), n_steps)
    pair_of = squareform(np.arange(len(drawn.pairs)))
    first, second = run[np.array(np.triu_indices(len(run), 1))]
    losses = drawn.losses[pair_of[first, second]]
    ends = np.stack([drawn.losses[0, 0], *drawn.losses[: n_runs - 1, -1]])
    bump = 4 * drawn.positions * (1 - drawn.positions)
    odd = 0.001 * rng.standard_t(3, (len(first), 1, n_examples))
    copies = ends[first][:, None] + bump[:, None] * odd
    return np.where((first == second)[:, None, None], copies, losses).astype(np.float32), run


def of_losses(losses: np.ndarray) -> Division:
    """The answer from losses (n_pairs, n_points, n_examples), as ``analyze`` gives it."""
    found = bootstrap_gaps(losses, n_resamples=200, keep_draws=True, rng=0)
    gaps, errors = squareform(found.estimate), squareform(found.standard_error)
    corrected = squareform(np.maximum(found.corrected, 0))
    rng = np.random.default_rng(0)
    noise = make_noise(gaps, errors, found.draws, found.null, corrected, rng)
    return divide(gaps, noise, 0.02, losses.shape[-1])
