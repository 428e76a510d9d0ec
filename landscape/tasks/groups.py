"""The groups of examples that a data set is cut into."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def group_rows(
    groups: dict[str, NDArray[Any]], n_examples: int, name: str
) -> dict[str, NDArray[np.bool_]]:
    """Which examples (n_examples,) belong to a data set and to each of its groups.

    ``groups`` go from a grouping's name to (n_examples,) values, of which "" is no group.

    Returns:
        By the name of a column of scores: ``name`` and, for every value of every grouping,
        ``name: value``; a value that two groupings give to different examples is
        ``name: value (grouping)`` from the second on.
    """
    rows = {name: np.ones(n_examples, dtype=bool)}
    for grouping, values in groups.items():
        cells = np.asarray(values)
        for value in np.unique(cells[cells != ""]):
            column, chosen = f"{name}: {value}", cells == value
            if column in rows and not np.array_equal(rows[column], chosen):
                column += f" ({grouping})"
            rows[column] = chosen
    return rows
