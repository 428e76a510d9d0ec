"""How few examples make the gaps: their contributions, the largest first, summed up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from landscape.output import words
from landscape.output.plots import common
from landscape.output.plots.registry import figure

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.barriers.contributions import PopulationContributions

_TOP = 12  # examples; the ones that the report shows
_MARKED = (1, 5, 10)  # percent of the examples


@common.styled
def plot_contributions(contributions: PopulationContributions, *, ax: Axes | None = None) -> Axes:
    """Draw which share of the gaps comes from which share of the examples, the largest first.

    Of the contributions above 0, as in ``Concentration``: a Lorenz curve from its other end. Points
    are the 12 examples that contribute most, lines with numbers 1, 5 and 10% of them all.

    Args:
        contributions: From ``population_contributions``; some contribution must be above 0.
        ax: Where to draw; a new figure when absent.

    Returns:
        The axes.
    """
    ax = common.axes_or_new(ax, (common.COLUMN_WIDTH, 2.7))
    share, total = cumulated(contributions.mean)
    ax.plot([0, 1], [0, 1], color="0.6", linestyle=(0, (1, 1)), linewidth=1.0, label="all alike")
    ax.plot(share, total, color=common.GENERALISING, zorder=3, label="examples, largest first")
    top = slice(1, min(_TOP, len(share) - 1) + 1)
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
    n = len(contributions.mean)
    for percent, value in zip(_MARKED, (spread.top_1, spread.top_5, spread.top_10), strict=True):
        # rounded up to whole examples, as the shares are
        x = -(-n * percent // 100) / n
        ax.annotate(
            f"{percent}% of the examples: {100 * value:.0f}%",
            (x, value),
            xytext=(0.42, 0.06 + 0.11 * _MARKED.index(percent)),
            textcoords="axes fraction",
            fontsize=6.5,
            va="center",
            arrowprops={"arrowstyle": "-", "color": "0.5", "linewidth": 0.6, "relpos": (0, 0.5)},
        )
    ax.set(xlim=(-0.02, 1.0), ylim=(0, 1.03), xlabel="share of the examples")
    ax.set_ylabel("share of the contributions above 0")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
    return ax


def _needs(analysis: Analysis) -> bool:
    contributions = analysis.contributions
    return contributions is not None and contributions.concentration.n_half > 0


def _caption(analysis: Analysis) -> list[str]:
    return [
        f"Contributions of the examples of {analysis.dataset} "
        f"({words.examples_of(analysis, analysis.dataset)}) to the mean "
        f"{words.rule_name(analysis)} of {words.pairs_measured(analysis)}, those above 0, the "
        "largest first and summed up.",
        "Dotted: if all contributed alike.",
        "Numbers: what the 1, 5 and 10% of the examples hold that contribute most.",
    ]


@figure(
    "contributions",
    title="Examples that make the gaps",
    needs=_needs,
    caption=_caption,
    place=60,
)
def draw(analysis: Analysis) -> Figure:
    """Which share of the gaps comes from which share of the examples."""
    figure = common.new_figure(common.COLUMN_WIDTH, 2.7)
    assert analysis.contributions is not None  # that is needed
    plot_contributions(analysis.contributions, ax=figure.subplots())
    return figure


def cumulated(mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the examples and of the positive contributions up to each, both from 0 to 1.

    Args:
        mean: (n_examples,) contributions, one above 0.

    Returns:
        Two (n_examples + 1,).
    """
    positive = np.sort(np.maximum(np.asarray(mean, dtype=float), 0))[::-1]
    total = np.concatenate([[0.0], np.cumsum(positive / positive.sum())])
    return np.arange(len(total)) / len(positive), total
