"""Distances between models: one matrix regressed on others, and coordinates from one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from landscape.analysis.basins.checks import check_square
from landscape.analysis.statistics.permutation import (
    VALUES_AT_ONCE,
    block_codes,
    center_within,
    permute_within,
    share_at_least,
)
from landscape.analysis.statistics.predictors import basis
from landscape.core.arrays import Array, Indices, Mask

if TYPE_CHECKING:
    import pandas as pd


_ROOM = 3  # pairs that there must be beyond the predictors
_NOTHING = 1e-12  # share of a sum of squares that is rounding


def pair_regression(
    response: ArrayLike,
    predictors: Mapping[str, ArrayLike],
    *,
    n_permutations: int = 9999,
    conditions: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
) -> pd.DataFrame:
    """Multiple regression on distance matrices (Legendre, Lapointe and Casgrain 1994).

    Do gaps between two models explain how differently they score, given their distance and
    disagreement? P-values permute models, not pairs, by double semi-partialling (Dekker, Krackhardt
    and Snijders 2007): the residuals of one predictor given the others have rows and columns
    permuted together, and t of its coefficient is compared, two-sided. Pairs that are NaN in any
    matrix are left out. With ``conditions`` models are exchanged where they agree, and all numbers
    are about differences from the mean over the pairs that join the same two conditions.

    All matrices are (n_models, n_models), symmetric. The table has a row a predictor:
    ``predictor``; ``coefficient``, standardised; ``p_value``; ``r2_alone`` of a regression on this
    predictor only; ``r2`` of all together; ``n_pairs``; ``note`` where numbers are NaN.

    Raises:
        ConfigError: Matrices or conditions that do not match or are not symmetric.
    """
    import pandas as pd

    target = _check_distances(response, "distances of the response")
    n = len(target)
    matrices = [_check_distances(m, f"distances of {name}", n) for name, m in predictors.items()]
    generator = np.random.default_rng(0 if rng is None else rng)
    blocked = block_codes(conditions, n)
    orders, _ = permute_within(blocked, n_permutations, generator)
    pairs = np.triu_indices(n, 1)
    columns = np.stack([matrix[pairs] for matrix in matrices], axis=1)
    complete = np.isfinite(columns).all(1) & np.isfinite(target[pairs])
    ends = np.sort(blocked[np.stack(pairs, axis=1)[complete]], axis=1)
    cells = ends[:, 0] * n + ends[:, 1]  # the conditions that a pair joins
    y = _standardize(target[pairs][complete, None], cells)[:, 0]
    x = _standardize(columns[complete], cells)
    indicators = (cells[:, None] == np.unique(cells)).astype(np.float64)
    rows = pd.DataFrame({"predictor": [str(name) for name in predictors]})
    rows[["coefficient", "p_value", "r2_alone", "r2"]] = np.nan
    rows["n_pairs"], rows["note"] = int(complete.sum()), ""
    varied = np.array([bool(column.any()) for column in x.T])
    spanned = basis(np.concatenate([indicators, x], axis=1)) if len(x) else indicators
    if len(x) - (spanned.shape[1] - 1) < _ROOM:
        n_conditions = max(indicators.shape[1] - 1, 0)
        rows["note"] = f"{len(x)} pairs are too few for {x.shape[1] + n_conditions} predictors"
        return rows
    if not y.any():
        rows["note"] = "the response is constant"
        return rows
    rows["r2"] = ((spanned.T @ y) ** 2).sum() / len(y)
    slopes = np.linalg.lstsq(x, y)[0]
    for j in range(x.shape[1]):
        if not varied[j]:
            rows.loc[j, "note"] = "the predictor is constant"
            continue
        rows.loc[j, "r2_alone"] = (x[:, j] @ y / len(y)) ** 2
        others = basis(np.concatenate([indicators, np.delete(x, j, axis=1)], axis=1))
        left = x[:, j] - others @ (others.T @ x[:, j])
        if (left**2).sum() < _NOTHING * len(y):
            rows.loc[j, "note"] = "the predictor is a combination of the others"
            continue
        rows.loc[j, "coefficient"] = slopes[j]
        if len(orders) == 1:
            rows.loc[j, "note"] = "the conditions leave no models to exchange"
            continue
        residuals = np.full((n, n), np.nan)
        residuals[pairs[0][complete], pairs[1][complete]] = left / np.linalg.norm(left)
        residuals.T[pairs] = residuals[pairs]
        null = _semi_partial(residuals, y, others, complete, orders)
        observed = _semi_partial(residuals, y, others, complete, np.arange(n)[None])
        rows.loc[j, "p_value"] = share_at_least(null[np.isfinite(null)], observed[0])
    return rows


def principal_coordinates(distances: ArrayLike, n_components: int = 2) -> Array:
    """Coordinates (n_models, n_kept) whose Euclidean distances are nearest (Torgerson 1952).

    Classical scaling: eigenvectors of the doubly centered -distances^2 / 2 with positive
    eigenvalues, ``n_components`` at most, the largest first. The largest entry of each is positive.

    Raises:
        ConfigError: Distances that are no symmetric matrix.
    """
    matrix = _check_distances(distances, "distances")
    squares = np.where(np.eye(len(matrix), dtype=bool), 0, matrix) ** 2
    inner = -0.5 * (squares - squares.mean(0) - squares.mean(1)[:, None] + squares.mean())
    values, vectors = np.linalg.eigh(inner)
    values, vectors = values[::-1][:n_components], vectors[:, ::-1][:, :n_components]
    positive = values > 1e-10 * np.abs(inner).max(initial=0)
    coordinates: Array = vectors[:, positive] * np.sqrt(values[positive])
    sizes = np.abs(coordinates)
    # of entries that differ by rounding only, the first
    largest = (sizes >= sizes.max(0, initial=0) * (1 - 1e-9)).argmax(0)
    return coordinates * np.sign(coordinates[largest, np.arange(coordinates.shape[1])])


def _semi_partial(residuals: Array, y: Array, others: Array, known: Mask, orders: Indices) -> Array:
    """(n_orders,) t^2 / (t^2 + pairs left) of permuted residuals; NaN where too few remain."""
    n, k = len(residuals), others.shape[1]
    first, second = (index[known] for index in np.triu_indices(n, 1))
    freedom = len(y) - k - 1
    moments = np.column_stack([y, others])
    products = (others[:, :, None] * others[:, None]).reshape(len(y), k * k)
    shares = []
    step = max(1, VALUES_AT_ONCE // len(y))
    for start in range(0, len(orders), step):
        chosen = orders[start : start + step]
        moved = residuals.ravel()[chosen[:, first] * n + chosen[:, second]]
        if known.all():  # nothing moves in or out, and the basis stays orthonormal
            xy, x_others = np.split(moved @ moments, [1], axis=1)
            y_others = np.broadcast_to(others.T @ y, x_others.shape)
            x_slopes, y_slopes, left = x_others, y_others, freedom
            xx, yy = np.ones(len(chosen)), np.full(len(chosen), y @ y)
        else:
            here = np.isfinite(moved)
            weights, moved = here.astype(np.float64), np.where(here, moved, 0)
            xy, x_others = np.split(moved @ moments, [1], axis=1)
            xx, yy = (moved**2).sum(1), weights @ y**2
            y_others = weights @ (others * y[:, None])
            inverse = np.linalg.pinv((weights @ products).reshape(-1, k, k), hermitian=True)
            x_slopes = np.einsum("bij,bj->bi", inverse, x_others)
            y_slopes = np.einsum("bij,bj->bi", inverse, y_others)
            left = here.sum(1) - k - 1
        beside = xy[:, 0] - (x_slopes * y_others).sum(1)
        xx = xx - (x_slopes * x_others).sum(1)
        yy = yy - (y_slopes * y_others).sum(1)
        usable = (left > 0) & (xx > _NOTHING)
        r2 = np.minimum(beside**2 / np.where(usable, np.maximum(xx * yy, 1e-300), 1), 1)
        t2 = r2 * left
        spread = np.where(usable, t2 + (1 - r2) * freedom, 1)
        shares.append(np.where(usable, t2 / spread, np.nan))
    return np.concatenate(shares)


def _standardize(columns: Array, cells: Indices) -> Array:
    """Columns less their cells' means, of variance 1; those constant in all cells exactly 0."""
    moved = center_within(columns, cells)
    moved = moved / np.maximum(np.abs(moved).max(0, initial=0), 1e-300)
    return moved / np.where(moved.any(0), moved.std(0), 1) if len(moved) else moved


def _check_distances(values: ArrayLike, name: str, n_models: int | None = None) -> Array:
    matrix = np.array(values, dtype=np.float64)
    matrix[~np.isfinite(matrix)] = np.nan
    return check_square(matrix, name, None if n_models is None else (n_models, n_models))
