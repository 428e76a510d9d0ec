from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm
from scipy.stats import t as student

from landscape.analysis.barriers import RULES, bootstrap_gaps, convexity_gap, intervals
from landscape.analysis.simulation import simulate_losses
from landscape.core.errors import ConfigError

ARRAYS = ("low", "high", "estimate", "standard_error", "bias", "corrected", "null_bias")
METHODS = ("directional", "percentile")


def example_losses(n_pairs=3, n_examples=60, seed=0):
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, 11)
    hill = 0.5 + np.arange(n_pairs)[:, None] * t * (1 - t)
    per_example = rng.gamma(2, 0.5, (n_pairs, 1, n_examples))
    return hill[..., None] * per_example + rng.normal(0, 0.1, (n_pairs, 11, n_examples))


def counts_of(n_resamples, n_examples, seed):
    shares = np.full(n_examples, 1 / n_examples)
    return np.random.default_rng(seed).multinomial(n_examples, shares, size=n_resamples)


def resampled_means(losses, n_resamples, seed):
    """(n_resamples, n_pairs, n_points), an example at a time."""
    counts = counts_of(n_resamples, losses.shape[-1], seed)
    rows = [np.repeat(np.arange(losses.shape[-1]), count) for count in counts]
    return np.array([[pair[:, row].mean(1) for pair in losses] for row in rows])


@pytest.mark.parametrize("rule", ["convexity_gap", "saddle"])
def test_resamples_are_paired_and_shared_by_all_pairs(rule):
    losses = example_losses()
    found = bootstrap_gaps(
        losses, rule, n_resamples=200, method="percentile", confidence=0.9, rng=5
    )
    draws = RULES[rule](resampled_means(losses, 200, 5), None)
    estimate = RULES[rule](losses.mean(-1), None)
    low, high = np.percentile(draws, [5, 95], axis=0)
    np.testing.assert_allclose(found.estimate, estimate)
    np.testing.assert_allclose(found.low, low)
    np.testing.assert_allclose(found.high, high)
    np.testing.assert_allclose(found.standard_error, draws.std(0, ddof=1))
    assert (found.confidence, found.n_resamples) == (0.9, 200)


@pytest.mark.parametrize("rule", ["convexity_gap", "bump_height", "saddle"])
def test_directional_ends_are_those_of_a_loop_over_resamples_and_examples(rule):
    losses, n = example_losses(seed=4), 60
    found = bootstrap_gaps(losses, rule, n_resamples=199, rng=5, confidence=0.9)
    means, counts = resampled_means(losses, 199, 5), counts_of(199, n, 5)
    for k, pair in enumerate(losses):
        mean = pair.mean(1)
        estimate = RULES[rule](mean)
        left_out = np.array([RULES[rule](np.delete(pair, e, axis=1).mean(1)) for e in range(n)])
        influence = (n - 1) * (left_out.mean() - left_out)
        far, ratios, gaps = [], [], []
        for count, own in zip(counts, means[:, k], strict=True):
            far.append((RULES[rule](mean + 6 * (own - mean)) - estimate) / 6)
            ratios.append(np.repeat(influence, count).std() / influence.std())
            gaps.append(RULES[rule](own))
        far, ratios, gaps = np.array(far), np.array(ratios), np.array(gaps)
        # with 199 resamples the 5% and 95% quantiles are the 10th and 190th in order
        low = estimate - (np.sort(far)[189] + np.sort(far / ratios)[189]) / 2
        wider = np.sqrt(n / (n - 1)) * student.ppf(0.95, n - 1) / norm.ppf(0.95)
        high = max(
            estimate + (np.sort(gaps)[189] - gaps.mean()) * wider,
            estimate - np.sort((gaps - estimate) / ratios)[9],
        )
        floor = -np.inf if rule == "saddle" else 0
        assert found.low[k] == pytest.approx(max(low, floor), abs=1e-10)
        assert found.high[k] == pytest.approx(high, abs=1e-10)


@pytest.mark.parametrize("rule", ["convexity_gap", "area_above_minimum", "saddle"])
def test_bias_and_null_are_those_of_a_loop_over_resamples(rule):
    losses = example_losses(seed=2)
    found = bootstrap_gaps(losses, rule, n_resamples=50, rng=5, keep_draws=True)
    means = resampled_means(losses, 50, 5)
    for k, pair in enumerate(losses):
        mean = pair.mean(1)
        estimate, flat = RULES[rule](mean), RULES[rule].without_barrier(mean)
        errors = [(RULES[rule](mean + 1.5 * (own - mean)) - estimate) / 1.5 for own in means[:, k]]
        null = [RULES[rule](flat / 6 + own - mean) for own in means[:, k]]
        assert found.bias[k] == pytest.approx(np.mean(errors), abs=1e-12)
        corrected = estimate - np.mean(errors)
        if rule != "saddle":
            corrected = max(corrected, 0)
        assert found.corrected[k] == pytest.approx(corrected, abs=1e-12)
        assert found.null_bias[k] == pytest.approx(np.mean(null), abs=1e-12)
        np.testing.assert_allclose(found.null[:, k], null, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_the_interval_holds_its_share_of_the_draws(method):
    losses = example_losses(4, seed=8)[1:] + 2.0
    options = {"n_resamples": 199, "confidence": 0.9, "method": method}
    found = bootstrap_gaps(losses, keep_draws=True, rng=3, **options)
    assert found.draws.shape == found.null.shape == (199, 3)
    assert found.draws.dtype == found.null.dtype == np.float32
    ordered = np.sort(found.draws, axis=0)
    np.testing.assert_allclose(ordered[9], found.low, rtol=1e-5)
    np.testing.assert_allclose(ordered[189], found.high, rtol=1e-5)
    # a draw lies above the corrected estimate where its resample lies above their mean
    gaps = convexity_gap(resampled_means(losses, 199, 3))
    about = gaps - gaps.mean(0)
    assert ((found.draws > found.corrected) == (about > 0)).mean() > 0.99


def simulated(gap, n_curves, seed, tail="normal"):
    """Independent curves of 11 points and 128 examples."""
    rng = np.random.default_rng(seed)
    matrix = [[0, gap], [gap, 0]]
    options = {"n_examples": 128, "noise": 0.25, "shared": 0, "uneven": 0, "tail": tail}
    return np.concatenate(
        [simulate_losses(matrix, rng=rng, **options).losses for _ in range(n_curves)]
    )


@pytest.mark.parametrize("tail", ["normal", "lognormal"])
def test_intervals_cover(tail):
    n = 150  # of thousands: experiments/simulations/coverage.py
    for gap in (0.0, 0.2):
        losses = simulated(gap, n, seed=17, tail=tail)
        found = bootstrap_gaps(losses, n_resamples=300, rng=1)
        covered = ((found.low <= gap) & (gap <= found.high)).sum()
        least, most = binom.ppf(0.001, n, 0.93), binom.ppf(0.999, n, 0.97)
        assert covered >= least
        if gap:
            assert covered <= most
            continue
        # percentile intervals keep the bias
        plain = bootstrap_gaps(losses, n_resamples=300, rng=1, method="percentile")
        assert (plain.low <= 0).sum() < n / 2


def test_degenerate_resamples_collapse_the_interval():
    losses = np.repeat(np.linspace(0, 1, 5)[None, :, None] ** 2, 8, axis=2)
    for method in METHODS:
        found = bootstrap_gaps(losses, n_resamples=50, method=method, keep_draws=True)
        assert found.low == found.high == found.estimate == found.corrected == 0
        assert not found.draws.any()
        assert not found.null.any()


@pytest.mark.parametrize("rule", RULES)
def test_nothing_depends_on_how_many_pairs_are_processed_at_a_time(rule, monkeypatch):
    rng = np.random.default_rng(2)
    losses = example_losses(12, n_examples=30, seed=3)
    points = rng.random((12, 11)) < 0.6
    points[:, [0, -1]] = True
    losses[~points] = np.nan
    losses[5, 0] = np.inf  # this pair has no gap
    for method in METHODS:
        options = {"method": method, "n_resamples": 40, "keep_draws": True, "rng": 7}
        monkeypatch.undo()
        together = bootstrap_gaps(losses, rule, points=points, **options)
        monkeypatch.setattr(intervals, "_VALUES_AT_ONCE", 1)
        grid = losses.reshape(3, 4, 11, 30), points.reshape(3, 4, 11)
        apart = bootstrap_gaps(grid[0], rule, points=grid[1], **options)
        for name in (*ARRAYS, "draws", "null"):
            a, b = getattr(together, name), getattr(apart, name)
            assert b.shape[-2:] == (3, 4)
            assert set(np.argwhere(np.isnan(a))[:, -1]) == {5}
            np.testing.assert_allclose(
                a, b.reshape(a.shape), rtol=1e-5 if a.ndim > 1 else 1e-9, atol=1e-9
            )
        # and a pair's points are all that counts, with their own positions
        for k, mask in enumerate(points[:3]):
            t = np.linspace(0, 1, 11)[mask]
            single = bootstrap_gaps(losses[k, mask], rule, t, **options)
            for name in ARRAYS:
                expected = getattr(single, name)
                np.testing.assert_allclose(
                    getattr(together, name)[k], expected, rtol=1e-9, atol=1e-12
                )
            np.testing.assert_allclose(together.null[:, k], single.null, rtol=1e-5, atol=1e-7)


def test_signed_rules_may_be_negative():
    sagging = 1 - 2 * np.linspace(0, 1, 7)[:, None] * (1 - np.linspace(0, 1, 7)[:, None])
    losses = sagging + np.random.default_rng(0).normal(0, 0.05, (7, 80))
    found = bootstrap_gaps(losses, "signed_deviation", n_resamples=100, keep_draws=True)
    assert found.low < found.estimate < found.high < 0
    assert found.corrected < 0
    assert (found.draws < 0).all()
    # upside down it is a barrier, with the same interval
    mirrored = bootstrap_gaps(-losses, "signed_deviation", n_resamples=100)
    assert mirrored.estimate == pytest.approx(-found.estimate)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"rule": "convexity_gaps"}, "did you mean 'convexity_gap'"),
        ({"confidence": 95}, "between 0 and 1"),
        ({"n_resamples": 1}, "two resamples"),
        ({"losses": np.ones((2, 11, 1))}, "at least two examples"),
        ({"points": np.ones((3, 10), dtype=bool)}, r"expected: points \(3, 11\)"),
        ({"points": np.eye(11, dtype=bool)[:3]}, "at least two points"),
    ],
)
def test_bad_bootstraps_are_refused(arguments, text):
    with pytest.raises(ConfigError, match=text):
        bootstrap_gaps(**{"losses": example_losses(), **arguments})
