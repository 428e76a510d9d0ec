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
from landscape.output.plots.tree import agrees, branches, contiguous_order, leaves_of

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

_TEXT_LIMIT = 16  # models; above it a cell is too small for a number
_STRIP, _TREE = 0.025, 0.2  # heights, in the matrix's own
_HEAVY_TAIL = 4.0  # largest gap over the median gap


@common.styled
def plot_gap_matrix(analysis: Analysis, *, ax: Axes | None = None) -> Axes:
    """Draw the matrix of gaps, its rows in the order of the merge tree above it.

    Where the tree can be turned so that every basin is one run of rows, it is; otherwise the tree's
    order stands, and the strip of colours between tree and matrix shows the basins. Pairs that
    were not measured are hatched.

    Args:
        analysis: The numbers.
        ax: Where to draw; a new figure when absent. Tree, strip and colour bar are inset axes
            outside its frame: leave room above and to the right.

    Returns:
        The axes of the heat map; ``ax.child_axes`` are the strip, the tree and the colour bar.
    """
    n = len(analysis.models)
    alone = ax is None
    width = figure_width(n)
    ax = common.axes_or_new(ax, (width, width))
    order, whole = matrix_order(analysis)
    gaps = np.array(analysis.gaps.estimate, dtype=float)[np.ix_(order, order)]
    norm, scale = _norm(gaps, analysis.rule)
    # hatching on the frame's own background shows through the cells that are masked
    ax.patch.set(facecolor="0.95", edgecolor="0.6", hatch="//////", linewidth=0)
    image = ax.imshow(
        np.ma.masked_invalid(gaps),
        cmap="Blues",
        norm=norm,
        aspect="equal",
        origin="upper",
        interpolation="none",
    )
    _label_rows(ax, [analysis.models[model] for model in order])
    if n <= _TEXT_LIMIT:
        _write_values(ax, gaps, image)
    labels = np.asarray(analysis.basins.labels)[order]
    if whole:
        for edge in np.flatnonzero(np.diff(labels)) + 0.5:
            ax.axhline(edge, color="0.2", linewidth=0.8)
            ax.axvline(edge, color="0.2", linewidth=0.8)
    _draw_strip(ax, labels)
    _draw_tree(ax, analysis, order)
    bar = ax.inset_axes((1.03, 0.0, 0.04, 1.0))
    color_bar = ax.figure.colorbar(image, cax=bar)
    color_bar.outline.set_visible(False)
    bar.set_ylabel(f"{words.rule_name(analysis)} (nats){scale}")
    _draw_legend(ax, analysis, gaps)
    if alone:
        fit_figure(ax, width)
    return ax


def _caption(analysis: Analysis) -> list[str]:
    basins = analysis.basins
    _, whole = matrix_order(analysis)
    off = ~np.eye(len(analysis.models), dtype=bool)
    missing = int(np.isnan(np.asarray(analysis.gaps.estimate)[off]).sum()) // 2
    return [
        f"The {words.rule_name(analysis)} (nats) on {analysis.dataset} "
        f"({words.examples_of(analysis, analysis.dataset)}) of {words.pairs_measured(analysis)} of "
        f"{count(len(analysis.models), 'model')}.",
        "Rows are in the order of the merge tree, turned so that every basin is one run."
        if whole
        else "Rows are in the order of the merge tree, in which the basins are not single runs: "
        "the strip of colours shows them.",
        "The tree above joins models by single linkage: two groups merge at the smallest gap "
        "between them.",
        f"Affinity scale delta = {basins.delta:.4g} nats ({words.delta_words(basins.delta_rule)}).",
        *words.coverage(analysis),
        *([f"{count(missing, 'pair')} not measured (hatched)."] if missing else []),
    ]


@figure("gap_matrix", title="Gaps between all pairs", caption=_caption, place=20)
def draw(analysis: Analysis) -> Figure:
    """The matrix of gaps under its merge tree, a column wide for few models."""
    width = figure_width(len(analysis.models))
    figure = common.new_figure(width, width)
    fit_figure(plot_gap_matrix(analysis, ax=figure.subplots()), width)
    return figure


def figure_width(n_models: int) -> float:
    """A column for few models, up to the full text width for many, in inches."""
    return float(np.clip(0.3 * n_models, common.COLUMN_WIDTH, common.TEXT_WIDTH))


def fit_figure(ax: Axes, width: float, pad: float = 0.03) -> None:
    """Make a figure that holds only this matrix as wide as asked, and as high as it then needs.

    Constrained layout cannot: tree and strip grow with the matrix whose room they take.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.set_layout_engine("none")
    for _ in range(4):  # margins hold text, which stays, and insets, which scale: this converges
        frame, outer = ax.get_window_extent(), ax.get_tightbbox()
        assert outer is not None
        left, bottom = (frame.p0 - outer.p0) / figure.dpi + pad
        right, top = (outer.p1 - frame.p1) / figure.dpi + pad
        side = width - left - right
        height = side + bottom + top
        figure.set_size_inches(width, height)
        ax.set_position((left / width, bottom / height, side / width, side / height))


def matrix_order(analysis: Analysis) -> tuple[np.ndarray, bool]:
    """The models' order from top to bottom, and whether every basin is one run in it."""
    basins = analysis.basins
    order = np.asarray(order_by_basin(basins))
    labels = np.asarray(basins.labels)
    tree = np.asarray(basins.merge_tree, dtype=float)
    if agrees(order, tree):
        return order, _is_whole(labels[order])
    runs = contiguous_order(tree, labels)
    if runs is not None:
        return runs, True
    return np.array(leaves_of(tree)[-1]), False


def _is_whole(labels: np.ndarray) -> bool:
    return int(np.count_nonzero(np.diff(labels))) == len(np.unique(labels)) - 1


def _norm(gaps: np.ndarray, rule: str) -> tuple[Normalize, str]:
    """A colour scale, and what to add to its name."""
    known = gaps[np.isfinite(gaps) & ~np.eye(len(gaps), dtype=bool)]
    largest = float(known.max(initial=0.0))
    if largest == 0.0:
        return Normalize(0.0, 1.0), ""
    if RULES[rule].is_level and (smallest := float(known.min())) < largest:
        # a loss, not a rise: counted from zero, all of them would look alike
        return Normalize(smallest, largest), ""
    if largest > _HEAVY_TAIL * float(np.median(known)):
        # a logarithm would have no place for gaps of exactly zero
        return PowerNorm(0.5, 0.0, largest), ", square-root scale"
    return Normalize(0.0, largest), ""


def _row_height(ax: Axes, n: int) -> float:
    """About how many points a row will be high once tree and labels have taken their room."""
    frame = ax.get_window_extent()
    side = min(frame.width, frame.height) / ax.get_figure(root=True).dpi  # type: ignore[union-attr]
    return float(72 * 0.85 * side / n)


def _label_rows(ax: Axes, names: list[str]) -> None:
    n = len(names)
    size = float(np.clip(0.7 * _row_height(ax, n), 3.5, 7.0))
    shown = [common.plain(common.shorten(name, 20)) for name in names]
    ax.set_xticks(range(n), shown, rotation=90, fontsize=size)
    ax.set_yticks(range(n), shown, fontsize=size)
    ax.tick_params(length=0)
    ax.spines[:].set(color="0.6", linewidth=0.5, visible=True)


def _write_values(ax: Axes, gaps: np.ndarray, image: Any) -> None:
    n = len(gaps)
    finite = np.abs(gaps[np.isfinite(gaps)])
    digits = 2 if finite.max(initial=0.0) >= 0.095 else 3
    size = float(np.clip(0.4 * _row_height(ax, n), 4.0, 7.0))
    for row, column in np.argwhere(np.isfinite(gaps) & ~np.eye(n, dtype=bool)):
        red, green, blue, _ = image.to_rgba(gaps[row, column])
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
        ax.text(
            column,
            row,
            f"{gaps[row, column]:.{digits}f}".replace("0.", ".", 1),
            ha="center",
            va="center",
            fontsize=size,
            color="white" if dark else "black",
            in_layout=False,
        )


def _draw_strip(ax: Axes, labels: np.ndarray) -> None:
    strip = ax.inset_axes((0.0, 1.015, 1.0, _STRIP), sharex=ax)
    n_basins = int(labels.max()) + 1
    strip.imshow(
        labels[None, :],
        cmap=ListedColormap([common.basin_color(basin) for basin in range(n_basins)]),
        norm=Normalize(-0.5, n_basins - 0.5),
        aspect="auto",
        interpolation="none",
    )
    strip.set_label("strip")
    strip.axis("off")


def _draw_tree(ax: Axes, analysis: Analysis, order: np.ndarray) -> None:
    merge_tree = np.asarray(analysis.basins.merge_tree, dtype=float)
    labels = np.asarray(analysis.basins.labels)
    tree = ax.inset_axes((0.0, 1.03 + _STRIP, 1.0, _TREE), sharex=ax)
    tree.set_label("merge tree")
    tree.spines[["bottom"]].set_visible(False)
    tree.tick_params(bottom=False, labelbottom=False)
    levels = merge_tree[:, 2]
    finite = levels[np.isfinite(levels)]
    top = float(finite.max(initial=0.0)) * 1.08 or 1.0
    colors = []
    for leaves in leaves_of(merge_tree)[len(labels) :]:
        inside = np.unique(labels[leaves])
        colors.append(common.basin_color(int(inside[0])) if len(inside) == 1 else "0.35")
    # groups that no measured path joins have no level: their stems run out of the frame
    shapes = np.nan_to_num(branches(merge_tree, order), nan=2 * top, posinf=2 * top)
    tree.add_collection(LineCollection(list(shapes), colors=colors, linewidths=1.0))
    tree.set_ylim(float(min(finite.min(initial=0.0), 0.0)), top)
    tree.set_ylabel("merges at\n(nats)", fontsize=7)
    tree.locator_params(axis="y", nbins=4)


def _draw_legend(ax: Axes, analysis: Analysis, gaps: np.ndarray) -> None:
    labels = np.asarray(analysis.basins.labels)
    handles = [
        Patch(color=common.basin_color(basin), label=f"basin {basin} ({(labels == basin).sum()})")
        for basin in range(analysis.basins.n_basins)
    ]
    missing = int(np.isnan(gaps).sum()) // 2
    if missing:
        handles.append(
            Patch(
                facecolor="0.95", edgecolor="0.6", hatch="//////", label=f"not measured ({missing})"
            )
        )
    ax.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.05 + _STRIP + _TREE),
        ncols=min(len(handles), 4),
        handlelength=1.0,
        borderaxespad=0.0,
    )
