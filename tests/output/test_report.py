"""The report: what it says, that it stands alone, and that no name in it is taken for HTML."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from landscape.analysis.analysis import Analysis
from landscape.analysis.diagnostics import Diagnostics, diagnose
from landscape.analysis.statistics import relate
from landscape.core.errors import ConfigError
from landscape.core.wording import number, p_value
from landscape.output.report import (
    SECTIONS,
    Body,
    Source,
    Term,
    make_table,
    render_report,
    section,
    write_report,
)
from landscape.output.report.answer import answer
from landscape.output.report.tables import number_cell
from tests.analyses import FOCUS, ONE, THREE, TWO, make_analysis
from tests.pages import Page, make_diagnostics, page_of


@pytest.fixture(scope="module")
def two() -> Analysis:
    return make_analysis(TWO)


@pytest.fixture(scope="module")
def diagnostics(two: Analysis) -> Diagnostics:
    return diagnose(two)


@pytest.fixture(scope="module")
def html(two: Analysis, diagnostics: Diagnostics) -> str:
    return render_report(two, diagnostics)


def _render(analysis: Analysis) -> str:
    return render_report(analysis, make_diagnostics(analysis))


def _warnings(analysis: Analysis) -> list[str]:
    return page_of(analysis).warnings


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
    html = _render(replace(analysis, results=results))
    page = Page(html)
    assert html.count("<script") == 1
    assert all(not name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert [attrs["src"][:5] for tag, attrs in page.tags if tag == "img"] == ["data:"] * 6
    for name in (*evil, bad):
        assert name in " ".join(page.words)


def test_first_paragraph_gives_the_numbers_of_the_analysis(two: Analysis, page: Page) -> None:
    gaps = two.gaps
    i, j = np.unravel_index(np.nanargmax(gaps.estimate), gaps.estimate.shape)
    i, j = sorted((int(i), int(j)))
    row = two.relation.table.set_index("group").loc[FOCUS]
    text = " ".join(answer(two))
    assert text in page.text
    assert "The 10 models lie in two basins, of 6 and 4 models: " in text
    assert (
        f"The largest convexity gap on mnli_dev is {gaps.estimate[i, j]:.3f} nats (95% interval "
        f"{gaps.low[i, j]:.3f} to {gaps.high[i, j]:.3f}), between {two.models[i]} and "
        f"{two.models[j]}." in text
    )
    first = two.scores[FOCUS].to_numpy()[two.basins.labels == 0].mean()
    second = two.scores[FOCUS].to_numpy()[two.basins.labels == 1].mean()
    assert f"is {first:.3f} in basin 0 and {second:.3f} in basin 1" in text
    assert f"the difference between basins 0 and 1 is {first - second:.3f} (95% int" in text
    assert f"q {p_value(row['q_value'])}" in text.replace("q = ", "q ")
    assert "falls with the centroid distance: Pearson r = \N{MINUS SIGN}0." in text


def test_sentences_fit_one_basin() -> None:
    analysis = make_analysis(ONE)
    text = " ".join(answer(analysis))
    assert text.startswith("The 6 models lie in one basin: no gap exceeds .02 nats")
    assert "with the centroid distance of a forced two-way split: Pearson r" in text
    assert text.count("largest convexity gap") == 1
    assert any("One basin was found." in warning for warning in _warnings(analysis))
    page = Page(_render(analysis))
    assert "Read with care" in page.text
    assert "nan" not in page.text.lower().split()


def test_sentences_fit_several_basins() -> None:
    text = " ".join(answer(make_analysis(THREE, n_basins=3)))
    assert text.startswith("The 10 models were put, as asked, into three basins, of 4, 3 and 3 mod")
    assert "in basin 0, " in text
    assert re.search(r"and 0\.\d{3} in basin 2; the difference between basins 0 and 1 is", text)


def test_sentences_fit_no_challenge_set() -> None:
    analysis = make_analysis(TWO, challenge=False)
    text = " ".join(answer(analysis))
    assert text.endswith("so nothing is said about how the models generalise.")
    assert "There is no challenge set: scores in the figures are in-domain." in _warnings(analysis)
    assert "focus" not in Page(_render(analysis)).text.split("Provenance")[0].lower()


def test_sentences_fit_one_pair() -> None:
    analysis = make_analysis((0.0, 1.0))
    text = " ".join(answer(analysis))
    assert "in two basins, of 1 and 1 model: the one gap" in text
    assert "Basin 0 holds 1 model only: its mean and interval say little." in _warnings(analysis)
    page = Page(_render(analysis))
    assert "2 models, 1 pair, 11 points on each line, measured on mnli_dev and hans" in page.text


def test_unmeasured_pairs_are_counted(two: Analysis) -> None:
    i, j = two.pairs[3]
    estimate = two.gaps.estimate.copy()
    estimate[i, j] = estimate[j, i] = np.nan
    holed = replace(two, gaps=replace(two.gaps, estimate=estimate))
    assert _warnings(holed)[0].startswith("1 pair of 45 was not measured.")
    assert "44 of 45" in Page(_render(holed)).text
    unfinished = replace(two.results, attributes={**two.results.attributes, "finished": "no"})
    assert any("not marked as finished" in w for w in _warnings(replace(two, results=unfinished)))


@pytest.mark.parametrize("sizes", [(3, 3), (3, 2), (2, 2, 2)])
def test_too_few_models_for_any_small_p_are_pointed_out(sizes: tuple[int, ...]) -> None:
    places = np.repeat(np.arange(len(sizes)), sizes) + np.tile([0, 0.03, 0.05], 2)[: sum(sizes)]
    analysis = make_analysis(tuple(places), n_basins=len(sizes))
    assert sorted(np.bincount(analysis.basins.labels), reverse=True) == list(sizes)
    # nothing is farther from chance than scores that are the labels themselves
    perfect = relate(analysis.basins, pd.DataFrame({"x": analysis.basins.labels * 1.0}))
    (smallest,) = perfect.table["p_value"]
    (warning,) = [text for text in _warnings(analysis) if "permutation test" in text]
    assert f"no p below {smallest:.2g}:" in warning


def test_tables_hold_every_model_group_and_data_set(two: Analysis, page: Page) -> None:
    rows = {row[0].strip(): row for row in page.cells}
    for model, name in enumerate(two.models):
        row = next(r for r in page.cells if r[0] == name and f"checkpoints/{name}" in r)
        assert row[1] == str(two.basins.labels[model])
        assert row[2] == number(two.basins.centroid_distance[model], 3)
        loss = two.results.datasets["mnli_dev"].model_losses[model].mean(dtype=float)
        assert row[3] == f"{loss:.4f}"
        assert row[4] == f"{two.scores['mnli_dev'].iloc[model]:.3f}"
    table = two.relation.table.set_index("group")
    for group, numbers in table.iterrows():
        marked = "significant" in " ".join(rows[str(group)])
        assert marked == (numbers["q_value"] < 0.05)
    significant = int((table["q_value"] < 0.05).sum())
    tested = int(table["q_value"].notna().sum())
    assert f"{significant} of {tested} groups" in page.text
    assert "accuracy" in rows["mnli_dev gives the gaps"]
    assert "200" in rows["hans holds the focus"]


def test_page_says_which_points_were_evaluated_where_not_all_were(page: Page) -> None:
    analysis = make_analysis(TWO, thin=True)
    thin = Page(_render(analysis))
    results = analysis.results
    done, exact = int((results.formats > 0).sum()), int((results.formats == 1).sum())
    assert f"{done} of 495 points of the lines were evaluated: {exact} in fp32" in thin.text
    assert f"larger by more than {analysis.tolerance:.2g} nats" in thin.text
    assert f"differs by at most {analysis.difference:.2g} nats" in thin.text
    assert "up to 11 points on each line" in thin.text
    assert "points evaluated" in thin.words
    assert "points evaluated" not in page.words
    assert "nan" not in thin.text.lower().split()
    start = next(i for i, row in enumerate(thin.cells) if row[0] == "model at t = 0")
    for row in thin.cells[start + 1 : start + 16]:
        ends = [analysis.models.index(name) for name in row[:2]]
        (pair,) = np.flatnonzero((analysis.pairs == ends).all(axis=1))
        means = results.datasets["mnli_dev"].losses[pair].mean(-1, dtype=float)
        height, t = max(
            (mean, t)
            for mean, t, code in zip(means, analysis.positions, results.formats[pair], strict=True)
            if code == 1
        )
        assert row[4:6] == [f"{height:.4f}", f"{t:.2f}"]


def test_pairs_are_listed_by_gap(two: Analysis, page: Page) -> None:
    start = next(i for i, row in enumerate(page.cells) if row[0] == "model at t = 0")
    rows = page.cells[start + 1 : start + 16]
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


def test_same_analysis_gives_same_bytes(two: Analysis, html: str, tmp_path: Path) -> None:
    path = write_report(two, tmp_path / "new" / "report.html")
    assert path.read_text(encoding="utf-8") == html
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    with pytest.raises(ConfigError, match="The report's path is a folder"):
        write_report(two, tmp_path)


def test_a_section_of_ones_own_is_in_the_page(two: Analysis) -> None:
    @section(
        "toy",
        title="A toy",
        needs=lambda analysis, diagnostics: analysis.focus,
        place=15,
    )
    def toy(analysis: Analysis, diagnostics: Diagnostics) -> Body:
        rows = [{"model": name, "letters": number_cell(len(name), 0)} for name in analysis.models]
        return Body(
            paragraphs=(f"{diagnostics.triangles.n_triples} <triples>.",),
            tables=(make_table("Every name.", rows),),
            terms=(Term("letter", "What a name is made of.", (Source("Toy 2026"),)),),
            warnings=("Toys are small.",),
        )

    try:
        page = page_of(two)
        assert list(page.rows)[2:5] == ["basins", "toy", "structure"]
        assert "120 <triples>." in page.said["toy"]
        assert page.row("toy", "seed-03") == ["seed-03", "7"]
        assert "Toys are small." in page.warnings
        assert "letter" in page.said["definitions"]
        assert "toy" not in page_of(replace(two, focus="")).rows
    finally:
        del SECTIONS["toy"]


def test_a_browser_runs_the_page(two: Analysis, diagnostics: Diagnostics, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium to open the page in")
    page = write_report(two, tmp_path / "report.html", diagnostics)
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
    command += ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
    command += ["--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging"]
    done = subprocess.run(
        [*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120
    )
    # the policy let the script run: every sortable heading has become a button
    heads = done.stdout.count('<button type="button">')
    sortable = re.findall(r"<table>.*?</thead>", page.read_text(), re.DOTALL)
    assert heads == sum(table.count('<th scope="col"') for table in sortable) > 10
    assert "CONSOLE" not in done.stderr
