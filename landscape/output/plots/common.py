"""What the figures share: the style, colours, axes, and the names of groups and basins."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from landscape.core.errors import ConfigError, require_known

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
MISSING = "0.88"

P = ParamSpec("P")
T = TypeVar("T")


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Run ``draw`` under the package's style sheet, and only ``draw``."""

    @wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> T:
        with plt.style.context(STYLE):
            return draw(*args, **kwargs)

    return inner


def axes_or_new(ax: Axes | None, figsize: tuple[float, float]) -> Axes:
    """The caller's axes, or those of a new figure."""
    if ax is not None:
        return ax
    return plt.subplots(figsize=figsize, layout="constrained")[1]


def basin_color(basin: int) -> str:
    """The colour that a basin has in every figure, as #rrggbb."""
    return _BASIN_COLORS[basin % len(_BASIN_COLORS)]


def basin_marker(basin: int) -> str:
    """The marker that a basin has in every figure."""
    return _BASIN_MARKERS[basin % len(_BASIN_MARKERS)]


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

    One basin has nothing to compare, so the forced two-way split stands in, under its own name.
    """
    if analysis.basins.n_basins == 1:
        return np.asarray(analysis.basins.split), "side"
    return np.asarray(analysis.basins.labels), "basin"


def find_group(analysis: Analysis, group: str | None) -> str:
    """The column of scores to draw: ``group``, else the focus, else the first in-domain column.

    Raises:
        ConfigError: There is no such column.
    """
    columns = list(analysis.scores.columns)
    if group is None:
        if analysis.focus in columns:
            return analysis.focus
        if analysis.in_domain_columns:
            return analysis.in_domain_columns[0]
        raise ConfigError("There are no scores to draw.", expected="at least one data set")
    require_known("score group", group, columns, where="group")
    return group


def dataset_of(analysis: Analysis, column: str) -> str:
    """The data set that a column of scores was computed on."""
    names = [
        name
        for name in analysis.contents.datasets
        if column == name or column.startswith(f"{name}: ")
    ]
    return max(names, key=len, default=column)


def metric_of(analysis: Analysis, column: str) -> str:
    """The metric's name in words."""
    dataset = analysis.contents.datasets.get(dataset_of(analysis, column))
    metric = "score" if dataset is None else dataset.metric
    return {"matthews": "Matthews correlation"}.get(metric, metric)


def role_of(analysis: Analysis, column: str) -> str:
    """``in-domain`` or ``challenge``."""
    if column in analysis.challenge_columns:
        return "challenge"
    dataset = analysis.contents.datasets.get(dataset_of(analysis, column))
    return "challenge" if dataset is not None and dataset.role == "challenge" else "in-domain"


def panel_title(analysis: Analysis, column: str) -> str:
    """What a panel shows and its role, on two lines where one would be too long for a column."""
    name, role = shorten(column, _TITLE), role_of(analysis, column)
    space = " " if len(name) + len(role) < _TITLE else "\n"
    return f"{plain(name)}{space}({role})"


def path_name(analysis: Analysis) -> str:
    """What joins the two models of a pair: line, Bézier curve or polygonal chain."""
    kind = str((analysis.contents.config.get("paths") or [{}])[0].get("kind", "line"))
    return {"bezier": "Bézier curve", "chain": "polygonal chain"}.get(kind, kind)


def rule_name(analysis: Analysis) -> str:
    """The rule's name in words."""
    return analysis.rule.replace("_", " ")


def score_label(analysis: Analysis, column: str, width: int = 46) -> str:
    """An axis label: the metric and the group, on two lines where they are long."""
    space = " " if len(column) < width / 2 else "\n"
    return f"{metric_of(analysis, column)} on{space}{plain(shorten(column, width))}"


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file so that no reader ever sees half of it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        # mkstemp's file is the owner's alone; give it what an ordinary new file would have
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path
