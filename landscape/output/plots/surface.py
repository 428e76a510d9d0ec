"""Surfaces of weight space: contours of a loss around checkpoints, alone, side by side, in 3-D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, NullLocator
from scipy.interpolate import RegularGridInterpolator

from landscape.core.errors import ConfigError
from landscape.output.plots import common
from landscape.output.plots.field import (
    Quantity,
    Scale,
    axes_of,
    axis_labels,
    field_of,
    scale_of,
    title_of,
)

if TYPE_CHECKING:
    from landscape.records import StoredPath

_MANY = 12  # checkpoints; above it names would cover the surface
_COLUMNS = 3


@common.styled
def plot_surface(
    points: StoredPath,
    dataset: str,
    *,
    ax: Axes | None = None,
    labels: np.ndarray | None = None,
    quantity: Quantity = "loss",
    basins: Mapping[str, int] | None = None,
    group: str = "basin",
    levels: int | Sequence[float] = 12,
    vmin: float | None = None,
    vmax: float | None = None,
    colorbar: bool = True,
    dots: bool | None = None,
) -> Axes:
    """Draw a surface's filled contours, with the checkpoints where they lie.

    Both axes have the same unit, so that lengths and angles are true. Losses that span more than a
    factor of two have levels at equal factors. Points that were not evaluated are interpolated.

    Args:
        points: A surface.
        dataset: One of its data sets.
        ax: Where to draw; a new figure when absent.
        labels: (n_examples,) the right label indices, for accuracy and error.
        quantity: ``loss``, ``accuracy`` or ``error``.
        basins: Basins by the checkpoints' names, for colours and markers.
        group: What a basin is called in the legend: ``side`` of a forced split.
        levels: How many steps of colour, or the levels themselves.
        vmin: The lowest level; the smallest value when absent.
        vmax: The highest level; the largest value when absent.
        colorbar: Whether to draw one beside the axes.
        dots: Whether to mark the points evaluated; where some were not, when absent.

    Returns:
        The axes.

    Raises:
        ConfigError: As ``field_of`` and ``scale_of`` say.
    """
    field = field_of(points, dataset, quantity, labels)
    scale = scale_of([field], quantity, levels, vmin, vmax)
    own = ax is None
    ax = common.axes_or_new(ax, (common.COLUMN_WIDTH, _height(points, common.COLUMN_WIDTH, 0.75)))
    filled = _contours(ax, points, field, scale, dots)
    _mark(ax, points, basins or {}, group)
    ax.set_title(title_of(points, dataset))
    ax.set(xlabel=axis_labels(points)[0], ylabel=axis_labels(points)[1])
    if colorbar:
        # as high as the frame, whatever room the caller's figure leaves
        bar = ax.inset_axes((1.03, 0.0, 0.04, 1.0))
        _label_bar(bar, ax.figure.colorbar(filled, cax=bar, spacing="proportional"), scale)
    if own and basins:
        _basin_legend(ax.get_figure(root=True), [ax])
    return ax


@common.styled
def plot_surface_panels(
    points: StoredPath | Sequence[StoredPath],
    datasets: str | Sequence[str],
    *,
    labels: Mapping[str, np.ndarray] | None = None,
    quantity: Quantity = "loss",
    basins: Mapping[str, int] | None = None,
    group: str = "basin",
    levels: int | Sequence[float] = 12,
    vmin: float | None = None,
    vmax: float | None = None,
    dots: bool | None = None,
) -> Figure:
    """Draw surfaces side by side in one colour scale: a colour is the same value in every panel.

    Several surfaces and several data sets make a row a surface and a column a data set; one of
    either makes rows of at most three.

    Args:
        points: One surface or several.
        datasets: One data set or several, that every surface has.
        labels: The right label indices by data set, for accuracy and error.
        quantity: ``loss``, ``accuracy`` or ``error``.
        basins: Basins by the checkpoints' names, for colours and markers.
        group: What a basin is called in the legend: ``side`` of a forced split.
        levels: How many steps of colour, or the levels themselves.
        vmin: The lowest level; the smallest value of all panels when absent.
        vmax: The highest level; the largest value of all panels when absent.
        dots: Whether to mark the points evaluated; where some were not, when absent.

    Returns:
        A figure of the full text width, with one colour bar.

    Raises:
        ConfigError: No surface or data set, or as ``field_of`` and ``scale_of`` say.
    """
    surfaces = list(points) if isinstance(points, Sequence) else [points]
    names = [datasets] if isinstance(datasets, str) else list(datasets)
    panels = list(product(surfaces, names))
    if not panels:
        raise ConfigError("There are no surfaces to draw.", where="points, datasets")
    fields = [
        field_of(surface, name, quantity, (labels or {}).get(name)) for surface, name in panels
    ]
    scale = scale_of(fields, quantity, levels, vmin, vmax)
    grid = len(surfaces) > 1 and len(names) > 1
    n_columns = len(names) if grid else min(len(panels), _COLUMNS)
    n_rows = -(-len(panels) // n_columns)
    width = common.TEXT_WIDTH if n_columns > 1 else common.COLUMN_WIDTH
    share = (width - 1.1) / n_columns
    high = max(_height(surface, share, 0.0) for surface in surfaces) + 0.25
    # not through pyplot: nothing to close
    figure = Figure(figsize=(width, n_rows * high + 0.45), layout="compressed")
    axes = list(figure.subplots(n_rows, n_columns, squeeze=False).ravel())
    while len(axes) > len(panels):
        axes.pop().remove()
    kinds = {axis_labels(surface) for surface in surfaces}
    for place, (ax, (surface, name)) in enumerate(zip(axes, panels, strict=True)):
        filled = _contours(ax, surface, fields[place], scale, dots)
        ax.set_title(title_of(surface, name, with_name=len(surfaces) > 1))
        ax.locator_params(nbins=4)
        _mark(ax, surface, basins or {}, group)
        x_label, y_label = axis_labels(surface)
        if len(kinds) > 1 or place + n_columns >= len(panels):
            ax.set_xlabel(x_label)
        if len(kinds) > 1 or place % n_columns == 0:
            ax.set_ylabel(y_label)
    bar = figure.colorbar(filled, ax=axes, spacing="proportional", aspect=25, pad=0.02)
    _label_bar(bar.ax, bar, scale)
    if basins:
        _basin_legend(figure, axes)
    return figure


@common.styled
def plot_surface_3d(
    points: StoredPath,
    dataset: str,
    *,
    ax: Any = None,
    labels: np.ndarray | None = None,
    quantity: Quantity = "loss",
    basins: Mapping[str, int] | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
) -> Any:
    """Draw a surface as a relief; the height is in the logarithm where the colours are.

    Heights beyond ``vmin`` and ``vmax`` are cut off. For reading values, ``plot_surface`` is the
    better figure: a relief hides what is behind it.

    Args:
        points: A surface.
        dataset: One of its data sets.
        ax: Where to draw, axes with ``projection="3d"``; a new figure when absent.
        labels: (n_examples,) the right label indices, for accuracy and error.
        quantity: ``loss``, ``accuracy`` or ``error``.
        basins: Basins by the checkpoints' names, for colours and markers.
        vmin: The lowest height; the smallest value when absent.
        vmax: The greatest height; the largest value when absent.

    Returns:
        The axes.

    Raises:
        ConfigError: Axes that are flat, or as ``field_of`` and ``scale_of`` say.
    """
    field = field_of(points, dataset, quantity, labels)
    scale = scale_of([field], quantity, vmin=vmin, vmax=vmax)
    if ax is None:
        figure = plt.figure(figsize=(common.COLUMN_WIDTH, 2.9), layout="constrained")
        ax = figure.add_subplot(projection="3d")
    elif getattr(ax, "name", "") != "3d":
        raise ConfigError(
            "A relief needs axes of three dimensions.",
            where="ax",
            fix='make them with figure.add_subplot(projection="3d")',
        )
    x, y = axes_of(points)
    low, high = float(scale.levels[0]), float(scale.levels[-1])
    cut = np.clip(field, low, high)
    height = np.log10(cut) if scale.is_log else cut
    colors = mpl.colormaps[scale.cmap](scale.norm(cut))
    ax.plot_surface(
        *np.meshgrid(x, y),
        height,
        rcount=len(y),
        ccount=len(x),
        facecolors=colors,
        linewidth=0.1,
        edgecolor=(0, 0, 0, 0.25),
        shade=False,
    )
    at = RegularGridInterpolator((y, x), height, bounds_error=False)
    for name, mark in zip(points.models, np.asarray(points.marks), strict=True):
        look = _look(name, basins or {})
        top = float(at(mark[::-1])[0])
        # above the surface, that hides what lies in it
        ax.plot(*mark, [top], zorder=10, linestyle="none", **look)
        if len(points.models) <= _MANY:
            text = common.plain(common.shorten(name, 20))
            ax.text(*mark, top, f"  {text}", zorder=11, fontsize=6, path_effects=_halo())
    if scale.is_log:
        ax.set_zticks(np.log10(scale.ticks), [f"{tick:g}" for tick in scale.ticks])
    # smaller, since layouts do not know how far labels in three dimensions reach
    longest = max(np.ptp(x), np.ptp(y))
    ax.set_box_aspect((np.ptp(x), np.ptp(y), 0.6 * longest), zoom=0.85)
    ax.view_init(elev=40, azim=-60)
    ax.set_title(title_of(points, dataset))
    for axis, text in zip(
        (ax.xaxis, ax.yaxis, ax.zaxis), (*axis_labels(points), scale.name), strict=True
    ):
        axis.set_label_text(text, fontsize=6.5)
        axis.labelpad = -7
    ax.tick_params(labelsize=6, pad=-3)
    return ax


def _contours(
    ax: Axes, points: StoredPath, field: np.ndarray, scale: Scale, dots: bool | None
) -> Any:
    x, y = axes_of(points)
    shown = np.ma.masked_invalid(field)
    if scale.is_log:
        shown = np.ma.maximum(shown, scale.levels[0] / 2)  # a loss of 0 has no logarithm
    filled = ax.contourf(
        x, y, shown, scale.levels, norm=scale.norm, cmap=scale.cmap, extend=scale.extend
    )
    inner = scale.levels[(scale.levels > shown.min()) & (scale.levels < shown.max())]
    if len(inner):
        # light lines on what is dark, dark ones on what is light
        red, green, blue, _ = mpl.colormaps[scale.cmap](scale.norm(inner)).T
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
        colors = np.where(dark, "1.0", "0.0").tolist()
        ax.contour(x, y, shown, inner, colors=colors, linewidths=0.35, alpha=0.6)
    ax.patch.set(facecolor="0.95", edgecolor="0.6", hatch="//////", linewidth=0)
    if not points.evaluated.all() if dots is None else dots:
        at = np.asarray(points.positions)[points.evaluated]
        ax.plot(
            *at.T,
            linestyle="none",
            marker=".",
            markersize=1.4,
            color="0.0",
            alpha=0.7,
            zorder=3,
            markeredgewidth=0,
            label="_evaluated",
        )
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    ax.set_aspect("equal")
    ax.spines[:].set_visible(True)
    return filled


def _mark(ax: Axes, points: StoredPath, basins: Mapping[str, int], group: str) -> None:
    """The checkpoints as markers, with their names above or below, inside the frame."""
    marks = np.asarray(points.marks, dtype=np.float64)
    (left, right), middle = ax.get_xlim(), marks[:, 1].mean()
    seen: set[object] = set()
    for name, (x, y) in zip(points.models, marks, strict=True):
        basin = basins.get(name)
        label = "_checkpoint" if basin is None or basin in seen else f"{group} {basin}"
        seen.add(basin)
        ax.plot(x, y, linestyle="none", zorder=5, label=label, **_look(name, basins))
        if len(marks) > _MANY:
            continue
        above = y >= middle
        share = (x - left) / (right - left)
        side = "left" if share < 1 / 3 else "right" if share > 2 / 3 else "center"
        ax.annotate(
            common.plain(common.shorten(name, 20)),
            (x, y),
            xytext=({"left": -4, "center": 0, "right": 4}[side], 5 if above else -5),
            textcoords="offset points",
            ha=side,
            va="bottom" if above else "top",
            fontsize=6.5,
            path_effects=_halo(),
            annotation_clip=True,
            zorder=6,
        )


def _look(name: str, basins: Mapping[str, int]) -> dict[str, Any]:
    basin = basins.get(name)
    return {
        "marker": "o" if basin is None else common.basin_marker(basin),
        "markerfacecolor": "white" if basin is None else common.basin_color(basin),
        "markeredgecolor": "black" if basin is None else "white",
        "markeredgewidth": 0.8,
        "markersize": 5.5,
    }


def _halo() -> list[Any]:
    return [withStroke(linewidth=1.6, foreground="white")]


def _label_bar(ax: Axes, bar: Any, scale: Scale) -> None:
    bar.set_ticks(list(scale.ticks))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.outline.set_visible(False)
    ax.set_ylabel(scale.name + (", log scale" if scale.is_log else ""))


def _basin_legend(figure: Any, axes: list[Axes]) -> None:
    handles: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        ordered = sorted(handles)
        figure.legend(
            [handles[label] for label in ordered], ordered, loc="outside lower center", ncols=4
        )


def _height(points: StoredPath, width: float, extra: float) -> float:
    """Inches that the surface takes at a width, with room for what stands around it."""
    x, y = (np.asarray(points.positions)[:, k] for k in (0, 1))
    inner = width - 1.1 if extra else width
    return float(np.clip(inner * np.ptp(y) / np.ptp(x), 0.8, 2 * width)) + extra
