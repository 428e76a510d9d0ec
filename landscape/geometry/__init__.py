"""Positions to coefficients of anchors, theta(c) = sum_i c_i anchor_i, and the lengths of ways."""

from landscape.geometry.coefficients import Geometry, as_coefficients
from landscape.geometry.curve import Bezier, PolyChain
from landscape.geometry.lengths import arc_lengths, coordinates, distances, path_mean, volume
from landscape.geometry.line import Line
from landscape.geometry.plane import Directions, Plane, Span
from landscape.geometry.principal import Pca, pca
from landscape.geometry.simplex import Simplex

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
