"""Surfaces at no more points than their bends need: cells of a grid are split where it bends.

A cell is a rectangle of grid points with measured corners. Bends are those of log(loss + 0.01
nats): losses of a plane span orders of magnitude, its contours are drawn at steps of a factor, and
what lies below a hundredth of a nat is not told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import griddata

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Cell = tuple[int, int, int, int]  # first and last row, first and last column
Measure = Callable[[list[int]], ArrayLike]

FLOOR = 0.01  # nats


@dataclass(frozen=True, eq=False)
class RefinedSurface:
    """What was measured of a grid.

    Attributes:
        values: (n_points, n_sets) mean losses in nats, NaN where not evaluated.
        evaluated: (n_points,) whether a point was measured, now or before.
    """

    values: Array = field(repr=False)
    evaluated: Mask = field(repr=False)

    @property
    def saved(self) -> float:
        """The share of the points that were not evaluated."""
        return 1.0 - float(self.evaluated.mean())


def refine_surface(
    measure: Measure,
    shape: tuple[int, int],
    *,
    tolerance: float,
    coarse: int = 4,
    earlier: ArrayLike | None = None,
) -> RefinedSurface:
    """Measure a grid where it bends, and as densely as it bends.

    Every ``coarse``-th row and column, borders included, makes the first cells, and all of these
    are split once: about 4 / coarse^2 of the points are always measured. To split a cell is to
    measure its centre and the midpoints of its edges. Where one of them is farther than the
    tolerance from the bilinear interpolation of the corners, on any data set, the cell bends: its
    parts and every cell that touches it are split as well, so that a narrow valley beside a bend
    is found. Where it is smooth, the parts of a cell are off by a quarter of what the cell was.
    What is narrower than half of ``coarse``, and far from every bend, can be missed.

    Args:
        measure: From ascending flat indices to (n, n_sets) mean losses in nats; called once a
            level, and never twice for a point. A loss that is not finite bends nothing.
        shape: (n_y, n_x), at least 2 each.
        tolerance: How far log(loss + 0.01) may be off where it is interpolated: 0.1 is about a
            tenth of a loss. It is judged by midpoints and so is no bound; 0 splits whatever is
            not exactly bilinear.
        coarse: Rows and columns from one first line to the next, at least 1.
        earlier: (n_points, n_sets) losses of an earlier run, NaN where there is none; points that
            are there on all data sets are not measured again.
    """
    n_points = shape[0] * shape[1]
    values = np.full((n_points, 0), np.nan) if earlier is None else np.array(earlier, np.float64)
    evaluated = ~np.isnan(values).any(1) & (values.shape[1] > 0)
    values[~evaluated] = np.nan

    def ask(points: Iterable[tuple[int, int]]) -> None:
        """Measure the points, (row, column), that are not measured yet."""
        nonlocal values
        indices = {row * shape[1] + column for row, column in points}
        new = sorted(index for index in indices if not evaluated[index])
        if new:
            losses = np.asarray(measure(new), dtype=np.float64)
            if not values.shape[1]:
                values = np.full((n_points, losses.shape[1]), np.nan)
            values[new], evaluated[new] = losses, True

    cells = _first_cells(shape, coarse)
    ask(corner for cell in cells for corner in product(cell[:2], cell[2:]))
    near_bend = np.zeros(shape, dtype=bool)
    due = [cell for cell in cells if _can_split(cell)]
    while due:
        ask(point for cell in due for point in product(*_lines(cell)))
        logs = _to_log(values).reshape(*shape, -1)
        for cell in due:
            if _bend(logs, cell) > tolerance:
                near_bend[_window(cell)] = True
        whole = set(cells) - set(due)
        cells = sorted(whole | {part for cell in due for part in _cells(*_lines(cell))})
        due = [cell for cell in cells if _can_split(cell) and near_bend[_window(cell)].any()]
    return RefinedSurface(values, evaluated)


def fill_surface(
    values: ArrayLike,
    shape: tuple[int, int],
    evaluated: ArrayLike,
    *,
    log: bool = False,
) -> Array:
    """Interpolate a grid from some of its points, bilinearly in each cell of a refinement.

    Where the points are not those of cells, as after an interruption, the interpolation is linear
    between neighbours, and beyond them the nearest.

    Args:
        values: (n_points, ...), row by row; ignored where not evaluated.
        shape: (n_y, n_x).
        evaluated: (n_points,) bool.
        log: Whether the values are losses, to be interpolated in log(loss + 0.01).

    Returns:
        The shape of ``values``; evaluated values as they are, even if they are not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    flat = array.reshape(len(array), -1)
    done: Mask = np.asarray(evaluated, dtype=bool)
    heights = np.where(done[:, None], _to_log(flat) if log else flat, np.nan)
    surface, measured = heights.reshape(*shape, -1), done.reshape(*shape, 1)
    cells = _find_cells(measured[..., 0])
    if cells is None:
        surface = _scattered(surface)
    else:
        # small ones last: a large cell does not see the points amid its edges
        for cell in sorted(cells, key=lambda c: (c[0] - c[1]) * (c[3] - c[2])):
            inside, window = _bilinear(surface, cell), _window(cell)
            keep = measured[window] | ~np.isfinite(inside)
            surface[window] = np.where(keep, surface[window], inside)
    filled = surface.reshape(flat.shape)
    if log:
        filled = np.maximum(np.exp(filled) - FLOOR, 0.0)
    filled[done] = flat[done]
    return filled.reshape(array.shape)


def _to_log(losses: Array) -> Array:
    return np.log(np.maximum(losses, 0.0) + FLOOR)


def _cells(rows: Sequence[int], columns: Sequence[int]) -> list[Cell]:
    return [(*row, *column) for row, column in product(pairwise(rows), pairwise(columns))]


def _first_cells(shape: tuple[int, ...], coarse: int) -> list[Cell]:
    return _cells(*(sorted({*range(0, n, coarse), n - 1}) for n in shape))


def _can_split(cell: Cell) -> bool:
    return cell[1] - cell[0] > 1 or cell[3] - cell[2] > 1


def _window(cell: Cell) -> tuple[slice, slice]:
    """Its points, borders included."""
    return slice(cell[0], cell[1] + 1), slice(cell[2], cell[3] + 1)


def _lines(cell: Cell) -> tuple[list[int], list[int]]:
    """Rows and columns of the corners and midpoints; a side of length 1 has no midpoint."""
    top, bottom, left, right = cell
    return (
        sorted({top, (top + bottom) // 2, bottom}),
        sorted({left, (left + right) // 2, right}),
    )


def _bilinear(surface: Array, cell: Cell) -> Array:
    """(rows, columns, n_sets) of the cell, from its corners."""
    top, bottom, left, right = cell
    down = np.linspace(0, 1, bottom - top + 1)[:, None, None]
    across = np.linspace(0, 1, right - left + 1)[None, :, None]
    with np.errstate(invalid="ignore"):  # infinite corners
        first, last = (
            (1 - across) * surface[row, left] + across * surface[row, right]
            for row in (top, bottom)
        )
        return np.asarray((1 - down) * first + down * last)


def _bend(surface: Array, cell: Cell) -> float:
    """The farthest that a measured midpoint lies from the interpolation of the corners."""
    rows, columns = _lines(cell)
    inside = _bilinear(surface, cell)[
        np.ix_(np.subtract(rows, cell[0]), np.subtract(columns, cell[2]))
    ]
    with np.errstate(invalid="ignore"):
        off = np.abs(surface[np.ix_(rows, columns)] - inside)
    return float(off[np.isfinite(off)].max(initial=0.0))


def _find_cells(done: Mask) -> list[Cell] | None:
    """The cells whose corners the evaluated points are, from the points alone.

    The first lines' distance is not known: of those whose first points were all evaluated, the
    largest that leaves the fewest points in no corner.
    """
    best: list[Cell] | None = None
    most = 0
    for coarse in range(max(done.shape) - 1, 0, -1):
        cells = _first_cells(done.shape, coarse)
        corners = {corner for cell in cells for corner in product(cell[:2], cell[2:])}
        if not all(done[corner] for corner in corners):
            continue
        leaves = []
        while cells:
            cell = cells.pop()
            rows, columns = _lines(cell)
            if _can_split(cell) and done[np.ix_(rows, columns)].all():
                cells += _cells(rows, columns)
                corners |= set(product(rows, columns))
            else:
                leaves.append(cell)
        if len(corners) > most:
            best, most = leaves, len(corners)
        if most == done.sum():
            break
    return best


def _scattered(surface: Array) -> Array:
    """Linear interpolation of scattered points, in units of the grid's steps."""
    flat = surface.reshape(-1, surface.shape[-1])
    places = np.argwhere(np.ones(surface.shape[:2], dtype=bool))
    measured = np.isfinite(flat).all(1)
    if not measured.any():
        return surface
    there, heights = places[measured], flat[measured]
    filled = griddata(there, heights, places, method="nearest")
    if np.linalg.matrix_rank(there - there[0]) == 2:
        linear = griddata(there, heights, places, method="linear")
        filled = np.where(np.isfinite(linear), linear, filled)
    return np.asarray(filled).reshape(surface.shape)
