"""How alike two partitions of a population are, and whether chance would make them so."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from landscape.analysis.basins.partitions.permute import check_resamples, permute
from landscape.core.arrays import Labels
from landscape.core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd


def adjusted_rand(first: ArrayLike, second: ArrayLike) -> float:
    """Adjusted Rand index: 1 for equal partitions, 0 expected by chance (Hubert and Arabie 1985).

    Args:
        first: (n_models,) labels, of any kind.
        second: (n_models,) labels.

    Raises:
        ConfigError: Labels that are none, or not equally many.
    """
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(*_check_two(first, second)))


def adjusted_mutual_information(first: ArrayLike, second: ArrayLike) -> float:
    """Mutual information, 1 for equal partitions, 0 expected by chance (Vinh et al. 2010).

    Args:
        first: (n_models,) labels, of any kind.
        second: (n_models,) labels.

    Raises:
        ConfigError: Labels that are none, or not equally many.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    return float(adjusted_mutual_info_score(*_check_two(first, second)))


def variation_of_information(
    first: ArrayLike, second: ArrayLike, *, normalized: bool = False
) -> float:
    """H(first | second) + H(second | first) in nats, a metric (Meila 2007).

    Args:
        first: (n_models,) labels, of any kind.
        second: (n_models,) labels.
        normalized: Divide by log n_models, its largest value: in [0, 1], and 0 for one model.

    Raises:
        ConfigError: Labels that are none, or not equally many.
    """
    a, b = _check_two(first, second)
    joint = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(joint, (a, b), 1 / len(a))
    i, j = np.nonzero(joint)
    cells = joint[i, j]
    given = np.log(cells / joint.sum(1)[i]) + np.log(cells / joint.sum(0)[j])
    nats = max(0.0, float(-(cells * given).sum()))  # rounding goes below 0
    return nats / np.log(len(a)) if normalized and len(a) > 1 else nats


def rand_p_value(
    first: ArrayLike,
    second: ArrayLike,
    *,
    n_resamples: int = 9999,
    rng: np.random.Generator | int | None = None,
) -> float:
    """How often labels at random models give an adjusted Rand index as high: a permutation test.

    Exact where there are no more permutations than ``n_resamples``.

    Args:
        first: (n_models,) labels, of any kind.
        second: (n_models,) labels.
        n_resamples: How many permutations.
        rng: A generator or a seed; seed 0 when absent.

    Returns:
        In (0, 1]; NaN where a partition has one block, or as many as models: no permutation
        changes it.

    Raises:
        ConfigError: Labels that are none, or not equally many, or no resamples.
    """
    a, b = _check_two(first, second)
    check_resamples(n_resamples)
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
        A row a pair of partitions: ``first``, ``second``, their ``blocks_first`` and
        ``blocks_second``, ``adjusted_rand``, ``p_value`` (see ``rand_p_value``; not adjusted for
        the number of rows), ``adjusted_mutual_information``, ``variation_of_information`` in nats
        and ``normalized_variation`` of it in [0, 1].

    Raises:
        ConfigError: Labels that are none, or not equally many, or no resamples.
    """
    import pandas as pd

    generator = np.random.default_rng(0 if rng is None else rng)
    columns = ["first", "second", "blocks_first", "blocks_second", "adjusted_rand", "p_value"]
    columns += ["adjusted_mutual_information", "variation_of_information", "normalized_variation"]
    rows = []
    for (one, a), (other, b) in combinations(partitions.items(), 2):
        pair = _check_two(a, b, where=f"{one} and {other}")
        rows.append(
            [
                one,
                other,
                *(int(labels.max()) + 1 for labels in pair),
                adjusted_rand(*pair),
                rand_p_value(*pair, n_resamples=n_resamples, rng=generator),
                adjusted_mutual_information(*pair),
                variation_of_information(*pair),
                variation_of_information(*pair, normalized=True),
            ]
        )
    return pd.DataFrame(rows, columns=columns)


def _check_two(
    first: ArrayLike, second: ArrayLike, where: str | None = None
) -> tuple[Labels, Labels]:
    """Labels from 0, one a block."""
    given = np.asarray(first), np.asarray(second)
    if any(labels.ndim != 1 for labels in given) or not 0 < len(given[0]) == len(given[1]):
        raise ConfigError(
            "The partitions do not label the same models.",
            where=where,
            expected="labels (n_models,) for both",
            found=f"shapes {given[0].shape} and {given[1].shape}",
        )
    if any(labels.dtype.kind == "f" and np.isnan(labels).any() for labels in given):
        raise ConfigError("A model has no label.", where=where, found="NaN")
    a, b = (np.unique(labels, return_inverse=True)[1] for labels in given)
    return a, b
