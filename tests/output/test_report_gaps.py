"""What the report says of gaps: by several rules, with what power, on which grid, by how many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from landscape.analysis.analysis import Analysis, analyze
from landscape.analysis.barriers.contributions import FEW
from landscape.core.sentences import grid_sentence, power_sentence, rules_sentence
from landscape.core.wording import number
from landscape.records import Results
from tests.analyses import make_results
from tests.output.conftest import analysis_of
from tests.pages import page_of


def test_rules_stand_beside_one_another(two: Analysis) -> None:
    page, by_rule = page_of(two), two.by_rule
    head, *rows = page.table("gaps", "rule")
    assert len(head) == 5
    for row, by in zip(rows, by_rule, strict=True):
        numbers = [number(value, 3) for value in (by.median, by.largest, by.seen)]
        assert row == [by.name, str(by.n_apart), *numbers]
    counts = rules_sentence(
        [(by.name, by.n_apart) for by in by_rule],
        n_pairs=45,
        tolerance=by_rule[0].tolerance,
        beyond_noise=True,
    )
    seen = power_sentence(
        by_rule[0].seen, n_examples=200, n_pairs=45, tolerance=by_rule[0].tolerance
    )
    assert counts in page.said["gaps"]
    assert page.text.count(counts) >= 2
    assert seen in page.said["gaps"]

    assert f"barrier height {by_rule[1].largest:.3f}; max endpoint barrier" in page.text
    # and of each pair
    head, *rows = page.table("pairs", "model at t = 0")
    columns = {name: head.index(f"{name} (nats)") for name in ("barrier height",)}
    for row in rows:
        ends = sorted(two.models.index(name) for name in row[:2])
        (pair,) = np.flatnonzero((two.pairs == ends).all(axis=1))
        assert row[columns["barrier height"]] == f"{by_rule[1].gaps[pair]:.4f}"
        assert two.contributions is not None
        assert row[head.index("effective examples")] == f"{two.contributions.effective[pair]:.0f}"


def test_the_grid_is_named_and_pilots_warn(two: Analysis) -> None:
    adaptive = replace(
        two, results=replace(two.results, config={"paths": [{"kind": "line", "adaptive": True}]})
    )
    for analysis, pilots in ((two, False), (adaptive, True), (analysis_of("thin"), False)):
        said = page_of(analysis).said["gaps"]
        expected = grid_sentence(11, tolerance=analysis.tolerance, adaptive=pilots)
        assert expected in said
        assert ("pilot" in said) == pilots
        assert "grid of 11 points" in said


def few_carry(n_carriers: int) -> Results:
    """Models in two groups; so many examples carry what is between them."""
    results = make_results((0.0, 0.0, 1.0, 1.0), n_examples=200, challenge=False)
    data, rng = results.datasets["mnli_dev"], np.random.default_rng(0)
    t = results.positions
    losses = 1 + 0.01 * rng.normal(size=data.losses.shape)
    high = (4 * t * (1 - t))[:, None] * (np.arange(200) < n_carriers) * 200 / n_carriers
    apart = np.ptp(np.array([0, 0, 1, 1])[results.pairs], axis=1) > 0
    losses[apart] += 2 * high
    data = replace(data, losses=losses.astype(np.float32))
    return replace(results, datasets={"mnli_dev": data})


@pytest.mark.parametrize("n_carriers", [FEW - 1, FEW + 1, 100])
def test_few_examples_behind_the_barriers_are_warned_of(n_carriers: int) -> None:
    analysis = analyze(few_carry(n_carriers), n_resamples=100)
    assert analysis.contributions is not None
    apart = analysis.contributions.gaps > 0.5
    assert apart.sum() == 4
    assert analysis.contributions.effective[apart] == pytest.approx(n_carriers, rel=0.01)
    warned = [text for text in page_of(analysis).warnings if "examples or fewer" in text]
    assert bool(warned) == (n_carriers < FEW)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((44, 4, 0), "By a 44 of 45 pairs exceed .02 nats, by b 4, by c none."),
        ((0, 0, 0), "By a, b and c alike none of 45 pairs exceed .02 nats."),
        ((1,), "By a 1 of 45 pairs exceeds .02 nats."),
    ],
)
def test_counts_by_rule_in_words(counts: tuple[int, ...], said: str) -> None:
    by_rule = list(zip("abc", counts, strict=False))
    text = rules_sentence(by_rule, n_pairs=45, tolerance=0.02, beyond_noise=False)
    assert text == said
