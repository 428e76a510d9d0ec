"""Losses that are NaN or infinite: stored as they came, and their pairs named and left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from landscape.analysis.analysis import analyze
from landscape.core.errors import ConfigError
from landscape.records import Results
from tests.analyses import TWO, make_results
from tests.pages import page_of

ROWS = 3, 10


@pytest.fixture(scope="module")
def whole() -> Results:
    return make_results(TWO, n_examples=80)


def spoilt(results: Results, value: float, rows: tuple[int, ...] = ROWS) -> Results:
    data = results.datasets["mnli_dev"]
    losses = data.losses.copy()
    losses[list(rows), 4, -1] = value
    return replace(results, datasets={**results.datasets, "mnli_dev": replace(data, losses=losses)})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_other_pairs_have_the_gaps_that_they_had(whole: Results, value: float) -> None:
    found = analyze(spoilt(whole, value), n_resamples=20)
    sound = analyze(whole, n_resamples=20)
    left_out = np.isnan(found.gaps.estimate[tuple(whole.pairs.T)])
    assert tuple(np.flatnonzero(left_out)) == ROWS
    kept = whole.pairs[~left_out]
    for name in ("estimate", "low", "high"):
        at = tuple(kept.T)
        own, wanted = (getattr(one.gaps, name)[at] for one in (found, sound))
        np.testing.assert_allclose(own, wanted, rtol=1e-9)
    assert found.results.pairs.tolist() == kept.tolist()
    names = [tuple(whole.models[k] for k in whole.pairs[row]) for row in ROWS]
    t = f"{whole.positions[4]:.2g}"
    assert found.not_finite == tuple(f"{a} and {b} at t = {t}" for a, b in names)
    assert sound.not_finite == ()
    assert found.basins.labels.tolist() == sound.basins.labels.tolist()


def test_the_report_names_the_pairs(whole: Results) -> None:
    analysis = analyze(spoilt(whole, np.nan), n_resamples=20)
    words = page_of(analysis).text
    assert all(line in words for line in ("2 pairs have losses", *analysis.not_finite))
    assert "never measured" not in words


def test_nothing_but_losses_that_are_not_finite_is_an_error(whole: Results) -> None:
    every = tuple(range(len(whole.pairs)))
    with pytest.raises(ConfigError, match=r"(?s)No pair has finite losses.*mnli_dev.*overflows"):
        analyze(spoilt(whole, np.nan, every))
