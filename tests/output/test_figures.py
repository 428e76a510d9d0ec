"""Whole figures: the committed ones, a figure of one's own, their fonts, files and captions."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text

from landscape.analysis.analysis import Analysis
from landscape.core.errors import ConfigError
from landscape.output.plots import (
    FIGURES,
    STYLE,
    caption,
    figures_of,
    render,
    write_figures,
)
from landscape.records import read_store
from tests.analyses import make_analysis
from tests.output.conftest import ROOT, analysis_of

STORES = sorted(path.stem for path in (ROOT / "figures").glob("*.h5"))
BASIC = ["loss_curves", "gap_matrix", "centroid_distance", "basin_histogram", "evidence"]


@pytest.mark.parametrize("name", STORES)
def test_committed_stores_are_whole_and_name_no_machine(name: str) -> None:
    results = read_store(ROOT / "figures" / f"{name}.h5")
    assert results.attributes["finished"] == "yes"
    for data in results.datasets.values():
        assert np.isfinite(data.losses).all()
    words = json.dumps(results.config) + " ".join(results.checkpoints["ref"])
    assert not re.search(r'[ "]/\w', words), "an absolute path"
    for kind in BASIC:
        assert (ROOT / "figures" / name / f"{kind}.png").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "name"),
    [("mnli_minilm", name) for name in FIGURES if name != "indicators"]
    + [("thin", "loss_curves"), ("in-domain", "loss_curves"), ("three", "basin_histogram")]
    + [(case, name) for case in ("pair", "many") for name in ("gap_matrix", "evidence")],
)
def test_nothing_sticks_out_in_the_fonts_that_matplotlib_carries(case: str, name: str) -> None:
    analysis = analysis_of(case)
    assert FIGURES[name] in figures_of(analysis)
    with plt.style.context(STYLE):
        drawn = FIGURES[name].draw(analysis)
        drawn.draw_without_rendering()
        inner, (width, height) = drawn.get_tightbbox(), drawn.get_size_inches()
        legends = [ax.get_legend() for ax in drawn.axes if ax.get_legend()]
        boxes = [legend.get_window_extent() for legend in legends]
        fonts = _fonts(drawn)
    assert min(inner.x0, inner.y0) > -0.02
    assert inner.x1 < width + 0.02
    assert inner.y1 < height + 0.02
    assert width <= 6.75
    # legends of panels side by side leave each other room
    for left, right in pairwise(boxes):
        assert left.x1 < right.x0
    assert fonts
    assert all(file.is_relative_to(mpl.get_data_path()) for file in fonts)


def _fonts(drawn: Figure) -> set[Path]:
    files = set()
    for text in drawn.findobj(Text):
        files.add(findfont(text.get_fontproperties(), fallback_to_default=False))
        if text.get_text().count("$") - text.get_text().count(r"\$") > 1:
            parsed = MathTextParser("path").parse(text.get_text(), 72, text.get_fontproperties())
            files |= {glyph[0].fname for glyph in parsed.glyphs}
    return {Path(file) for file in files}


@pytest.mark.slow
def test_files_have_stable_names_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("gap_matrix", "basin_histogram")
    kinds = [FIGURES[name] for name in names]
    monkeypatch.setattr("landscape.output.plots.write.figures_of", lambda analysis: kinds)
    two, open_before = analysis_of("pair"), plt.get_fignums()
    files = write_figures(two, tmp_path / "a" / "b", ("pdf", "png", "svg"))
    expected = [f"{name}.{kind}" for name in names for kind in ("pdf", "png", "svg")]
    assert [file.name for file in files] == expected
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == sorted(expected)
    for file in files:
        if file.stem == "basin_histogram":
            assert render(two, file.stem, file.suffix[1:]) == file.read_bytes(), file.name
    assert plt.get_fignums() == open_before
    assert b"/Type3" not in files[0].read_bytes()
    assert ">seed-00</text>" in files[2].read_text()
    assert plt.imread(files[1]).shape[1] == 975  # 3.25 inches at 300 dpi


def test_files_that_cannot_be_are_refused(two: Analysis, tmp_path: Path) -> None:
    (tmp_path / "figures").write_text("")
    with pytest.raises(ConfigError, match=str(tmp_path / "figures")):
        write_figures(two, tmp_path / "figures")
    with pytest.raises(ConfigError, match=r"(?s)gif.*pdf, png, svg"):
        write_figures(two, tmp_path / "nowhere", ("gif",))
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(ConfigError, match=r"(?s)'losses'.*'loss_curves'"):
        caption(two, "losses")


def test_captions_hold_the_numbers_of_the_analysis(two: Analysis) -> None:
    left = int((two.kinds == "").sum())
    text = caption(two, "loss_curves")
    for part in ("mnli_dev (200 examples)", "10 models, 45 pairs measured", f"{left} pairs with"):
        assert part in text
    assert f"comes after {two.basins.groups.evidence.eigengap}." in caption(two, "evidence")


def test_captions_speak_of_training_only_where_paths_were_trained(two: Analysis) -> None:
    assert "trained" not in caption(two, "loss_curves")
    config = {**two.results.config, "paths": [{"kind": "bezier", "points": 11, "fit": {}}]}
    bent = replace(two, results=replace(two.results, config=config))
    assert "control points of the Bezier curve were trained" in caption(bent, "loss_curves")
    real = analysis_of("mnli_minilm")
    text = caption(real, "paths")
    assert "the Bezier curve, the polygonal chain and the AutoNEB path were trained" in text
    points = {n: p for n, p in real.results.points.items() if p.kind in ("line", "layers")}
    straight = replace(real, results=replace(real.results, points=points))
    assert "trained" not in caption(straight, "paths")


def test_a_dollar_in_a_name_is_a_dollar() -> None:
    names = tuple(f"${model}$ x_{model}" for model in range(3))
    drawn = FIGURES["gap_matrix"].draw(make_analysis((0, 0.05, 1.0), names=names, challenge=False))
    labels = {label.get_text().replace(r"\$", "$") for label in drawn.axes[0].get_yticklabels()}
    assert labels == set(names)
    drawn.draw_without_rendering()
