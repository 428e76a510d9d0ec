"""The loss around the models: every surface of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from landscape.core.wording import listed
from landscape.output.plots import common
from landscape.output.plots.registry import figure
from landscape.output.plots.surface import plot_surface_panels
from landscape.output.words import path_text

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.records import StoredPath


def surfaces_of(analysis: Analysis) -> list[StoredPath]:
    """Surfaces of which something is measured."""
    paths = analysis.results.points.values()
    return [path for path in paths if path.is_surface and path.evaluated.any()]


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
    """Every surface on every data set, in one scale of colours."""
    labels, group = common.split_labels(analysis)
    return plot_surface_panels(
        surfaces_of(analysis),
        list(analysis.results.datasets),
        basins=dict(zip(analysis.models, np.asarray(labels).tolist(), strict=True)),
        group=group,
    )
