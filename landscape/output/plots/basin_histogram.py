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
    import pandas as pd

    from landscape.analysis.analysis import Analysis

_HATCHES = ("", "////", "\\\\\\\\", "....", "xxxx", "----", "++++")


@common.styled
def plot_basin_histogram(
    analysis: Analysis,
    *,
    ax: Axes | None = None,
    group: str | None = None,
    bins: int | np.ndarray | None = None,
) -> Axes:
    """Draw a stacked histogram of a score by basin, with each basin's mean and interval above it.

    With one basin, the models are told apart by the forced two-way split, and the legend says so;
    the mean is that of all models.

    Args:
        analysis: The numbers.
        ax: Where to draw; a new figure when absent.
        group: A column of ``analysis.scores``; the focus when absent.
        bins: A number of bins or their edges; chosen from the number of models when absent.

    Returns:
        The axes.

    Raises:
        ConfigError: There is no such group.
    """
    column = common.find_group(analysis, group)
    ax = common.axes_or_new(ax, (common.COLUMN_WIDTH, 2.3))
    score = analysis.scores[column].to_numpy(dtype=float)
    labels, noun = common.split_labels(analysis)
    groups = np.unique(labels)
    known = np.isfinite(score)
    edges = _edges(score[known]) if bins is None else np.histogram_bin_edges(score[known], bins)
    bottom = np.zeros(len(edges) - 1)
    for label in groups:
        counts, _ = np.histogram(score[known & (labels == label)], edges)
        ax.bar(
            edges[:-1],
            counts,
            np.diff(edges),
            bottom,
            align="edge",
            color=common.basin_color(int(label)),
            edgecolor="white",
            hatch=_HATCHES[int(label) % len(_HATCHES)],
            label=f"{noun} {label} ({(labels == label).sum()})",
        )
        bottom = bottom + counts
    tallest = max(float(bottom.max(initial=0.0)), 1.0)
    row = words.relation_row(analysis, column)
    means = range(analysis.basins.n_basins)
    for basin in means:
        # a side of a forced split has no row in the table: its basin is everybody
        look = ("0.35", "D") if len(means) == 1 else _look(basin)
        _draw_mean(ax, basin, tallest * (1.1 + 0.09 * basin), row, *look)
    ax.set_ylim(0, tallest * (1.16 + 0.09 * len(means)))
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    ax.set_xlabel(common.score_label(analysis, column))
    ax.set_ylabel("number of models")
    title = "forced two-way split" if noun == "side" else None
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=min(len(groups), 3),
        handlelength=1.2,
        title=title,
        title_fontsize=7,
        alignment="left",
    )
    return ax


def _caption(analysis: Analysis) -> list[str]:
    column, one = common.find_group(analysis, None), analysis.basins.n_basins == 1
    return [
        f"{capital(words.metric_of(analysis, column))} on {column} "
        f"({words.role_of(analysis, column)}) of {count(len(analysis.models), 'model')}, stacked "
        f"by {'the side of a forced two-way split (one basin was found)' if one else 'basin'}.",
        f"Above the bars: the mean {'of all models' if one else 'of each basin'} with its "
        f"{percent(analysis.relation.confidence)} interval under resampled models (none for a "
        "single model).",
    ]


@figure("basin_histogram", title="Scores by basin", caption=_caption, place=40)
def draw(analysis: Analysis) -> Figure:
    """The focus score by basin."""
    figure = common.new_figure(common.COLUMN_WIDTH, 2.3)
    plot_basin_histogram(analysis, ax=figure.subplots())
    return figure


def _edges(score: np.ndarray) -> np.ndarray:
    """About sqrt(3 n) bins between round limits, so that an edge can be read off the axis."""
    if score.size == 0:
        return np.array([0.0, 1.0])
    n_bins = int(np.clip(np.ceil(np.sqrt(3 * score.size)), 5, 15))
    low, high = float(score.min()), float(score.max())
    if high - low < 1e-9:
        low, high = low - 0.01, high + 0.01
    raw = (high - low) / n_bins
    unit = 10.0 ** np.floor(np.log10(raw))
    step = min((unit * k for k in (1, 2, 2.5, 5, 10)), key=lambda step: abs(np.log(step / raw)))
    first = np.floor(low / step + 1e-9)
    last = max(np.ceil(high / step - 1e-9), first + 1)
    edges = np.arange(first, last + 1) * step
    # rounding must not leave the outermost models outside
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    return edges


def _look(basin: int) -> tuple[str, str]:
    return common.basin_color(basin), common.basin_marker(basin)


def _draw_mean(
    ax: Axes, basin: int, height: float, row: pd.Series | None, color: str, marker: str
) -> None:
    if row is None:
        return
    mean, low, high = (row.get(f"basin_{basin}_{what}", np.nan) for what in ("mean", "low", "high"))
    if not np.isfinite(mean):
        return
    if np.isfinite(low) and np.isfinite(high):
        ax.plot([low, high], [height, height], color=color, linewidth=1.2, label="_interval")
    ax.plot(
        [mean],
        [height],
        linestyle="none",
        marker=marker,
        color=color,
        markeredgecolor="white",
        markeredgewidth=0.5,
        label="_mean",
    )
