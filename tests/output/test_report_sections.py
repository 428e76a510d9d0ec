"""The report's sections on evidence, structure, sources, explanations and examples."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from landscape.analysis.analysis import Analysis
from landscape.analysis.basins.structure import structure_sentence
from landscape.analysis.diagnostics import Diagnostics
from landscape.analysis.statistics import explanation_sentence
from landscape.core.sentences import Answer
from landscape.core.wording import number, p_value
from landscape.output.report.examples import EXAMPLES_SHOWN
from tests.analyses import FOCUS, make_analysis
from tests.output.conftest import analysis_of
from tests.pages import Page, make_diagnostics, page_of

SECTIONS = ("basins", "groups", "structure", "sources", "explanation", "examples", "relation")
# model 4 stands half way between two groups, and joins both
BRIDGE = (0.0, 0.02, 0.05, 0.08, 0.24, 0.4, 0.42, 0.45, 0.48)
# neighbours are joined, others not; three models far from them are a basin
MIXED = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 3.0, 3.0, 3.0)


@pytest.fixture(scope="module")
def page(two: Analysis, diagnostics: Diagnostics) -> Page:
    return page_of(two, diagnostics)


@pytest.fixture(scope="module")
def bridge() -> Analysis:
    return make_analysis(BRIDGE, n_basins=2)


def _with_texts(analysis: Analysis, texts: dict[str, np.ndarray]) -> Analysis:
    results = analysis.results
    data = replace(results.datasets[analysis.dataset], texts=texts)
    datasets = {**results.datasets, analysis.dataset: data}
    return replace(analysis, results=replace(results, datasets=datasets))


def _parts_in(facts: dict[str, str], parts: dict[str, str]) -> bool:
    """Whether each of these facts holds its part."""
    return [name for name, part in parts.items() if part not in facts[name]] == []


def test_sections_stand_in_their_order(page: Page) -> None:
    found = [attrs["id"] for tag, attrs in page.tags if tag == "section" and "id" in attrs]
    assert [name for name in found if name in SECTIONS] == list(SECTIONS)


@pytest.mark.parametrize(
    ("places", "answer", "noun"),
    [
        (BRIDGE, Answer.BRIDGED, "basin"),
        (MIXED, Answer.MIXED, "linked part"),
        ((0.0, 1.0, 2.0), Answer.APART, "basin"),
    ],
)
def test_lines_are_counted_in_every_basin_or_linked_part(
    places: tuple[float, ...], answer: Answer, noun: str
) -> None:
    analysis = make_analysis(places)
    basins, page, n = analysis.basins, page_of(analysis), len(places)
    assert basins.answer is answer
    assert basins.sentence(analysis.models) in page.said["basins"]
    pairs = list(combinations(range(n), 2))
    apart = sum(bool(basins.states.apart[pair]) for pair in pairs)
    joined = sum(bool(basins.states.joined[pair]) for pair in pairs)
    facts = {
        "answer": f"{answer}: ",
        "lines with a barrier": str(apart),
        "joined pairs": str(joined),
        "undecided pairs": str(len(pairs) - apart - joined),
        "parted for certain": f"{basins.at_least} group",
    }
    if basins.aside:
        facts["join several"] = "seed-04"
    assert _parts_in(page.facts["basins"], facts)
    if answer is Answer.APART:  # each basin is a model
        assert not any(row[:1] == [noun] for row in page.rows["basins"])
        return
    labels = basins.parts if noun == "linked part" else basins.labels
    head, *rows = page.table("basins", noun)
    assert len(rows) == labels.max() + 1
    for label, row in enumerate(rows):
        members = np.flatnonzero(labels == label)
        inside = list(combinations(members, 2))
        barriers = sum(bool(basins.states.apart[pair]) for pair in inside)
        assert row[:3] == [f"{noun} {label}", str(len(members)), str(barriers)]
        assert row[-1] == ", ".join(analysis.models[k] for k in members)
        if "a basin" in head:
            assert row[head.index("a basin")] == ("no" if barriers else "yes")
        else:
            assert not barriers
    # a model that joins two basins is in none, and no column is named after a negative number
    assert "basin -1" not in page.text
    assert not any("-1" in row for row in page.rows["models"])


def test_evidence_is_that_of_the_groups(two: Analysis, page: Page) -> None:
    evidence = two.basins.groups.evidence
    _, *rows = page.table("groups", "groups")
    names = ("silhouettes", "null_quantiles", "separations", "noise_quantiles", "stabilities")
    columns = [getattr(evidence, name) for name in names]
    assert len(rows) == len(evidence.candidates)
    for row, k, *values in zip(rows, evidence.candidates, *columns, strict=True):
        assert row == [str(k), *(number(value, 3) for value in values)]
    mixture = evidence.mixture
    assert mixture is not None
    assert _parts_in(
        page.facts["groups"],
        {
            "eigengap": f"{evidence.eigengap} group",
            "barriers": f"{evidence.n_barriers} of 45 gaps above 0.02 nats",
            "against one group": p_value(evidence.p_value),
            "against example noise": f"{evidence.noise:.4f} nats",
            "kinds of gaps": f"two, {100 * mixture.share:.0f}% around {mixture.means[0]:.3f}",
        },
    )


def test_membership_is_that_of_the_groups(bridge: Analysis) -> None:
    groups = bridge.basins.groups
    membership, labels = groups.membership, groups.labels
    page = page_of(bridge)
    head, *rows = page.table("groups", "model")
    assert head[4:6] == ["mean gap to group 0 (nats)", "mean gap to group 1 (nats)"]
    assert [row[0] for row in rows] == list(bridge.models)
    for model, row in enumerate(rows):
        own = labels[model]
        others = np.setdiff1d(np.flatnonzero(labels == own), [model])
        probability = f"{membership.probability[model, own]:.2f}"
        assert row[1:4] == [str(own), probability, str(membership.second[model])]
        assert row[4 + own] == f"{bridge.gaps.estimate[model, others].mean():.3f}"
        assert row[-1] == ("between" if model == 4 else "")
    assert any(text.startswith("seed-04 lies between two groups") for text in page.warnings)
    bare = replace(groups, evidence=replace(groups.evidence, noise=np.nan))
    basins = replace(bridge.basins, groups=bare)
    assert "no noise is known" in page_of(replace(bridge, basins=basins)).text


def test_structure_is_that_of_the_triples(bridge: Analysis) -> None:
    diagnostics = make_diagnostics(bridge)
    triangles, found, climbs = diagnostics.triangles, diagnostics.clustering, diagnostics.climbs
    assert triangles.n_intransitive > 0
    page = page_of(bridge, diagnostics)
    assert structure_sentence(triangles, bridge.models) in page.said["structure"]
    assert _parts_in(
        page.facts["structure"],
        {
            "triples of models": "84",
            "intransitive": f"{triangles.n_intransitive}, {triangles.n_certain} beyond noise",
            "closed": f"{triangles.n_closed}, ",
            "break the triangle inequality": f"{triangles.largest_violation:.3f} at most",
            "directed": f"{climbs.n_links} links",
        },
    )
    row = page.row("structure", "clustering coefficient (Onnela)")
    mean, low, high = found.onnela_null
    assert row[1:] == [f"{found.onnela_mean:.3f}", f"{mean:.3f} [{low:.3f}, {high:.3f}]"]
    assert page.row("structure", "transitivity")[1] == f"{found.transitivity:.3f}"
    _, *triples = page.table("structure", "first")
    for row, triple in zip(triples, triangles.worst, strict=True):
        assert row[:3] == [bridge.models[model] for model in triple.models]
        assert row[3:6] == [f"{value:.3f}" for value in (*triple.near, triple.far)]
    for n, said in ((3, ["3 of 84 triples"]), (0, [])):
        changed = replace(diagnostics, triangles=replace(triangles, n_certain=n))
        warnings = page_of(bridge, changed).warnings
        assert [text[:15] for text in warnings if "triples of models" in text] == said


def test_sources_are_held_against_the_own_gaps(
    two: Analysis, diagnostics: Diagnostics, page: Page
) -> None:
    assert diagnostics.agreement in page.said["sources"]
    own, other = diagnostics.sources
    (partition,) = diagnostics.partitions.to_dict("records")
    (matrix,) = diagnostics.matrices.to_dict("records")
    _, *rows = page.table("sources", "source")
    assert rows[0][:5] == ["convexity gap on mnli_dev", "2 (6, 4)", *["\N{EN DASH}"] * 3]
    sizes = ", ".join(map(str, np.bincount(other.labels)))
    assert rows[1][:2] == [other.name, f"{other.n_groups} ({sizes})"]
    assert rows[1][2].startswith(number(partition["adjusted_rand"], 2))
    assert rows[1][2].endswith(p_value(partition["p_value"]))
    assert rows[1][3] == f"{partition['variation_of_information']:.2f}"
    assert rows[1][4].startswith(number(matrix["spearman"], 2))
    alone = page_of(two, replace(diagnostics, sources=(own,)))
    assert "sources" not in alone.rows


def test_explanations_are_those_of_the_regressions(
    two: Analysis, diagnostics: Diagnostics, page: Page
) -> None:
    explanation, pairs = diagnostics.explanation, diagnostics.pair_explanation
    assert explanation is not None
    assert pairs is not None
    assert explanation_sentence(explanation, FOCUS) in page.said["explanation"]
    head, *rows = page.table("explanation", "group")
    assert len(rows) == len(explanation.table)
    for row, (_, numbers) in zip(rows, explanation.table.iterrows(), strict=True):
        assert row[0] == numbers["group"]
        gains = [number(numbers[name], 2) for name in ("full_cv_r2", "cv_gain", "gain")]
        tests = [p_value(numbers[name]) for name in ("p_value", "q_value")]
        r, low, high = (number(numbers[f"partial_spearman{e}"], 2) for e in ("", "_low", "_high"))
        assert row[head.index("all") :][:6] == [*gains, *tests, f"{r} [{low}, {high}]"]
    _, *rows = page.table("explanation", "between two models")
    for row, (_, numbers) in zip(rows, pairs.iterrows(), strict=True):
        assert row[:2] == [numbers["predictor"], number(numbers["coefficient"], 2)]
        assert row[2:4] == [p_value(numbers["p_value"]), f"{numbers['r2_alone']:.2f}"]


def test_examples_are_those_that_contribute_most(two: Analysis, diagnostics: Diagnostics) -> None:
    n = len(two.results.datasets[two.dataset].labels)
    long = "word " * 100
    texts = {
        "premise": np.array([f"premise {k}" for k in range(n)], dtype=object),
        "hypothesis": np.array([f"<script>alert({k})</script> {long}" for k in range(n)], object),
    }
    given = _with_texts(two, texts)
    page = page_of(given, diagnostics)
    found = given.contributions
    assert found is not None
    assert found.sentence in page.said["examples"]
    assert [tag for tag, _ in page.tags].count("script") == 1
    head, *rows = page.table("examples", "row")
    assert head[:4] == ["row", "premise", "hypothesis", "label"]
    assert len(rows) == EXAMPLES_SHOWN
    means = found.mean
    order = np.argsort(-means)[:EXAMPLES_SHOWN]
    assert [int(row[0]) for row in rows] == order.tolist()
    for example, row in zip(order, rows, strict=True):
        assert row[1] == f"premise {example}"
        whole = texts["hypothesis"][example]
        assert row[2] == f"{whole[:159].rstrip()}\N{HORIZONTAL ELLIPSIS}"
        assert ("td", {"class": "long", "title": whole}) in page.tags
        shown = found.examples.loc[example]
        assert row[3] == shown["label"]
        assert row[4] == f"{means[example]:.3f}"
        assert row[5] == f"{100 * shown['share']:.2f}%"
        assert row[6:8] == [f"{shown['loss_ends']:.3f}", f"{shown['loss_middle']:.3f}"]
        assert row[8] == str(shown["in_top_5"])
    spread = found.concentration
    assert _parts_in(
        page.facts["examples"],
        {
            "effective number": f"{spread.effective_number:.1f} examples",
            "half comes from": f"{spread.n_half} examples",
            "most contributing": f"1% make {100 * spread.top_1:.1f}%",
            "mean gap": f"{means.mean():.4f} nats over 45 pairs",
            "mean gap without": f"{found.gap_without_top:.4f} nats, the top 1%",
        },
    )
    _, *groups = page.table("examples", "group")
    for row, (_, numbers) in zip(groups, found.groups.iterrows(), strict=True):
        assert row[:2] == [numbers["group"], str(numbers["examples"])]
        assert row[2:] == [number(numbers["contribution"], 4), f"{100 * numbers['share']:.1f}%"]


def test_sections_without_content_are_absent(two: Analysis, diagnostics: Diagnostics) -> None:
    bare = replace(diagnostics, explanation=None, pair_explanation=None)
    page = page_of(replace(two, rule="saddle"), bare)
    assert not {"examples", "explanation"} & set(page.rows)
    assert "effective number" not in page.said["definitions"]
    assert "partial correlation" not in page.said["definitions"]
    page = page_of(analysis_of("pair"))
    assert "structure" not in page.rows
    assert "intransitive triple" not in page.said["definitions"]
