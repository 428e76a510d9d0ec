"""Every figure of an analysis, to files whose names and bytes stay the same."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from landscape.errors import ConfigError
from landscape.plots import common
from landscape.plots.basin_histogram import plot_basin_histogram
from landscape.plots.centroid_distance import plot_centroid_distance
from landscape.plots.gap_matrix import figure_width, fit_figure, plot_gap_matrix
from landscape.plots.loss_curves import plot_loss_curves

if TYPE_CHECKING:
    from landscape.analysis import Analysis

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


FIGURES: dict[str, Callable[[Analysis], Figure]] = {
    "loss_curves": loss_curves,
    "gap_matrix": gap_matrix,
    "centroid_distance": centroid_distance,
    "basin_histogram": basin_histogram,
}


@common.styled
def render(analysis: Analysis, name: str, format: str) -> bytes:
    """One figure as a file's content: the same analysis gives the same bytes."""
    figure = FIGURES[name](analysis)
    content = io.BytesIO()
    title = {"pdf": "Title", "png": "Title", "svg": "Title"}[format]
    figure.savefig(content, format=format, metadata={title: name, **_METADATA[format]})
    return content.getvalue()


def write_figures(
    analysis: Analysis, out: Path, formats: Iterable[str] = ("pdf", "png")
) -> list[Path]:
    """Write loss_curves, gap_matrix, centroid_distance and basin_histogram in every format.

    Args:
        analysis: The numbers.
        out: The folder; made when absent. Files of the same name are replaced whole.
        formats: Some of pdf, png (300 dpi) and svg.

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
    paths = []
    for name in FIGURES:
        for format in formats:
            paths.append(write_whole(out / f"{name}.{format}", render(analysis, name, format)))
    return paths


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file so that no reader ever sees half of it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        # mkstemp's file is the owner's alone; give it what an ordinary new file would have
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path
