"""Figures of an analysis: numbers come in, matplotlib artists go out.

``figure`` declares a figure, one in each module, and ``FIGURES[name].draw(analysis)`` gives it as
matplotlib's. The style is applied inside each call and leaves global settings alone.
"""

from landscape.core.registry import load_modules
from landscape.output.plots.common import STYLE
from landscape.output.plots.registry import FIGURES, FigureKind, caption, figure, figures_of
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
    "render",
    "write_figures",
    "write_surfaces",
    "write_vtp",
]
