"""Positions to coefficients of anchors, theta(c) = sum_i c_i anchor_i, and the lengths of ways."""

from landscape.paths.coefficients import Geometry, as_coefficients
from landscape.paths.curve import Bezier, PolyChain
from landscape.paths.lengths import arc_lengths, coordinates, distances, path_mean, volume
from landscape.paths.line import Line
from landscape.paths.plane import Directions, Plane, Span
from landscape.paths.principal import Pca, pca
from landscape.paths.simplex import Simplex

__all__ = [
    "Bezier",
    "Directions",
    "Geometry",
    "Line",
    "Pca",
    "Plane",
    "PolyChain",
    "Simplex",
    "Span",
    "arc_lengths",
    "as_coefficients",
    "coordinates",
    "distances",
    "path_mean",
    "pca",
    "volume",
]
