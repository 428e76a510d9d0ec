from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from landscape.analysis.analysis import analyze
from landscape.analysis.barriers import bootstrap_gaps
from landscape.analysis.by_rule import RuleGaps, gaps_by_rule
from landscape.analysis.simulation import simulate_losses
from landscape.records import Results
from tests.analyses import TWO, make_results, published, thin_out

SMALL = (0.0, 0.1, 1.0, 0.9)
NAMES = ["convexity_gap", "barrier_height", "max_endpoint_barrier"]


def brute(curve: np.ndarray, t: np.ndarray) -> list[float]:
    """The three rules of one curve, over all triples of points."""
    triples = combinations(range(len(t)), 3)
    all_rises = [
        (i, j, curve[k] - np.interp(t[k], t[[i, j]], curve[[i, j]])) for i, k, j in triples
    ]
    whole = [rise for i, j, rise in all_rises if (i, j) == (0, len(t) - 1)]
    anywhere = [rise for _, _, rise in all_rises]
    return [max([0, *anywhere]), max([0, *whole]), max(curve) - max(curve[0], curve[-1])]


@pytest.mark.parametrize("thin", [False, True])
def test_gaps_are_those_of_each_rule_at_exact_points(thin: bool) -> None:
    results = make_results(SMALL, n_examples=60, n_points=7)
    if thin:
        results = thin_out(results, seed=1)
    found = gaps_by_rule(results, "mnli_dev", n_resamples=20)
    assert [by.rule for by in found] == NAMES
    losses, expected = results.datasets["mnli_dev"].losses, []
    for pair, seen in enumerate(results.exact):
        curve = losses[pair, seen].astype(np.float64).mean(1)
        expected.append(brute(curve, results.positions[seen]))
    for by, gaps in zip(found, np.transpose(expected), strict=True):
        np.testing.assert_allclose(by.gaps, gaps, atol=1e-12)
        assert (by.median, by.largest) == pytest.approx((np.median(gaps), gaps.max()))
        assert by.n_pairs == 6
    # every rise over the ends is one over the chord, and that is one over some chord
    assert (found[0].gaps >= found[1].gaps - 1e-12).all()
    assert (found[1].gaps >= found[2].gaps - 1e-12).all()


def stepped_down(gaps: np.ndarray, null: np.ndarray, tolerance: float) -> set[int]:
    """Pairs above the tolerance beyond noise, one step at a time."""
    scale = np.maximum(np.sqrt((null**2).mean(0)), 0.1 * tolerance)
    above: set[int] = set()
    while True:
        rest = [pair for pair in range(len(gaps)) if pair not in above]
        highest = [max((row[pair] / scale[pair] for pair in rest), default=0.0) for row in null]
        limit = np.quantile(highest, 0.95)
        more = {pair for pair in rest if gaps[pair] - tolerance >= max(limit * scale[pair], 1e-300)}
        if not more:
            return above
        above |= more


def noisy(height: float, n_examples: int, rng: np.random.Generator) -> Results:
    """Four models of which only the first two have a barrier between them."""
    gaps = np.zeros((4, 4))
    gaps[0, 1] = gaps[1, 0] = height
    drawn = simulate_losses(
        gaps, n_examples=n_examples, n_points=5, noise=0.3, tail="normal", uneven=0, rng=rng
    )
    results = make_results((0.0,) * 4, n_examples=n_examples, n_points=5, challenge=False)
    data = replace(results.datasets["mnli_dev"], losses=drawn.losses)
    return replace(results, datasets={"mnli_dev": data})


def test_pairs_are_above_the_tolerance_at_one_level_for_all_rules() -> None:
    results = make_results(TWO, n_examples=60)
    data = results.datasets["mnli_dev"]
    analysis = analyze(results, n_resamples=400)
    found = analysis.by_rule
    assert found[0].n_apart == analysis.basins.states.n_apart
    assert {by.tolerance for by in found} == {analysis.basins.states.tolerance}
    for by in found[1:]:
        null = bootstrap_gaps(
            data.losses, by.rule, n_resamples=400, method="percentile", keep_draws=True
        ).null
        assert null is not None
        expected = stepped_down(by.gaps, np.maximum(null.astype(float), 0), by.tolerance)
        assert by.n_apart == len(expected)
        assert 0 < by.n_apart < by.n_pairs


def test_a_barrier_of_the_height_that_would_be_seen_is_shown_in_four_of_five_samples() -> None:
    rng = np.random.default_rng(5)
    before = [gaps_by_rule(noisy(0.0, 100, rng), "mnli_dev") for _ in range(10)]
    height = float(np.mean([found[0].seen for found in before]))
    assert all(by.seen > by.tolerance for found in before for by in found)
    after = [gaps_by_rule(noisy(height, 100, rng), "mnli_dev") for _ in range(120)]
    shown = sum(found[0].n_apart > 0 for found in after)
    # it is found from one sample's noise: about 80%
    assert binomtest(shown, len(after), 0.77).pvalue > 0.01


def test_more_examples_show_lower_gaps() -> None:
    rng = np.random.default_rng(0)
    few, many = (gaps_by_rule(noisy(0.1, n, rng), "mnli_dev")[0] for n in (50, 800))
    assert many.seen < few.seen / 2


def test_another_rule_comes_first_and_unknown_noise_is_said(tmp_path: Path) -> None:
    found = gaps_by_rule(make_results(SMALL, n_examples=20), "hans", "bump_height", n_resamples=20)
    assert [by.rule for by in found] == ["bump_height", *NAMES]
    means = gaps_by_rule(published(tmp_path), "dev")
    assert [by.rule for by in means] == NAMES
    for by in means:
        assert not by.beyond_noise
        assert np.isnan(by.seen)
        assert by.n_apart == (by.gaps > by.tolerance).sum()


def test_pairs_that_are_not_measured_count_for_nothing() -> None:
    results = make_results(TWO, n_examples=60)
    whole = gaps_by_rule(results, "mnli_dev")
    losses = results.datasets["mnli_dev"].losses
    rest = np.flatnonzero(np.arange(45) % 4 != 1)
    losses[1::4, 3] = np.nan
    found = gaps_by_rule(results, "mnli_dev")
    for by, of_all in zip(found, whole, strict=True):
        assert by.n_pairs == len(rest)
        np.testing.assert_array_equal(by.gaps[rest], of_all.gaps[rest])
        assert by.n_apart <= of_all.n_apart
    losses[:, 3] = np.nan
    assert gaps_by_rule(results, "mnli_dev") == ()


def test_names_are_in_words() -> None:
    by = RuleGaps("max_endpoint_barrier", np.array([0.1, 0.3]), 1, 0.02, True, 0.05)
    assert by.name == "max endpoint barrier"
