"""The gaps between all pairs as a heat map, under the tree in which models merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from landscape.analysis.barriers import RULES
from landscape.analysis.basins import order_by_basin
from landscape.core.wording import count
from landscape.output import words
from landscape.output.plots import common
from landscape.output.plots.registry import figure

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

_TEXT_LIMIT = 16  # models; above it a cell is too small for a number
_STRIP, _TREE = 0.025, 0.2  # heights, in the matrix's own
_HEAVY_TAIL = 4.0  # largest gap over the median gap
_PAD = 0.03  # inches around the figure
_MISSING: dict[str, Any] = {"facecolor": "0.95", "edgecolor": "0.6", "hatch": "//////"}


def _caption(analysis: Analysis) -> list[str]:
    missing = int(np.isnan(analysis.gaps.estimate).sum()) // 2
    return [
        f"The {words.rule_name(analysis)} (nats) on {analysis.dataset} "
        f"({words.examples_of(analysis, analysis.dataset)}) of {words.pairs_measured(analysis)} of "
        f"{count(len(analysis.models), 'model')}, in the order of the merge tree above it: two "
        "groups merge at the smallest gap between them.",
        "The strip of colours shows the basins, or groups where the answer has none.",
        *words.coverage(analysis),
        *([f"{count(missing, 'pair')} not measured (hatched)."] if missing else []),
    ]


@figure("gap_matrix", title="Gaps between all pairs", caption=_caption, place=20)
def draw(analysis: Analysis) -> Figure:
    """The matrix of gaps under its merge tree, a column wide for few models."""
    n = len(analysis.models)
    width = float(np.clip(0.3 * n, common.COLUMN_WIDTH, common.TEXT_WIDTH))
    figure = common.new_figure(width, width)
    ax, order = figure.subplots(), tree_order(analysis)
    row = 72 * 0.75 * width / n  # points, about, once labels have taken their room
    gaps = np.array(analysis.gaps.estimate, dtype=float)[np.ix_(order, order)]
    norm, scale = _norm(gaps, analysis.rule)
    # hatching on the frame's own background shows through the cells that are masked
    ax.patch.set(linewidth=0, **_MISSING)
    image = ax.imshow(
        np.ma.masked_invalid(gaps), cmap="Blues", norm=norm, aspect="equal", interpolation="none"
    )
    names = [common.plain(common.shorten(analysis.models[model], 20)) for model in order]
    size = float(np.clip(0.7 * row, 3.5, 7.0))
    ax.set_xticks(range(n), names, rotation=90, fontsize=size)
    ax.set_yticks(range(n), names, fontsize=size)
    ax.tick_params(length=0)
    ax.spines[:].set(color="0.6", linewidth=0.5, visible=True)
    if n <= _TEXT_LIMIT:
        _write_values(ax, gaps, image, float(np.clip(0.4 * row, 4.0, 7.0)))
    shown = analysis.basins.shown
    labels = np.asarray(shown.labels)
    edges = np.flatnonzero(np.diff(labels[order])) + 0.5
    if len(edges) < shown.n:  # each is one run
        for edge in edges:
            ax.axhline(edge, color="0.2", linewidth=0.8)
            ax.axvline(edge, color="0.2", linewidth=0.8)
    strip = ax.inset_axes((0.0, 1.015, 1.0, _STRIP), sharex=ax)
    first = min(0, int(labels.min()))  # -1 joins several
    colors = [common.basin_color(basin) for basin in range(first, shown.n)]
    strip.imshow(
        labels[None, order],
        cmap=ListedColormap(colors),
        norm=Normalize(first - 0.5, shown.n - 0.5),
        aspect="auto",
        interpolation="none",
    )
    strip.axis("off")
    _draw_tree(ax, analysis, order)
    bar = ax.inset_axes((1.03, 0.0, 0.04, 1.0))
    figure.colorbar(image, cax=bar).outline.set_visible(False)
    bar.set_ylabel(f"{words.rule_name(analysis)} (nats){scale}")
    noun = shown.noun if shown.n > 1 else ""
    handles = [
        Patch(color=color, label=common.label_name(noun, basin, labels))
        for basin, color in enumerate(colors, start=first)
    ]
    if missing := int(np.isnan(gaps).sum()) // 2:
        handles.append(Patch(label=f"not measured ({missing})", **_MISSING))
    common.legend_over(
        ax,
        handles=handles,
        bbox_to_anchor=(0.0, 1.05 + _STRIP + _TREE),
        ncols=4,
        handlelength=1.0,
        borderaxespad=0.0,
    )
    _fit(figure, ax, width)
    return figure


def _fit(figure: Figure, ax: Axes, width: float) -> None:
    """Make the figure as wide as asked, and as high as it then needs.

    Constrained layout cannot: tree and strip grow with the matrix whose room they take.
    """
    figure.set_layout_engine("none")
    for _ in range(4):  # margins hold text, which stays, and insets, which scale: this converges
        frame, outer = ax.get_window_extent(), ax.get_tightbbox()
        assert outer is not None
        left, bottom = (frame.p0 - outer.p0) / figure.dpi + _PAD
        right, top = (outer.p1 - frame.p1) / figure.dpi + _PAD
        side = width - left - right
        height = side + bottom + top
        figure.set_size_inches(width, height)
        ax.set_position((left / width, bottom / height, side / width, side / height))


def tree_order(analysis: Analysis) -> np.ndarray:
    """The merge tree's leaves, each branch turned so that basins come one after the other."""
    rank = np.argsort(order_by_basin(analysis.basins))
    nodes = [[leaf] for leaf in range(len(rank))]
    for pair in analysis.basins.merge_tree[:, :2].astype(int).tolist():
        first, second = sorted(pair, key=lambda node: rank[nodes[node]].mean())
        nodes.append(nodes[first] + nodes[second])
    return np.array(nodes[-1])


def _norm(gaps: np.ndarray, rule: str) -> tuple[Normalize, str]:
    """A colour scale, and what to add to its name."""
    off_diagonal = gaps[np.isfinite(gaps) & ~np.eye(len(gaps), dtype=bool)]
    largest = float(off_diagonal.max(initial=0.0))
    if largest == 0.0:
        return Normalize(0.0, 1.0), ""
    if RULES[rule].is_level and (smallest := float(off_diagonal.min())) < largest:
        # a loss, not a rise: counted from zero, all of them would look alike
        return Normalize(smallest, largest), ""
    if largest > _HEAVY_TAIL * float(np.median(off_diagonal)):
        # a logarithm would have no place for gaps of exactly zero
        return PowerNorm(0.5, 0.0, largest), ", square-root scale"
    return Normalize(0.0, largest), ""


def _write_values(ax: Axes, gaps: np.ndarray, image: Any, size: float) -> None:
    finite = np.abs(gaps[np.isfinite(gaps)])
    digits = 2 if finite.max(initial=0.0) >= 0.095 else 3
    for row, column in np.argwhere(np.isfinite(gaps) & ~np.eye(len(gaps), dtype=bool)):
        value = gaps[row, column]
        ax.text(
            column,
            row,
            f"{value:.{digits}f}".replace("0.", ".", 1),
            ha="center",
            va="center",
            fontsize=size,
            color="white" if common.is_dark(image.to_rgba(value)) else "black",
            in_layout=False,
        )


def _draw_tree(ax: Axes, analysis: Analysis, order: np.ndarray) -> None:
    """A bracket over every merge, in the colour of its basin where it joins only one."""
    tree = ax.inset_axes((0.0, 1.03 + _STRIP, 1.0, _TREE), sharex=ax)
    tree.set_label("merge tree")
    tree.spines[["bottom"]].set_visible(False)
    tree.tick_params(bottom=False, labelbottom=False)
    merges = np.asarray(analysis.basins.merge_tree, dtype=float)
    finite = merges[np.isfinite(merges[:, 2]), 2]
    top = float(finite.max(initial=0.0)) * 1.08 or 1.0
    feet = [(float(place), 0.0) for place in np.argsort(order)]
    basins = [{int(label)} for label in analysis.basins.shown.labels]
    shapes, colors = [], []
    for first, second, level, _ in merges:
        (x, low), (y, other) = feet[int(first)], feet[int(second)]
        # groups that no measured path joins have no level: their stems run out of the frame
        height = float(level) if np.isfinite(level) else 2 * top
        shapes.append([(x, low), (x, height), (y, height), (y, other)])
        feet.append(((x + y) / 2, height))
        inside = basins[int(first)] | basins[int(second)]
        basins.append(inside)
        colors.append(common.basin_color(min(inside)) if len(inside) == 1 else "0.35")
    tree.add_collection(LineCollection(shapes, colors=colors, linewidths=1.0))
    tree.set_ylim(float(finite.min(initial=0.0)), top)
    tree.set_ylabel("merges at\n(nats)", fontsize=7)
    tree.locator_params(axis="y", nbins=4)
