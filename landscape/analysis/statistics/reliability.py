"""How well scores are measured: would other examples order the models alike?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from landscape.analysis.statistics.intervals import Range
from landscape.analysis.statistics.scores import METRICS, nested_in
from landscape.core.arrays import Array, Indices, Mask
from landscape.records import Results, StoredDataset
from landscape.tasks.groups import group_rows

_HALVES = 50


@dataclass(frozen=True)
class ScoreFacts:
    """What is known of columns of scores, as ``relate`` takes it.

    Attributes:
        reliability: Split-half reliability, where losses of single examples are known.
        parents: Of a group within another, that one.
        ranges: The least and largest score that there can be, where the metric is known.
    """

    reliability: dict[str, float]
    parents: dict[str, str]
    ranges: dict[str, Range]


def score_facts(results: Results, seed: int = 0) -> ScoreFacts:
    """Of every score that was computed from a store's predictions."""
    rng = np.random.default_rng(seed)
    facts = ScoreFacts({}, {}, {})
    for name, data in results.datasets.items():
        if data.aggregated:
            continue
        rows = group_rows(data.groups, len(data.labels), name)
        facts.parents.update(nested_in(rows))
        facts.reliability.update(_of_groups(data, rows, rng))
        least = -1.0 if data.metric == "matthews" else 0.0
        facts.ranges.update(dict.fromkeys(rows, (least, 1.0)))
    return facts


def _of_groups(
    data: StoredDataset, rows: Mapping[str, Mask], rng: np.random.Generator
) -> dict[str, float]:
    def measure(half: Indices) -> Array:
        return METRICS[data.metric](data.model_predictions[:, half], data.labels[half])

    return {name: split_half(measure, np.flatnonzero(chosen), rng) for name, chosen in rows.items()}


def split_half(
    measure: Callable[[Indices], Array],
    examples: Indices,
    rng: np.random.Generator,
    n_halves: int = _HALVES,
) -> float:
    """Split-half reliability of something that is measured of examples; at least 0.

    The correlation between random halves, its mean over several splits, stepped up to twice the
    examples (Spearman 1910; Brown 1910). NaN where values do not differ, or of one example.

    Args:
        measure: From places of examples to values, of models or of pairs of them.
        examples: (n_examples,) their places.
        rng: Of the splits.
        n_halves: How many splits.
    """
    middle = len(examples) // 2
    r = []
    for _ in range(n_halves if middle else 0):
        order = rng.permutation(examples)
        r.append(_correlation(measure(order[:middle]), measure(order[middle : 2 * middle])))
    known = np.array(r)[np.isfinite(r)]
    if not len(known):
        return float("nan")
    mean = max(float(known.mean()), 0.0)
    return 2 * mean / (1 + mean)


def _correlation(first: Array, second: Array) -> float:
    x, y = (np.asarray(values, dtype=np.float64) for values in (first, second))
    if len(x) < 3 or not (np.ptp(x) > 0 and np.ptp(y) > 0):
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])
