"""Losses along the paths between two models that were measured beside the pairs' own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from landscape.analysis.barriers import GapIntervals, bootstrap_gaps
from landscape.core.errors import ConfigError
from landscape.paths.lengths import path_mean
from landscape.tasks.groups import group_rows

if TYPE_CHECKING:
    from landscape.records import Results, StoredPath


@dataclass(frozen=True)
class PathProfile:
    """One path on a data set or group: (n_points, n_examples) nats, accuracy (n_points,)."""

    path: StoredPath
    example_losses: np.ndarray
    accuracy: np.ndarray

    @property
    def losses(self) -> np.ndarray:
        """(n_points,) mean losses in nats."""
        return self.example_losses.mean(1, dtype=np.float64)

    @property
    def shares(self) -> np.ndarray:
        """(n_points,) of the length up to each point, from 0 to 1."""
        lengths = self.path.lengths
        even = np.linspace(0, 1, len(lengths))
        return np.asarray(lengths / lengths[-1] if lengths[-1] > 0 else even)

    @property
    def highest(self) -> float:
        """Nats, the largest mean loss."""
        return float(self.losses.max())

    @property
    def mean(self) -> float:
        """Nats, the mean of the loss by length."""
        return float(path_mean(self.losses, self.path.lengths))

    @property
    def length(self) -> float:
        """Euclidean."""
        return float(self.path.lengths[-1])

    @property
    def detour(self) -> float:
        """The length over the distance between the ends; NaN where the store does not say."""
        return self.length / float(self.path.notes.get("distance", np.nan))

    def barrier(self) -> GapIntervals:
        """The barrier height over the line between the ends' losses, with its interval."""
        return bootstrap_gaps(self.example_losses, "barrier_height", self.shares)


def paths_between(results: Results) -> dict[tuple[str, ...], list[StoredPath]]:
    """The paths that are measured whole, by their two ends; layer-wise ones are not among them."""
    paths: dict[tuple[str, ...], list[StoredPath]] = {}
    for path in results.points.values():
        if len(path.models) == 2 and not path.is_surface and path.evaluated.all():
            paths.setdefault(path.models, []).append(path)
    return paths


def layer_paths(results: Results) -> list[StoredPath]:
    """The paths along single groups of layers that are measured whole."""
    return [p for p in results.points.values() if p.kind == "layers" and p.evaluated.all()]


def path_profile(results: Results, path: StoredPath, column: str) -> PathProfile:
    """The profile along a path that is measured whole, on a data set or group of the scores."""
    for name, data in results.datasets.items():
        rows = group_rows(data.groups, len(data.labels), name).get(column)
        if rows is not None:
            losses = path.losses[name][:, rows]
            right = path.predictions[name][:, rows] == data.labels[rows]
            return PathProfile(path, losses, right.mean(1))
    raise ConfigError(
        f"There are no examples of '{column}'.", expected=f"a data set or group of {results.path}"
    )
