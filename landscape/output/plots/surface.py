"""The loss around the models: filled contours of every surface of a store."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from landscape.core.wording import listed
from landscape.output.plots import common
from landscape.output.plots.registry import figure
from landscape.output.words import path_text
from landscape.paths.refinement import fill_surface

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.records import StoredPath

_MANY = 12  # checkpoints; above it names would cover the surface
_COLUMNS = 3
_LEVELS = 12
_WIDE = 2.0  # largest loss over the smallest, above which levels are steps of a factor
_DEPTH = 1e-3  # of the largest loss: what lies deeper has one colour
_CMAP = mpl.colormaps["cividis"]  # dark is good, in grey too
_AXES = {
    "random": ("step along direction 1", "step along direction 2"),
    "directions": ("step along direction 1", "step along direction 2"),
    "pca": ("principal axis 1 (distance)", "principal axis 2 (distance)"),
}
_OTHER_AXES = ("distance in weight space", "distance in weight space")


def surfaces_of(analysis: Analysis) -> list[StoredPath]:
    """Surfaces of which something is measured."""
    paths = analysis.results.points.values()
    return [path for path in paths if path.is_surface and path.evaluated.any()]


def loss_field(path: StoredPath, dataset: str) -> np.ndarray:
    """(n_y, n_x) nats, interpolated in log(loss + 0.01) where not evaluated."""
    shape = (path.shape[0], path.shape[1])
    return fill_surface(path.mean_losses(dataset), shape, path.evaluated, log=True).reshape(shape)


def axes_of(path: StoredPath) -> tuple[np.ndarray, np.ndarray]:
    """The grid's x (n_x,) and y (n_y,)."""
    grid = np.asarray(path.positions, dtype=np.float64).reshape(*path.shape, 2)
    return grid[0, :, 0], grid[:, 0, 1]


def _caption(analysis: Analysis) -> list[str]:
    sentences = []
    for path in surfaces_of(analysis):
        n, total = int(path.evaluated.sum()), path.evaluated.size
        of = f" of {total:,}" if n < total else ""
        sentences.append(
            f"{path.name}: mean loss at {n:,}{of} points of the "
            f"{path_text(path)} ({listed(path.models, 6)})."
        )
    return [*sentences, "All panels share one scale of colours."]


@figure(
    "surface", title="The loss around the models", needs=surfaces_of, caption=_caption, place=90
)
def draw(analysis: Analysis) -> Figure:
    """Every surface on every data set, in one scale of colours.

    Both axes have the same unit, so that lengths and angles are true.
    """
    surfaces, names = surfaces_of(analysis), list(analysis.results.datasets)
    panels = list(product(surfaces, names))
    fields = [loss_field(path, name) for path, name in panels]
    levels, norm = loss_levels(fields)
    grid = len(surfaces) > 1 and len(names) > 1
    n_columns = len(names) if grid else min(len(panels), _COLUMNS)
    n_rows = -(-len(panels) // n_columns)
    width = common.TEXT_WIDTH if n_columns > 1 else common.COLUMN_WIDTH
    share = (width - 1.1) / n_columns
    x_and_y = [[np.ptp(part) for part in axes_of(path)] for path in surfaces]
    high = max(np.clip(share * y / x, 0.8, 2 * share) for x, y in x_and_y) + 0.25
    figure = Figure(figsize=(width, n_rows * high + 0.45), layout="compressed")
    of_model, noun = common.split_labels(analysis)
    basins = dict(zip(analysis.models, of_model.tolist(), strict=True))
    kinds = {_AXES.get(path.kind, _OTHER_AXES) for path in surfaces}
    for place, ((path, name), field) in enumerate(zip(panels, fields, strict=True)):
        ax = figure.add_subplot(n_rows, n_columns, place + 1)
        filled = _draw_contours(ax, path, field, levels, norm)
        _mark_models(ax, path, basins)
        title = f"{path.name}: {name}" if len(surfaces) > 1 else name
        ax.set_title(common.plain(common.shorten(title, 40)))
        x_label, y_label = _AXES.get(path.kind, _OTHER_AXES)
        if len(kinds) > 1 or place + n_columns >= len(panels):
            ax.set_xlabel(x_label)
        if len(kinds) > 1 or place % n_columns == 0:
            ax.set_ylabel(y_label)
    wide = isinstance(norm, LogNorm) and levels[-1] > 10 * levels[0]
    ticks = LogLocator(subs=(1, 2, 5)) if wide else MaxNLocator(6)
    bar = figure.colorbar(filled, ax=figure.axes, ticks=ticks, format="%g", aspect=25, pad=0.02)
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.outline.set_visible(False)
    bar.set_label("loss (nats)" + (", log scale" if isinstance(norm, LogNorm) else ""))
    marked = sorted({basins[name] for path in surfaces for name in path.models if name in basins})
    handles = [Line2D([], [], label=f"{noun} {basin}", **_look(basin)) for basin in marked]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def loss_levels(fields: list[np.ndarray]) -> tuple[np.ndarray, Normalize]:
    """Where the contours of some surfaces lie, and one scale of colours for all of them.

    Losses that differ by more than a factor of two get levels at steps of a factor, from the
    largest down to a thousandth of it at most; others even steps.
    """
    seen = np.concatenate([field[np.isfinite(field)] for field in fields])
    low, high = float(seen.min(initial=np.inf)), float(seen.max(initial=0.0))
    low = min(low, high)
    if low == high:
        high += 1e-3 * max(high, 1.0)  # a flat surface has a colour too
    elif high > _WIDE * low:
        low = max(low, _DEPTH * high)
        return np.geomspace(low, high, _LEVELS + 1), LogNorm(low, high)
    return np.linspace(low, high, _LEVELS + 1), Normalize(low, high)


def _draw_contours(
    ax: Axes, path: StoredPath, field: np.ndarray, levels: np.ndarray, norm: Normalize
) -> Any:
    x, y = axes_of(path)
    shown = np.ma.masked_invalid(field)
    # what lies deeper than the lowest level has the lowest colour
    shown = np.ma.clip(shown, levels[0], levels[-1])
    filled = ax.contourf(x, y, shown, levels, norm=norm, cmap=_CMAP)
    # light lines on what is dark, dark ones on what is light
    colors = np.where(common.is_dark(_CMAP(norm(levels[1:-1]))), "1.0", "0.0").tolist()
    ax.contour(x, y, shown, levels[1:-1], colors=colors, linewidths=0.35, alpha=0.6)
    ax.patch.set(facecolor="0.95", edgecolor="0.6", hatch="//////", linewidth=0)
    if not path.evaluated.all():
        at = np.asarray(path.positions)[path.evaluated]
        ax.plot(*at.T, ".", color="0.0", markersize=1.4, markeredgewidth=0, label="_evaluated")
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), aspect="equal")
    ax.spines[:].set_visible(True)
    ax.locator_params(nbins=4)
    return filled


def _mark_models(ax: Axes, path: StoredPath, basins: dict[str, int]) -> None:
    """The checkpoints as markers, with their names above or below, inside the frame."""
    marks = np.asarray(path.marks, dtype=np.float64)
    (left, right), middle = ax.get_xlim(), marks[:, 1].mean()
    for name, (x, y) in zip(path.models, marks, strict=True):
        ax.plot(x, y, zorder=5, **_look(basins.get(name)))
        if len(marks) > _MANY:
            continue
        above, share = y >= middle, (x - left) / (right - left)
        side = "left" if share < 1 / 3 else "right" if share > 2 / 3 else "center"
        ax.annotate(
            common.plain(common.shorten(name, 20)),
            (x, y),
            xytext=({"left": -4, "center": 0, "right": 4}[side], 5 if above else -5),
            textcoords="offset points",
            ha=side,
            va="bottom" if above else "top",
            fontsize=6.5,
            path_effects=[withStroke(linewidth=1.6, foreground="white")],
            annotation_clip=True,
            zorder=6,
        )


def _look(basin: int | None) -> dict[str, Any]:
    if basin is None:
        look = common.points("white", "o") | {"markeredgecolor": "black"}
    else:
        look = common.basin_points(basin)
    return look | {"markersize": 5.5, "markeredgewidth": 0.8}
