"""How few examples make the gaps: their contributions, the largest first, summed up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from landscape.output.plots import common

if TYPE_CHECKING:
    from landscape.analysis.barriers.contributions import PopulationContributions

_TOP = 12  # examples; the ones that the report shows
_MARKED = (1, 5, 10)  # percent of the examples


@common.styled
def plot_contributions(found: PopulationContributions, *, ax: Axes | None = None) -> Axes:
    """Draw which share of the gaps comes from which share of the examples, the largest first.

    Of the contributions above 0, as in ``Concentration``: a Lorenz curve from its other end. Points
    are the 12 examples that contribute most, lines with numbers 1, 5 and 10% of them all.

    Args:
        found: From ``population_contributions``; some contribution must be above 0.
        ax: Where to draw; a new figure when absent.

    Returns:
        The axes.
    """
    ax = common.axes_or_new(ax, (common.COLUMN_WIDTH, 2.7))
    share, held = cumulated(found.mean)
    ax.plot([0, 1], [0, 1], color="0.6", linestyle=(0, (1, 1)), linewidth=1.0, label="all alike")
    ax.plot(share, held, color=common.GENERALISING, zorder=3, label="examples, largest first")
    top = slice(1, min(_TOP, len(share) - 1) + 1)
    ax.plot(
        share[top],
        held[top],
        linestyle="none",
        marker="o",
        markersize=2.6,
        color=common.HEURISTIC,
        zorder=4,
        label=f"the top {top.stop - 1}",
    )
    spread = found.concentration
    for percent, value in zip(_MARKED, (spread.top_1, spread.top_5, spread.top_10), strict=True):
        # rounded up to whole examples, as the shares are
        x = -(-len(found.mean) * percent // 100) / len(found.mean)
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


def cumulated(mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the examples and of the positive contributions up to each, both from 0 to 1.

    Args:
        mean: (n_examples,) contributions, one above 0.

    Returns:
        Two (n_examples + 1,).
    """
    positive = np.sort(np.maximum(np.asarray(mean, dtype=float), 0))[::-1]
    held = np.concatenate([[0.0], np.cumsum(positive / positive.sum())])
    return np.arange(len(held)) / len(positive), held
