"""What indicators gave along all pairs' paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from landscape.analysis.indicator_profiles import indicator_profiles
from landscape.core.wording import count, listed
from landscape.output import words
from landscape.output.plots import common
from landscape.output.plots.registry import figure

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

_MOST = 6  # panels


def _caption(analysis: Analysis) -> list[str]:
    profiles = indicator_profiles(analysis.results)
    names = listed(list(dict.fromkeys(profile.indicator for profile in profiles)))
    shown = f" The first {_MOST} of {len(profiles)} quantities." if len(profiles) > _MOST else ""
    return [
        f"What the indicators {names} gave along the {words.pair_path(analysis)} of "
        f"{count(len(analysis.pairs), 'pair')}, averaged over examples or other dimensions; a line "
        f"a pair, and their mean.{shown}",
    ]


@figure(
    "indicators",
    title="Indicators along the paths",
    needs=lambda analysis: analysis.results.indicators,
    caption=_caption,
    place=25,
)
def draw(analysis: Analysis) -> Figure:
    """A panel a quantity."""
    profiles = indicator_profiles(analysis.results)[:_MOST]
    columns = min(2, len(profiles))
    rows = -(-len(profiles) // columns)
    figure = common.new_figure(common.COLUMN_WIDTH * columns, 2.1 * rows)
    t, color = analysis.positions, common.MIXED
    for number, profile in enumerate(profiles, 1):
        ax, values = figure.add_subplot(rows, columns, number), profile.pairs
        lines = [np.column_stack([t, row])[~np.isnan(row)] for row in values]
        ax.add_collection(LineCollection(lines, colors=color, linewidths=0.4, alpha=0.35))
        whole = values[~np.isnan(values).any(axis=1)]
        if len(whole):
            ax.plot(t, whole.mean(axis=0), color=color, linewidth=1.6)
        ends = values[:, [0, -1]]
        ax.scatter(np.tile([0.0, 1.0], len(ends)), ends.ravel(), s=6, color=color, zorder=3)
        unit = f" ({profile.unit})" if profile.unit and profile.unit != "1" else ""
        dataset, _, name = profile.quantity.rpartition("/")
        ax.set(xlim=(0, 1), xlabel="t", ylabel=common.plain(f"{name}{unit}"))
        ax.set_title(common.plain(common.shorten(f"{profile.indicator}: {dataset}", 40)))
    return figure
