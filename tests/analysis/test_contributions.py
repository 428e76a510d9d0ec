from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from landscape.analysis.barriers import RULES, barrier_height, convexity_gap
from landscape.analysis.barriers.contributions import (
    concentration,
    effective_number,
    population_contributions,
)
from landscape.core.errors import ConfigError
from landscape.records import Results
from tests.analyses import make_results, thin_out

LINEAR_RULES = [name for name, rule in RULES.items() if rule.linear]
SMALL = (0.0, 0.1, 1.0, 0.9)


def with_losses(losses: np.ndarray) -> Results:
    """A store of one pair with these losses (n_points, n_examples) on mnli_dev."""
    results = make_results(
        (0.0, 1.0), n_examples=losses.shape[1], n_points=len(losses), challenge=False
    )
    data = replace(results.datasets["mnli_dev"], losses=losses[None].astype(np.float32))
    return replace(results, datasets={"mnli_dev": data})


def brute(
    losses: np.ndarray, t: np.ndarray, rule: str
) -> tuple[float, np.ndarray, tuple[int, int, int] | None]:
    """The largest rise over all triples, what each example has of it, and the triple."""
    last = len(t) - 1
    best, values, triple = 0.0, np.zeros(losses.shape[1]), None
    for i, k, j in itertools.combinations(range(len(t)), 3):
        if rule == "barrier_height" and (i, j) != (0, last):
            continue
        own = losses[k] - ((t[j] - t[k]) * losses[i] + (t[k] - t[i]) * losses[j]) / (t[j] - t[i])
        if own.mean() > best:
            best, values, triple = float(own.mean()), own, (i, k, j)
    return best, values, triple


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=40))
def test_concentration_is_that_of_exact_arithmetic(numbers: list[int]) -> None:
    found = concentration(np.array(numbers, dtype=float))
    largest_first = sorted(numbers, reverse=True)
    n, net = len(numbers), sum(numbers)
    assert found.share_positive == sum(x > 0 for x in numbers) / n
    if net <= 0:
        assert found.n_half == 0
        assert np.isnan([found.top_1, found.top_5, found.top_10, found.effective_number]).all()
        return
    for share, percent in ((found.top_1, 1), (found.top_5, 5), (found.top_10, 10)):
        assert share == pytest.approx(sum(largest_first[: -(-n * percent // 100)]) / net)
    # no set of fewer examples makes half of the net gap
    assert found.n_half == next(
        m for m in range(1, n + 1) if Fraction(sum(largest_first[:m]), net) >= Fraction(1, 2)
    )
    squares = [x * x for x in numbers]
    number = Fraction(sum(squares) ** 2, sum(x * x for x in squares))
    assert found.effective_number == pytest.approx(float(number))


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=9).filter(lambda x: sum(x) > 0))
def test_no_set_of_fewer_examples_makes_half(numbers: list[int]) -> None:
    found = concentration(np.array(numbers, dtype=float)).n_half
    enough = [
        len(some)
        for size in range(1, len(numbers) + 1)
        for some in itertools.combinations(numbers, size)
        if 2 * sum(some) >= sum(numbers)
    ]
    assert found == min(enough)


@pytest.mark.parametrize(("n", "carriers"), [(50, 1), (50, 4), (50, 50)])
def test_so_many_examples_stand_behind_a_gap_as_carry_it(n: int, carriers: int) -> None:
    values = np.zeros(n)
    values[:carriers] = 3.0
    assert effective_number(values) == pytest.approx(carriers)
    # noise alone rests on a third of the examples: n over its kurtosis
    noise = np.random.default_rng(0).normal(size=100_000)
    assert effective_number(noise) / 100_000 == pytest.approx(1 / 3, rel=0.05)


def test_a_gap_that_one_example_makes_vanishes_without_it() -> None:
    losses = np.ones((5, 200))
    losses[2, 17] = 3
    found = population_contributions(with_losses(losses), "mnli_dev")
    assert np.flatnonzero(found.mean).tolist() == [17]
    assert (found.gaps, found.gap_without_top, found.gap_without_top_1) == ([0.01], 0, 0)
    assert found.effective.tolist() == [1]
    for part in ("1 pair, 0.01 nats", "1 of 200 examples", "it vanishes"):
        assert part in found.sentence
    alone = population_contributions(with_losses(losses[:, 17:18]), "mnli_dev")
    assert np.isnan([alone.gap_without_top, alone.gap_without_top_1]).all()


@pytest.mark.parametrize("rule", LINEAR_RULES)
def test_only_exact_points_are_seen(rule: str) -> None:
    results = thin_out(make_results(SMALL, n_examples=60), seed=1)
    data = results.datasets["mnli_dev"]
    found = population_contributions(results, "mnli_dev", rule)
    total = np.zeros(60)
    for pair, gap in enumerate(found.gaps):
        seen = results.exact[pair]
        losses, t = data.losses[pair][seen].astype(np.float64), results.positions[seen]
        best, values, _ = brute(losses, t, rule)
        assert gap == pytest.approx(RULES[rule](losses.mean(1), t), abs=1e-12)
        assert gap == pytest.approx(best, abs=1e-12)
        total += values
    np.testing.assert_allclose(found.mean, total / len(found.gaps), atol=1e-12)


def test_the_population_is_the_mean_over_its_pairs() -> None:
    results = make_results(SMALL, n_examples=80)
    losses = results.datasets["hans"].losses
    losses[1, 3, 5] = np.nan  # this pair has no gap
    texts = {"premise": np.array([f"p{e}" for e in range(80)], dtype=object)}
    data = replace(results.datasets["hans"], texts=texts)
    results = replace(results, datasets={**results.datasets, "hans": data})
    found = population_contributions(results, "hans")
    assert found.pairs.tolist() == [0, 2, 3, 4, 5]
    each = [
        brute(losses[pair].astype(np.float64), results.positions, "convexity_gap")
        for pair in found.pairs
    ]
    values = np.array([one for _, one, _ in each])
    np.testing.assert_allclose(found.mean, values.mean(0), atol=1e-14)
    np.testing.assert_allclose(found.gaps, [gap for gap, _, _ in each])
    assert found.mean.mean() == pytest.approx(found.gaps.mean())
    assert found.concentration == concentration(found.mean)
    np.testing.assert_allclose(
        found.effective, [(one**2).sum() ** 2 / (one**4).sum() for one in values]
    )
    for place in range(5):
        others = np.delete(values, place, axis=0).mean(0)
        expected = spearmanr(values[place], others).statistic
        assert found.stability[place] == pytest.approx(expected)
    order = np.argsort(-found.mean, kind="stable")
    curves = losses.astype(np.float64)
    gaps = convexity_gap(curves[found.pairs][:, :, order[1:]].mean(-1), results.positions)
    assert found.gap_without_top == found.gap_without_top_1 == pytest.approx(gaps.mean())
    # the table of examples
    table = found.examples
    assert table.index.tolist() == order.tolist()
    assert table["text: premise"].tolist() == [f"p{e}" for e in order]
    assert table["label"].tolist() == [data.label_names[data.labels[e]] for e in order]
    groups = data.groups["heuristic / label"]
    assert table["group: heuristic / label"].tolist() == groups[order].tolist()
    np.testing.assert_array_equal(table["contribution"], found.mean[order])
    assert table["share"].sum() == pytest.approx(1)
    raised = [(pair, *one) for pair, one in zip(found.pairs, each, strict=True) if one[0] > 0]
    assert len(raised) > 1
    expected_rows = np.zeros((4, 80))
    counts = np.zeros(80, dtype=int)
    for pair, _, own, (i, k, j) in raised:
        right = (data.predictions[pair] == data.labels).astype(float)
        w = np.divide(*(results.positions[[k, j]] - results.positions[i]))
        for row, at in ((0, curves[pair]), (2, right)):
            expected_rows[row] += (1 - w) * at[i] + w * at[j]
            expected_rows[row + 1] += at[k]
        top = np.argsort(-own)[:4]
        counts[top[own[top] > 0]] += 1
    columns = ["loss_ends", "loss_middle", "accuracy_ends", "accuracy_middle"]
    np.testing.assert_allclose(
        table[columns].sort_index().to_numpy().T, expected_rows / len(raised), atol=1e-12
    )
    assert table["in_top_5"].sort_index().tolist() == counts.tolist()
    # and of groups: those of the whole set add up
    rows = found.groups.set_index("group")
    assert rows.loc["hans", "share"] == pytest.approx(1)
    for name in np.unique(groups):
        mask = groups == name
        row = rows.loc[f"hans: {name}"]
        assert row["examples"] == mask.sum()
        assert row["contribution"] == pytest.approx(found.mean[mask].mean())
        assert row["share"] == pytest.approx(found.mean[mask].sum() / found.mean.sum())
    assert f"{np.median(found.stability):.2f} (Spearman, median of 5)" in found.sentence


def test_pairs_without_a_gap_count_as_none() -> None:
    results = make_results((0.0, 0.1, 1.0), n_examples=40, challenge=False)
    t = results.positions
    data = results.datasets["mnli_dev"]
    data.losses[0] = ((t - 0.5) ** 2)[:, None] + np.linspace(0, 1, 40)  # convex
    found = population_contributions(results, "mnli_dev", "barrier_height")
    assert found.gaps[0] == 0
    assert np.isnan(found.stability[0])
    assert np.isfinite(found.stability[1:]).all()
    expected = barrier_height(data.losses.mean(-1, dtype=np.float64), t)
    np.testing.assert_allclose(found.gaps, expected, atol=1e-12)
    assert found.mean.mean() == pytest.approx(expected.mean())
    data.losses[1:] = data.losses[0]
    none = population_contributions(results, "mnli_dev")
    assert none.sentence.startswith("No example contributes")
    assert none.examples[["loss_ends", "accuracy_middle"]].isna().all().all()
    assert none.groups["share"].isna().all()


def test_what_cannot_be_decomposed_is_refused() -> None:
    results = make_results((0.0, 1.0), n_examples=10)
    with pytest.raises(ConfigError, match=r"linear(?s:.*)convexity_gap or barrier_height"):
        population_contributions(results, "mnli_dev", "saddle")
    with pytest.raises(ConfigError, match="did you mean 'mnli_dev'"):
        population_contributions(results, "mnli_de")
    results.datasets["hans"].losses[0, 3, 0] = np.inf
    with pytest.raises(ConfigError, match="No pair has a finite gap"):
        population_contributions(results, "hans")
    means = replace(results.datasets["mnli_dev"], aggregated=True)
    with pytest.raises(ConfigError, match="only means over the examples are known"):
        population_contributions(replace(results, datasets={"mnli_dev": means}), "mnli_dev")
    unmeasured = replace(results, formats=np.zeros_like(results.formats))
    with pytest.raises(ConfigError, match="No pair has a finite gap"):
        population_contributions(unmeasured, "mnli_dev")
