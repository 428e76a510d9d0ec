from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import landscape
from landscape.analysis.analysis import analyze
from landscape.analysis.basins.structure import merge_heights
from landscape.analysis.diagnostics import diagnose
from landscape.records import read_store
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


def published(folder: Path, missing: bool = False) -> Path:
    """A store of mean losses, as others publish them: two basins of three models."""
    rows = [
        (first, second, t, 1 + 4 * t * (1 - t) * (0.001 if same else 0.4))
        for first, second in combinations("abcdef", 2)
        if not (missing and first + second == "ab")  # who share a basin
        for same in [(first in "abc") == (second in "abc")]
        for t in (0, 0.25, 0.5, 0.75, 1)
    ]
    columns = ["model_a", "model_b", "t", "loss"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "curves.csv", index=False)
    scores = {"hard": [0.1, 0.2, 0.3, 0.7, 0.8, 0.9], "sharpness": [3, 1, 2, 5, 4, 6]}
    table = pd.DataFrame({"model": list("abcdef"), **scores})
    table = table.melt("model", var_name="score")
    table.to_csv(folder / "scores.csv", index=False)
    return landscape.import_published(
        folder / "curves.csv",
        out=folder / "published.h5",
        scores=folder / "scores.csv",
        dataset="dev",
        roles={"hard": "challenge", "sharpness": "covariate"},
    )


def test_means_are_analyzed_without_intervals(tmp_path: Path) -> None:
    analysis = analyze(read_store(published(tmp_path)))
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
    analysis = analyze(read_store(published(tmp_path, missing=True)))
    assert np.isnan(analysis.gaps.estimate[0, 1])
    assert np.isnan(analysis.basins.gaps[0, 1])
    assert analysis.basins.labels.tolist() == [0, 0, 0, 1, 1, 1]
    heights = merge_heights(analysis.gaps.estimate)
    assert heights[0, 1] == pytest.approx(0.001, rel=1e-3)  # by way of c
    diagnostics = diagnose(analysis)
    assert diagnostics.sources[0].n_basins == 2
