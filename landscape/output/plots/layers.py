"""Which layers make the barrier: the loss when single groups of layers move alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.analysis.profiles import layer_paths, path_profile, paths_between
from landscape.core.wording import listed
from landscape.output.plots import common
from landscape.output.plots.registry import figure

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

_COLORS = (common.basin_color(4), common.basin_color(1))


def _noted(analysis: Analysis, key: str) -> list[str]:
    """What the layer-wise paths' notes say of something, each answer once."""
    paths = layer_paths(analysis.results)
    return list(dict.fromkeys(str(path.notes["part"][key]) for path in paths))


def _caption(analysis: Analysis) -> list[str]:
    return [
        "Bars: the highest loss, above that of the start, when only one group of layers goes in a "
        f"straight line from one model to the other ({listed(_noted(analysis, 'from'))}).",
        "Ticks: the loss at the end of that line, a model put together from both.",
        "Dashed: the highest loss when all parameters move.",
    ]


@figure(
    "layers",
    title="Which layers make the barrier",
    needs=lambda analysis: layer_paths(analysis.results),
    caption=_caption,
    place=80,
)
def draw(analysis: Analysis) -> Figure:
    """The barrier that each group of layers makes when it alone moves, from either end."""
    columns, groups = common.shown_columns(analysis), _noted(analysis, "group")
    width = common.COLUMN_WIDTH if len(columns) == 1 else common.TEXT_WIDTH
    figure = common.new_figure(width, 0.9 + 0.26 * len(groups))
    axes = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for ax, column in zip(axes, columns, strict=True):
        _draw_panel(ax, analysis, column)
    axes[0].set_yticks(range(len(groups)), [common.plain(group) for group in groups])
    axes[0].invert_yaxis()
    common.legend_above(figure, axes[0], ncols=2)
    return figure


def _draw_panel(ax: Axes, analysis: Analysis, column: str) -> None:
    results, groups = analysis.results, _noted(analysis, "group")
    profiles = [path_profile(results, path, column) for path in layer_paths(results)]
    starts = _noted(analysis, "from")
    step = 0.8 / len(starts)
    for k, start in enumerate(starts):
        moved = [profile for profile in profiles if profile.path.notes["part"]["from"] == start]
        places = [groups.index(str(profile.path.notes["part"]["group"])) for profile in moved]
        y = np.array(places) + (k - (len(starts) - 1) / 2) * step
        ends = [profile.losses[-1] - profile.losses[0] for profile in moved]
        peaks = [profile.highest - profile.losses[0] for profile in moved]
        label = f"highest, from {common.plain(start)}"
        ax.barh(y, peaks, height=step * 0.85, color=_COLORS[k % len(_COLORS)], label=label)
        ax.plot(
            ends,
            y,
            linestyle="none",
            marker="|",
            markersize=6,
            markeredgewidth=1.4,
            color="black",
            label="_end" if k else "at the end",
        )
    for pair, paths in paths_between(results).items():
        for path in paths:
            if path.kind == "line" and set(pair) == set(starts):
                profile = path_profile(results, path, column)
                ax.axvline(
                    profile.highest - profile.losses[0],
                    color="0.35",
                    linewidth=0.9,
                    linestyle=(0, (4, 2)),
                    label="highest, all layers",
                )
    ax.set_xlabel("loss above the start's (nats)")
    ax.set_title(common.panel_title(analysis, column))
