"""Comparisons of partitions, against entropies by hand, scikit-learn and every permutation."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from scipy.stats import entropy, spearmanr
from sklearn.metrics import adjusted_rand_score

from landscape.analysis.analysis import Analysis
from landscape.analysis.barriers import RULES
from landscape.analysis.basins import find_basins
from landscape.analysis.basins.partitions import (
    compare_partitions,
    matrix_agreement,
    rand_p_value,
)
from landscape.analysis.gaps import gap_matrix, largest_gap
from landscape.analysis.sources import Source, partition_sources, sources_sentence
from landscape.core.errors import ConfigError
from tests.analyses import make_analysis

PLACES = (0.0, 0.1, 0.05, 0.95, 1.0, 1.05, 0.02)
AVERAGING_RULES = [name for name, rule in RULES.items() if rule.is_zero_without]
LABELS = [0, 0, 0, 1, 1, 1, 0]

three_partitions = st.integers(1, 12).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 3), min_size=n, max_size=n)] * 3)
)


@settings(max_examples=60, deadline=None)
@given(three_partitions)
def test_variation_of_information_is_a_metric_of_entropies(parts: tuple[list[int], ...]) -> None:
    table = compare_partitions(dict(zip("abc", parts, strict=True)), n_resamples=1)
    ab, ac, bc = table["variation_of_information"]
    a, b, _ = parts
    both = [10 * x + y for x, y in zip(a, b, strict=True)]
    joint, first, second = (
        entropy(np.unique(labels, return_counts=True)[1]) for labels in (both, a, b)
    )
    assert ab == pytest.approx(2 * joint - first - second, abs=1e-12)
    assert ab <= ac + bc + 1e-12
    same = {*both} and len({*both}) == len({*a}) == len({*b})
    assert (ab < 1e-12) == bool(same)
    assert table["adjusted_rand"][0] == pytest.approx(adjusted_rand_score(a, b))


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=5, max_size=5), st.integers(0, 1000))
def test_the_rand_p_value_counts_every_permutation(a: list[int], seed: int) -> None:
    b = np.random.default_rng(seed).integers(0, 2, 5)
    found = rand_p_value(a, b, n_resamples=120)
    if {len({*a}), len({*b})} & {1, 5}:
        assert np.isnan(found)
        return
    observed = adjusted_rand_score(a, b)
    every = [adjusted_rand_score(order, b) for order in permutations(a)]
    assert found == pytest.approx(np.mean([index >= observed - 1e-12 for index in every]))


def test_partitions_are_compared_two_by_two() -> None:
    table = compare_partitions(
        {"loss": LABELS, "names": [*"aaabbba"], "one": [7] * 7, "odd": [0, 1, 0, 1, 0, 1, 0]}
    )
    assert [*zip(table["first"], table["second"], strict=True)] == [
        *combinations(["loss", "names", "one", "odd"], 2)
    ]
    same = table.iloc[0]
    assert (same["adjusted_rand"], same["variation_of_information"]) == (1, 0)
    assert same["p_value"] == pytest.approx(1 / 35)  # 35 ways to choose the block of three
    one = table[table["second"] == "one"]
    assert one["p_value"].isna().all()
    assert one["adjusted_rand"].tolist() == [0, 0]
    assert "p_value" in compare_partitions({})


def test_agreement_of_matrices_is_mantels_test() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 5, 3))
    a, b = pdist(x), pdist(x + 0.8 * y)
    found = matrix_agreement({"a": squareform(a), "b": squareform(b)}).iloc[0]
    rho = spearmanr(a, b).statistic
    assert found["spearman"] == pytest.approx(rho)
    assert found["n_pairs"] == 10
    every = np.array(
        [
            spearmanr(squareform(squareform(a)[np.ix_(order, order)]), b).statistic
            for order in permutations(range(5))
        ]
    )
    sides = (every >= rho - 1e-12).mean(), (every <= rho + 1e-12).mean()
    assert found["p_value"] == pytest.approx(min(1, 2 * min(sides)))


def test_agreement_with_itself_with_holes_and_with_constants() -> None:
    a = squareform(np.random.default_rng(0).random(190))
    holes = a.copy()
    holes[0, 1] = holes[1, 0] = np.nan
    flat = 1 - np.eye(20)
    table = matrix_agreement({"a": a, "b": a**3, "holes": holes, "flat": flat}, n_resamples=199)
    rows = table.set_index(["first", "second"])
    assert rows.loc[("a", "b"), "spearman"] == pytest.approx(1)
    assert rows.loc[("a", "b"), "p_value"] == pytest.approx(2 / 200)
    assert rows.loc[("a", "holes"), "spearman"] == pytest.approx(1)
    assert rows.loc[("a", "holes"), "n_pairs"] == 189
    assert np.isnan(rows.loc[("a", "holes"), "p_value"])
    assert rows.loc[("a", "flat"), ["spearman", "p_value"]].isna().all()


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return make_analysis(PLACES)


@pytest.fixture(scope="module")
def sources(analysis: Analysis) -> tuple[Source, ...]:
    distances = squareform(pdist(np.array(PLACES)[:, None]))
    results = replace(analysis.results, distances=distances)
    return partition_sources(replace(analysis, results=results))


def test_every_source_of_a_store_is_there(analysis: Analysis, sources: tuple[Source, ...]) -> None:
    rules = [rule.replace("_", " ") for rule in AVERAGING_RULES]
    assert [source.name for source in sources] == [
        *(f"{rule} on {name}" for name in ("mnli_dev", "hans") for rule in rules),
        "disagreement on mnli_dev",
        "disagreement on hans",
        "weight distance",
    ]
    by_name = {source.name: source for source in sources}
    own = by_name["convexity gap on mnli_dev"]
    np.testing.assert_allclose(own.matrix, np.maximum(analysis.gaps.estimate, 0), atol=1e-9)
    assert own.labels is analysis.basins.groups.labels
    predictions = analysis.results.datasets["hans"].model_predictions
    expected = squareform(pdist(predictions.astype(float), "hamming"))
    np.testing.assert_allclose(by_name["disagreement on hans"].matrix, expected)
    for source in (own, by_name["weight distance"]):
        assert adjusted_rand_score(source.forced, LABELS) == 1
    alone = find_basins(by_name["barrier height on mnli_dev"].matrix, 2)
    assert adjusted_rand_score(by_name["barrier height on mnli_dev"].forced, alone.labels) == 1


@pytest.mark.parametrize("thin", [False, True])
def test_gaps_of_every_rule_are_those_at_the_exact_points(thin: bool) -> None:
    results = make_analysis(PLACES, thin=thin).results
    assert results.exact.all() != thin
    means = results.datasets["hans"].losses.mean(-1, dtype=np.float64)
    for rule in RULES:
        found = gap_matrix(results, means, rule)
        for (i, j), curve, seen in zip(results.pairs, means, results.exact, strict=True):
            expected = RULES[rule](curve[seen], results.positions[seen])
            assert found[i, j] == pytest.approx(expected, abs=1e-12)
        np.testing.assert_array_equal(found, found.T)


def test_the_pair_with_the_largest_gap_is_that_of_the_analysis(analysis: Analysis) -> None:
    i, j = largest_gap(analysis.results)
    assert i < j
    assert analysis.gaps.estimate[i, j] == np.nanmax(analysis.gaps.estimate)


def test_a_loss_that_is_not_finite_leaves_a_source_without_groups(analysis: Analysis) -> None:
    results = analysis.results
    curves = analysis.curves["hans"]
    losses = curves.losses.copy()
    losses[0, 4] = np.inf
    broken = replace(analysis, curves={**analysis.curves, "hans": replace(curves, losses=losses)})
    distances = np.full((7, 7), np.nan)
    few = replace(
        results.datasets["hans"],
        model_predictions=np.zeros_like(results.datasets["hans"].model_predictions),
    )
    results = replace(results, datasets={**results.datasets, "hans": few}, distances=distances)
    broken = replace(broken, results=results)
    found = {source.name: source for source in partition_sources(broken)}
    assert "weight distance" not in found
    gap = found["convexity gap on hans"]
    assert (gap.n_groups, len(gap.labels), len(gap.forced)) == (0, 0, 0)
    assert gap.note.startswith("1 pair")
    assert not found["disagreement on hans"].matrix.any()
    assert found["disagreement on hans"].n_groups == 1


def made(kind: str, dataset: str, labels: list[int], forced: list[int] | None = None) -> Source:
    name = f"{kind.replace('_', ' ')} on {dataset}"
    forced_to = np.array(labels if forced is None else forced)
    n = len(labels)
    return Source(
        name, np.zeros((n, n)), max(labels) + 1, np.array(labels), forced_to, kind, dataset, ""
    )


def say(analysis: Analysis, *parts: tuple[list[int], list[int] | None]) -> str:
    """The sentence of an in-domain gap, a challenge gap and challenge disagreement."""
    places = [("convexity_gap", "mnli_dev"), ("convexity_gap", "hans"), ("disagreement", "hans")]
    sources = [made(*place, *labels) for place, labels in zip(places, parts, strict=False)]
    table = compare_partitions({source.name: source.labels for source in sources})
    return sources_sentence(analysis, sources, table)


def test_the_sentence_answers(analysis: Analysis) -> None:
    two, other = [0] * 8 + [1] * 7, [0, 1] * 7 + [0]
    close, one = [0] * 7 + [1] * 8, [0] * 15
    swapped = [1 - x for x in two]
    for answer, *parts in (
        ("Yes: ", (two, None), (two, None), (swapped, None)),
        ("In part: ", (two, None), (two[::-1], None), (two, None)),
        ("In part: ", (two, None), (one, two), (one, other)),
        ("No: ", (two, None), (other, None), (one, other)),
        ("There are no groups", (one, two), (one, two), (one, other)),
    ):
        assert say(analysis, *parts).startswith(answer)
    index = adjusted_rand_score(two, close)
    said = say(analysis, (two, None), (other, None), (close, None))
    assert f"(adjusted Rand index {index:.2f}, " in said
    assert "agree no more than by chance" in said


def test_the_sentence_of_a_store(analysis: Analysis, sources: tuple[Source, ...]) -> None:
    table = compare_partitions({source.name: source.labels for source in sources})
    found = sources_sentence(analysis, sources, table)
    assert "in-domain loss (convexity gap on mnli_dev)" in found
    # by another rule, another gap is compared; one that is no gap from 0 falls back
    other = sources_sentence(replace(analysis, rule="barrier_height"), sources, table)
    assert "in-domain loss (barrier height on mnli_dev)" in other
    assert sources_sentence(replace(analysis, rule="saddle"), sources, table) == found
    assert sources_sentence(replace(analysis, dataset="hans"), sources, table) == found
    bare = [source for source in sources if source.dataset != "hans"]
    assert sources_sentence(analysis, bare, table).startswith("No challenge set")
    with pytest.raises(ConfigError, match=r"(?s)no groups of in-domain gaps.*on mnli_dev"):
        sources_sentence(analysis, [], table)


def test_errors_say_what_was_expected(analysis: Analysis) -> None:
    with pytest.raises(ConfigError, match=r"shapes \(2,\) and \(3,\)"):
        rand_p_value([0, 1], [0, 1, 2])
    with pytest.raises(ConfigError, match=r"(?s)distances by b.*\(2, 2\).*shape \(3, 3\)"):
        matrix_agreement({"a": np.eye(2), "b": np.eye(3)})
