"""How a score is distributed within each basin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from landscape.core.wording import capital, count, percent
from landscape.output import words
from landscape.output.plots import common
from landscape.output.plots.registry import figure

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

_HATCHES = ("", "////", "\\\\\\\\", "....", "xxxx", "----", "++++")


def _caption(analysis: Analysis) -> list[str]:
    column, shown = common.score_column(analysis), analysis.basins.shown
    alone = shown.n == 1
    return [
        f"{capital(words.metric_of(analysis, column))} on {column} "
        f"({words.role_of(analysis, column)}) of {count(len(analysis.models), 'model')}, stacked "
        f"by {'the side of a forced two-way split' if alone else shown.noun}.",
        f"Above the bars: the mean of {'all models' if alone else f'each {shown.noun}'} with its "
        f"{percent(analysis.relation.confidence)} interval, which covers for few models too.",
    ]


@figure(
    "basin_histogram",
    title="Scores by basin or group",
    needs=lambda analysis: analysis.scores.shape[1],
    caption=_caption,
    place=40,
)
def draw(analysis: Analysis) -> Figure:
    """A stacked histogram of the focus score by basin, each basin's mean above it."""
    figure = common.new_figure(common.COLUMN_WIDTH, 2.3)
    ax, column = figure.subplots(), common.score_column(analysis)
    score = analysis.scores[column].to_numpy(dtype=float)
    labels, noun = common.split_labels(analysis)
    edges = _edges(score[np.isfinite(score)])
    bottom = np.zeros(len(edges) - 1)
    for label in np.unique(labels).tolist():
        counts, _ = np.histogram(score[np.isfinite(score) & (labels == label)], edges)
        ax.bar(
            edges[:-1],
            counts,
            np.diff(edges),
            bottom,
            align="edge",
            color=common.basin_color(label),
            edgecolor="white",
            hatch=_HATCHES[label % len(_HATCHES)],
            label=common.label_name(noun, label, labels),
        )
        bottom = bottom + counts
    tallest, n_basins = max(float(bottom.max()), 1.0), analysis.basins.shown.n
    for basin in range(n_basins):
        _draw_mean(ax, analysis, basin, tallest * (1.1 + 0.09 * basin))
    ax.set_ylim(0, tallest * (1.16 + 0.09 * n_basins))
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    ax.set(xlabel=common.score_label(analysis, column), ylabel="number of models")
    title = "forced two-way split" if noun == "side" else None
    common.legend_over(ax, ncols=3, handlelength=1.2, title=title, title_fontsize=7)
    return figure


def _edges(score: np.ndarray) -> np.ndarray:
    """At most sqrt(6 n) bins between round limits, so that an edge can be read off the axis."""
    n_bins = int(np.clip(np.ceil(np.sqrt(6 * len(score))), 8, 20))
    low, high = score.min(initial=1.0), score.max(initial=0.0)
    if high - low < 1e-9:
        low, high = low - 0.01, high + 0.01
    edges = np.array(MaxNLocator(n_bins, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    # rounding must not leave the outermost models outside
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    return edges


def _draw_mean(ax: Axes, analysis: Analysis, basin: int, height: float) -> None:
    row = words.relation_row(analysis, common.score_column(analysis))
    if row is None:
        return
    # a side of a forced split has no row in the table: its basin is everybody
    shown = analysis.basins.shown
    alone = shown.n == 1
    look = common.points("0.35", "D") if alone else common.basin_points(basin)
    mean, low, high = (
        row.get(f"{shown.noun}_{basin}_{what}", np.nan) for what in ("mean", "low", "high")
    )
    color = look["color"]
    ax.plot([low, high], [height, height], color=color, linewidth=1.2, label="_interval")
    ax.plot([mean], [height], label="_mean", **look)
