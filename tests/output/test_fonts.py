"""Figures come out alike on every machine: their text is set in fonts that matplotlib carries."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text

from landscape.analysis.analysis import Analysis, analysis_options, analyze
from landscape.output.plots import FIGURES, STYLE
from landscape.output.plots.figures import figures_of
from landscape.records import read_store

STORE = Path(__file__).parents[2] / "figures" / "mnli_minilm.h5"


@pytest.fixture(scope="module")
def every() -> Analysis:
    """Of a store that every figure can be drawn of."""
    contents = read_store(STORE)
    return analyze(contents, **analysis_options(contents))


def _fonts(figure: Figure) -> set[Path]:
    files = set()
    for text in figure.findobj(Text):
        files.add(findfont(text.get_fontproperties(), fallback_to_default=False))
        if text.get_text().count("$") - text.get_text().count(r"\$") > 1:
            parsed = MathTextParser("path").parse(text.get_text(), 72, text.get_fontproperties())
            files |= {glyph[0].fname for glyph in parsed.glyphs}
    return {Path(file) for file in files}


def test_the_store_makes_every_figure(every: Analysis) -> None:
    assert figures_of(every) == list(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_fonts_are_matplotlibs_own(every: Analysis, name: str) -> None:
    with plt.style.context(STYLE):
        figure = FIGURES[name](every)
        figure.draw_without_rendering()
        inner, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        used = _fonts(figure)
    assert used
    assert all(file.is_relative_to(mpl.get_data_path()) for file in used)
    # and nothing sticks out
    assert min(inner.x0, inner.y0) > -0.02
    assert inner.x1 < width + 0.02
    assert inner.y1 < height + 0.02
    assert width <= 6.75
