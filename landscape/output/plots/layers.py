"""Which layers make the barrier: the loss when single groups of layers move alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.analysis.profiles import layer_paths, path_profile, paths_between
from landscape.core.errors import ConfigError
from landscape.core.wording import listed
from landscape.output.plots import common
from landscape.output.plots.registry import figure

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

_COLORS = (common.basin_color(4), common.basin_color(1))


@common.styled
def plot_layers(
    analysis: Analysis, *, ax: Axes | None = None, column: str | None = None, legend: bool = True
) -> Axes:
    """Draw the barrier that each group of layers makes when it alone moves, from either end.

    Args:
        analysis: Of a store that holds layer-wise paths.
        ax: Where to draw; a new figure when absent.
        column: A data set or group; the data set of the gaps when absent.
        legend: Whether to draw one on these axes.

    Returns:
        The axes.

    Raises:
        ConfigError: There are none.
    """
    results, column = analysis.results, column or analysis.dataset
    profiles = [path_profile(results, path, column) for path in layer_paths(results)]
    if not profiles:
        raise ConfigError(
            "The store holds no layer-wise paths.",
            where=results.path,
            fix="add a path of kind 'layers' to the experiment, and run it again",
        )
    groups, starts = _noted(analysis, "group"), _noted(analysis, "from")
    ax = common.axes_or_new(ax, (common.COLUMN_WIDTH, 0.6 + 0.26 * len(groups)))
    step = 0.8 / len(starts)
    for k, start in enumerate(starts):
        moved = [profile for profile in profiles if profile.path.notes["part"]["from"] == start]
        places = [groups.index(str(profile.path.notes["part"]["group"])) for profile in moved]
        y = np.array(places) + (k - (len(starts) - 1) / 2) * step
        ends = np.array([profile.losses[-1] - profile.losses[0] for profile in moved])
        peaks = np.array([profile.highest - profile.losses[0] for profile in moved])
        label = f"highest, from {common.plain(start)}"
        ax.barh(y, peaks, height=step * 0.85, color=_COLORS[k % len(_COLORS)], label=label)
        ax.plot(
            ends, y, linestyle="none", marker="|", markersize=6, markeredgewidth=1.4, color="black"
        )
    for pair, paths in paths_between(results).items():
        line = next((path for path in paths if path.kind == "line"), None)
        if line is None or set(pair) != set(starts):
            continue
        profile = path_profile(results, line, column)
        ax.axvline(
            profile.highest - profile.losses[0],
            color="0.35",
            linewidth=0.9,
            linestyle=(0, (4, 2)),
            label="highest, all layers",
        )
    ax.plot([], [], linestyle="none", marker="|", color="black", label="at the end")
    ax.set_yticks(range(len(groups)), [common.plain(group) for group in groups])
    ax.invert_yaxis()
    ax.set_xlabel("loss above the start's (nats)")
    ax.set_title(common.panel_title(analysis, column))
    if legend:
        ax.legend()
    return ax


def _noted(analysis: Analysis, key: str) -> list[str]:
    """What the layer-wise paths' notes say of something, each answer once."""
    return list(
        dict.fromkeys(str(path.notes["part"][key]) for path in layer_paths(analysis.results))
    )


def _caption(analysis: Analysis) -> list[str]:
    return [
        "Bars: the highest loss, above that of the start, when only one group of layers goes in a "
        f"straight line from one model to the other ({listed(_noted(analysis, 'from'))}) and all "
        "other parameters stay.",
        "Ticks: the loss at the end of that line, which is a model put together from both.",
        "Dashed: the highest loss when all parameters move, where that line was measured.",
    ]


@figure(
    "layers",
    title="Which layers make the barrier",
    needs=lambda analysis: layer_paths(analysis.results),
    caption=_caption,
    place=80,
)
def draw(analysis: Analysis) -> Figure:
    """What each group of layers does when it alone moves."""
    columns = common.shown_columns(analysis)
    width = common.COLUMN_WIDTH if len(columns) == 1 else common.TEXT_WIDTH
    figure = common.new_figure(width, 0.9 + 0.26 * len(_noted(analysis, "group")))
    axes = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for ax, column in zip(axes, columns, strict=True):
        plot_layers(analysis, ax=ax, column=column, legend=False)
    common.legend_above(figure, axes[0], ncols=2)
    return figure
