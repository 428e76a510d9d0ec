"""The report where something is not known: pairs, single examples, predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from landscape.analysis.analysis import analyze
from tests.analyses import FOCUS, TWO, make_results, published
from tests.output.conftest import some_pairs
from tests.pages import make_diagnostics, page_of


def test_pairs_that_were_never_measured_are_told() -> None:
    some = analyze(some_pairs(make_results(TWO)), n_resamples=100, focus=FOCUS)
    diagnostics = make_diagnostics(some)
    page = page_of(some, diagnostics, drawn=True)
    assert "15 pairs of 45 were never measured" in page.text
    assert "nan" not in page.text.lower().split()
    assert page.facts["structure"]["triples of models"] == str(diagnostics.triangles.n_triples)
    assert diagnostics.triangles.n_triples < 120
    assert "15 pairs not measured (hatched)." in page.text
    # not all pairs of a basin are known, so that none is judged
    assert "Of basin" not in page.text


def test_means_alone_give_no_intervals_and_no_examples(tmp_path: Path) -> None:
    known = analyze(published(tmp_path))
    page = page_of(known, drawn=True)
    assert "nan" not in page.text.lower().split()
    assert "Of dev only mean losses are known" in page.text
    assert "examples" not in page.rows
    assert "against example noise" not in page.facts["groups"]
    largest = np.nanmax(known.gaps.estimate)
    assert f"is {largest:.3f} nats, between" in page.text
    assert page.rows["pairs"][1][2:4] == [f"{largest:.4f}", "\N{EN DASH}"]
    assert page.row("datasets", "dev gives the gaps")[2] == "means only"
    _, *evidence = page.table("groups", "groups")
    assert all(row[4:] == ["\N{EN DASH}"] * 2 for row in evidence)
    assert "interval of a gap" not in page.said["definitions"]
    # scores that came with the losses are shown
    assert known.focus == "paws"
    assert page.row("relation", "paws")
    (model,) = [row for row in page.table("models", "model") if row[0] == "7"]
    assert "0.335" in model
