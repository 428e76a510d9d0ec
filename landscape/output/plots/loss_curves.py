"""Mean loss along the line between two models, by kind of pair (arXiv 2205.12411, Figure 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from landscape.core.errors import require_known
from landscape.core.wording import count, percent, verb
from landscape.output import words
from landscape.output.plots import common
from landscape.output.plots.registry import figure

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

_KINDS = {
    "generalising-generalising": ("generalising – generalising", common.GENERALISING, "-"),
    "generalising-heuristic": ("generalising – heuristic", common.MIXED, (0, (5, 1.5))),
    "heuristic-heuristic": ("heuristic – heuristic", common.HEURISTIC, (0, (4, 1.2, 1, 1.2))),
}


@dataclass(frozen=True)
class MeanCurve:
    """The mean of several pairs' curves.

    Attributes:
        mean: (n_points,) nats.
        low: (n_points,) lower end of the interval.
        high: (n_points,) upper end of the interval.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class _Family:
    label: str
    color: object
    dashes: object
    members: np.ndarray  # numbers of pairs
    flipped: np.ndarray  # which of them are read from their second model to their first


@common.styled
def plot_loss_curves(
    analysis: Analysis, *, ax: Axes | None = None, dataset: str | None = None, legend: bool = True
) -> Axes:
    """Draw the loss along every measured line, and its mean by kind of pair.

    A pair's line joins the points that were evaluated; the mean reads the others off such lines.
    A mixed pair starts at its generalising model. The band is the interval of the mean under
    resampled models; a kind of one pair has none. Where only one pair is drawn at all, the band is
    the interval of its loss over examples.
    Without kinds (no challenge set) pairs are told apart by whether they share a basin.

    Args:
        analysis: The numbers.
        ax: Where to draw; a new figure when absent.
        dataset: A key of ``analysis.curves``; the data set of the gaps when absent.
        legend: Whether to draw a legend on these axes.

    Returns:
        The axes.

    Raises:
        ConfigError: There are no curves of ``dataset``.
    """
    name = analysis.dataset if dataset is None else dataset
    require_known("loss curve of", name, analysis.curves, where="dataset")
    ax = common.axes_or_new(ax, (common.COLUMN_WIDTH, 2.3))
    curves = analysis.curves[name]
    families = _families(analysis, curves.measured)
    positions = np.asarray(curves.positions)
    filled = curves.filled
    rng = np.random.default_rng(0)
    for family in families:
        losses = _oriented(filled.losses[family.members], family.flipped, positions)
        # of a lone pair, this is over examples
        low, high = (
            _oriented(array[family.members], family.flipped, positions)[0]
            for array in (filled.low, filled.high)
        )
        n = len(family.members)
        thin = LineCollection(
            [np.column_stack([positions, line]) for line in losses],
            colors=[family.color],
            linewidths=0.5,
            alpha=float(np.clip(3 / n, 0.05, 0.4)),
            zorder=2,
        )
        ax.add_collection(thin, autolim=True)
        if n > 1:
            ends = analysis.pairs[family.members]
            mean = mean_curve(losses, ends, analysis.gaps.confidence, rng)
            low, high = mean.low, mean.high
        if n > 1 or len(families) == 1:
            ax.fill_between(
                positions, low, high, color=family.color, alpha=0.28, linewidth=0, zorder=3
            )
        ax.plot(
            positions,
            losses.mean(axis=0),
            color=family.color,
            linestyle=family.dashes,
            linewidth=1.6,
            zorder=4,
            label=f"{family.label} ({count(n, 'pair')})",
        )
    ax.set(xlim=(positions[0], positions[-1]), xlabel="position t", ylabel="loss (nats)")
    ax.set_title(common.panel_title(analysis, name))
    if not families:
        ax.text(0.5, 0.5, "no measured pair", transform=ax.transAxes, ha="center", va="center")
    ax.autoscale_view(scalex=False)
    if legend and families:
        ax.legend(loc="best")
    return ax


def _caption(analysis: Analysis) -> list[str]:
    focus = analysis.focus if analysis.focus in analysis.curves else ""
    path = words.pair_path(analysis)
    sentences = [
        f"Mean loss (cross-entropy, nats) at {words.points_on_a_path(analysis)} of the "
        f"{path} between two models, on {analysis.dataset} "
        f"({words.examples_of(analysis, analysis.dataset)})"
        + (f" and, below, on {focus}" if focus and focus != analysis.dataset else "")
        + f"; {count(len(analysis.models), 'model')}, {words.pairs_measured(analysis)} measured.",
        *(words.trained_points([path]) if words.pair_path_is_trained(analysis) else []),
        "Thin lines are pairs, bold lines their mean.",
        (
            "The band is the pair's 95% interval over examples."
            if len(analysis.pairs) == 1
            else f"Bands are {percent(analysis.gaps.confidence)} percentile intervals of the mean "
            "under resampled models; a kind with one pair has none."
        ),
        *words.coverage(analysis),
    ]
    if not analysis.results.evaluated.all():
        sentences.append(
            "Thin lines join the points evaluated; means and bands read the others off such lines."
        )
    kinds = np.asarray(analysis.kinds)
    if (kinds != "").any():
        sentences.append(
            f"A model generalises if it is in the top third by {focus or analysis.focus} and is "
            "heuristic if in the bottom third; a mixed pair starts at its generalising model."
        )
        if left := int((kinds == "").sum()):
            sentences.append(
                f"{count(left, 'pair')} that {verb(left, 'has', 'have')} a model of the middle "
                f"third {verb(left, 'is', 'are')} not drawn."
            )
    elif analysis.basins.n_basins > 1:
        sentences.append("Pairs are told apart by whether both models are in one basin.")
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
        plot_loss_curves(analysis, ax=ax, dataset=name, legend=False)
        ax.label_outer()
    common.legend_above(figure, axes[0], handlelength=3.2)
    figure.align_ylabels()
    return figure


def mean_curve(
    losses: np.ndarray,
    pairs: np.ndarray,
    confidence: float,
    rng: np.random.Generator,
    n_resamples: int = 2000,
) -> MeanCurve:
    """The mean curve of several pairs and its percentile interval under resampled models.

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
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(means, tails, axis=0)
    return MeanCurve(losses.mean(axis=0), low, high)


def _families(analysis: Analysis, measured: np.ndarray) -> list[_Family]:
    """The kinds of pairs that have a measured pair; by basin where no kinds are known."""
    kinds = np.asarray(analysis.kinds)
    forward = np.zeros(len(kinds), dtype=bool)
    if (kinds != "").any():
        score = analysis.scores[common.find_group(analysis, None)].to_numpy(dtype=float)
        first, second = score[analysis.pairs].T
        rows = [
            (*look, kinds == kind, (second > first) & (kind == "generalising-heuristic"))
            for kind, look in _KINDS.items()
        ]
    elif analysis.basins.n_basins == 1:
        rows = [("all pairs", common.GENERALISING, "-", np.ones_like(forward), forward)]
    else:
        first, second = np.asarray(analysis.basins.labels)[analysis.pairs].T
        rows = [
            ("same basin", common.GENERALISING, "-", first == second, forward),
            ("different basins", common.MIXED, (0, (5, 1.5)), first != second, forward),
        ]
    families = []
    for label, color, dashes, chosen, flipped in rows:
        members = np.flatnonzero(chosen & measured)
        if len(members):
            families.append(_Family(label, color, dashes, members, flipped[members]))
    return families


def _oriented(curves: np.ndarray, flipped: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Curves at ``positions``, some of them walked from their other end."""
    out = np.array(curves, dtype=float)
    for row in np.flatnonzero(flipped):
        # an uneven grid does not mirror onto itself
        out[row] = np.interp(positions, 1 - positions[::-1], curves[row][::-1])
    return out
