"""Every figure of an analysis, to files whose names and bytes stay the same."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from landscape.analysis.along import layer_ways, ways_between
from landscape.core.errors import ConfigError
from landscape.output.plots import common
from landscape.output.plots.basin_histogram import plot_basin_histogram
from landscape.output.plots.centroid_distance import plot_centroid_distance
from landscape.output.plots.contributions import plot_contributions
from landscape.output.plots.evidence import plot_eigenvalues, plot_gap_histogram, plot_silhouettes
from landscape.output.plots.gap_matrix import figure_width, fit_figure, plot_gap_matrix
from landscape.output.plots.loss_curves import plot_loss_curves
from landscape.output.plots.surface import plot_surface_panels
from landscape.output.plots.vtp import write_vtp
from landscape.output.plots.ways import plot_layers, plot_ways

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.barriers.contributions import PopulationContributions
    from landscape.analysis.details import Details
    from landscape.records import StoredPath

FORMATS = ("pdf", "png", "svg")
# time stamps would make every run's files differ
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None},
    "png": {},
    "svg": {"Date": None},
}


def _figure(width: float, height: float) -> Figure:
    # not through pyplot: nothing to close, and no window for a user who draws interactively
    return Figure(figsize=(width, height), layout="constrained")


def loss_curves(analysis: Analysis) -> Figure:
    """The curves on the data set of the gaps, above those on the focus, on one axis of t."""
    panels = [analysis.dataset]
    if analysis.focus in analysis.curves and analysis.focus != analysis.dataset:
        panels.append(analysis.focus)
    figure = _figure(common.COLUMN_WIDTH, 0.75 + 1.6 * len(panels))
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for ax, name in zip(axes, panels, strict=True):
        plot_loss_curves(analysis, ax=ax, dataset=name, legend=False)
        ax.label_outer()
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper left", handlelength=3.2)
    figure.align_ylabels()
    return figure


def gap_matrix(analysis: Analysis) -> Figure:
    """The matrix of gaps under its merge tree, a column wide for few models."""
    width = figure_width(len(analysis.models))
    figure = _figure(width, width)
    ax = plot_gap_matrix(analysis, ax=figure.subplots())
    fit_figure(ax, width)
    return figure


def centroid_distance(analysis: Analysis) -> Figure:
    """The focus score against centroid distance."""
    figure = _figure(common.COLUMN_WIDTH, 2.7)
    plot_centroid_distance(analysis, ax=figure.subplots())
    return figure


def basin_histogram(analysis: Analysis) -> Figure:
    """The focus score by basin."""
    figure = _figure(common.COLUMN_WIDTH, 2.3)
    plot_basin_histogram(analysis, ax=figure.subplots())
    return figure


def evidence(analysis: Analysis) -> Figure:
    """Silhouettes, eigenvalues and the distribution of gaps, side by side."""
    figure = _figure(common.TEXT_WIDTH, 2.6)
    plots = (plot_silhouettes, plot_eigenvalues, plot_gap_histogram)
    for ax, plot in zip(figure.subplots(1, len(plots)), plots, strict=True):
        plot(analysis, ax=ax)
    return figure


def contributions(analysis: Analysis, found: PopulationContributions | None = None) -> Figure:
    """Which share of the gaps comes from which share of the examples."""
    found = contributions_of(analysis) if found is None else found
    figure = _figure(common.COLUMN_WIDTH, 2.7)
    plot_contributions(found, ax=figure.subplots())
    return figure


def ways(analysis: Analysis) -> Figure:
    """Every way between two models, on the data set of the gaps and below on the focus."""
    columns = shown_columns(analysis)
    pairs = list(ways_between(analysis.contents))[:MOST_PAIRS]
    width = common.COLUMN_WIDTH if len(pairs) == 1 else common.TEXT_WIDTH
    figure = _figure(width, 0.75 + 1.6 * len(columns))
    grid = figure.subplots(len(columns), len(pairs), sharex=True, sharey="row", squeeze=False)
    for row, column in zip(grid, columns, strict=True):
        for ax, pair in zip(row, pairs, strict=True):
            plot_ways(analysis, ax=ax, column=column, models=pair, legend=False)
            if len(pairs) > 1:
                ends = common.plain(" to ".join(common.shorten(name, 20) for name in pair))
                ax.set_title(f"{ax.get_title(loc='left')}\n{ends}")
            ax.label_outer()
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", handlelength=3.2)
    figure.align_ylabels()
    return figure


def layers(analysis: Analysis) -> Figure:
    """What each group of layers does when it alone moves."""
    columns = shown_columns(analysis)
    groups = {way.notes["part"]["group"] for way in layer_ways(analysis.contents)}
    width = common.COLUMN_WIDTH if len(columns) == 1 else common.TEXT_WIDTH
    figure = _figure(width, 0.9 + 0.26 * len(groups))
    axes = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for ax, column in zip(axes, columns, strict=True):
        plot_layers(analysis, ax=ax, column=column, legend=False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2)
    return figure


def surface(analysis: Analysis) -> Figure:
    """Every surface on every data set, in one scale of colours."""
    labels, group = common.split_labels(analysis)
    return plot_surface_panels(
        surfaces_of(analysis),
        list(analysis.contents.datasets),
        basins=dict(zip(analysis.models, np.asarray(labels).tolist(), strict=True)),
        group=group,
    )


def shown_columns(analysis: Analysis) -> list[str]:
    """The data set of the gaps and, where there is another one, the focus."""
    columns = [analysis.dataset]
    if analysis.focus and analysis.focus != analysis.dataset:
        columns.append(analysis.focus)
    return columns


def surfaces_of(analysis: Analysis) -> list[StoredPath]:
    """Surfaces of which something is measured."""
    points = analysis.contents.points.values()
    return [p for p in points if p.is_surface and p.evaluated.any()]


FIGURES: dict[str, Callable[[Analysis], Figure]] = {
    "loss_curves": loss_curves,
    "gap_matrix": gap_matrix,
    "centroid_distance": centroid_distance,
    "basin_histogram": basin_histogram,
    "evidence": evidence,
    "contributions": contributions,
    "ways": ways,
    "layers": layers,
    "surface": surface,
}
_NEEDED: dict[str, Callable[[Analysis], object]] = {
    "loss_curves": lambda analysis: analysis.contents.given_gaps is None,
    "ways": lambda analysis: ways_between(analysis.contents),
    "layers": lambda analysis: layer_ways(analysis.contents),
    "surface": surfaces_of,
}
MOST_PAIRS = 2  # of models that ways are drawn between


def contributions_of(analysis: Analysis) -> PopulationContributions:
    """What each example contributes to the gaps of the analysis."""
    from landscape.analysis.barriers.contributions import population_contributions  # reads stores

    return population_contributions(analysis.contents, analysis.dataset, analysis.rule)


def _summable(analysis: Analysis) -> bool:
    """Whether there are gaps that are sums over examples."""
    from landscape.analysis.barriers import RULES

    data = analysis.contents.datasets[analysis.dataset]
    largest = np.nanmax(np.asarray(analysis.gaps.estimate), initial=0.0)
    return RULES[analysis.rule].linear and not data.aggregated and bool(largest > 0)


def figures_of(analysis: Analysis) -> list[str]:
    """The names of the figures that this store can make."""
    needed = {**_NEEDED, "contributions": _summable}
    return [name for name in FIGURES if name not in needed or needed[name](analysis)]


@common.styled
def render(
    analysis: Analysis, name: str, format: str, found: PopulationContributions | None = None
) -> bytes:
    """One figure as a file's content: the same analysis gives the same bytes.

    ``found`` are the contributions of the analysis, computed where they are needed and absent.
    """
    own = name == "contributions"
    figure = contributions(analysis, found) if own else FIGURES[name](analysis)
    content = io.BytesIO()
    title = {"pdf": "Title", "png": "Title", "svg": "Title"}[format]
    figure.savefig(content, format=format, metadata={title: name, **_METADATA[format]})
    return content.getvalue()


def write_figures(
    analysis: Analysis,
    out: Path,
    formats: Iterable[str] = ("pdf", "png"),
    details: Details | None = None,
) -> list[Path]:
    """Write every figure of ``FIGURES`` that the store can make, in every format.

    Args:
        analysis: The numbers.
        out: The folder; made when absent. Files of the same name are replaced whole.
        formats: Some of pdf, png (300 dpi) and svg.
        details: Those of the analysis; what is drawn of them is computed when absent.

    Returns:
        The files.

    Raises:
        ConfigError: A format that is not known, or ``out`` is a file.
    """
    formats = [formats] if isinstance(formats, str) else list(formats)
    for format in formats:
        if format not in FORMATS:
            raise ConfigError(
                f"Figures cannot be written as '{format}'.",
                where="formats",
                expected=f"some of {', '.join(FORMATS)}",
                found=format,
            )
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise ConfigError("The folder for the figures is a file.", where=out, fix="choose another")
    out.mkdir(parents=True, exist_ok=True)
    names, paths = figures_of(analysis), []
    found = None if details is None else details.contributions
    if found is None and "contributions" in names:
        found = contributions_of(analysis)
    for name in names:
        for format in formats:
            content = render(analysis, name, format, found)
            paths.append(common.write_whole(out / f"{name}.{format}", content))
    return paths


def write_surfaces(analysis: Analysis, out: Path) -> list[Path]:
    """Write every surface as NAME.vtp, for ParaView.

    Args:
        analysis: Of a store that holds surfaces.
        out: The folder; made when absent.

    Raises:
        ConfigError: The store holds none.
    """
    found = surfaces_of(analysis)
    if not found:
        raise ConfigError(
            "The store holds no surfaces.",
            where=analysis.contents.path,
            fix="add 'surface' to the experiment, and run it again",
        )
    out.mkdir(parents=True, exist_ok=True)
    labels = {name: data.labels for name, data in analysis.contents.datasets.items()}
    return [write_vtp(points, out / f"{points.name}.vtp", labels=labels) for points in found]
