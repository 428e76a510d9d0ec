"""The report where something is not known: pairs, single examples, predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from landscape.analysis.analysis import Analysis, analyze
from landscape.records import Results
from tests.analyses import FOCUS, TWO, make_results
from tests.pages import make_diagnostics, page_of

_OF_PAIRS = ("losses", "predictions", "screened", "difference", "accuracies")


def _some_pairs(results: Results, measured: np.ndarray) -> Results:
    """The results as if a run had chosen only these pairs."""
    datasets = {
        name: replace(data, **{part: getattr(data, part)[measured] for part in _OF_PAIRS})
        for name, data in results.datasets.items()
    }
    parts = ("pairs", "status", "formats", "tolerance", "plan")
    rows = {part: getattr(results, part)[measured] for part in parts}
    return replace(results, datasets=datasets, chosen="active", **rows)


def _means_alone(results: Results) -> Results:
    """The results as if only mean losses were known."""
    datasets = {
        name: replace(
            data,
            losses=data.losses.mean(-1, keepdims=True),
            model_losses=data.model_losses.mean(-1, keepdims=True),
            predictions=np.zeros((*data.losses.shape[:2], 1), np.uint8),
            model_predictions=np.zeros((len(results.models), 1), np.uint8),
            labels=np.zeros(1, np.uint8),
            label_names=(),
            groups={},
            content_hash="",
            aggregated=True,
        )
        for name, data in results.datasets.items()
    }
    return replace(results, datasets=datasets)


def test_pairs_that_were_never_measured_are_told() -> None:
    results = _some_pairs(make_results(TWO), np.flatnonzero(np.arange(45) % 3 > 0))
    some = analyze(results, n_resamples=100, focus=FOCUS)
    diagnostics = make_diagnostics(some)
    page = page_of(some, diagnostics, drawn=True)
    assert (
        "15 pairs of 45 were never measured: the run chose those that decide something."
    ) in page.text
    assert "nan" not in page.text.lower().split()
    assert page.facts["structure"]["triples of models"] == str(diagnostics.triangles.n_triples)
    assert diagnostics.triangles.n_triples < 120
    assert "15 pairs not measured (hatched)." in page.text
    # not all pairs of a basin are known, so that none is judged
    assert "Of basin" not in page.text


def test_means_alone_give_no_intervals_and_no_examples() -> None:
    given = pd.DataFrame({"paws": np.linspace(0.3, 0.9, 10)})
    results = replace(
        _means_alone(make_results(TWO)), given_scores=given, score_roles={"paws": "challenge"}
    )
    known: Analysis = analyze(results, n_resamples=100)
    page = page_of(known, drawn=True)
    assert "nan" not in page.text.lower().split()
    assert "Of mnli_dev only mean losses are known" in page.text
    assert "examples" not in page.rows
    assert "against example noise" not in page.facts["basins"]
    largest = np.nanmax(known.gaps.estimate)
    assert f"is {largest:.3f} nats, between" in page.text
    assert page.rows["pairs"][1][2:4] == [f"{largest:.4f}", "\N{EN DASH}"]
    assert "without intervals" in page.text
    assert page.row("datasets", "mnli_dev gives the gaps")[2] == "means only"
    _, *evidence = page.table("basins", "basins")
    assert all(row[4:] == ["\N{EN DASH}"] * 2 for row in evidence)
    assert "interval of a gap" not in page.said["definitions"]
    # scores that came with the losses are shown
    assert known.focus == "paws"
    assert page.row("relation", "paws")
    assert "Score on paws (challenge) against centroid distance" in page.text
    (model,) = [row for row in page.table("models", "model") if row[0] == "seed-00"]
    assert "0.300" in model
