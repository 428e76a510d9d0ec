"""How alike two partitions of a population are, and whether chance would make them so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import permutation_test
from sklearn.metrics import adjusted_rand_score

from landscape.core.arrays import Labels
from landscape.core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

VALUES_AT_ONCE = 1 << 21  # of labels, predictions or distances: 16 MB


def compare_partitions(
    partitions: Mapping[str, ArrayLike],
    *,
    n_resamples: int = 9999,
    rng: np.random.Generator | int | None = None,
) -> pd.DataFrame:
    """Compare any two partitions of one population.

    Args:
        partitions: From a name to labels (n_models,), of any kind.
        n_resamples: Of the permutation tests.
        rng: A generator or a seed; seed 0 when absent.

    Returns:
        A row a pair of partitions: ``first``, ``second``, ``adjusted_rand`` (1 for equal
        partitions, 0 expected by chance; Hubert and Arabie 1985), ``p_value`` (see
        ``rand_p_value``; not adjusted for the number of rows), and ``variation_of_information`` in
        nats, a metric (Meila 2007).

    Raises:
        ConfigError: Labels that are none, or not equally many.
    """
    import pandas as pd

    generator = np.random.default_rng(0 if rng is None else rng)
    columns = ["first", "second", "adjusted_rand", "p_value", "variation_of_information"]
    rows = []
    for (first, labels), (second, others) in combinations(partitions.items(), 2):
        pair = _check_two(labels, others, where=f"{first} and {second}")
        p_value = rand_p_value(*pair, n_resamples=n_resamples, rng=generator)
        index = float(adjusted_rand_score(*pair))
        rows.append([first, second, index, p_value, _variation_of_information(*pair)])
    return pd.DataFrame(rows, columns=columns)


def rand_p_value(
    first: ArrayLike,
    second: ArrayLike,
    *,
    n_resamples: int = 9999,
    rng: np.random.Generator | int | None = None,
) -> float:
    """How often labels at random models give an adjusted Rand index as high: a permutation test."""
    a, b = _check_two(first, second)
    if {int(a.max()) + 1, int(b.max()) + 1} & {1, len(a)}:
        return np.nan
    n_cells = (int(a.max()) + 1) * (int(b.max()) + 1)
    cells = a * (int(b.max()) + 1)

    def index(order: Any, axis: int) -> Any:
        """Sum of squared contingencies: the adjusted Rand index rises with nothing else."""
        rows = (cells[order] + b).reshape(-1, len(b))
        places = rows + n_cells * np.arange(len(rows))[:, None]
        counts = np.bincount(places.ravel(), minlength=n_cells * len(rows))
        return (counts.reshape(len(rows), n_cells) ** 2).sum(1).reshape(order.shape[:-1])

    return permute(index, len(a), len(a), "greater", n_resamples, rng)


def _variation_of_information(a: Labels, b: Labels) -> float:
    """H(a | b) + H(b | a) in nats."""
    joint = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(joint, (a, b), 1 / len(a))
    i, j = np.nonzero(joint)
    cells = joint[i, j]
    conditional = np.log(cells / joint.sum(1)[i]) + np.log(cells / joint.sum(0)[j])
    return max(0.0, float(-(cells * conditional).sum()))  # rounding goes below 0


def _check_two(
    first: ArrayLike, second: ArrayLike, where: str | None = None
) -> tuple[Labels, Labels]:
    """Labels from 0, one a block."""
    both = np.asarray(first), np.asarray(second)
    if any(labels.ndim != 1 for labels in both) or not 0 < len(both[0]) == len(both[1]):
        raise ConfigError(
            "The partitions do not label the same models.",
            where=where,
            expected="labels (n_models,) for both",
            found=f"shapes {both[0].shape} and {both[1].shape}",
        )
    a, b = (np.unique(labels, return_inverse=True)[1] for labels in both)
    return a, b


def permute(
    statistic: Callable[..., Any],
    n: int,
    n_values: int,
    alternative: Literal["greater", "two-sided"],
    n_resamples: int,
    rng: np.random.Generator | int | None,
) -> float:
    """The p-value of a statistic under all orders of the models; exact where they are few."""
    models: Any = (np.arange(n),)
    test = permutation_test(
        models,
        statistic,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=n_resamples,
        batch=max(1, VALUES_AT_ONCE // n_values),
        alternative=alternative,
        axis=-1,
        rng=np.random.default_rng(0 if rng is None else rng),
    )
    return float(test.pvalue)
