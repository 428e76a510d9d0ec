"""Figures of the evidence and of the contributions: checked on artists, never on pixels."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from landscape.analysis.analysis import Analysis
from landscape.analysis.barriers.contributions import population_contributions
from tests.output.conftest import analysis_of, drawn


def _by_label(ax: Axes) -> dict[str, np.ndarray]:
    return {str(line.get_label()): np.asarray(line.get_xydata()) for line in ax.lines}


@pytest.mark.parametrize("case", ["two", "one"])
def test_silhouettes_stand_beside_what_they_must_exceed(case: str) -> None:
    analysis = analysis_of(case)
    evidence = analysis.basins.groups.evidence
    shown = _by_label(drawn("evidence", analysis)[0])
    null = np.column_stack([evidence.candidates, evidence.null_quantiles])
    np.testing.assert_array_equal(shown["one group, 95% of draws"], null)
    found = np.column_stack([evidence.candidates, evidence.silhouettes])
    np.testing.assert_array_equal(shown["_line"], found)
    taken = evidence.candidates == analysis.basins.groups.n_groups
    np.testing.assert_array_equal(shown["found"], found[~taken])
    assert ("found, taken" in shown) == taken.any()
    if taken.any():
        np.testing.assert_array_equal(shown["found, taken"], found[taken])


@pytest.mark.parametrize(("case", "n"), [("pair", 2), ("many", 12)])
def test_eigenvalues_rise_most_after_the_eigengap(case: str, n: int) -> None:
    analysis = analysis_of(case)
    evidence = analysis.basins.groups.evidence
    shown = _by_label(drawn("evidence", analysis)[1])
    np.testing.assert_array_equal(shown["eigenvalues"][:, 1], evidence.eigenvalues[:n])
    np.testing.assert_array_equal(shown["eigenvalues"][:, 0], np.arange(1, n + 1))
    k = evidence.eigengap
    rise = shown[f"largest rise, after {k}"]
    assert rise[:, 0].tolist() == [k, k + 1]
    assert rise[:, 1].tolist() == evidence.eigenvalues[k - 1 : k + 1].tolist()


@pytest.mark.parametrize("case", ["two", "pair"])
def test_every_gap_is_in_a_bar(case: str) -> None:
    analysis = analysis_of(case)
    evidence = analysis.basins.groups.evidence
    ax = drawn("evidence", analysis)[2]
    heights = {str(bars.get_label()): [bar.get_height() for bar in bars] for bars in ax.containers}
    n_pairs = len(analysis.pairs)
    assert sum(map(sum, heights.values())) == pytest.approx(n_pairs)
    two = evidence.mixture is not None and evidence.mixture.n_kinds == 2
    assert set(heights) == ({"lower kind of gap", "higher kind of gap"} if two else {"gaps"})
    lines = {str(line.get_label()): float(line.get_xdata()[0]) for line in ax.lines}
    assert lines["tolerance"] == evidence.tolerance
    if evidence.mixture is not None and two:
        i, j = analysis.pairs.T
        higher = evidence.mixture.probability[i, j].sum()
        assert sum(heights["higher kind of gap"]) == pytest.approx(higher)
        assert lines["parted at"] == evidence.mixture.threshold
        # bars stand on each other and are told apart without colour
        for low, high in zip(*ax.containers, strict=True):
            assert high.get_y() == low.get_height()
            assert bool(high.get_hatch()) > bool(low.get_hatch())
    spans = {
        str(patch.get_label()): patch.get_x() + patch.get_width()
        for patch in ax.patches
        if isinstance(patch, Rectangle) and str(patch.get_label()).startswith("noise")
    }
    noise = analysis.gaps.null_bias[tuple(analysis.pairs.T)]
    assert spans == pytest.approx(
        {"noise: median pair": np.median(noise), "noise: any pair": noise.max()}
    )


def test_gaps_lie_in_the_bar_of_their_size(two: Analysis) -> None:
    ax = drawn("evidence", two)[2]
    gaps = two.gaps.estimate[tuple(two.pairs.T)]
    total = np.sum([[bar.get_height() for bar in bars] for bars in ax.containers], axis=0)
    edges = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.containers[0]]
    expected = [((low <= gaps) & (gaps < high)).sum() for low, high in edges]
    np.testing.assert_allclose(total, expected)
    # bars are equally wide on the scale of roots
    roots = np.diff(np.sqrt(np.array(edges)), axis=1)
    np.testing.assert_allclose(roots, roots.mean())


def test_contributions_are_summed_up_from_the_largest_on(two: Analysis) -> None:
    found = population_contributions(two.results, two.dataset)
    (ax,) = drawn("contributions", two)
    shown = _by_label(ax)
    curve = shown["examples, largest first"]
    n, order = len(found.mean), sorted(found.mean, reverse=True)
    assert len(curve) == n + 1
    for k in (0, 1, 7, n):
        expected = (k / n, sum(order[:k]) / sum(order))
        assert tuple(curve[k]) == pytest.approx(expected)
    np.testing.assert_array_equal(shown["the top 12"], curve[1:13])
    spread = found.concentration
    texts = {text.get_text(): text.xy for text in ax.texts}
    assert texts == {
        f"1% of the examples: {100 * spread.top_1:.0f}%": (0.01, spread.top_1),
        f"5% of the examples: {100 * spread.top_5:.0f}%": (0.05, spread.top_5),
        f"10% of the examples: {100 * spread.top_10:.0f}%": (0.1, spread.top_10),
    }
    # every number stands for a point of the curve
    for x, y in texts.values():
        assert np.interp(x, *curve.T) == pytest.approx(y)
