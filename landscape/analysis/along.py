"""What ways between two models came to: barriers, lengths and means along them; no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from landscape.analysis.barriers import bootstrap_gaps
from landscape.core.errors import ConfigError
from landscape.paths.lengths import path_mean
from landscape.tasks.groups import group_rows

if TYPE_CHECKING:
    from landscape.records import Results, StoredPath


@dataclass(frozen=True)
class Along:
    """One way on one data set, or on a group of one.

    Attributes:
        points: The way.
        dataset: The data set or group.
        shares: (n_points,) of its length up to each point, from 0 to 1.
        losses: (n_points,) mean losses in nats.
        accuracy: (n_points,) in [0, 1].
        barrier: Nats: its barrier height over the line between its ends' losses.
        low: Nats, the lower end of the barrier's interval over examples.
        high: Nats, the upper end.
        highest: Nats, the largest mean loss.
        mean: Nats, the mean of the loss by length.
    """

    points: StoredPath
    dataset: str
    shares: np.ndarray
    losses: np.ndarray
    accuracy: np.ndarray
    barrier: float
    low: float
    high: float
    highest: float
    mean: float

    @property
    def length(self) -> float:
        """Euclidean."""
        return float(self.points.lengths[-1])

    @property
    def distance(self) -> float:
        """Between its ends; NaN where the store does not say."""
        return float(self.points.notes.get("distance", np.nan))


def ways_between(contents: Results) -> dict[tuple[str, ...], list[StoredPath]]:
    """The ways that are measured whole, by their two ends; layer-wise ones are not among them."""
    found: dict[tuple[str, ...], list[StoredPath]] = {}
    for points in contents.points.values():
        if len(points.models) == 2 and not points.is_surface and points.evaluated.all():
            found.setdefault(points.models, []).append(points)
    return found


def layer_ways(contents: Results) -> list[StoredPath]:
    """The ways along single groups of layers that are measured whole."""
    return [p for p in contents.points.values() if p.kind == "layers" and p.evaluated.all()]


def along(
    contents: Results,
    points: StoredPath,
    column: str,
    *,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Along:
    """Summarise a way.

    Args:
        contents: Its store.
        points: A way that is measured whole.
        column: A data set, or one of its groups as in the scores.
        n_resamples: Of the examples, for the barrier's interval.
        confidence: Of the interval.
        seed: Of the resampling.
    """
    name, rows = _rows(contents, column)
    losses = points.losses[name][:, rows]
    right = points.predictions[name][:, rows] == contents.datasets[name].labels[rows]
    total = points.lengths[-1]
    n = len(points.lengths)
    shares = points.lengths / total if total > 0 else np.linspace(0, 1, n)
    gap = bootstrap_gaps(
        losses,
        "barrier_height",
        shares,
        n_resamples=n_resamples,
        confidence=confidence,
        rng=seed,
    )
    means = losses.mean(1, dtype=np.float64)
    return Along(
        points=points,
        dataset=column,
        shares=shares,
        losses=means,
        accuracy=right.mean(1),
        barrier=float(gap.estimate),
        low=float(gap.low),
        high=float(gap.high),
        highest=float(means.max()),
        mean=float(path_mean(means, points.lengths)),
    )


def summarize(contents: Results, ways: Sequence[StoredPath], column: str) -> list[Along]:
    """Each way on one data set or group."""
    return [along(contents, points, column) for points in ways]


def _rows(contents: Results, column: str) -> tuple[str, np.ndarray]:
    """The data set that a column of scores belongs to, and which of its examples."""
    for name, data in contents.datasets.items():
        columns = group_rows(data.groups, len(data.labels), name)
        if column in columns:
            return name, np.asarray(columns[column])
    raise ConfigError(
        f"There are no examples of '{column}'.", expected=f"a data set or group of {contents.path}"
    )
