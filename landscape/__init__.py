"""Loss landscapes and basins of finetuned text classifiers.

Names load on first use, so that ``import landscape`` is light. No module has the name of a public
function, or importing the one would hide the other.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    # checkpoints
    "load_checkpoint": "checkpoints",
    "load_population": "checkpoints",
    "load_tokenizer": "checkpoints",
    "build_model": "checkpoints",
    "load_task": "tasks",
    "load_examples": "tasks",
    "sample_examples": "tasks",
    # batches
    "tokenize": "batches",
    "make_batches": "batches",
    # points of weight space
    "Line": "geometry",
    "Bezier": "geometry",
    "PolyChain": "geometry",
    "Plane": "geometry",
    "Directions": "geometry",
    "Simplex": "geometry",
    "Span": "geometry",
    "pca": "geometry",
    "gram": "gram_matrix",
    "random_direction": "directions",
    "hybrid": "layers",
    "parameter_groups": "layers",
    "evaluate": "evaluation",
    "Evaluation": "evaluation",
    "Evaluator": "evaluation",
    # trained ways
    "Fit": "curves",
    "fit_curve": "curves",
    "Neb": "curves",
    "find_path": "curves",
    "Complex": "curves.simplexes",
    "SimplexFit": "curves.simplexes",
    "fit_vertex": "curves.simplexes",
    # points as checkpoints, soups and ensembles (the soups themselves: landscape.soups)
    "export_point": "checkpoints.export",
    "will_average": "averaging",
    "ensemble": "calibration",
    "calibration_error": "calibration",
    "brier": "calibration",
    # barriers and basins
    "barrier_height": "barriers",
    "convexity_gap": "barriers",
    "bootstrap_gaps": "barriers",
    "find_basins": "basins",
    "find_basins_actively": "active",
    "count_triangles": "structure",
    "compare_partitions": "partitions",
    "population_contributions": "contributions",
    "relate": "generalization",
    "explain": "generalization",
    "simulate_losses": "simulation",
    # experiments
    "run_experiment": "experiment",
    "read_store": "store",
    "analyze": "analysis",
    "examine": "details",
    "import_published": "published",
    "LandscapeError": "errors",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'landscape' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"landscape.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
