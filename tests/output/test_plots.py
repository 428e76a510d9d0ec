"""Figures draw the analysis' numbers: checked on artists, never on pixels."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from scipy import stats
from scipy.cluster.hierarchy import dendrogram

from landscape.analysis.analysis import Analysis, analyze
from landscape.output.plots import figures_of
from landscape.output.plots.centroid_distance import fit_line
from landscape.output.plots.gap_matrix import tree_order
from landscape.output.plots.loss_curves import mean_interval
from tests.analyses import FOCUS, make_analysis
from tests.output.conftest import analysis_of, drawn, some_pairs


def _lines(ax: Axes) -> dict[str, np.ndarray]:
    return {line.get_label(): np.asarray(line.get_ydata()) for line in ax.lines}


@pytest.mark.parametrize("case", ["two", "thin"])  # straight over points that are missing
def test_mean_curves_are_means_of_pairs_that_start_at_the_generalising_model(case: str) -> None:
    two = analysis_of(case)
    ax = drawn("loss_curves", two)[1]
    score, curves = two.scores[FOCUS], two.curves[FOCUS].filled.losses
    expected: dict[str, list[np.ndarray]] = {}
    for (i, j), kind, losses in zip(two.pairs, two.kinds, curves, strict=True):
        if kind:
            turned = kind == "generalising-heuristic" and score.iloc[j] > score.iloc[i]
            expected.setdefault(kind, []).append(losses[::-1] if turned else losses)
    lines = _lines(ax)
    assert lines.keys() == {
        f"{kind.replace('-', ' – ')} ({len(rows)} pair{'s' * (len(rows) > 1)})"
        for kind, rows in expected.items()
    }
    for label, values in lines.items():
        rows = expected[label.rsplit(" (", 1)[0].replace(" – ", "-")]
        np.testing.assert_allclose(values, np.mean(rows, axis=0), rtol=1e-12)
    thin = [
        line
        for item in ax.collections
        if isinstance(item, LineCollection)
        for line in item.get_segments()
    ]
    assert len(thin) == sum(map(len, expected.values()))
    rising = next(values for label, values in lines.items() if "generalising – heuristic" in label)
    assert rising[-1] > 2 * rising[0]


def test_a_turned_curve_on_an_uneven_grid_is_read_at_the_mirrored_positions(two: Analysis) -> None:
    t = np.array([0.0, 0.1, 0.5, 1.0])
    losses = np.tile(t, (len(two.pairs), 1))
    pair = next(
        p
        for p, (i, j) in enumerate(two.pairs)
        if two.kinds[p] == "generalising-heuristic"
        and two.scores[FOCUS].iloc[j] > two.scores[FOCUS].iloc[i]
    )
    arrays = dict.fromkeys(("losses", "low", "high"), losses)
    known = np.ones(losses.shape, dtype=bool)
    curve = replace(two.curves[two.dataset], positions=t, evaluated=known, **arrays)
    kinds = np.where(np.arange(len(two.pairs)) == pair, two.kinds, "")
    only = replace(two, curves={two.dataset: curve}, kinds=kinds)
    ax = drawn("loss_curves", replace(only, focus=""))[0]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 1 - t, atol=1e-12)


def test_interval_of_a_mean_curve_is_that_of_all_resamples_of_models() -> None:
    pairs = np.array([(0, 1), (0, 2), (1, 2)])
    losses = np.array([[1.0, 5.0], [2.0, 3.0], [4.0, 0.0]])
    means = []
    for drawing in itertools.product(range(3), repeat=3):
        count = Counter(drawing)
        weights = [count[i] * count[j] for i, j in pairs]
        if sum(weights):
            means.append(np.average(losses, axis=0, weights=weights))
    exact = np.quantile(means, [0.05, 0.95], axis=0, method="inverted_cdf")
    band = mean_interval(losses, pairs, 0.9, np.random.default_rng(0), n_resamples=20_000)
    np.testing.assert_allclose(band, exact, atol=1e-9)


@pytest.mark.parametrize("thin", [False, True])
def test_a_lone_pair_has_its_own_interval(thin: bool) -> None:
    analysis = make_analysis((0.0, 1.0), thin=thin)
    ax = drawn("loss_curves", analysis)[0]
    curve = analysis.curves[analysis.dataset]
    (band,) = [item for item in ax.collections if not isinstance(item, LineCollection)]
    corners = band.get_paths()[0].vertices
    assert corners[:, 1].min() == pytest.approx(np.nanmin(curve.low))
    assert corners[:, 1].max() == pytest.approx(np.nanmax(curve.high))


def test_without_a_challenge_set_pairs_are_told_apart_by_basin() -> None:
    analysis = analysis_of("in-domain")
    ax = drawn("loss_curves", analysis)[0]
    labels = analysis.basins.labels[analysis.pairs]
    same = int((labels[:, 0] == labels[:, 1]).sum())
    other = len(labels) - same
    assert set(_lines(ax)) == {f"same basin ({same} pairs)", f"different basins ({other} pairs)"}


@pytest.mark.parametrize("case", ["two", "pair", "many"])
def test_matrix_shows_every_gap_at_its_models(case: str) -> None:
    analysis = analysis_of(case)
    ax = drawn("gap_matrix", analysis)[0]
    place = {name.get_text(): row for row, name in enumerate(ax.get_yticklabels())}
    shown = ax.images[0].get_array()
    for i, j in analysis.pairs:
        row, column = place[analysis.models[i]], place[analysis.models[j]]
        assert shown[row, column] == shown[column, row] == analysis.gaps.estimate[i, j]
    assert [name.get_text() for name in ax.get_xticklabels()] == list(place)
    numbers = [text for text in ax.texts if text.get_text()]
    assert len(numbers) == (0 if case == "many" else len(place) * (len(place) - 1))


@pytest.mark.parametrize("case", ["three", "many"])
def test_tree_stands_over_the_rows_it_joins(case: str) -> None:
    analysis = analysis_of(case)
    ax = drawn("gap_matrix", analysis)[0]
    tree, order = analysis.basins.merge_tree, tree_order(analysis)
    assert _is_turned(order, tree)
    labels = analysis.basins.labels[order].tolist()
    assert len(list(itertools.groupby(labels))) == len(set(labels))
    names = [text.get_text() for text in ax.get_xticklabels()]
    assert names == [analysis.models[model] for model in order]
    (axes,) = [child for child in ax.child_axes if child.get_label() == "merge tree"]
    shapes = np.array(axes.collections[0].get_segments())
    expected = np.array(dendrogram(tree, no_plot=True)["dcoord"])[:, [1, 2]].max(axis=1)
    np.testing.assert_allclose(np.sort(shapes[:, 1, 1]), np.sort(expected))
    # the foot of every leaf's stem lies on its model's column
    feet = {x for shape in shapes for x, y in (shape[0], shape[3]) if y == 0}
    assert feet >= set(range(len(order)))


def test_unmeasured_pairs_are_hatched_and_counted(two: Analysis) -> None:
    some = analyze(some_pairs(two.results), n_resamples=20)
    ax = drawn("gap_matrix", some)[0]
    assert ax.images[0].get_array().mask.sum() == 2 * 15
    assert ax.patch.get_hatch()
    assert "not measured (15)" in [text.get_text() for text in ax.get_legend().get_texts()]
    for panel in drawn("loss_curves", some):
        assert all(np.isfinite(values).all() for values in _lines(panel).values())


def test_heavy_tailed_gaps_have_a_square_root_scale_that_says_so() -> None:
    ax = drawn("gap_matrix", analysis_of("three"))[0]
    assert ax.child_axes[-1].get_ylabel() == "convexity gap (nats), square-root scale"
    norm = ax.images[0].norm
    assert norm(norm.vmax / 4) == pytest.approx(0.5)


def _is_turned(order: np.ndarray, tree: np.ndarray) -> bool:
    """Whether the order is the tree's, some of its branches turned: every node is one run."""
    nodes, place = [[leaf] for leaf in range(len(order))], np.argsort(order)
    for a, b in tree[:, :2].astype(int):
        nodes.append(nodes[a] + nodes[b])
    return all(np.ptp(place[node]) == len(node) - 1 for node in nodes)


def test_points_line_and_correlations_are_those_of_the_analysis(two: Analysis) -> None:
    (ax,) = drawn("centroid_distance", two)
    x, y = two.basins.groups.centroid_distance, two.scores[FOCUS].to_numpy()
    markers = [line for line in ax.lines if line.get_marker() != "None"]
    for basin, line in enumerate(markers):
        members = two.basins.labels == basin
        np.testing.assert_array_equal(line.get_data(), [x[members], y[members]])
        assert line.get_label() == f"basin {basin} ({members.sum()})"
    (fit,) = [line for line in ax.lines if len(line.get_xdata()) > len(x)]
    exact = stats.linregress(x, y)
    np.testing.assert_allclose(fit.get_ydata(), exact.intercept + exact.slope * fit.get_xdata())
    row = two.relation.table.set_index("group").loc[FOCUS]
    title = ax.get_title(loc="left").replace("\N{MINUS SIGN}", "-")
    for name in ("pearson", "spearman"):
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        assert f"= {row[name]:.2f} [{low:.2f}, {high:.2f}]" in title
    assert title.endswith(f"n = {len(x)}")


def test_band_of_the_line_is_that_of_all_resamples_of_models() -> None:
    x, y = np.array([0.0, 1.0, 2.5, 4.0]), np.array([1.0, 0.2, 3.0, 2.0])
    band = fit_line(x, y, 0.9, np.random.default_rng(0), n_resamples=40_000)
    assert band is not None
    at, _, low, high = (part[::50] for part in band)
    lines = []
    for drawing in itertools.product(range(4), repeat=4):
        rows = list(drawing)
        if len(set(rows)) > 1:
            line = stats.linregress(x[rows], y[rows])
            lines.append(line.intercept + line.slope * at)
    exact = np.quantile(lines, [0.05, 0.95], axis=0, method="inverted_cdf")
    np.testing.assert_allclose([low, high], exact, atol=1e-9)


def test_no_line_through_points_above_each_other() -> None:
    rng = np.random.default_rng(0)
    assert fit_line(np.full(5, 0.1), np.arange(5.0), 0.95, rng) is None
    assert fit_line(np.arange(2.0), np.arange(2.0), 0.95, rng) is None


@pytest.mark.parametrize("case", ["two", "three"])
def test_histogram_counts_each_basin_and_marks_its_mean(case: str) -> None:
    analysis = analysis_of(case)
    (ax,) = drawn("basin_histogram", analysis)
    bars = ax.containers[0]
    edges = [bar.get_x() for bar in bars] + [bars[-1].get_x() + bars[-1].get_width()]
    score = analysis.scores[FOCUS].to_numpy()
    row = analysis.relation.table.set_index("group").loc[FOCUS]
    means = {float(line.get_xdata()[0]) for line in ax.lines if line.get_label() == "_mean"}
    assert sum(bar.get_height() for bars in ax.containers for bar in bars) == len(score)
    for basin, bars in enumerate(ax.containers):
        inside = score[analysis.basins.labels == basin]
        expected = np.histogram(inside, edges)[0]
        assert [bar.get_height() for bar in bars] == expected.tolist()
        assert bars.get_label() == f"basin {basin} ({len(inside)})"
        assert row[f"basin_{basin}_mean"] in means


def test_a_model_that_joins_two_basins_is_in_none_of_them() -> None:
    analysis = make_analysis((0, 0.01, 0.02, 0.2, 0.38, 0.39, 0.4), n_examples=400)
    assert analysis.basins.labels.tolist() == [0, 0, 0, -1, 1, 1, 1]
    for name in ("gap_matrix", "centroid_distance", "basin_histogram"):
        legend = drawn(name, analysis)[0].get_legend()
        names = {text.get_text() for text in legend.get_texts()}
        assert names == {"basin 0 (3)", "basin 1 (3)", "joins several (1)"}


def test_one_basin_is_shown_as_a_forced_split() -> None:
    analysis = analysis_of("one")
    assert analysis.basins.n_basins == 1
    for name in ("centroid_distance", "basin_histogram"):
        (ax,) = drawn(name, analysis)
        legend = ax.get_legend()
        assert legend.get_title().get_text() == "forced two-way split"
        assert all(text.get_text().startswith("side") for text in legend.get_texts())
    (mean,) = [line for line in ax.lines if line.get_label() == "_mean"]
    assert mean.get_xdata()[0] == pytest.approx(analysis.scores[FOCUS].mean())
    ax = drawn("gap_matrix", analysis)[0]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["all models (6)"]


def test_settings_stay() -> None:
    before, analysis = dict(mpl.rcParams), analysis_of("pair")
    for kind in figures_of(analysis):
        kind.draw(analysis)
    assert dict(mpl.rcParams) == before
