"""What the number of basins rests on: silhouettes, eigenvalues, and the distribution of gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from landscape.output import words
from landscape.output.plots import common
from landscape.output.plots.registry import figure

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

_DASHED = (0, (4, 2))
_FOUND, _NULL, _LIMIT = common.GENERALISING, common.HEURISTIC, common.MIXED
_KINDS = (common.basin_color(3), common.basin_color(4))  # light and dark blue: told apart in grey
_SHOWN = 12  # eigenvalues; the gap is looked for among fewer


def _caption(analysis: Analysis) -> list[str]:
    evidence = analysis.basins.groups.evidence
    sentences = [
        "Left: the mean silhouette of each number of groups, the one taken filled, and what "
        "populations of one group exceed in 5% of draws at any of them.",
        "Middle: the lowest eigenvalues of the affinity's normalised Laplacian; their largest rise "
        f"comes after {evidence.eigengap}.",
        f"Right: the {words.rule_name(analysis)} of {words.pairs_measured(analysis)}; dotted, the "
        f"tolerance of {evidence.tolerance:.3g} nats.",
    ]
    if len(_noise(analysis)):
        sentences.append(
            "Grey: the mean gap that example noise alone gives to the median pair and, lighter, to "
            "the noisiest."
        )
    if evidence.mixture is not None and evidence.mixture.n_kinds == 2:
        sentences.append(
            "A mixture of two normal distributions of their roots fits better than one: bars are "
            "parted by the probability of either kind."
        )
    return sentences


@figure("evidence", title="How many groups", caption=_caption, place=50)
def draw(analysis: Analysis) -> Figure:
    """Silhouettes, eigenvalues and the distribution of gaps, side by side."""
    figure = common.new_figure(common.TEXT_WIDTH, 2.6)
    left, middle, right = figure.subplots(1, 3)
    _draw_silhouettes(left, analysis)
    _draw_eigenvalues(middle, analysis)
    _draw_gaps(right, analysis)
    for ax, ncols in ((left, 1), (middle, 1), (right, 2)):
        common.legend_over(ax, ncols=ncols, fontsize=6.5, handlelength=1.8, columnspacing=0.8)
    return figure


def _draw_silhouettes(ax: Axes, analysis: Analysis) -> None:
    """The silhouette of every number of basins beside what it must exceed."""
    evidence = analysis.basins.groups.evidence
    k, values = np.asarray(evidence.candidates), np.asarray(evidence.silhouettes)
    ax.plot(
        k,
        evidence.null_quantiles,
        color=_NULL,
        linestyle=_DASHED,
        linewidth=1.0,
        marker="_",
        markersize=9,
        label="one group, 95% of draws",
    )
    ax.plot(k, values, color=_FOUND, linewidth=0.8, zorder=2, label="_line")
    answer = k == analysis.basins.groups.n_groups
    for chosen, face, label in ((~answer, "white", "found"), (answer, _FOUND, "found, taken")):
        if chosen.any():
            ax.plot(
                k[chosen],
                values[chosen],
                linestyle="none",
                marker="o",
                color=_FOUND,
                markerfacecolor=face,
                zorder=3,
                label=label,
            )
    ax.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    ax.set(xlim=(k.min() - 0.5, k.max() + 0.5), xlabel="number of groups", xticks=k)
    ax.set_ylabel("mean silhouette")


def _draw_eigenvalues(ax: Axes, analysis: Analysis) -> None:
    """The lowest eigenvalues of the affinity's normalised Laplacian, and where they rise most."""
    evidence = analysis.basins.groups.evidence
    values = np.asarray(evidence.eigenvalues)[:_SHOWN]
    number, k = np.arange(1, len(values) + 1), int(evidence.eigengap)
    ax.plot(number, values, color="0.6", linewidth=0.8, zorder=1, label="_line")
    ax.plot(
        number, values, linestyle="none", marker="o", color=_FOUND, zorder=3, label="eigenvalues"
    )
    rise, label = slice(k - 1, k + 1), f"largest rise, after {k}"
    ax.plot(number[rise], values[rise], color=_NULL, linewidth=2.2, zorder=2, label=label)
    ax.set_ylim(bottom=min(0.0, float(values.min())) - 0.03)
    ax.set(xlabel="number of the eigenvalue", ylabel="eigenvalue of the Laplacian")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_gaps(ax: Axes, analysis: Analysis) -> None:
    """How many pairs have which gap, on the scale of roots on which the mixture is fitted."""
    evidence, mixture = analysis.basins.groups.evidence, analysis.basins.groups.evidence.mixture
    i, j = analysis.pairs[words.ranked_pairs(analysis)].T
    gaps = np.maximum(np.asarray(analysis.gaps.estimate, dtype=float)[i, j], 0)
    top = max(float(gaps.max(initial=0.0)), 2 * evidence.tolerance, 1e-6)
    n_bins = int(np.clip(np.ceil(2 * np.sqrt(len(gaps))), 6, 30))
    edges = np.linspace(0, np.sqrt(top) * 1.0001, n_bins + 1) ** 2
    kinds = {"gaps": np.ones(len(gaps))}
    if mixture is not None and mixture.n_kinds == 2:
        higher = mixture.probability[i, j]
        kinds = {"lower kind of gap": 1 - higher, "higher kind of gap": higher}
        if np.isfinite(at := mixture.threshold):
            ax.axvline(at, color=_NULL, linestyle=_DASHED, linewidth=1.2, label="parted at")
    bottom = np.zeros(n_bins)
    for (label, weights), color, hatch in zip(kinds.items(), _KINDS, ("", "////"), strict=False):
        counts, _ = np.histogram(gaps, edges, weights=weights)
        ax.bar(
            edges[:-1],
            counts,
            np.diff(edges),
            bottom,
            align="edge",
            color=color,
            edgecolor="white",
            hatch=hatch,
            label=label,
        )
        bottom = bottom + counts
    if len(noise := _noise(analysis)):
        middle, most = float(np.median(noise)), float(noise.max())
        ax.axvspan(0, middle, color="0.75", linewidth=0, zorder=0.2, label="noise: median pair")
        ax.axvspan(0, most, color="0.89", linewidth=0, zorder=0.1, label="noise: any pair")
    limit = evidence.tolerance
    ax.axvline(limit, color=_LIMIT, linestyle=(0, (1, 1)), linewidth=1.2, label="tolerance")
    ax.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    ticks = {f"{top * (k / 3.2) ** 2:.1g}" for k in range(4)}
    ax.set_xticks([float(tick) for tick in ticks], list(ticks))
    ax.set_xlim(0, edges[-1])
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    ax.set_xlabel(f"{words.rule_name(analysis)} (nats)\nsquare-root scale")
    ax.set_ylabel("number of pairs")


def _noise(analysis: Analysis) -> np.ndarray:
    """Nats: the mean gap of each measured pair under example noise alone, where it is known."""
    noise = np.asarray(analysis.gaps.null_bias, dtype=float)[tuple(analysis.pairs.T)]
    return noise[np.isfinite(noise)]
