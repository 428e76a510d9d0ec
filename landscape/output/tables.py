"""The numbers behind figures and report, as CSV files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.records import Results


def tables(analysis: Analysis) -> dict[str, pd.DataFrame]:
    """Scores, gaps, curves, relation and what other indicators gave, by name."""
    models = np.array(analysis.models)
    basins, groups = analysis.basins, analysis.basins.groups
    of_models = pd.DataFrame({"model": models, "linked_part": basins.parts})
    if basins.n_basins is not None:
        of_models["basin"] = basins.labels
    of_models["group"], of_models["centroid_distance"] = groups.labels, groups.centroid_distance
    named = {
        "scores": analysis.scores.reset_index(),
        "basins": of_models,
        "gaps": _gaps(analysis),
        "curves": _curves(analysis),
        "relation": analysis.relation.table,
    }
    for name in analysis.results.indicators:
        named[name] = indicator_table(analysis.results, name)
    return named


def write_tables(analysis: Analysis, out: Path) -> list[Path]:
    """Write each table as a CSV file."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, table in tables(analysis).items():
        written.append(out / f"{name}.csv")
        table.to_csv(written[-1], index=False)
    return written


def _gaps(analysis: Analysis) -> pd.DataFrame:
    i, j = analysis.pairs.T
    models = np.array(analysis.models)
    columns: Mapping[str, np.ndarray] = {
        "gap": analysis.gaps.estimate,
        "low": analysis.gaps.low,
        "high": analysis.gaps.high,
        "weight_distance": analysis.results.distances,
    }
    table = pd.DataFrame({"first": models[i], "second": models[j], "kind": analysis.kinds})
    return table.assign(**{name: values[i, j] for name, values in columns.items()})


def _curves(analysis: Analysis) -> pd.DataFrame:
    models, (i, j) = np.array(analysis.models), analysis.pairs.T
    n = len(analysis.positions)
    parts = []
    for name, curves in analysis.curves.items():
        part = pd.DataFrame(
            {
                "data": name,
                "first": np.repeat(models[i], n),
                "second": np.repeat(models[j], n),
                "t": np.tile(analysis.positions, len(i)),
                "loss": curves.losses.ravel(),
                "accuracy": curves.accuracy.ravel(),
            }
        )
        parts.append(part[curves.evaluated.ravel()])
    return pd.concat(parts, ignore_index=True)


def indicator_table(results: Results, name: str) -> pd.DataFrame:
    """What an indicator gave, a row a point: means over its dimensions, as examples or heads."""
    measured = results.indicators[name]
    paths = [*results.models]
    paths += [f"{results.models[i]}--{results.models[j]}" for i, j in results.pairs]
    paths += [*results.points]
    table = pd.DataFrame({"path": np.array(paths)[measured.path], "point": measured.point})
    for key, values in measured.arrays.items():
        table[key] = values.reshape(len(values), -1).mean(axis=1, dtype=np.float64)
    return table
