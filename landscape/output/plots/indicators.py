"""What indicators gave along all pairs' paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from landscape.analysis.indicator_profiles import IndicatorProfile, indicator_profiles
from landscape.core.wording import count, listed
from landscape.output import words
from landscape.output.plots import common
from landscape.output.plots.registry import figure

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

_MOST = 6  # panels


@common.styled
def plot_indicator(
    analysis: Analysis, profile: IndicatorProfile, *, ax: Axes | None = None
) -> Axes:
    """Draw one quantity along every pair's path, and its mean.

    Args:
        analysis: The numbers.
        profile: From ``indicator_profiles``.
        ax: Where to draw; a new figure when absent.

    Returns:
        The axes.
    """
    ax = common.axes_or_new(ax, (common.COLUMN_WIDTH, 2.1))
    t, values = analysis.positions, profile.pairs
    lines = [np.column_stack([t, row])[~np.isnan(row)] for row in values]
    ax.add_collection(LineCollection(lines, colors=common.MIXED, linewidths=0.4, alpha=0.35))
    whole = values[~np.isnan(values).any(axis=1)]
    if len(whole):
        ax.plot(t, whole.mean(axis=0), color=common.MIXED, linewidth=1.6)
    ends = values[:, [0, -1]]
    ax.scatter(np.tile([0.0, 1.0], len(ends)), ends.ravel(), s=6, color=common.MIXED, zorder=3)
    ax.autoscale_view()
    unit = f" ({profile.unit})" if profile.unit and profile.unit != "1" else ""
    ax.set(xlim=(0, 1), xlabel="t", ylabel=f"{profile.quantity.rpartition('/')[2]}{unit}")
    ax.set_title(common.shorten(f"{profile.indicator}: {profile.quantity.rpartition('/')[0]}", 40))
    return ax


def _caption(analysis: Analysis) -> list[str]:
    profiles = indicator_profiles(analysis.results)
    names = listed(list(dict.fromkeys(profile.indicator for profile in profiles)))
    sentences = [
        f"What the indicators {names} gave along {words.pair_path(analysis)} of "
        f"{count(len(analysis.pairs), 'pair')}, a line a pair, and their mean.",
        "Each is averaged over its examples or other dimensions.",
    ]
    if len(profiles) > _MOST:
        sentences.append(f"Drawn are the first {_MOST} of {len(profiles)} quantities.")
    return sentences


@figure(
    "indicators",
    title="Indicators along the paths",
    needs=lambda analysis: analysis.results.indicators,
    caption=_caption,
    place=25,
)
def indicators(analysis: Analysis) -> Figure:
    """A panel a quantity."""
    profiles = indicator_profiles(analysis.results)[:_MOST]
    columns = min(2, len(profiles))
    rows = -(-len(profiles) // columns)
    drawn = common.new_figure(common.COLUMN_WIDTH * columns, 2.1 * rows)
    axes = drawn.subplots(rows, columns, squeeze=False).ravel()
    for ax, profile in zip(axes, profiles, strict=False):
        plot_indicator(analysis, profile, ax=ax)
    for ax in axes[len(profiles) :]:
        ax.set_axis_off()
    return drawn
