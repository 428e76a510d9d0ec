"""The report: what it says, that it stands alone, and that no name in it is taken for HTML."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from landscape.analysis.analysis import Analysis
from landscape.analysis.diagnostics import Diagnostics
from landscape.analysis.statistics import relate
from landscape.core.errors import ConfigError
from landscape.core.wording import number, p_value
from landscape.output.report import (
    render_report,
    write_report,
)
from landscape.output.report.answer import answer
from landscape.output.words import coverage
from tests.analyses import FOCUS, make_analysis
from tests.output.conftest import analysis_of
from tests.pages import Page, make_diagnostics, page_of


@pytest.fixture(scope="module")
def html(two: Analysis, diagnostics: Diagnostics) -> str:
    return render_report(two, diagnostics)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_page_is_whole_html_with_working_anchors(html: str, page: Page) -> None:
    assert html.startswith('<!DOCTYPE html>\n<html lang="en">')
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    anchors = {attrs["href"][1:] for _, attrs in page.tags if attrs.get("href", "").startswith("#")}
    assert anchors <= set(ids)
    sections = {attrs["id"] for tag, attrs in page.tags if tag == "section"} - {"warnings"}
    assert anchors == sections
    assert [tag for tag, _ in page.tags].count("h1") == 1
    assert ("meta", {"charset": "utf-8"}) in page.tags


def test_page_needs_no_network(html: str, page: Page) -> None:
    for tag, attrs in page.tags:
        assert tag not in ("link", "iframe", "object", "form")
        assert attrs.get("src", "data:").startswith("data:")
        href = attrs.get("href", "#")
        assert href.startswith(("#", "https://arxiv.org/abs/")), href
    css = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in css
    assert "@import" not in css
    for tag, attrs in page.tags:
        if tag == "img":
            svg = base64.b64decode(attrs["src"].split(",", 1)[1]).decode()
            assert svg.count("<svg") == 1
            assert not re.search(r'href="(?!#|data:)', svg)
            assert attrs["alt"]


def test_policy_lets_only_the_pages_own_script_run(html: str, page: Page) -> None:
    (policy,) = [a["content"] for _, a in page.tags if a.get("http-equiv")]
    script = html[html.index("<script>") + 8 : html.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert html.count("<script") == 1


def test_names_are_text_never_html() -> None:
    evil = ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "a&amp;b</style>")
    analysis = make_analysis((0.0, 0.05, 1.0), names=evil)
    results = analysis.results
    bad = "</code></pre><script>alert(3)</script>"
    results = replace(
        results,
        config={**results.config, "name": bad, "checkpoints": [bad]},
        attributes={**results.attributes, "machine": bad},
        checkpoints=results.checkpoints.assign(ref=[bad] * 3),
    )
    page = page_of(replace(analysis, results=results))
    assert [tag for tag, _ in page.tags if tag in ("script", "img")] == ["script"]
    assert all(not name.startswith("on") for _, attrs in page.tags for name in attrs)
    for name in (*evil, bad):
        assert name in " ".join(page.words)


def test_first_paragraph_gives_the_numbers_of_the_analysis(two: Analysis, page: Page) -> None:
    gaps, labels, score = two.gaps, two.basins.labels, two.scores[FOCUS].to_numpy()
    i, j = np.unravel_index(np.nanargmax(gaps.estimate), gaps.estimate.shape)
    i, j = sorted((int(i), int(j)))
    row = two.relation.table.set_index("group").loc[FOCUS]
    first, second = (score[labels == basin].mean() for basin in (0, 1))
    text = " ".join(answer(two))
    assert text in page.text
    for part in (
        "Two basins of 6 and 4: 24 of 45 lines have a barrier above .02 nats beyond noise",
        f"{gaps.estimate[i, j]:.3f} nats (95% interval {gaps.low[i, j]:.3f} to ",
        f"between {two.models[i]} and {two.models[j]}.",
        f"is {first:.3f} in basin 0 and {second:.3f} in basin 1",
        f"the difference between basins 0 and 1 is {first - second:.3f} (95% int",
        f"q = {p_value(row['q_value'])}".replace("= <", "<"),
        "Spearman \u03c1 = \N{MINUS SIGN}.",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("case", "parts", "warning"),
    [
        ("one", ["one basin: none of 15 lines", "forced two-way split"], "a split that was forced"),
        ("three", ["Three basins of 4, 3 and 3", "in basin 2; the diff"], None),
        ("in-domain", ["nothing is said about"], "There is no challenge set"),
        ("pair", ["No two of 2 models share a basin"], "Of group 0 and group 1, of 2 models"),
    ],
)
def test_sentences_fit_what_there_is(case: str, parts: list[str], warning: str | None) -> None:
    analysis = analysis_of(case)
    text = " ".join(answer(analysis))
    assert all(part in text for part in parts)
    page = page_of(analysis)
    assert warning is None or any(warning in said for said in page.warnings)
    assert "nan" not in page.text.lower().split()


def test_unmeasured_pairs_are_counted(two: Analysis) -> None:
    i, j = two.pairs[3]
    estimate = two.gaps.estimate.copy()
    estimate[i, j] = estimate[j, i] = np.nan
    page = page_of(replace(two, gaps=replace(two.gaps, estimate=estimate)), make_diagnostics(two))
    assert any("1 pair of 45 was not measured" in warning for warning in page.warnings)
    assert "44 of 45" in page.text


@pytest.mark.parametrize("sizes", [(3, 2), (2, 2, 2)])
def test_too_few_models_for_any_small_p_are_pointed_out(sizes: tuple[int, ...]) -> None:
    places = np.repeat(np.arange(len(sizes)), sizes) + np.tile([0, 0.03, 0.05], 2)[: sum(sizes)]
    analysis = make_analysis(tuple(places))
    labels = analysis.basins.shown.labels
    assert np.bincount(labels).tolist() == list(sizes)
    # nothing is farther from chance than scores that are the labels themselves
    perfect = relate(analysis.basins, pd.DataFrame({"x": labels * 1.0}))
    (smallest,) = perfect.table["p_value"]
    (warning,) = [text for text in page_of(analysis).warnings if "permutation test" in text]
    assert f"no p below {smallest:.2g}:" in warning


def test_tables_hold_every_model_group_and_data_set(two: Analysis, page: Page) -> None:
    rows = {row[0].strip(): row for row in page.cells}
    for model, name in enumerate(two.models):
        row = next(r for r in page.cells if r[0] == name and f"checkpoints/{name}" in r)
        assert row[1] == str(two.basins.labels[model])
        assert row[2] == number(two.basins.groups.centroid_distance[model], 3)
        loss = two.results.datasets["mnli_dev"].model_losses[model].mean(dtype=float)
        assert row[3] == f"{loss:.4f}"
        assert row[4] == f"{two.scores['mnli_dev'].iloc[model]:.3f}"
    table = two.relation.table.set_index("group")
    for group, numbers in table.iterrows():
        marked = "significant" in " ".join(rows[str(group)])
        assert marked == (numbers["q_value"] < 0.05)
    significant = int((table["q_value"] < 0.05).sum())
    tested = int(table["q_value"].notna().sum())
    assert f"{significant} of {tested} scores" in page.text
    assert "accuracy" in rows["mnli_dev gives the gaps"]
    assert "200" in rows["hans holds the focus"]


def test_page_says_which_points_were_evaluated_where_not_all_were(page: Page) -> None:
    analysis = analysis_of("thin")
    thin, results = page_of(analysis), analysis.results
    assert all(said in thin.text for said in coverage(analysis))
    assert "up to 11 points on each line" in thin.text
    assert "points evaluated" in thin.words
    assert "points evaluated" not in page.words
    assert "nan" not in thin.text.lower().split()
    for row in thin.table("pairs", "model at t = 0")[1:16]:
        ends = [analysis.models.index(name) for name in row[:2]]
        (pair,) = np.flatnonzero((analysis.pairs == ends).all(axis=1))
        means = results.datasets["mnli_dev"].losses[pair].mean(-1, dtype=float)
        highest = np.where(results.exact[pair], means, -np.inf).argmax()
        assert row[7:9] == [f"{means[highest]:.4f}", f"{analysis.positions[highest]:.2f}"]


def test_pairs_are_listed_by_gap(two: Analysis, page: Page) -> None:
    rows = page.table("pairs", "model at t = 0")[1:16]
    listed_gaps = [float(row[2].split()[0]) for row in rows]
    everything = np.sort(two.gaps.estimate[tuple(two.pairs.T)])[::-1]
    np.testing.assert_allclose(listed_gaps, everything[:15], atol=5e-5)
    for row in rows:
        i, j = two.models.index(row[0]), two.models.index(row[1])
        interval = f"[{two.gaps.low[i, j]:.4f}, {two.gaps.high[i, j]:.4f}]"
        assert row[3] == f"{two.gaps.corrected[i, j]:.4f} {interval}"


def test_configuration_can_be_copied_from_the_page(two: Analysis, page: Page) -> None:
    (text,) = [words for words in page.words if words.startswith("name: synthetic")]
    assert yaml.safe_load(text) == two.results.config
    assert "landscape report store.h5" in page.text
    assert "2026-01-02T03:04:05+00:00" in page.text


def test_same_analysis_gives_same_bytes(
    two: Analysis, diagnostics: Diagnostics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landscape.output.report.page.figures_of", lambda analysis: [])
    first, again = (write_report(two, tmp_path / name / "a.html", diagnostics) for name in "ab")
    assert first.read_bytes() == again.read_bytes()
    assert [path.name for path in first.parent.iterdir()] == ["a.html"]
    with pytest.raises(ConfigError, match="The report's path is a folder"):
        write_report(two, tmp_path)
