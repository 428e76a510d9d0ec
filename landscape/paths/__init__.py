"""Positions to coefficients of anchors, theta(c) = sum_i c_i anchor_i, and the lengths of paths."""

from landscape.paths.coefficients import Geometry, ParametricPath, as_coefficients
from landscape.paths.curve import Bezier, Line, PolyChain
from landscape.paths.lengths import arc_lengths, coordinates, distances, path_mean, volume
from landscape.paths.plane import Directions, Plane, Span
from landscape.paths.principal import Pca, pca
from landscape.paths.simplex import Simplex, SimplexSample

__all__ = [
    "Bezier",
    "Directions",
    "Geometry",
    "Line",
    "ParametricPath",
    "Pca",
    "Plane",
    "PolyChain",
    "Simplex",
    "SimplexSample",
    "Span",
    "arc_lengths",
    "as_coefficients",
    "coordinates",
    "distances",
    "path_mean",
    "pca",
    "volume",
]
