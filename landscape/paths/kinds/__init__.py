"""What ``paths:`` in a configuration may name, one module a kind or a few that are alike."""

from landscape.core.registry import load_modules
from landscape.paths.kinds.registry import (
    PATH_KINDS,
    Curve,
    FitConfig,
    Part,
    PathKind,
    Spanned,
    Trained,
    Trainer,
    TrainingConfig,
    path_kind,
    read_path,
)

load_modules(__name__, __path__)

__all__ = [
    "PATH_KINDS",
    "Curve",
    "FitConfig",
    "Part",
    "PathKind",
    "Spanned",
    "Trained",
    "Trainer",
    "TrainingConfig",
    "path_kind",
    "read_path",
]
