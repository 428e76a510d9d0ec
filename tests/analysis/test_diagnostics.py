from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from landscape.analysis.analysis import analyze
from landscape.analysis.basins.structure import merge_heights
from landscape.analysis.diagnostics import diagnose
from landscape.records import Published, read_store, write_published
from tests.analyses import FOCUS, TWO, make_analysis, make_results


def test_diagnostics_are_of_this_analysis() -> None:
    analysis = make_analysis(TWO)
    diagnostics = diagnose(analysis)
    n = len(analysis.models)
    assert diagnostics.triangles.n_triples == n * (n - 1) * (n - 2) // 6
    assert diagnostics.sources[0].name == f"convexity gap on {analysis.dataset}"
    np.testing.assert_array_equal(diagnostics.sources[0].labels, analysis.basins.labels)
    # losses rise out of each side of the hump that was put between the two places
    first, second = (np.flatnonzero(analysis.basins.labels == side)[0] for side in (0, 1))
    assert diagnostics.climbs.climbs[first, second] > 0.02
    assert diagnostics.explanation is not None
    table = diagnostics.explanation.table.set_index("group")
    assert list(table.index) == list(analysis.challenge_columns)
    assert diagnostics.explanation.target == "basin"
    assert {"in-domain", "functional similarity", "basin"} <= set(diagnostics.explanation.sets)
    # the places make both the gaps and the score
    assert table.loc[FOCUS, "basin_cv_r2"] > 0.5
    assert diagnostics.pair_explanation is not None
    by = diagnostics.pair_explanation.set_index("predictor")
    assert by.loc["gap", "p_value"] < 0.05
    assert analysis.contributions is not None
    gaps = analysis.gaps.estimate[tuple(analysis.pairs.T)]
    assert analysis.contributions.mean.mean() == pytest.approx(gaps.mean())


def test_weight_distances_explain_too_where_they_are_known() -> None:
    results = make_results(TWO)
    places = np.array(TWO)
    known = replace(results, distances=np.abs(places[:, None] - places))
    diagnostics = diagnose(analyze(known))
    assert diagnostics.explanation is not None
    assert "weight distance" in diagnostics.explanation.sets
    assert "weight distance" in [source.name for source in diagnostics.sources]
    assert set(diagnostics.pair_explanation["predictor"]) == {
        "gap",
        "weight distance",
        "disagreement",
    }


def test_without_challenge_sets_nothing_is_explained() -> None:
    diagnostics = diagnose(analyze(make_results(TWO, challenge=False)))
    assert diagnostics.explanation is None
    assert diagnostics.pair_explanation is None
    assert diagnostics.agreement.startswith("No challenge set")


def published(path: Path, missing: bool = False) -> Path:
    """A store of mean losses, as of logs: two basins of three models."""
    t = np.linspace(0, 1, 5)
    pairs = np.column_stack(np.triu_indices(6, 1))
    apart = (pairs[:, 0] < 3) != (pairs[:, 1] < 3)
    losses = 1 + 4 * t * (1 - t) * np.where(apart, 0.4, 0.001)[:, None]
    keep = np.ones(len(pairs), dtype=bool)
    keep[0] = not missing  # of models 0 and 1, who share a basin
    return write_published(
        path,
        models=tuple("abcdef"),
        pairs=pairs[keep],
        positions=t,
        datasets={"dev": Published("in_domain", "accuracy", losses[keep])},
        scores=pd.DataFrame(
            {"hard": [0.1, 0.2, 0.3, 0.7, 0.8, 0.9], "sharpness": [3, 1, 2, 5, 4, 6]}
        ),
        roles={"hard": "challenge", "sharpness": "covariate"},
        attributes={},
        config={},
    )


def test_means_are_analyzed_without_intervals(tmp_path: Path) -> None:
    path = tmp_path / "published.h5"
    published(path)
    analysis = analyze(read_store(path))
    assert analysis.basins.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert analysis.gaps.estimate[0, 3] == pytest.approx(0.4, rel=1e-6)
    assert analysis.gaps.estimate[0, 1] == pytest.approx(0.001, rel=1e-3)
    assert np.isnan(analysis.gaps.low[0, 3])
    assert analysis.focus == "hard"
    assert analysis.challenge_columns == ("hard",)
    diagnostics = diagnose(analysis)
    assert analysis.contributions is None
    assert diagnostics.explanation is not None
    assert "covariates" in diagnostics.explanation.sets


def test_a_pair_that_was_never_published_stands_at_its_merge_height(tmp_path: Path) -> None:
    path = tmp_path / "published.h5"
    published(path, missing=True)
    analysis = analyze(read_store(path))
    assert np.isnan(analysis.gaps.estimate[0, 1])
    assert np.isnan(analysis.basins.gaps[0, 1])
    assert analysis.basins.labels.tolist() == [0, 0, 0, 1, 1, 1]
    heights = merge_heights(analysis.gaps.estimate)
    assert heights[0, 1] == pytest.approx(0.001, rel=1e-3)  # by way of c
    diagnostics = diagnose(analysis)
    assert diagnostics.sources[0].n_basins == 2
