"""Loss along several ways between the same two models, and along single groups of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from landscape.analysis.along import Along, layer_ways, summarize, ways_between
from landscape.core.errors import ConfigError
from landscape.output.plots import common

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

# by kind, so that a way looks the same in every figure
_STYLES = {
    "line": (common.MIXED, "-", "o"),
    "bezier": (common.basin_color(4), (0, (5, 1.5)), "s"),
    "chain": (common.basin_color(1), (0, (4, 1.2, 1, 1.2)), "^"),
    "autoneb": (common.basin_color(0), (0, (1, 1)), "D"),
}
_KINDS = {
    "line": "straight line",
    "bezier": "Bézier curve",
    "chain": "polygonal chain",
    "autoneb": "AutoNEB",
}


@common.styled
def plot_ways(
    analysis: Analysis,
    *,
    ax: Axes | None = None,
    column: str | None = None,
    models: tuple[str, ...] | None = None,
    legend: bool = True,
) -> Axes:
    """Draw the loss along every way between two models, against the share of its length.

    Args:
        analysis: Of a store that holds ways.
        ax: Where to draw; a new figure when absent.
        column: A data set or group; the data set of the gaps when absent.
        models: The two ends; the first ones that ways were measured between when absent.
        legend: Whether to draw one on these axes.

    Returns:
        The axes.

    Raises:
        ConfigError: There are no such ways.
    """
    found = ways_between(analysis.contents)
    if not found or (models is not None and models not in found):
        raise ConfigError(
            "The store holds no ways between these models.",
            where=analysis.contents.path,
            expected=", ".join(" and ".join(pair) for pair in found) or "none at all",
            found=models,
            fix="name them under 'ways' of the experiment, and run it again",
        )
    pair = models or next(iter(found))
    ax = common.axes_or_new(ax, (common.COLUMN_WIDTH, 2.3))
    for way in summarize(analysis.contents, found[pair], column or analysis.dataset):
        color, dashes, marker = _STYLES[way.points.kind]
        ax.plot(
            way.shares,
            way.losses,
            color=color,
            linestyle=dashes,
            marker=marker,
            markevery=max(1, len(way.shares) // 5),
            markersize=3.2,
            label=_label(way),
        )
    ax.set(xlim=(0, 1), xlabel="share of the way's length", ylabel="loss (nats)")
    ax.set_title(common.panel_title(analysis, column or analysis.dataset))
    if legend:
        ax.legend()
    return ax


def _label(way: Along) -> str:
    kind = _KINDS.get(way.points.kind, way.points.kind)
    name = kind if way.points.name == way.points.kind else f"{way.points.name} ({kind})"
    ratio = way.length / way.distance
    longer = f", {ratio:.2f} times as long" if np.isfinite(ratio) and ratio > 1.0005 else ""
    return common.plain(f"{name}{longer}")


@common.styled
def plot_layers(
    analysis: Analysis, *, ax: Axes | None = None, column: str | None = None, legend: bool = True
) -> Axes:
    """Draw the barrier that each group of layers makes when it alone moves, from either end.

    Args:
        analysis: Of a store that holds layer-wise ways.
        ax: Where to draw; a new figure when absent.
        column: A data set or group; the data set of the gaps when absent.
        legend: Whether to draw one on these axes.

    Returns:
        The axes.

    Raises:
        ConfigError: There are none.
    """
    column = column or analysis.dataset
    ways = summarize(analysis.contents, layer_ways(analysis.contents), column)
    if not ways:
        raise ConfigError(
            "The store holds no layer-wise ways.",
            where=analysis.contents.path,
            fix="add {kind: layers} under 'ways' of the experiment, and run it again",
        )
    groups = list(dict.fromkeys(str(way.points.notes["part"]["group"]) for way in ways))
    starts = list(dict.fromkeys(str(way.points.notes["part"]["from"]) for way in ways))
    ax = common.axes_or_new(ax, (common.COLUMN_WIDTH, 0.6 + 0.26 * len(groups)))
    step = 0.8 / len(starts)
    colors = (common.basin_color(4), common.basin_color(1))
    for k, start in enumerate(starts):
        own = [way for way in ways if way.points.notes["part"]["from"] == start]
        places = [groups.index(str(way.points.notes["part"]["group"])) for way in own]
        y = np.array(places) + (k - (len(starts) - 1) / 2) * step
        rises = np.array([way.losses[-1] - way.losses[0] for way in own])
        peaks = np.array([way.highest - way.losses[0] for way in own])
        color = colors[k % len(colors)]
        ax.barh(
            y,
            peaks,
            height=step * 0.85,
            color=color,
            label=f"highest, from {common.plain(start)}",
        )
        ax.plot(
            rises, y, linestyle="none", marker="|", markersize=6, markeredgewidth=1.4, color="black"
        )
    line = next(
        (
            way
            for way in summarize(
                analysis.contents,
                [p for ways_ in ways_between(analysis.contents).values() for p in ways_],
                column,
            )
            if way.points.kind == "line" and set(way.points.models) == set(starts)
        ),
        None,
    )
    if line is not None:
        ax.axvline(
            line.highest - line.losses[0],
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
