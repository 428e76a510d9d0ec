"""A barrier rule of one's own: one declaration, and everything else reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import landscape
from landscape.analysis.barriers import RULES, barrier_rule, rises_over
from landscape.run.measure.adaptive import highest
from tests.tiny import write_experiment


@pytest.fixture
def toy():
    @barrier_rule(
        sources=(("Toy et al. 2026", "2601.00001"),),
        bound=rises_over(lambda low, high, share: np.minimum(low, high), anywhere=False),
    )
    def toy_rise(y, t):
        """The height of the highest inner point over the lower end of a path."""
        return np.maximum(y[1:-1].max(0) - np.minimum(y[0], y[-1]), 0)

    yield toy_rise
    del RULES["toy_rise"]


@pytest.mark.slow
def test_a_rule_goes_from_the_configuration_to_the_report(
    tmp_path: Path, populations: dict[str, Path], task_file: Path, toy
) -> None:
    config = write_experiment(
        tmp_path / "config.yaml",
        populations["bert"],
        task_file,
        analysis={"rule": "toy_rise"},
        paths=[{"kind": "line", "points": 5, "between": "all", "adaptive": True}],
    )
    store = landscape.run_experiment(config, root=task_file.parent, report=lambda line: None)
    analysis = landscape.analyze(landscape.read_store(store), rule="toy_rise")
    rises = [max(0, max(c[1:-1]) - min(c[0], c[-1])) for c in analysis.curves["dev"].losses]
    np.testing.assert_allclose(analysis.gaps.estimate[tuple(analysis.pairs.T)], rises)
    page = (store.parent / "report.html").read_text()
    for text in ("toy rise", toy.text, "2601.00001"):
        assert text in page


def test_the_grid_is_refined_for_it(toy) -> None:
    t, low = np.linspace(0, 1, 4), np.array([0.2, 0.1, 0.3, 0.4])
    upper, deciding = highest(low, np.add(low, [0, 0, 0.5, 0]), t, "toy_rise")
    assert (upper, deciding) == (pytest.approx(0.6), (0, 2, 3))


def test_a_rule_that_is_gone_is_unknown(tmp_path: Path, populations, task_file: Path) -> None:
    config = write_experiment(
        tmp_path / "config.yaml", populations["bert"], task_file, analysis={"rule": "toy_rise"}
    )
    with pytest.raises(landscape.LandscapeError, match="unknown rule"):
        landscape.run_experiment(config, root=task_file.parent)
