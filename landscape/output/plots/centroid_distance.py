"""Centroid distance against a score: does the graded membership say how a model generalises?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from landscape.core.wording import capital, count, listed, percent
from landscape.output import words
from landscape.output.plots import common
from landscape.output.plots.registry import figure

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

_NAME_LIMIT = 12  # models; more names than this cover the points
_NAME_SIZE = 5.5
_SIDES = ((1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1))


def _caption(analysis: Analysis) -> list[str]:
    column = common.score_column(analysis)
    level, n_basins = percent(analysis.relation.confidence), analysis.basins.shown.n
    sentences = [
        f"{capital(words.metric_of(analysis, column))} on {column} "
        f"({words.role_of(analysis, column)}) against centroid distance, the distance to the first "
        "centroid less that to the second in the spectral embedding; "
        f"{count(len(analysis.models), 'model')}.",
        f"The line is least squares, its band the {level} percentile interval under resampled "
        f"models; in brackets, {level} bootstrap intervals over models.",
    ]
    if n_basins == 1:
        sentences.append("The models form no groups: the two sides are those of a forced split.")
    if analysis.conditions is not None:
        by = listed(analysis.conditions.names, 6)
        sentences.append(f"Within conditions: pooled over training conditions ({by}).")
    if n_basins > 2:
        sentences.append(
            f"With more than two {analysis.basins.shown.noun}s the centroids are those of the "
            "largest two groups."
        )
    return sentences


@figure(
    "centroid_distance",
    title="Centroid distance and generalisation",
    needs=lambda analysis: analysis.scores.shape[1],
    caption=_caption,
    place=30,
)
def draw(analysis: Analysis) -> Figure:
    """The focus score of every model against its centroid distance, with a least-squares line."""
    figure = common.new_figure(common.COLUMN_WIDTH, 2.7)
    ax, column = figure.subplots(), common.score_column(analysis)
    distance = np.asarray(analysis.basins.groups.centroid_distance, dtype=float)
    score = analysis.scores[column].to_numpy(dtype=float)
    finite = np.isfinite(distance) & np.isfinite(score)
    labels, noun = common.split_labels(analysis)
    ax.axvline(0.0, color="0.8", linewidth=0.6, zorder=0)
    rng = np.random.default_rng(0)
    fit = fit_line(distance[finite], score[finite], analysis.relation.confidence, rng)
    if fit is not None:
        x, line, low, high = fit
        ax.fill_between(x, low, high, color="0.5", alpha=0.2, linewidth=0, zorder=1)
        ax.plot(x, line, color="0.25", linewidth=1.2, zorder=2)
    for label in np.unique(labels).tolist():
        chosen = finite & (labels == label)
        name, look = common.label_name(noun, label, labels), common.basin_points(label)
        ax.plot(distance[chosen], score[chosen], zorder=3, label=name, **look)
    few = len(analysis.models) <= _NAME_LIMIT
    ax.margins(x=0.16 if few else 0.06, y=0.1)
    if fit is not None:  # where few models carry the line, its band is wide beyond all scores
        room = 0.3 * (np.ptp(score[finite]) or 0.1)
        ax.set_ylim(score[finite].min() - room, score[finite].max() + room)
    if few:
        names = [name for name, seen in zip(analysis.models, finite, strict=True) if seen]
        _name_points(ax, names, np.column_stack([distance, score])[finite])
    ax.set_xlabel(f"centroid distance (below 0: nearer {noun} 0)")
    ax.set_ylabel(common.score_label(analysis, column))
    ax.set_title(_correlations(analysis, column), fontsize=7)
    title = "forced two-way split" if noun == "side" else None
    ax.legend(loc="best", handlelength=1.0, title=title, title_fontsize=7)
    return figure


def fit_line(
    x: np.ndarray,
    y: np.ndarray,
    confidence: float,
    rng: np.random.Generator,
    n_resamples: int = 2000,
) -> tuple[np.ndarray, ...] | None:
    """Least squares of y on x, both (n_models,), with a percentile band under resampled models.

    Returns:
        Places, the line there, and the band's two ends; None where no line is determined.
    """
    if len(x) < 3 or np.ptp(x) == 0:
        return None
    rows = rng.integers(len(x), size=(n_resamples, len(x)))
    grid = np.linspace(x.min(), x.max(), 101)
    slopes, intercepts = _least_squares(x[rows], y[rows])
    lines = intercepts[:, None] + slopes[:, None] * grid
    # a resample of one model repeated has no slope
    low, high = np.nanquantile(lines, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    slope, intercept = _least_squares(x, y)
    return grid, intercept + slope * grid, low, high


def _least_squares(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    dx = x - x.mean(axis=-1, keepdims=True)
    spread = (dx**2).sum(axis=-1)
    # rounding leaves a spread of about 1e-32 where all are equal
    spread = np.where(spread > 1e-18 * (x**2).sum(axis=-1), spread, np.nan)
    slope = (dx * y).sum(axis=-1) / spread
    return slope, y.mean(axis=-1) - slope * x.mean(axis=-1)


def _correlations(analysis: Analysis, column: str) -> str:
    """Both correlations with their intervals, and how many models they rest on."""
    row, lines = words.relation_row(analysis, column), []
    symbols = {"spearman": r"Spearman $\rho$", "pearson": "Pearson $r$"}
    if analysis.conditions is not None:
        symbols = {**symbols, "spearman_within": r"$\rho$ within conditions"}
    for name, symbol in symbols.items():
        if row is None or not np.isfinite(row[name]):
            lines.append(f"{symbol} undefined")
        else:
            low, high = row[f"{name}_low"], row[f"{name}_high"]
            lines.append(f"{symbol} = {row[name]:.2f} [{low:.2f}, {high:.2f}]")
    lines[1] += f",  n = {int(analysis.scores[column].notna().sum())}"
    return "\n".join(lines).replace("-", "\N{MINUS SIGN}")


def _name_points(ax: Axes, names: list[str], places: np.ndarray) -> None:
    """Write each name beside its point, at the first free side; a name with no room is left out."""
    ax.autoscale_view()  # limits are lazy, and the transform does not wait for them
    figure = ax.get_figure(root=True)
    assert figure is not None
    scale = 72 / figure.dpi
    points = ax.transData.transform(places) * scale
    frame = np.array(ax.get_window_extent().extents) * scale
    boxes = [Bbox.from_bounds(x - 2.5, y - 2.5, 5, 5) for x, y in points]
    for name, place, (x, y) in zip(names, places, points, strict=True):
        text = common.shorten(name, 14)
        width, height = 0.52 * _NAME_SIZE * len(text), 0.9 * _NAME_SIZE
        for dx, dy in _SIDES:
            left = x + 3.5 * dx - (1 - dx) * width / 2
            bottom = y + 4 * dy - (1 - dy) * height / 2
            box = Bbox.from_bounds(left, bottom, width, height)
            inside = frame[0] < box.x0 and box.x1 < frame[2] and frame[1] < box.y0
            if inside and not box.count_overlaps(boxes):
                boxes.append(box)
                ax.annotate(
                    common.plain(text),
                    tuple(place),
                    xytext=(left - x, bottom - y),
                    textcoords="offset points",
                    fontsize=_NAME_SIZE,
                    color="0.4",
                )
                break
