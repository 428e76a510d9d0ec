"""Where the loss of a pair rises most above the line between two of its points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landscape.analysis.barriers import RULES
from landscape.core.arrays import Array
from landscape.core.errors import ConfigError, require_known
from landscape.records import Results, StoredDataset

SLACK = 1e-12  # of the largest number: what is less is rounding


@dataclass(frozen=True)
class Peak:
    """The exact points of a pair, and where its curve stands highest over the rule's polygon.

    Attributes:
        losses: (n_seen, n_examples) nats.
        t: (n_seen,) positions.
        at: The triple among these points.
        points: The triple among all points of the grid; None where the gap is 0.
        weights: (2,) of the segment's ends.
        values: (n_examples,) contributions.
    """

    losses: Array
    t: Array
    at: list[int]
    points: list[int] | None
    weights: Array
    values: Array


def peak_of(results: Results, data: StoredDataset, pair: int, rule: str) -> Peak | None:
    """Of a pair's exact points; None where it has no finite gap."""
    seen = np.flatnonzero(results.exact[pair])
    losses = data.losses[pair][seen].astype(np.float64)
    if len(seen) < 2 or not np.isfinite(losses).all():
        return None
    t = results.positions[seen]
    at, weights, height = highest(losses.mean(1), t, rule)
    if height == 0:
        return Peak(losses, t, at, None, weights, np.zeros(losses.shape[1]))
    # example by example: a product of matrices rounds by where an example stands
    line = weights[0] * losses[at[0]] + weights[1] * losses[at[2]]
    values = losses[at[1]] - line
    return Peak(losses, t, at, seen[at].tolist(), weights, values)


def highest(curve: Array, t: Array, rule: str) -> tuple[list[int], Array, float]:
    """The triple (i, k, j), the weights of i and j in the line at k, and the rise; 0 if none."""
    corners = RULES[rule].corners
    assert corners is not None  # ``checked`` refuses other rules
    hull = corners(curve, t)
    height = curve - np.interp(t, t[hull], curve[hull])
    k = int(height.argmax())
    if k in hull or height[k] <= SLACK * np.abs(curve).max():
        return [0, 0, len(t) - 1], np.array([1.0, 0.0]), 0.0
    after = int(np.searchsorted(hull, k))
    i, j = hull[after - 1], hull[after]
    share = (t[k] - t[i]) / (t[j] - t[i])
    return [i, k, j], np.array([1 - share, share]), float(height[k])


def gap_without(peak: Peak, left_out: NDArray[np.int64], rule: str) -> float:
    """The gap, nats, its maximum taken anew without these examples; NaN without any example."""
    rest = np.delete(peak.losses, left_out, axis=1)
    return highest(rest.mean(1), peak.t, rule)[2] if rest.shape[1] else float("nan")


def checked(results: Results, dataset: str, rule: str) -> StoredDataset:
    """The data set, where its gaps by this rule are sums over its examples."""
    require_known("barrier rule", rule, RULES)
    if not RULES[rule].linear:
        raise ConfigError(
            "Only a gap that is linear in the losses is a sum over examples.",
            where="rule",
            expected=" or ".join(name for name, candidate in RULES.items() if candidate.linear),
            found=rule,
        )
    require_known("data set", dataset, results.datasets)
    data = results.datasets[dataset]
    if data.aggregated:
        raise ConfigError(
            "Of this data set only means over the examples are known.",
            where=f"data set '{dataset}' of {results.path}",
            fix="choose a data set with losses of single examples, or measure one",
        )
    return data
