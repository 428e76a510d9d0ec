"""Loss along several paths between the same two models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from landscape.analysis.profiles import PathProfile, path_profile, paths_between
from landscape.output.plots import common
from landscape.output.plots.registry import figure
from landscape.output.words import path_text, trained_points

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

# by kind, so that a path looks the same in every figure
_STYLES = {
    "line": (common.MIXED, "-", "o"),
    "bezier": (common.basin_color(4), (0, (5, 1.5)), "s"),
    "chain": (common.basin_color(1), (0, (4, 1.2, 1, 1.2)), "^"),
    "autoneb": (common.basin_color(0), (0, (1, 1)), "D"),
}
_OTHER = (common.basin_color(2), (0, (3, 1)), "v")
_MOST_PAIRS = 2  # of models, side by side


def _caption(analysis: Analysis) -> list[str]:
    pair, paths = next(iter(paths_between(analysis.results).items()))
    points = max(len(path.positions) for path in paths)
    dataset, *focus = common.shown_columns(analysis)
    return [
        f"Mean loss at up to {points} points of each path from {pair[0]} to {pair[1]}, on "
        f"{dataset}{''.join(f' and, below, on {name}' for name in focus)}, against the share of "
        "its length.",
        *trained_points(path_text(path) for path in paths if path.notes.get("n_controls")),
    ]


@figure(
    "paths",
    title="Paths between two models",
    needs=lambda analysis: paths_between(analysis.results),
    caption=_caption,
    place=70,
)
def draw(analysis: Analysis) -> Figure:
    """Every path between two models, on the data set of the gaps and below on the focus."""
    columns = common.shown_columns(analysis)
    between = list(paths_between(analysis.results).items())[:_MOST_PAIRS]
    width = common.COLUMN_WIDTH if len(between) == 1 else common.TEXT_WIDTH
    figure = common.new_figure(width, 0.75 + 1.6 * len(columns))
    grid = figure.subplots(len(columns), len(between), sharex=True, sharey="row", squeeze=False)
    for row, column in zip(grid, columns, strict=True):
        for ax, (pair, paths) in zip(row, between, strict=True):
            for path in paths:
                profile = path_profile(analysis.results, path, column)
                color, dashes, marker = _STYLES.get(path.kind, _OTHER)
                ax.plot(
                    profile.shares,
                    profile.losses,
                    color=color,
                    linestyle=dashes,
                    marker=marker,
                    markevery=max(1, len(profile.losses) // 5),
                    markersize=3.2,
                    label=_label(profile),
                )
            ax.set(xlim=(0, 1), xlabel="share of the path's length", ylabel="loss (nats)")
            title = common.panel_title(analysis, column)
            if len(between) > 1:
                title += "\n" + common.plain(" to ".join(common.shorten(name, 20) for name in pair))
            ax.set_title(title)
            ax.label_outer()
    common.legend_above(figure, grid[0, 0], handlelength=3.2)
    figure.align_ylabels()
    return figure


def _label(profile: PathProfile) -> str:
    path = profile.path
    name = path_text(path)
    if path.name != path.kind:
        name = f"{path.name} ({name})"
    longer = f", {profile.detour:.2f} times as long" if profile.detour > 1.0005 else ""
    return common.plain(f"{name}{longer}")
