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
    "tokenize": "tasks.batches",
    "make_batches": "tasks.batches",
    # points of weight space
    "Line": "paths",
    "Bezier": "paths",
    "PolyChain": "paths",
    "Plane": "paths",
    "Directions": "paths",
    "Simplex": "paths",
    "Span": "paths",
    "pca": "paths",
    "gram": "checkpoints.gram_matrix",
    "random_direction": "paths.directions",
    "hybrid": "paths.layers",
    "parameter_groups": "paths.layers",
    "evaluate": "evaluation",
    "Evaluation": "evaluation",
    "Evaluator": "evaluation",
    # trained ways
    "Fit": "training",
    "fit_curve": "training",
    "Neb": "training",
    "find_path": "training",
    "SimplexFit": "training.simplexes",
    "fit_simplex": "training.simplexes",
    # points as checkpoints, soups and ensembles (the soups themselves: landscape.checkpoints.soups)
    "export_point": "checkpoints.export",
    "will_average": "analysis.averaging",
    "ensemble": "analysis.statistics.calibration",
    "calibration_error": "analysis.statistics.calibration",
    "brier": "analysis.statistics.calibration",
    # barriers and basins
    "barrier_height": "analysis.barriers",
    "convexity_gap": "analysis.barriers",
    "bootstrap_gaps": "analysis.barriers",
    "find_basins": "analysis.basins",
    "find_basins_actively": "analysis.basins.active",
    "count_triangles": "analysis.basins.structure",
    "compare_partitions": "analysis.basins.partitions",
    "population_contributions": "analysis.barriers.contributions",
    "relate": "analysis.statistics",
    "explain": "analysis.statistics",
    "simulate_losses": "analysis.simulation",
    # experiments
    "run_experiment": "run.pipeline",
    "read_store": "records.store",
    "analyze": "analysis.analysis",
    "diagnose": "analysis.diagnostics",
    "import_published": "importers",
    "LandscapeError": "core.errors",
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
