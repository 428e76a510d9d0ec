"""The report where something is not known: pairs, single examples, predictions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from landscape.analysis.analysis import Analysis, analysis_options, analyze
from landscape.analysis.details import examine
from landscape.output.plots import write_figures
from landscape.output.report import write_report
from landscape.output.report.words import number
from landscape.records import read_store
from tests.analyses import FOCUS, TWO, make_analysis
from tests.pages import Page, make_details, page_of


@pytest.fixture(scope="module")
def two() -> Analysis:
    return make_analysis(TWO)


def _some_pairs(analysis: Analysis, kept: np.ndarray) -> Analysis:
    """The analysis as if a run had chosen only these pairs."""
    contents, n = analysis.contents, len(analysis.models)
    datasets = {
        name: replace(
            data,
            **{
                part: getattr(data, part)[kept]
                for part in ("losses", "predictions", "screened", "difference", "accuracies")
            },
        )
        for name, data in contents.datasets.items()
    }
    known = np.eye(n, dtype=bool)
    known[tuple(analysis.pairs[kept].T)] = known.T[tuple(analysis.pairs[kept].T)] = True
    parts = ("estimate", "low", "high", "standard_error", "bias", "corrected", "null_bias")
    gaps = {part: np.where(known, getattr(analysis.gaps, part), np.nan) for part in parts}
    curves = {
        name: replace(
            curve,
            **{
                part: getattr(curve, part)[kept]
                for part in ("losses", "low", "high", "accuracy", "evaluated")
            },
        )
        for name, curve in analysis.curves.items()
    }
    return replace(
        analysis,
        contents=replace(
            contents,
            pairs=contents.pairs[kept],
            status=contents.status[kept],
            formats=contents.formats[kept],
            tolerance=contents.tolerance[kept],
            datasets=datasets,
            chosen="active",
        ),
        pairs=analysis.pairs[kept],
        kinds=analysis.kinds[kept],
        gaps=replace(analysis.gaps, **gaps),
        curves=curves,
    )


def test_pairs_that_were_never_measured_are_told(two: Analysis) -> None:
    some = _some_pairs(two, np.flatnonzero(np.arange(45) % 3 > 0))
    details = make_details(some)
    page = page_of(some, details, drawn=True)
    assert (
        "15 pairs of 45 were never measured: the run chose those that decide something."
    ) in page.text
    assert "nan" not in page.text.lower().split()
    assert page.facts["structure"]["triples of models"] == str(details.triangles.n_triples)
    assert details.triangles.n_triples < 120
    assert "15 pairs not measured (hatched)." in page.text
    # not all pairs of a basin are known, so that none is judged
    assert "Of basin" not in page.text


def _aggregated(analysis: Analysis) -> Analysis:
    """The analysis as if only mean losses were known."""
    contents = analysis.contents
    datasets = {
        name: replace(
            data,
            losses=data.losses.mean(-1, keepdims=True),
            model_losses=data.model_losses.mean(-1, keepdims=True),
            predictions=np.zeros((*data.losses.shape[:2], 1), np.uint8),
            model_predictions=np.zeros((len(analysis.models), 1), np.uint8),
            labels=np.zeros(1, np.uint8),
            label_names=(),
            groups={},
            content_hash="",
            aggregated=True,
        )
        for name, data in contents.datasets.items()
    }
    unknown = np.full_like(analysis.gaps.estimate, np.nan)
    parts = ("low", "high", "standard_error", "bias", "corrected", "null_bias")
    nothing = {name: np.full_like(curve.low, np.nan) for name, curve in analysis.curves.items()}
    evidence = replace(
        analysis.basins.evidence,
        noise=np.nan,
        p_noise=np.nan,
        stabilities=np.full_like(analysis.basins.evidence.stabilities, np.nan),
    )
    return replace(
        analysis,
        contents=replace(contents, datasets=datasets),
        gaps=replace(analysis.gaps, **dict.fromkeys(parts, unknown)),
        curves={
            name: replace(curve, low=nothing[name], high=nothing[name])
            for name, curve in analysis.curves.items()
        },
        basins=replace(analysis.basins, evidence=evidence),
    )


def test_means_alone_give_no_intervals_and_no_examples(two: Analysis) -> None:
    known = _aggregated(two)
    page = page_of(known, drawn=True)
    assert "nan" not in page.text.lower().split()
    assert "Of mnli_dev only mean losses are known" in page.text
    assert "examples" not in page.rows
    assert "against example noise" not in page.facts["basins"]
    i, j = np.unravel_index(np.nanargmax(two.gaps.estimate), two.gaps.estimate.shape)
    assert f"is {two.gaps.estimate[i, j]:.3f} nats, between" in page.text
    row = page.rows["pairs"][1]
    assert row[2:4] == [f"{two.gaps.estimate[i, j]:.4f}", "\N{EN DASH}"]
    assert "without intervals" in page.text
    assert page.row("datasets", "mnli_dev gives the gaps")[2] == "means only"
    _, *evidence = page.table("basins", "basins")
    assert all(row[4:] == ["\N{EN DASH}"] * 2 for row in evidence)
    assert "interval of a gap" not in page.said["definitions"]


def test_scores_that_came_with_the_losses_are_shown(two: Analysis) -> None:
    given = pd.DataFrame({"paws": np.linspace(0.3, 0.9, 10)}, index=two.scores.index)
    scores = pd.concat([two.scores, given], axis=1)
    contents = replace(two.contents, given_scores=given, score_roles={"paws": "challenge"})
    relation = two.relation.table
    row = relation[relation["group"] == FOCUS].assign(group="paws")
    changed = replace(
        two,
        contents=contents,
        scores=scores,
        challenge_columns=(*two.challenge_columns, "paws"),
        focus="paws",
        relation=replace(two.relation, table=pd.concat([relation, row], ignore_index=True)),
    )
    page = page_of(changed, drawn=True)
    assert page.row("relation", "paws")
    assert "Score on paws (challenge) against centroid distance" in page.text
    models = [row for row in page.rows["models"] if row[0] == "seed-00"]
    assert "0.300" in models[0]


def test_published_losses_make_a_page(tmp_path: Path) -> None:
    contents = read_store(Path(__file__).parents[1] / "data" / "published-0.4.0.h5")
    analysis = analyze(contents, **analysis_options(contents))
    details = examine(analysis)
    path = write_report(analysis, tmp_path / "report.html", details)
    page = Page(path.read_text(encoding="utf-8"))
    assert "nan" not in page.text.lower().split()
    assert "1 pair of 6 was never measured. What depends on all gaps" in page.text
    assert "Of dev only mean losses are known" in page.text
    assert "1 pair not measured (hatched)." in page.text
    assert "examples" not in page.rows
    i, j = np.unravel_index(np.nanargmax(analysis.gaps.estimate), (4, 4))
    assert f"is {analysis.gaps.estimate[i, j]:.3f} nats, between a and c." in page.text
    _, *rows = page.table("sources", "source")
    assert [row[0] for row in rows] == [source.name for source in details.sources]
    group = analysis.focus
    relation = analysis.relation.table.set_index("group").loc[group]
    assert page.row("relation", group)[-2].startswith(number(relation["pearson"], 2))
    assert "contributions.png" not in {p.name for p in write_figures(analysis, tmp_path, "png")}
