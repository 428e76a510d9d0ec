"""Mean loss along the line between two models, by kind of pair (arXiv 2205.12411, Figure 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from landscape.core.wording import count, percent
from landscape.output import words
from landscape.output.plots import common
from landscape.output.plots.registry import figure

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

_MIXED = "generalising-heuristic"
_KINDS = {
    "generalising-generalising": (common.GENERALISING, "-"),
    _MIXED: (common.MIXED, (0, (5, 1.5))),
    "heuristic-heuristic": (common.HEURISTIC, (0, (4, 1.2, 1, 1.2))),
}


def _caption(analysis: Analysis) -> list[str]:
    path, focus = words.pair_path(analysis), analysis.focus
    below = f" and, below, on {focus}" if len(common.shown_columns(analysis)) > 1 else ""
    sentences = [
        f"Mean loss (cross-entropy, nats) at {words.points_on_a_path(analysis)} of the "
        f"{path} between two models, on {analysis.dataset} "
        f"({words.examples_of(analysis, analysis.dataset)}){below}; "
        f"{count(len(analysis.models), 'model')}, {words.pairs_measured(analysis)} measured.",
        *(words.trained_points([path]) if words.pair_path_is_trained(analysis) else []),
        "Thin lines are pairs, bold lines their mean.",
        f"Bands are {percent(analysis.gaps.confidence)} percentile intervals of the mean under "
        "resampled models; that of a lone pair is over examples.",
        *words.coverage(analysis),
    ]
    kinds = np.asarray(analysis.kinds)
    if (kinds != "").any():
        left = int((kinds == "").sum())
        rest = f"; {count(left, 'pair')} with a model of the middle third not drawn" if left else ""
        sentences.append(
            f"A model generalises if it is in the top third by {focus} and is heuristic if in the "
            f"bottom third; a mixed pair starts at its generalising model{rest}."
        )
    return sentences


@figure(
    "loss_curves",
    title="Loss between two models",
    needs=lambda analysis: analysis.results.given_gaps is None,
    caption=_caption,
    place=10,
)
def draw(analysis: Analysis) -> Figure:
    """The curves on the data set of the gaps, above those on the focus, on one axis of t."""
    panels = [name for name in common.shown_columns(analysis) if name in analysis.curves]
    figure = common.new_figure(common.COLUMN_WIDTH, 0.75 + 1.6 * len(panels))
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for ax, name in zip(axes, panels, strict=True):
        _draw_panel(ax, analysis, name)
        ax.label_outer()
    common.legend_above(figure, axes[0], handlelength=3.2)
    figure.align_ylabels()
    return figure


def _draw_panel(ax: Axes, analysis: Analysis, column: str) -> None:
    """The loss along every measured path, and its mean by kind of pair."""
    curves, rng = analysis.curves[column], np.random.default_rng(0)
    t, filled = np.asarray(curves.positions), curves.filled
    families = _families(analysis, curves.measured)
    for label, (color, dashes), members, turned in families:
        losses, low, high = (
            _oriented(array[members], turned, t)
            for array in (filled.losses, filled.low, filled.high)
        )
        n, lines = len(members), [np.column_stack([t, line]) for line in losses]
        alpha = float(np.clip(3 / n, 0.05, 0.4))
        ax.add_collection(
            LineCollection(lines, colors=color, linewidths=0.5, alpha=alpha, zorder=2)
        )
        if n > 1:
            ends = analysis.pairs[members]
            low, high = mean_interval(losses, ends, analysis.gaps.confidence, rng)
        else:
            low, high = low[0], high[0]
        if n > 1 or len(families) == 1:
            ax.fill_between(t, low, high, color=color, alpha=0.28, linewidth=0, zorder=3)
        ax.plot(
            t,
            losses.mean(axis=0),
            color=color,
            linestyle=dashes,
            linewidth=1.6,
            zorder=4,
            label=f"{label} ({count(n, 'pair')})",
        )
    ax.set(xlim=(t[0], t[-1]), xlabel="position t", ylabel="loss (nats)")
    ax.set_title(common.panel_title(analysis, column))
    ax.autoscale_view(scalex=False)


def mean_interval(
    losses: np.ndarray,
    pairs: np.ndarray,
    confidence: float,
    rng: np.random.Generator,
    n_resamples: int = 2000,
) -> np.ndarray:
    """(2, n_points) percentile interval of the mean of several pairs' curves, over models.

    Pairs share models and so are not independent: models are resampled, and a pair counts as
    often as the product of its ends' counts.

    Args:
        losses: (n_pairs, n_points) nats, none missing.
        pairs: (n_pairs, 2) numbers of models.
        confidence: For example 0.95.
        rng: Draws the resamples.
        n_resamples: How many.
    """
    models, ends = np.unique(pairs, return_inverse=True)
    ends = ends.reshape(pairs.shape)
    counts = rng.multinomial(len(models), np.full(len(models), 1 / len(models)), size=n_resamples)
    weights = (counts[:, ends[:, 0]] * counts[:, ends[:, 1]]).astype(float)
    total = weights.sum(axis=1)
    usable = total > 0
    means = weights[usable] @ losses / total[usable, None]
    return np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)


def _families(
    analysis: Analysis, measured: np.ndarray
) -> list[tuple[str, tuple[Any, Any], np.ndarray, np.ndarray]]:
    """Kinds of pairs: name, colour and dashes, numbers of pairs, which start at their second model.

    By basin where no kinds are known.
    """
    kinds = np.asarray(analysis.kinds)
    turned = np.zeros(len(kinds), dtype=bool)
    shown = analysis.basins.shown
    first, second = np.asarray(shown.labels)[analysis.pairs].T
    rows = [
        (f"same {shown.noun}", _KINDS["generalising-generalising"], first == second),
        (f"different {shown.noun}s", _KINDS[_MIXED], first != second),
    ]
    if (kinds != "").any():
        score = analysis.scores[common.score_column(analysis)].to_numpy(dtype=float)
        turned = (score[analysis.pairs[:, 1]] > score[analysis.pairs[:, 0]]) & (kinds == _MIXED)
        rows = [(kind.replace("-", " – "), _KINDS[kind], kinds == kind) for kind in _KINDS]
    families = []
    for name, look, chosen in rows:
        pairs = np.flatnonzero(chosen & measured)
        if len(pairs):
            families.append((name, look, pairs, turned[pairs]))
    return families


def _oriented(curves: np.ndarray, turned: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Curves at ``positions``, some of them read from their other end."""
    out = np.array(curves, dtype=float)
    for row in np.flatnonzero(turned):
        # an uneven grid does not mirror onto itself
        out[row] = np.interp(positions, 1 - positions[::-1], curves[row][::-1])
    return out
