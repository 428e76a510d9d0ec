"""The structure of gap matrices, against counting by hand, scipy and networkx."""

from __future__ import annotations

from itertools import combinations, permutations

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import squareform

from landscape.analysis.basins.structure import (
    climbs,
    clustering,
    count_triangles,
    directed_links,
    fill_unmeasured,
    merge_heights,
    structure_sentence,
)
from landscape.core.errors import ConfigError

# 0 joins 1 and 1 joins 2 but 0 and 2 are apart; 3 is far from everyone
CHAIN = squareform([0.01, 0.31, 1.0, 0.015, 1.0, 1.0])
NAMES = ("ada", "bo", "cy", "di")


def some_gaps(seed: int, n: int = 9, missing: float = 0.0, ties: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    pairs = rng.gamma(0.7, 0.04, n * (n - 1) // 2)
    if ties:
        pairs = np.round(pairs, 2)  # many equal gaps, and gaps of 0
    pairs[rng.random(len(pairs)) < missing] = np.nan
    return squareform(pairs, checks=False)


cases = st.builds(
    some_gaps,
    st.integers(0, 10_000),
    st.integers(3, 10),
    st.sampled_from([0.0, 0.2, 0.6]),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(cases)
def test_models_join_at_the_lowest_highest_gap_of_any_chain(gaps: np.ndarray) -> None:
    expected = gaps.copy()  # all chains, as Floyd and Warshall find them
    expected[np.isnan(expected)] = np.inf
    for k in range(len(gaps)):
        expected = np.minimum(expected, np.maximum(expected[:, [k]], expected[[k]]))
    expected[np.isinf(expected)] = np.nan
    np.testing.assert_array_equal(merge_heights(gaps), expected)
    measured = np.argwhere(np.triu(~np.isnan(gaps), 1))
    whole = gaps[tuple(measured.T)] <= 0.05  # a measured pair may be NaN all the same
    gaps = gaps.copy()
    gaps[tuple(measured[~whole].T)] = gaps.T[tuple(measured[~whole].T)] = np.nan
    filled = fill_unmeasured(gaps, measured)
    np.testing.assert_array_equal(filled[tuple(measured.T)], gaps[tuple(measured.T)])
    others = np.isnan(squareform(squareform(filled, checks=False)))
    assert others[tuple(measured[~whole].T)].all()


def by_hand(gaps: np.ndarray, low: np.ndarray, high: np.ndarray, tolerance: float) -> dict:
    """Every triple on its own."""
    found: dict = {"total": 0, "open": set(), "certain": set(), "closed": 0, "metric": {}}
    for triple in combinations(range(len(gaps)), 3):
        ways = [(a, b, c) for a, b, c in permutations(triple) if a < c]
        if np.isnan([gaps[i, j] for i, j in combinations(triple, 2)]).any():
            continue
        found["total"] += 1
        found["closed"] += all(gaps[i, j] <= tolerance for i, j in combinations(triple, 2))
        for a, b, c in ways:
            if gaps[a, b] <= tolerance and gaps[b, c] <= tolerance and gaps[a, c] > tolerance:
                found["open"].add((a, b, c))
            if high[a, b] <= tolerance and high[b, c] <= tolerance and low[a, c] > tolerance:
                found["certain"].add((a, b, c))
        found["metric"][triple] = max(gaps[a, c] - (gaps[a, b] + gaps[b, c]) for a, b, c in ways)
    return found


@settings(max_examples=60, deadline=None)
@given(cases, st.integers(0, 10_000), st.sampled_from([0.0, 0.02, 0.05]))
def test_triples_are_counted_as_by_hand(gaps: np.ndarray, seed: int, tolerance: float) -> None:
    rng = np.random.default_rng(seed)
    errors = squareform(rng.gamma(1.0, 0.005, len(gaps) * (len(gaps) - 1) // 2), checks=False)
    low, high = gaps - 2 * errors, gaps + 2 * errors
    found = count_triangles(
        gaps, apart=low > tolerance, joined=high <= tolerance, tolerance=tolerance
    )
    expected = by_hand(gaps, low, high, tolerance)
    assert found.n_triples == expected["total"]
    assert found.n_intransitive == len(expected["open"])
    assert found.n_certain == len(expected["certain"])
    assert expected["certain"] <= expected["open"]
    assert found.n_closed == expected["closed"]
    broken = {t: excess for t, excess in expected["metric"].items() if excess > 1e-9}
    assert found.n_violations == len(broken)
    if broken:
        assert found.mean_violation == pytest.approx(np.mean([*broken.values()]))
        assert found.largest_violation == pytest.approx(max(broken.values()))
    else:
        assert np.isnan([found.mean_violation, found.largest_violation]).all()
    assert len(found.worst) == min(5, len(expected["open"]))
    ranked = sorted((way in expected["certain"], gaps[way[0], way[2]]) for way in expected["open"])[
        ::-1
    ]
    assert [(t.certain, t.far) for t in found.worst] == ranked[:5]
    for triple in found.worst:
        assert triple.models in expected["open"]
        a, b, c = triple.models
        assert triple.near == (gaps[a, b], gaps[b, c])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 10))
def test_transitivity_is_newmans(seed: int, n: int) -> None:
    gaps = some_gaps(seed, n)
    found = count_triangles(gaps)
    graph = nx.Graph((i, j) for i, j in combinations(range(n), 2) if gaps[i, j] <= 0.02)
    if max([d for _, d in graph.degree], default=0) > 1:
        transitivity = clustering(gaps, n_draws=2).transitivity
        assert transitivity == pytest.approx(nx.transitivity(graph))
    # exact gaps: an intransitive triple is certain, and in an ultrametric there is none
    assert found.n_certain == found.n_intransitive
    flat = count_triangles(merge_heights(gaps))
    assert flat.n_intransitive == flat.n_violations == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 9), st.sampled_from([0.0, 0.3]))
def test_clustering_coefficients_are_those_of_the_measured_triples(
    seed: int, n: int, missing: float
) -> None:
    gaps = some_gaps(seed, n, missing=missing)
    measured = squareform(gaps, checks=False)
    assume(np.isfinite(measured).any())
    delta = np.nanmedian(measured)
    found = clustering(gaps, n_draws=2)
    affinity = np.exp(-0.5 * (gaps / delta) ** 2)
    np.fill_diagonal(affinity, np.nan)
    top = np.nanmax(affinity)
    onnela, zhang_horvath = [], []
    for i in range(n):
        near = [
            (affinity[i, j], affinity[i, k], affinity[j, k])
            for j, k in combinations([j for j in range(n) if j != i], 2)
        ]
        a, b, c = np.array([t for t in near if not np.isnan(t).any()]).reshape(-1, 3).T
        if len(a):
            onnela.append(np.mean(np.cbrt(a * b * c) / top))
        if (a * b).sum():  # else so far apart that what would weigh is too small for a number
            zhang_horvath.append((a * b * c).sum() / (a * b).sum())
    for value, each in ((found.onnela_mean, onnela), (found.zhang_horvath_mean, zhang_horvath)):
        assert value == pytest.approx(np.mean(each) if each else np.nan, nan_ok=True)
    if not missing:
        edges = [(i, j, affinity[i, j]) for i, j in combinations(range(n), 2)]
        graph = nx.Graph()
        graph.add_weighted_edges_from(edges)
        assert found.onnela_mean == pytest.approx(nx.average_clustering(graph, weight="weight"))


def test_the_null_of_clustering_holds_permuted_gaps() -> None:
    # four models have 6 gaps: all 720 orders against the draws
    gaps = squareform([0.01, 0.02, 0.05, 0.3, 0.01, 0.4])
    found = clustering(gaps, delta=0.05, n_draws=4000, rng=1)
    orders = [squareform(order) for order in permutations(squareform(gaps))]
    every = [clustering(order, delta=0.05, n_draws=1) for order in orders]
    for name in ("onnela", "zhang_horvath"):
        values = np.array([getattr(one, f"{name}_mean") for one in every])
        mean, low, high = getattr(found, f"{name}_null")
        assert mean == pytest.approx(values.mean(), abs=4 * values.std() / 4000**0.5)
        assert [low, high] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.02)


def test_climbs_are_measured_from_ones_own_loss() -> None:
    curves = [[0.5, 0.6, 0.4], [0.5, 0.3, 0.2], [0.4, 9.0, 0.2]]
    pairs = [(0, 1), (2, 0), (1, 2)]
    seen = np.ones((3, 3), dtype=bool)
    seen[2, 1] = False  # whatever stands there
    found = climbs(curves, pairs, 4, points=seen)
    nan = np.nan
    expected = [[0, 0.1, 0.3, nan], [0.2, 0, 0, nan], [0, 0.2, 0, nan], [nan, nan, nan, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert climbs(curves, pairs, 3)[2, 1] == pytest.approx(8.8)
    assert np.isnan(climbs([[0.1, np.inf, 0.1]], [(0, 1)], 2)[0, 1])
    assert np.isnan(climbs([[0.1, np.nan, 0.1]], [(1, 0)], 2)[0, 1])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 7), st.sampled_from([0.0, 0.3]))
def test_links_are_counted_as_by_hand(seed: int, n: int, missing: float) -> None:
    rng = np.random.default_rng(seed)
    pairs = [pair for pair in combinations(range(n), 2) if rng.random() >= missing]
    members = np.array(pairs, dtype=int).reshape(-1, 2)
    matrix = climbs(rng.gamma(1.0, 0.03, (len(pairs), 5)), members, n)
    found = directed_links(matrix, tolerance=0.03)
    links = {(i, j) for i, j in permutations(range(n), 2) if matrix[i, j] <= 0.03}
    assert found.n_links == len(links)
    back = {(i, j) for i, j in links if matrix[j, i] > 0.03}
    assert {*map(tuple, found.one_way)} == back
    ways_back = [matrix[j, i] for i, j in found.one_way]
    assert ways_back == sorted(ways_back, reverse=True)
    if links:
        assert found.reciprocity == pytest.approx(nx.reciprocity(nx.DiGraph([*links])))
    else:
        assert np.isnan(found.reciprocity)


def test_the_sentence_names_the_worst_triple() -> None:
    said = structure_sentence(count_triangles(CHAIN), NAMES)
    assert all(part in said for part in ("1 of 4", "ada and bo (.01)", ".31 nats", "ada and cy"))
    for width, beyond in ((0.002, "1"), (0.02, "none")):
        apart, joined = CHAIN - width > 0.02, CHAIN + width <= 0.02
        found = count_triangles(CHAIN, apart=apart, joined=joined)
        assert f"({beyond} of them beyond noise)" in structure_sentence(found, NAMES)
    for n in (1, 2):
        none = structure_sentence(count_triangles(np.zeros((n, n))), NAMES)
        assert none.startswith("Nothing can be intransitive")


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: merge_heights(np.zeros((2, 3))), r"shape \(2, 3\)"),
        (lambda: count_triangles([[0, 0], [1, 0]]), "(?s)models 0 and 1.*0 and 1"),
        (lambda: clustering([[0, -1], [-1, 0]]), "(?s)models 0 and 1.*found: -1"),
        (lambda: clustering([[0, np.nan], [np.nan, 0]]), "found: none"),
        (lambda: clustering(CHAIN, delta="mean"), "(?s)delta.*found: 'mean'"),
        (lambda: count_triangles(CHAIN, tolerance=-0.1), "found: -0.1"),
    ],
)
def test_errors_say_what_was_expected(call, parts: str) -> None:
    with pytest.raises(ConfigError, match=parts):
        call()
