"""Figures of an analysis: numbers come in, matplotlib artists go out.

Every ``plot_<noun>(analysis, *, ax=None, ...)`` draws on the axes it is given, or on a new figure,
and returns the axes; those of surfaces take the surface itself. The style is applied inside each
call and leaves global settings alone. ``figure`` declares a whole figure, one in each module.
"""

from landscape.core.registry import load_modules
from landscape.output.plots.basin_histogram import plot_basin_histogram
from landscape.output.plots.centroid_distance import plot_centroid_distance
from landscape.output.plots.common import STYLE
from landscape.output.plots.contributions import plot_contributions
from landscape.output.plots.evidence import plot_eigenvalues, plot_gap_histogram, plot_silhouettes
from landscape.output.plots.gap_matrix import plot_gap_matrix
from landscape.output.plots.layers import plot_layers
from landscape.output.plots.loss_curves import plot_loss_curves
from landscape.output.plots.paths import plot_paths
from landscape.output.plots.registry import FIGURES, FigureKind, caption, figure, figures_of
from landscape.output.plots.surface import plot_surface, plot_surface_3d, plot_surface_panels
from landscape.output.plots.vtp import write_vtp
from landscape.output.plots.write import render, write_figures, write_surfaces

load_modules(__name__, __path__)

__all__ = [
    "FIGURES",
    "STYLE",
    "FigureKind",
    "caption",
    "figure",
    "figures_of",
    "plot_basin_histogram",
    "plot_centroid_distance",
    "plot_contributions",
    "plot_eigenvalues",
    "plot_gap_histogram",
    "plot_gap_matrix",
    "plot_layers",
    "plot_loss_curves",
    "plot_paths",
    "plot_silhouettes",
    "plot_surface",
    "plot_surface_3d",
    "plot_surface_panels",
    "render",
    "write_figures",
    "write_surfaces",
    "write_vtp",
]
