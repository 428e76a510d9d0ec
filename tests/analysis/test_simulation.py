from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import squareform

from landscape.analysis.barriers import convexity_gap
from landscape.analysis.simulation import (
    block_gaps,
    bridge_gaps,
    chain_gaps,
    effect_gaps,
    simulate_losses,
)


@pytest.mark.parametrize("tail", ["normal", "lognormal"])
def test_many_examples_show_the_true_gaps(tail):
    gaps, _ = block_gaps((2, 2), between=0.3, rng=0)
    drawn = simulate_losses(gaps, n_examples=20_000, tail=tail, dip=0.1, rng=1)
    found = squareform(convexity_gap(drawn.losses.mean(-1, dtype=np.float64)))
    # noise of .5 nats in the middle and log-normal shares of the barrier, over 20,000 examples
    np.testing.assert_allclose(found, gaps, atol=0.03)
    assert (found[gaps == 0] < 0.005).all()
    assert drawn.pairs.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]


@pytest.mark.parametrize(("tail", "shared"), [("student", 0.0), ("lognormal", 0.7)])
def test_the_noise_is_as_large_as_it_says(tail, shared):
    drawn = simulate_losses(
        np.zeros((6, 6)), n_examples=20_000, noise=0.4, tail=tail, shared=shared, rng=2
    )
    middle = drawn.losses[:, 5] - (drawn.losses[:, 0] + drawn.losses[:, -1]) / 2
    assert middle.std(axis=1).mean() == pytest.approx(0.4, rel=0.1)
    # pairs with a model in common go together by half of what belongs to models
    together = np.corrcoef(middle)[0]  # of models 0 and 1
    in_common = (drawn.pairs <= 1).any(axis=1) & (drawn.pairs > 1).any(axis=1)
    assert together[in_common].mean() == pytest.approx(shared / 2, abs=0.05)
    assert np.abs(together[(drawn.pairs > 1).all(axis=1)]).max() < 0.05


def test_near_copies_have_less_noise():
    noise = squareform([0.02, 0.5, 0.5])
    drawn = simulate_losses(np.zeros((3, 3)), n_examples=20_000, noise=noise, tail="normal", rng=3)
    middle = drawn.losses[:, 5] - (drawn.losses[:, 0] + drawn.losses[:, -1]) / 2
    np.testing.assert_allclose(middle.std(axis=1), squareform(noise), rtol=0.05)


def test_shapes_of_true_gaps():
    gaps, labels = block_gaps((3, 2), between=0.5, within=0.01, rng=0)
    expected = np.where(labels[:, None] == labels, 0.01, 0.5)
    np.testing.assert_allclose(gaps, expected * (1 - np.eye(5)))
    equal = effect_gaps(7, mean=0.3, effects="equal", rng=0)
    np.testing.assert_allclose(squareform(equal), 0.3)
    for effects in ("exponential", "gamma", "lognormal"):
        drawn = [effect_gaps(30, mean=0.3, effects=effects, rng=seed) for seed in range(40)]
        assert np.mean([squareform(one).mean() for one in drawn]) == pytest.approx(0.3, rel=0.1)
        # a_i + a_j: every 2 x 2 minor of sums vanishes
        one = drawn[0]
        assert one[0, 1] + one[2, 3] == pytest.approx(one[0, 2] + one[1, 3])
    chain = chain_gaps(5, reach=1, slope=0.2)
    assert chain[0].tolist() == pytest.approx([0, 0, 0.2, 0.4, 0.6])
    bridge = bridge_gaps((2, 3), between=0.7)
    assert (bridge[5] == 0).all()
    assert (bridge[:2, 2:5] == 0.7).all()
    assert (bridge == bridge.T).all()
