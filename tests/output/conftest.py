"""Analyses that all tests of figures and of the report look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes

from landscape.analysis.analysis import Analysis, analysis_options, analyze
from landscape.analysis.diagnostics import Diagnostics
from landscape.output.plots import FIGURES
from landscape.records import Results, read_store
from tests.analyses import ONE, THREE, TWO, make_analysis, many
from tests.pages import make_diagnostics

ROOT = Path(__file__).parents[2]


@cache
def analysis_of(case: str) -> Analysis:
    """An analysis by its name, made where it is first needed."""
    made: dict[str, Callable[[], Analysis]] = {
        "two": lambda: make_analysis(TWO),
        "one": lambda: make_analysis(ONE),
        "three": lambda: make_analysis(THREE),
        "pair": lambda: make_analysis((0.0, 1.0)),
        "in-domain": lambda: make_analysis(TWO, challenge=False),
        "many": lambda: make_analysis(many(40), n_examples=60),
        "thin": lambda: make_analysis(TWO, thin=True),
    }
    if case in made:
        return made[case]()
    results = read_store(ROOT / "figures" / f"{case}.h5")
    return analyze(results, **analysis_options(results))


@pytest.fixture(scope="session")
def two() -> Analysis:
    return analysis_of("two")


@pytest.fixture(scope="session")
def diagnostics(two: Analysis) -> Diagnostics:
    return make_diagnostics(two)


def drawn(name: str, analysis: Analysis) -> list[Axes]:
    """The axes of a figure."""
    return FIGURES[name].draw(analysis).axes


def some_pairs(results: Results) -> Results:
    """The results as if a run had chosen only two pairs of three."""
    measured = np.flatnonzero(np.arange(len(results.pairs)) % 3)
    of_pairs = ("losses", "predictions", "screened", "difference", "accuracies")
    datasets = {
        name: replace(data, **{part: getattr(data, part)[measured] for part in of_pairs})
        for name, data in results.datasets.items()
    }
    parts = ("pairs", "status", "formats", "tolerance", "plan")
    rows = {part: getattr(results, part)[measured] for part in parts}
    return replace(results, datasets=datasets, chosen="active", **rows)
