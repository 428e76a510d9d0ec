"""What the figures share: the style, colours, axes, and short names."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from landscape.output.words import metric_of, role_of

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

STYLE = Path(__file__).with_name("landscape.mplstyle")
COLUMN_WIDTH = 3.25  # inches; a two-column paper's column and full text width
TEXT_WIDTH = 6.75

_TITLE = 40  # characters over a column's axes

_BLACK, _ORANGE, _SKY, _GREEN, _YELLOW, _BLUE, _VERMILLION, _PURPLE = mpl.color_sequences[
    "okabe_ito"
]
# yellow is left out: on white it cannot be seen
_BASIN_COLORS = tuple(
    to_hex(color) for color in (_GREEN, _ORANGE, _PURPLE, _SKY, _BLUE, _VERMILLION, _BLACK)
)
_BASIN_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
GENERALISING, MIXED, HEURISTIC = _BLUE, _BLACK, _VERMILLION

P = ParamSpec("P")
T = TypeVar("T")


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Run ``draw`` under the package's style sheet, and only ``draw``."""

    @wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> T:
        with plt.style.context(STYLE):
            return draw(*args, **kwargs)

    return inner


def new_figure(width: float, height: float) -> Figure:
    """A figure that pyplot does not know: nothing to close, and no window for its user."""
    return Figure(figsize=(width, height), layout="constrained")


def basin_color(basin: int) -> str:
    """The colour that a basin has in every figure, as #rrggbb; grey for what is in none."""
    return "#888888" if basin < 0 else _BASIN_COLORS[basin % len(_BASIN_COLORS)]


def basin_marker(basin: int) -> str:
    """The marker that a basin has in every figure."""
    return _BASIN_MARKERS[basin % len(_BASIN_MARKERS)]


def basin_points(basin: int) -> dict[str, Any]:
    """How matplotlib's ``plot`` draws models of a basin."""
    return points(basin_color(basin), basin_marker(basin))


def points(color: str, marker: str) -> dict[str, Any]:
    """Options of matplotlib's ``plot`` for points with a thin white edge."""
    edge = {"markeredgecolor": "white", "markeredgewidth": 0.5}
    return {"linestyle": "none", "color": color, "marker": marker, **edge}


def is_dark(colors: np.ndarray) -> np.ndarray:
    """(n,) whether light text can be read on colours (n, 4)."""
    return np.asarray(np.asarray(colors)[..., :3] @ (0.299, 0.587, 0.114) < 0.5)


def plain(text: object) -> str:
    """Text that matplotlib draws as it is: a dollar sign begins no formula."""
    return str(text).replace("$", r"\$")


def shorten(text: str, width: int) -> str:
    """The text, its middle cut out where it is longer than ``width``."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def split_labels(analysis: Analysis) -> tuple[np.ndarray, str]:
    """Labels to colour models by, and what a label is called.

    Where all are alike there is nothing to compare, so the forced two-way split stands in, under
    its own name.
    """
    shown = analysis.basins.shown
    if shown.n == 1:
        return np.asarray(analysis.basins.groups.split), "side"
    return np.asarray(shown.labels), shown.noun


def label_name(noun: str, label: int, labels: np.ndarray) -> str:
    """What a label stands for, and of how many models."""
    what = f"{noun} {label}" if label >= 0 else "joins several"
    return f"{what if noun else 'all models'} ({(labels == label).sum()})"


def shown_columns(analysis: Analysis) -> list[str]:
    """The data set of the gaps and, where there is another one, the focus."""
    return list(dict.fromkeys(filter(None, (analysis.dataset, analysis.focus))))


def score_column(analysis: Analysis) -> str:
    """The column of scores to draw: the focus, else the first."""
    return analysis.focus or str(analysis.scores.columns[0])


def legend_over(ax: Axes, **options: Any) -> None:
    """A legend above the axes, flush with their left side."""
    place = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "alignment": "left"}
    ax.legend(**{**place, **options})


def legend_above(figure: Figure, ax: Axes, **options: Any) -> None:
    """One legend for all panels, of what one of them shows."""
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper left", **options)


def panel_title(analysis: Analysis, column: str) -> str:
    """What a panel shows and its role, on two lines where one would be too long for a column."""
    name, role = shorten(column, _TITLE), role_of(analysis, column)
    space = " " if len(name) + len(role) < _TITLE else "\n"
    return f"{plain(name)}{space}({role})"


def score_label(analysis: Analysis, column: str, width: int = 46) -> str:
    """An axis label: the metric and the group, on two lines where they are long."""
    space = " " if len(column) < width / 2 else "\n"
    return f"{metric_of(analysis, column)} on{space}{plain(shorten(column, width))}"
