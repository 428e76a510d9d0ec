"""What ``paths:`` in a configuration may name, one module a kind or a few that are alike."""

from landscape.paths.kinds import bezier, chain, layers, line, surfaces
from landscape.paths.kinds.registry import (
    PATH_KINDS,
    Curve,
    FitConfig,
    Part,
    PathKind,
    Spanned,
    Trained,
    Trainer,
    path_kind,
    read_path,
)
from landscape.paths.kinds.surfaces import Surface

__all__ = [
    "PATH_KINDS",
    "Curve",
    "FitConfig",
    "Part",
    "PathKind",
    "Spanned",
    "Surface",
    "Trained",
    "Trainer",
    "bezier",
    "chain",
    "layers",
    "line",
    "path_kind",
    "read_path",
    "surfaces",
]
