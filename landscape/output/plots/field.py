"""What a surface's figures show: a quantity at every point of the grid, and its colour scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import MaxNLocator

from landscape.core.errors import ConfigError, require_known
from landscape.output.plots import common
from landscape.paths.refinement import fill_surface

if TYPE_CHECKING:
    from landscape.records import StoredPath

Quantity = Literal["loss", "accuracy", "error"]

_NAMES = {"loss": "loss (nats)", "accuracy": "accuracy", "error": "error (share wrong)"}
_WIDE = 2.0  # largest loss over the smallest, above which levels are steps of a factor
_DEPTH = 1e-3  # of the largest loss: what lies deeper has one colour


@dataclass(frozen=True)
class Scale:
    """Colours that several surfaces can share.

    Attributes:
        levels: (n_levels,) ascending, where contours lie.
        norm: From values to colours, logarithmic where levels are.
        cmap: The colour map's name; dark is good, in grey too.
        name: Of the quantity, with its unit.
        ticks: Round values for a colour bar.
        extend: Which ends values lie beyond: neither, min, max or both.
    """

    levels: np.ndarray
    norm: Normalize
    cmap: str
    name: str
    ticks: np.ndarray
    extend: str

    @property
    def is_log(self) -> bool:
        """Whether equal steps of colour are equal factors."""
        return isinstance(self.norm, LogNorm)


def field_of(
    points: StoredPath,
    dataset: str,
    quantity: Quantity = "loss",
    labels: np.ndarray | None = None,
) -> np.ndarray:
    """(n_y, n_x) of a quantity, interpolated where it was not evaluated.

    Losses are interpolated in log(loss + 0.01), shares as they are.

    Args:
        points: A surface.
        dataset: One of its data sets.
        quantity: ``loss`` in nats, ``accuracy`` or ``error`` as shares.
        labels: (n_examples,) the right label indices; needed for the shares.

    Returns:
        NaN where evaluated and not a number; where nothing is evaluated nearby, the nearest.

    Raises:
        ConfigError: A curve instead of a surface, no such data set or quantity, no labels, or no
            point evaluated.
    """
    require_surface(points)
    require_known("data set", dataset, points.losses, where=f"surface '{points.name}'")
    require_known("quantity", quantity, get_args(Quantity), where="quantity")
    if not points.evaluated.any():
        raise ConfigError(
            "No point of the surface is evaluated.",
            where=f"surface '{points.name}'",
            fix="run the experiment again: it goes on where it stopped",
        )
    shape = (points.shape[0], points.shape[1])
    if quantity == "loss":
        values = points.mean_losses(dataset)
        return fill_surface(values, shape, points.evaluated, log=True).reshape(shape)
    if labels is None:
        raise ConfigError(
            f"The {quantity} needs the right labels.",
            where="labels",
            expected=f"{points.predictions[dataset].shape[1]} label indices of '{dataset}'",
        )
    values = points.accuracies(dataset, np.asarray(labels))
    values = 1 - values if quantity == "error" else values
    return fill_surface(values, shape, points.evaluated).reshape(shape)


def require_surface(points: StoredPath) -> None:
    """Refuse a curve.

    Raises:
        ConfigError: The points are not a grid.
    """
    if len(points.shape) != 2 or np.shape(points.positions)[-1] != 2:
        raise ConfigError(
            "Only a surface can be drawn as one.",
            where=f"points '{points.name}'",
            expected="a grid of shape (n_y, n_x)",
            found=f"a {points.kind} of shape {points.shape}",
        )


def scale_of(
    fields: Sequence[np.ndarray],
    quantity: Quantity = "loss",
    levels: int | Sequence[float] = 12,
    vmin: float | None = None,
    vmax: float | None = None,
) -> Scale:
    """One colour scale for some surfaces.

    Losses that differ by more than a factor of two get levels at steps of a factor, from the
    largest down to a thousandth of it at most; others, and shares, even steps.

    Args:
        fields: What is drawn.
        quantity: What it is.
        levels: How many steps, or the levels themselves.
        vmin: The lowest level, instead of the smallest value.
        vmax: The highest level, instead of the largest value.

    Raises:
        ConfigError: Nothing finite to draw, or levels that do not ascend.
    """
    seen = np.concatenate([field[np.isfinite(field)] for field in fields])
    if not len(seen):
        raise ConfigError("No value of the surface is finite.", where="surface")
    if isinstance(levels, int):
        ends = float(seen.min()), float(seen.max())
    else:
        steps = np.asarray(levels, dtype=np.float64)
        if steps.ndim != 1 or len(steps) < 2 or not (np.diff(steps) > 0).all():
            raise ConfigError("A surface's levels must ascend.", where="levels", found=levels)
        ends = float(steps[0]), float(steps[-1])
    low, high = ends[0] if vmin is None else vmin, ends[1] if vmax is None else vmax
    if low == high and vmin is None and vmax is None:
        high += 1e-3 * max(abs(high), 1.0)  # a flat surface has a colour too
    if not low < high:
        raise ConfigError(
            "A colour scale goes from a lower to a higher value.",
            where="vmin, vmax",
            found=f"{low:g} to {high:g}",
        )
    log = quantity == "loss" and high > _WIDE * low
    if isinstance(levels, int):
        if log and vmin is None:
            low = max(low, _DEPTH * high)
        log = log and low > 0
        steps = (np.geomspace if log else np.linspace)(low, high, levels + 1)
    else:
        log = log and low > 0
    norm = LogNorm(low, high) if log else Normalize(low, high)
    cmap = "cividis_r" if quantity == "accuracy" else "cividis"
    below, above = seen.min() < low * (1 - 1e-9), seen.max() > high * (1 + 1e-9)
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]
    return Scale(steps, norm, cmap, _NAMES[quantity], _ticks(low, high, log), extend)


def _ticks(low: float, high: float, log: bool) -> np.ndarray:
    if log:
        decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
        for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
            ticks = np.outer(decades, steps).ravel()
            ticks = ticks[(ticks >= low) & (ticks <= high)]
            if len(ticks) >= 4:
                break
        return ticks
    ticks = np.asarray(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    return ticks[(ticks >= low) & (ticks <= high)]


def axis_labels(points: StoredPath) -> tuple[str, str]:
    """What the coordinates are."""
    if points.kind in ("random", "directions"):
        return "step along direction 1", "step along direction 2"
    if points.kind == "pca":
        return "principal axis 1 (distance)", "principal axis 2 (distance)"
    return "distance in weight space", "distance in weight space"


def axes_of(points: StoredPath) -> tuple[np.ndarray, np.ndarray]:
    """The grid's x (n_x,) and y (n_y,)."""
    grid = np.asarray(points.positions, dtype=np.float64).reshape(*points.shape, 2)
    return grid[0, :, 0], grid[:, 0, 1]


def title_of(points: StoredPath, dataset: str, with_name: bool = False) -> str:
    """The data set, and the surface's own name where there are several."""
    name = f"{points.name}: {dataset}" if with_name else dataset
    return common.plain(common.shorten(name, 40))
