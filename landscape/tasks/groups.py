"""The groups of examples that a data set is cut into."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from landscape.core.errors import DataError


def group_rows(
    groups: dict[str, NDArray[Any]], n_examples: int, name: str
) -> dict[str, NDArray[np.bool_]]:
    """Which examples (n_examples,) belong to a data set and to each of its groups.

    Args:
        groups: From a grouping's name to (n_examples,) values; "" is no group.
        n_examples: How many there are.
        name: The data set's.

    Returns:
        By the name of a column of scores: ``name`` and, for every value of every grouping,
        ``name: value``; a value that two groupings give to different examples is
        ``name: value (grouping)`` from the second on.

    Raises:
        DataError: A grouping of another length.
    """
    rows = {name: np.ones(n_examples, dtype=bool)}
    for grouping, values in groups.items():
        cells = np.asarray(values)
        if cells.shape != (n_examples,):
            raise DataError(
                "A grouping does not match the labels.",
                where=f"{name}: {grouping}",
                expected=f"({n_examples},)",
                found=f"{cells.shape}",
            )
        for value in np.unique(cells[cells != ""]):
            column, chosen = f"{name}: {value}", cells == value
            if column in rows and not np.array_equal(rows[column], chosen):
                column += f" ({grouping})"
            rows[column] = chosen
    return rows
