"""Centroid distance against a score: does the graded membership say how a model generalises?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.core.wording import capital, count, percent
from landscape.output import words
from landscape.output.plots import common
from landscape.output.plots.registry import figure

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

_NAME_LIMIT = 12  # models; more names than this cover the points
_NAME_SIZE = 5.5
_SIDES = ((1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1))


@dataclass(frozen=True)
class Fit:
    """A least-squares line with its interval under resampled models.

    Attributes:
        slope: Score per unit of centroid distance.
        intercept: Score at distance 0.
        x: (n_grid,) where the band is given.
        low: (n_grid,) lower end of the interval.
        high: (n_grid,) upper end of the interval.
    """

    slope: float
    intercept: float
    x: np.ndarray
    low: np.ndarray
    high: np.ndarray


@common.styled
def plot_centroid_distance(
    analysis: Analysis, *, ax: Axes | None = None, group: str | None = None
) -> Axes:
    """Draw a score of every model against its centroid distance, with a least-squares line.

    The correlations in the title are those of ``analysis.relation``; the band is the line's
    percentile interval under resampled models.

    Args:
        analysis: The numbers.
        ax: Where to draw; a new figure when absent.
        group: A column of ``analysis.scores``; the focus when absent.

    Returns:
        The axes.

    Raises:
        ConfigError: There is no such group.
    """
    column = common.find_group(analysis, group)
    ax = common.axes_or_new(ax, (common.COLUMN_WIDTH, 2.7))
    distance = np.asarray(analysis.basins.centroid_distance, dtype=float)
    score = analysis.scores[column].to_numpy(dtype=float)
    known = np.isfinite(distance) & np.isfinite(score)
    labels, noun = common.split_labels(analysis)
    confidence = analysis.relation.confidence
    ax.axvline(0.0, color="0.8", linewidth=0.6, zorder=0)
    fit = fit_line(distance[known], score[known], confidence, np.random.default_rng(0))
    if fit is not None:
        ax.fill_between(fit.x, fit.low, fit.high, color="0.5", alpha=0.2, linewidth=0, zorder=1)
        ax.plot(fit.x, fit.intercept + fit.slope * fit.x, color="0.25", linewidth=1.2, zorder=2)
    for label in np.unique(labels):
        chosen = known & (labels == label)
        ax.plot(
            distance[chosen],
            score[chosen],
            linestyle="none",
            marker=common.basin_marker(int(label)),
            color=common.basin_color(int(label)),
            markeredgecolor="white",
            markeredgewidth=0.5,
            zorder=3,
            label=f"{noun} {label} ({(labels == label).sum()})",
        )
    ax.margins(x=0.16 if len(analysis.models) <= _NAME_LIMIT else 0.06, y=0.1)
    if len(analysis.models) <= _NAME_LIMIT:
        _name_points(ax, analysis.models, distance, score)
    ax.set_xlabel(f"centroid distance (below 0: nearer {noun} 0)")
    ax.set_ylabel(common.score_label(analysis, column))
    ax.set_title(correlation_text(analysis, column), fontsize=7)
    title = "forced two-way split" if noun == "side" else None
    ax.legend(loc="best", handlelength=1.0, title=title, title_fontsize=7)
    return ax


def _caption(analysis: Analysis) -> list[str]:
    column = common.find_group(analysis, None)
    level = percent(analysis.relation.confidence)
    data = analysis.results.datasets.get(words.dataset_of(analysis, column))
    sized = data is not None and not data.aggregated
    size = f"; data set of {words.examples_of(analysis, column)}" if sized else ""
    sentences = [
        f"{capital(words.metric_of(analysis, column))} on {column} "
        f"({words.role_of(analysis, column)}{size}) "
        "against centroid distance, the distance to the first centroid less that to the second in "
        f"the spectral embedding; {count(len(analysis.models), 'model')}.",
        f"The line is least squares, its band the {level} percentile interval under resampled "
        f"models; in brackets, {level} intervals by Fisher's z.",
    ]
    if analysis.basins.n_basins == 1:
        sentences.append(
            "One basin was found: distance and colours come from a forced two-way split."
        )
    elif analysis.basins.n_basins > 2:
        sentences.append("With more than two basins the centroids are those of the largest two.")
    return sentences


@figure(
    "centroid_distance", title="Centroid distance and generalisation", caption=_caption, place=30
)
def draw(analysis: Analysis) -> Figure:
    """The focus score against centroid distance."""
    figure = common.new_figure(common.COLUMN_WIDTH, 2.7)
    plot_centroid_distance(analysis, ax=figure.subplots())
    return figure


def fit_line(
    x: np.ndarray,
    y: np.ndarray,
    confidence: float,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    n_grid: int = 101,
) -> Fit | None:
    """Least squares of y on x with a percentile band; None where no line is determined.

    Args:
        x: (n_models,).
        y: (n_models,).
        confidence: For example 0.95.
        rng: Draws the resamples.
        n_resamples: How many.
        n_grid: At how many places the band is given.
    """
    if len(x) < 3 or np.ptp(x) == 0:
        return None
    rows = rng.integers(len(x), size=(n_resamples, len(x)))
    slopes, intercepts = _least_squares(x[rows], y[rows])
    grid = np.linspace(x.min(), x.max(), n_grid)
    lines = intercepts[:, None] + slopes[:, None] * grid
    # a resample of one model repeated has no slope
    low, high = np.nanquantile(lines, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    slope, intercept = _least_squares(x[None], y[None])
    return Fit(float(slope[0]), float(intercept[0]), grid, low, high)


def _least_squares(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    dx = x - x.mean(axis=-1, keepdims=True)
    spread = (dx**2).sum(axis=-1)
    # rounding leaves a spread of about 1e-32 where all are equal
    spread = np.where(spread > 1e-18 * (x**2).sum(axis=-1), spread, np.nan)
    slope = (dx * y).sum(axis=-1) / spread
    return slope, y.mean(axis=-1) - slope * x.mean(axis=-1)


def correlation_text(analysis: Analysis, column: str) -> str:
    """Both correlations with their intervals, and how many models they rest on."""
    row = words.relation_row(analysis, column)
    parts = []
    for name, symbol in (("pearson", "Pearson $r$"), ("spearman", r"Spearman $\rho$")):
        if row is None or not np.isfinite(row[name]):
            parts.append(f"{symbol} undefined")
        else:
            parts.append(
                f"{symbol} = {row[name]:.2f} [{row[f'{name}_low']:.2f}, {row[f'{name}_high']:.2f}]"
            )
    n = int(analysis.scores[column].notna().sum())
    return f"{parts[0]}\n{parts[1]},  n = {n}".replace("-", "\N{MINUS SIGN}")


def _name_points(ax: Axes, names: tuple[str, ...], distance: np.ndarray, score: np.ndarray) -> None:
    """Write each name beside its point, at the first free side; a name with no room is left out."""
    known = np.flatnonzero(np.isfinite(distance) & np.isfinite(score))
    ax.autoscale_view()  # limits are lazy, and the transform does not wait for them
    points = ax.transData.transform(np.column_stack([distance[known], score[known]]))
    scale = 72 / ax.get_figure(root=True).dpi  # type: ignore[union-attr]
    points, frame = points * scale, np.array(ax.get_window_extent().extents) * scale
    taken = [(x - 2.5, y - 2.5, x + 2.5, y + 2.5) for x, y in points]
    for model, (x, y) in zip(known, points, strict=True):
        text = common.shorten(names[model], 14)
        width, height = 0.52 * _NAME_SIZE * len(text), 0.9 * _NAME_SIZE
        for dx, dy in _SIDES:
            left = x + 3.5 * dx - (0 if dx > 0 else width if dx < 0 else width / 2)
            bottom = y + 4 * dy - (0 if dy > 0 else height if dy < 0 else height / 2)
            box = (left, bottom, left + width, bottom + height)
            inside = frame[0] < box[0] and box[2] < frame[2] and frame[1] < box[1]
            if not inside or any(_overlap(box, other) for other in taken):
                continue
            taken.append(box)
            ax.annotate(
                common.plain(text),
                (distance[model], score[model]),
                xytext=(left - x, bottom - y),
                textcoords="offset points",
                fontsize=_NAME_SIZE,
                color="0.4",
            )
            break


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
