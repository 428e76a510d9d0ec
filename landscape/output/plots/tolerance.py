"""The answer against the tolerance: no single one is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from landscape.core.sentences import Answer, Criterion
from landscape.core.wording import capital, count
from landscape.output.plots import common
from landscape.output.plots.registry import figure

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

_TOLERANCES = np.geomspace(0.005, 0.5, 25)  # nats, or shares of the examples
_COLORS = (common.GENERALISING, common.MIXED, common.HEURISTIC)
_MARKERS = ("o", "s", "^")
_CLEAN = (Answer.ONE, Answer.BASINS, Answer.APART)


def _caption(analysis: Analysis) -> list[str]:
    by_accuracy = any(each.criterion is Criterion.ACCURACY for each in analysis.judgements)
    units = "nats of loss, shares of the examples of accuracy" if by_accuracy else "nats"
    states = analysis.basins.states
    beyond = " beyond noise" if states.beyond_noise else ""
    return [
        f"Left: linked parts of {count(len(analysis.models), 'model')} by the tolerance that a "
        f"barrier must exceed ({units}). Filled: all parts are basins; open: they are not, or more "
        "examples are needed.",
        f"Right: the share of lines with a barrier{beyond}. Dotted: the tolerance that was asked "
        f"for, {states.asked:g}.",
    ]


@figure("tolerance", title="Basins and the tolerance", caption=_caption, place=45)
def draw(analysis: Analysis) -> Figure:
    """Linked parts and lines with a barrier, by the tolerance."""
    figure = common.new_figure(common.TEXT_WIDTH, 2.4)
    left, right = figure.subplots(1, 2)
    for judgement, color, marker in zip(analysis.judgements, _COLORS, _MARKERS, strict=False):
        divisions = [judgement.at(tolerance) for tolerance in _TOLERANCES]
        parts = np.array([division.n_connected for division in divisions])
        clean = np.array([division.answer in _CLEAN for division in divisions])
        states = [division.states for division in divisions]
        apart = [state.n_apart / max(1, state.n_measured) for state in states]
        style = {"color": color, "linewidth": 1}
        left.plot(_TOLERANCES, parts, **style)
        for filled, face in ((True, color), (False, "white")):
            at = clean == filled
            left.plot(
                _TOLERANCES[at],
                parts[at],
                marker,
                color=color,
                markerfacecolor=face,
                markersize=3.5,
            )
        right.plot(_TOLERANCES, apart, marker=marker, markersize=3, **style)
        right.lines[-1].set_label(capital(judgement.criterion))
    _finish(left, analysis, "linked parts")
    _finish(right, analysis, "share of lines with a barrier")
    left.set_ylim(0, None)
    left.yaxis.set_major_locator(MaxNLocator(integer=True))
    right.set_ylim(-0.03, 1.03)
    common.legend_over(right, ncols=3, fontsize=6.5)
    return figure


def _finish(ax: Axes, analysis: Analysis, what: str) -> None:
    ax.axvline(analysis.basins.states.asked, color="0.5", linewidth=0.8, linestyle=":")
    ax.set(xscale="log", xlabel="tolerance (nats, or shares)", ylabel=what)
