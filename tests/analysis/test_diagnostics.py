from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from landscape.analysis.analysis import analyze
from landscape.analysis.basins.structure import merge_heights
from landscape.analysis.diagnostics import diagnose
from tests.analyses import FOCUS, TWO, make_results, published


@pytest.mark.slow
def test_diagnostics_are_of_this_analysis() -> None:
    places = np.array(TWO)
    distances = np.abs(places[:, None] - places)
    analysis = analyze(replace(make_results(TWO), distances=distances), focus=FOCUS)
    diagnostics = diagnose(analysis)
    n = len(analysis.models)
    assert diagnostics.triangles.n_triples == n * (n - 1) * (n - 2) // 6
    assert diagnostics.sources[0].name == f"convexity gap on {analysis.dataset}"
    np.testing.assert_array_equal(diagnostics.sources[0].labels, analysis.basins.groups.labels)
    # losses rise out of each side of the hump that was put between the two places
    first, second = (np.flatnonzero(analysis.basins.labels == side)[0] for side in (0, 1))
    assert diagnostics.climbs.climbs[first, second] > 0.02
    assert diagnostics.explanation is not None
    table = diagnostics.explanation.table.set_index("group")
    assert list(table.index) == list(analysis.challenge_columns)
    assert diagnostics.explanation.target == "centroid distance"
    sets = ("in-domain", "weight distance", "functional similarity", "centroid distance")
    assert diagnostics.explanation.sets == sets
    assert set(diagnostics.explanation.reliability) == set(sets) - {"centroid distance"}
    assert "weight distance" in [source.name for source in diagnostics.sources]
    # the places make both the gaps and the score
    assert table.loc[FOCUS, "centroid distance_cv_r2"] > 0.5
    assert diagnostics.pair_explanation is not None
    by = diagnostics.pair_explanation.set_index("predictor")
    assert set(by.index) == {"gap", "weight distance", "disagreement"}
    assert analysis.contributions is not None
    gaps = analysis.gaps.estimate[tuple(analysis.pairs.T)]
    assert analysis.contributions.mean.mean() == pytest.approx(gaps.mean())


@pytest.mark.slow
def test_without_challenge_sets_nothing_is_explained() -> None:
    diagnostics = diagnose(analyze(make_results(TWO, challenge=False)))
    assert diagnostics.explanation is None
    assert diagnostics.pair_explanation is None
    assert diagnostics.agreement.startswith("No challenge set")


def test_means_are_analyzed_without_intervals(tmp_path: Path) -> None:
    analysis = analyze(published(tmp_path))
    assert analysis.models == ("7", "11", "22", "33", "98")
    assert analysis.basins.labels.tolist() == [1, 0, 1, 0, 0]
    assert analysis.gaps.estimate[0, 1] == pytest.approx(0.2, rel=1e-6)
    assert analysis.gaps.estimate[0, 2] == pytest.approx(0.01, rel=1e-4)
    assert np.isnan(analysis.gaps.low[0, 1])
    assert analysis.focus == "paws"
    assert analysis.challenge_columns == ("paws",)
    assert analysis.contributions is None
    diagnostics = diagnose(analysis)
    assert diagnostics.explanation is not None
    assert "covariates" in diagnostics.explanation.sets


def test_a_pair_that_was_never_published_stands_at_its_merge_height(tmp_path: Path) -> None:
    analysis = analyze(published(tmp_path, without="11,33"))
    assert np.isnan(analysis.gaps.estimate[1, 3])
    assert np.isnan(analysis.basins.gaps[1, 3])
    assert analysis.basins.labels.tolist() == [1, 0, 1, 0, 0]
    heights = merge_heights(analysis.gaps.estimate)
    assert heights[1, 3] == pytest.approx(0.01, rel=1e-4)  # by way of 98
    assert diagnose(analysis).sources[0].n_groups == 2
