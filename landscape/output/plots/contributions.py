"""How few examples make the gaps: their contributions, the largest first, summed up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from landscape.output import words
from landscape.output.plots import common
from landscape.output.plots.registry import figure

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

_TOP = 12  # examples; the ones that the report shows


def _caption(analysis: Analysis) -> list[str]:
    return [
        f"Contributions of the examples of {analysis.dataset} "
        f"({words.examples_of(analysis, analysis.dataset)}) to the mean "
        f"{words.rule_name(analysis)} of {words.pairs_measured(analysis)}, the largest first and "
        "summed up: beyond 100% until those below 0 take it back.",
    ]


@figure(
    "contributions",
    title="Examples that make the gaps",
    needs=words.has_contributions,
    caption=_caption,
    place=60,
)
def draw(analysis: Analysis) -> Figure:
    """Which share of the net gap comes from which share of the examples."""
    figure = common.new_figure(common.COLUMN_WIDTH, 2.7)
    ax, contributions = figure.subplots(), analysis.contributions
    assert contributions is not None  # that is needed
    largest_first = np.sort(contributions.mean)[::-1]
    n = len(largest_first)
    total = np.concatenate([[0.0], np.cumsum(largest_first / largest_first.sum())])
    share = np.arange(n + 1) / n
    ax.plot([0, 1], [0, 1], color="0.6", linestyle=(0, (1, 1)), linewidth=1.0, label="all alike")
    ax.plot(share, total, color=common.GENERALISING, zorder=3, label="examples, largest first")
    top = slice(1, min(_TOP, n) + 1)
    ax.plot(
        share[top],
        total[top],
        linestyle="none",
        marker="o",
        markersize=2.6,
        color=common.HEURISTIC,
        zorder=4,
        label=f"the top {top.stop - 1}",
    )
    spread = contributions.concentration
    marks = {1: spread.top_1, 5: spread.top_5, 10: spread.top_10}
    for row, (percent, value) in enumerate(marks.items()):
        ax.annotate(
            f"{percent}% of the examples: {100 * value:.0f}%",
            (-(-n * percent // 100) / n, value),  # rounded up to whole examples, as the shares are
            xytext=(0.42, 0.06 + 0.11 * row),
            textcoords="axes fraction",
            fontsize=6.5,
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            arrowprops={"arrowstyle": "-", "color": "0.5", "linewidth": 0.6, "relpos": (0, 0.5)},
        )
    ax.set(xlim=(-0.02, 1.0), ylim=(0, 1.03 * total.max()), xlabel="share of the examples")
    ax.set_ylabel("share of the net gap")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    common.legend_over(ax, ncols=2)
    return figure
