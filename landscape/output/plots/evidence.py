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

_FOUND = common.GENERALISING
_NULL = common.HEURISTIC
_LIMIT = common.MIXED
_NOISE = "0.75", "0.89"
_KINDS = (common.basin_color(3), common.basin_color(4))  # light and dark blue: told apart in grey
_SHOWN = 12  # eigenvalues; the gap is looked for among fewer


@common.styled
def plot_silhouettes(analysis: Analysis, *, ax: Axes | None = None, legend: bool = True) -> Axes:
    """Draw the silhouette of every number of basins beside what it must exceed.

    The number that was taken has a filled marker.

    Args:
        analysis: The numbers.
        ax: Where to draw; a new figure when absent.
        legend: Whether to draw one on these axes.

    Returns:
        The axes.
    """
    ax = common.axes_or_new(ax, (common.COLUMN_WIDTH, 2.2))
    evidence = analysis.basins.evidence
    k = np.asarray(evidence.candidates)
    ax.plot(
        k,
        evidence.null_quantiles,
        color=_NULL,
        linestyle=(0, (4, 2)),
        linewidth=1.0,
        marker="_",
        markersize=9,
        label="one basin, 95% of draws",
    )
    ax.plot(k, evidence.silhouettes, color=_FOUND, linewidth=0.8, zorder=2, label="_line")
    answer = k == analysis.basins.n_basins
    for chosen, face, label in ((~answer, "white", "found"), (answer, _FOUND, "found, taken")):
        if chosen.any():
            ax.plot(
                k[chosen],
                np.asarray(evidence.silhouettes)[chosen],
                linestyle="none",
                marker="o",
                color=_FOUND,
                markerfacecolor=face,
                zorder=3,
                label=label,
            )
    ax.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    ax.set(xlim=(k.min() - 0.5, k.max() + 0.5), xlabel="number of basins")
    ax.set_ylabel("mean silhouette")
    ax.set_xticks(k)
    if legend:
        _legend(ax)
    return ax


@common.styled
def plot_eigenvalues(analysis: Analysis, *, ax: Axes | None = None, legend: bool = True) -> Axes:
    """Draw the lowest eigenvalues of the affinity's normalised Laplacian and where they rise most.

    Args:
        analysis: The numbers.
        ax: Where to draw; a new figure when absent.
        legend: Whether to draw one on these axes.

    Returns:
        The axes.
    """
    ax = common.axes_or_new(ax, (common.COLUMN_WIDTH, 2.2))
    evidence = analysis.basins.evidence
    values = np.asarray(evidence.eigenvalues)[:_SHOWN]
    number, k = np.arange(1, len(values) + 1), int(evidence.eigengap)
    ax.plot(number, values, color="0.6", linewidth=0.8, zorder=1, label="_line")
    ax.plot(
        number, values, linestyle="none", marker="o", color=_FOUND, zorder=3, label="eigenvalues"
    )
    if k < len(values):
        ax.plot(
            number[k - 1 : k + 1],
            values[k - 1 : k + 1],
            color=_NULL,
            linewidth=2.2,
            zorder=2,
            label=f"largest rise, after {k}",
        )
    ax.set_ylim(bottom=min(0.0, float(values.min())) - 0.03)
    ax.set_xlabel("number of the eigenvalue")
    ax.set_ylabel("eigenvalue of the Laplacian")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if legend:
        _legend(ax)
    return ax


@common.styled
def plot_gap_histogram(analysis: Analysis, *, ax: Axes | None = None, legend: bool = True) -> Axes:
    """Draw how many pairs have which gap, and which gaps are small enough to be noise.

    Gaps stand on a square-root scale, on which the mixture is fitted. Where it finds two kinds of
    gaps, every bar is parted by the probability that its gaps are of either. Gaps below 0, which
    signed rules give, count as 0.

    Args:
        analysis: The numbers.
        ax: Where to draw; a new figure when absent.
        legend: Whether to draw one on these axes.

    Returns:
        The axes.
    """
    ax = common.axes_or_new(ax, (common.COLUMN_WIDTH, 2.2))
    evidence, mixture = analysis.basins.evidence, analysis.basins.evidence.mixture
    i, j = np.asarray(analysis.pairs).T
    gaps = np.maximum(np.asarray(analysis.gaps.estimate, dtype=float)[i, j], 0)
    known = np.isfinite(gaps)
    gaps, i, j = gaps[known], i[known], j[known]
    noise = np.asarray(analysis.gaps.null_bias, dtype=float)[i, j]
    noise = noise[np.isfinite(noise)]
    two = mixture is not None and mixture.n_kinds == 2
    higher = mixture.probability[i, j] if two and mixture is not None else np.zeros(len(gaps))
    top = max(float(gaps.max(initial=0.0)), 2 * evidence.tolerance, 1e-6)
    n_bins = int(np.clip(np.ceil(2 * np.sqrt(len(gaps))), 6, 30))
    edges = np.linspace(0, np.sqrt(top) * 1.0001, n_bins + 1) ** 2
    lower = _draw_bars(ax, edges, gaps, 1 - higher, np.zeros(n_bins), _KINDS[0], two, "lower")
    if two:
        _draw_bars(ax, edges, gaps, higher, lower, _KINDS[1], True, "higher")
    if len(noise):
        middle, most = float(np.median(noise)), float(noise.max())
        ax.axvspan(0, middle, color=_NOISE[0], linewidth=0, zorder=0.2, label="noise: median pair")
        ax.axvspan(0, most, color=_NOISE[1], linewidth=0, zorder=0.1, label="noise: any pair")
    ax.axvline(
        evidence.tolerance, color=_LIMIT, linestyle=(0, (1, 1)), linewidth=1.2, label="tolerance"
    )
    if two and mixture is not None and np.isfinite(mixture.threshold):
        ax.axvline(
            mixture.threshold, color=_NULL, linestyle=(0, (4, 2)), linewidth=1.2, label="parted at"
        )
    ax.set_xscale("function", functions=(_root, np.square))
    ax.set_xlim(0, edges[-1])
    ticks = _root_ticks(top)
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    ax.set_xlabel(f"{words.rule_name(analysis)} (nats)\nsquare-root scale")
    ax.set_ylabel("number of pairs")
    if legend:
        _legend(ax, ncols=2)
    return ax


def _caption(analysis: Analysis) -> list[str]:
    evidence, mixture = analysis.basins.evidence, analysis.basins.evidence.mixture
    sentences = [
        "Left: the mean silhouette of each number of basins, the one taken filled, and what "
        "populations of one basin exceed in 5% of draws at any of them.",
        "Middle: the lowest eigenvalues of the affinity's normalised Laplacian; their largest rise "
        f"comes after {evidence.eigengap}.",
        f"Right: the {words.rule_name(analysis)} of {words.pairs_measured(analysis)}; dotted, the "
        f"tolerance of {evidence.tolerance:g} nats.",
    ]
    if np.isfinite(np.asarray(analysis.gaps.null_bias)[tuple(analysis.pairs.T)]).any():
        sentences.append(
            "Grey: the mean gap that example noise alone gives to the median pair and, lighter, to "
            "the noisiest."
        )
    if mixture is None:
        sentences.append("The gaps are too few or too alike for a mixture.")
    elif mixture.n_kinds == 1:
        sentences.append("By a mixture of normal distributions they are of one kind.")
    else:
        sentences.append(
            "A mixture of two normal distributions of their roots fits better than one: bars are "
            "parted by the probability of either kind."
        )
    return sentences


@figure("evidence", title="How many basins", caption=_caption, place=50)
def draw(analysis: Analysis) -> Figure:
    """Silhouettes, eigenvalues and the distribution of gaps, side by side."""
    figure = common.new_figure(common.TEXT_WIDTH, 2.6)
    plots = (plot_silhouettes, plot_eigenvalues, plot_gap_histogram)
    for ax, plot in zip(figure.subplots(1, len(plots)), plots, strict=True):
        plot(analysis, ax=ax)
    return figure


def _root_ticks(top: float) -> list[float]:
    """Round numbers up to ``top`` that are about evenly spaced in their roots."""
    steps = np.array([1.0, 1.5, 2, 3, 4, 5, 6, 8, 10])
    ticks = [0.0]
    for place in np.array([0.25, 0.5, 0.75, 0.98]) ** 2 * top:
        rounded = 10.0 ** np.floor(np.log10(place)) * steps
        ticks.append(float(rounded[np.abs(np.log(rounded / place)).argmin()]))
    return sorted({float(f"{tick:.3g}") for tick in ticks if tick <= top})


def _draw_bars(
    ax: Axes,
    edges: np.ndarray,
    gaps: np.ndarray,
    weights: np.ndarray,
    bottom: np.ndarray,
    color: str,
    two: bool,
    kind: str,
) -> np.ndarray:
    counts, _ = np.histogram(gaps, edges, weights=weights)
    ax.bar(
        edges[:-1],
        counts,
        np.diff(edges),
        bottom,
        align="edge",
        color=color,
        edgecolor="white",
        hatch="////" if kind == "higher" else "",
        label=f"{kind} kind of gap" if two else "gaps",
    )
    return counts


def _root(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(values, 0))


def _legend(ax: Axes, ncols: int = 1) -> None:
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        alignment="left",
        fontsize=6.5,
        handlelength=1.8,
        columnspacing=0.8,
        ncols=ncols,
    )
