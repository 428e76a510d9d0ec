"""Two-dimensional grids: through three anchors, along directions from one, on given axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from landscape.core.errors import ConfigError


class Grid:
    """Points row by row: all x of the lowest y first; of one axis, all x."""

    x: np.ndarray
    y: np.ndarray | None

    def _set_axes(self) -> None:
        # frozen, so that what was checked stays
        for name in ("x", "y"):
            if (values := getattr(self, name)) is None:
                continue
            x = np.asarray(values, dtype=np.float64)
            if x.ndim != 1 or not len(x) or not np.isfinite(x).all() or (np.diff(x) <= 0).any():
                raise ConfigError(
                    "A grid's positions must be finite and ascend.",
                    where=f"{type(self).__name__}({name})",
                    found=values,
                )
            object.__setattr__(self, name, x)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_y, n_x) or (n_x,), for a surface's arrays."""
        return (len(self.x),) if self.y is None else (len(self.y), len(self.x))

    @property
    def positions(self) -> np.ndarray:
        """(n_points, 2) coordinates row by row, or (n_x, 1)."""
        if self.y is None:
            return self.x[:, None]
        return np.stack([part.ravel() for part in np.meshgrid(self.x, self.y)], axis=1)

    def basis(self, positions: ArrayLike) -> np.ndarray:
        """(n_points, n_anchors) coefficients of any positions (n_points, n_axes)."""
        raise NotImplementedError

    def coefficients(self) -> np.ndarray:
        """(n_points, n_anchors)."""
        return self.basis(self.positions)


@dataclass(frozen=True, eq=False)
class Plane(Grid):
    """The plane through three anchors, in coordinates of true lengths.

    Corners usually come from ``coordinates(gram(anchors))``: the first anchor is the origin, the
    second lies on the x axis (as in Garipov et al. 2018, arXiv 1802.10026).

    Args:
        corners: (3, 2), where the anchors lie.
        x: (n_x,) ascending.
        y: (n_y,) ascending.
    """

    corners: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def __post_init__(self) -> None:
        corners = np.asarray(self.corners, dtype=np.float64)
        sides = corners[1:] - corners[0]
        if not abs(np.linalg.det(sides)) > 1e-9 * np.square(sides).sum():
            raise ConfigError(
                "The three points of a plane lie on one line.", found=corners.tolist()
            )
        object.__setattr__(self, "corners", corners)
        self._set_axes()

    @classmethod
    def around(cls, corners: ArrayLike, points: int = 21, margin: float = 0.2) -> Plane:
        """A grid that holds the three corners; see ``grid_around``."""
        x, y = grid_around(corners, points, margin)
        return cls(np.asarray(corners, dtype=np.float64), x, y)

    def basis(self, positions: ArrayLike) -> np.ndarray:
        """(n_points, 3) affine coordinates, rows that sum to 1, of any positions (n_points, 2)."""
        sides = self.corners[1:] - self.corners[0]
        moved = np.asarray(positions, dtype=np.float64) - self.corners[0]
        others = np.linalg.solve(sides.T, moved.T).T
        return np.column_stack([1 - others.sum(1), others])


@dataclass(frozen=True, eq=False)
class Directions(Grid):
    """A slice along one or two directions: theta(x, y) = centre + x d1 + y d2.

    Its anchors are the centre and the directions.

    Args:
        x: (n_x,) ascending steps along the first direction.
        y: (n_y,) ascending steps along the second, or None for a slice along the first alone.
    """

    x: np.ndarray
    y: np.ndarray | None = None

    def __post_init__(self) -> None:
        self._set_axes()

    def basis(self, positions: ArrayLike) -> np.ndarray:
        """(n_points, n_anchors) rows (1, x, y), of any positions."""
        steps = np.asarray(positions, dtype=np.float64)
        return np.column_stack([np.ones(len(steps)), steps])


@dataclass(frozen=True, eq=False)
class Span(Grid):
    """A grid on two axes that are combinations of the anchors, as principal axes are.

    theta(x, y) = origin @ anchors + x axes[0] @ anchors + y axes[1] @ anchors.

    Args:
        origin: (n_anchors,) coefficients of the point at (0, 0).
        axes: (2, n_anchors) coefficients of the axes.
        x: (n_x,) ascending.
        y: (n_y,) ascending.
    """

    origin: np.ndarray
    axes: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def __post_init__(self) -> None:
        for name in ("origin", "axes"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        self._set_axes()

    def basis(self, positions: ArrayLike) -> np.ndarray:
        """(n_points, n_anchors) coefficients of any positions (n_points, 2)."""
        return self.origin + np.asarray(positions, dtype=np.float64) @ self.axes


def grid_around(
    coordinates: ArrayLike, points: int, margin: float
) -> tuple[np.ndarray, np.ndarray]:
    """A grid that holds some places (n, 2) and a margin around them: x (n_x,) and y (n_y,).

    ``points`` lie along the longer side, spacing is the same along both; ``margin`` is a share of
    each side.
    """
    places = np.asarray(coordinates, dtype=np.float64)
    low, high = places.min(0), places.max(0)
    room = margin * (high - low)
    low, high = low - room, high + room
    if points < 2 or not (high > low).all():
        raise ConfigError(
            "A plane's grid needs two points or more and corners that are not on one line.",
            found=f"{points} points, corners {places.tolist()}",
        )
    step = (high - low).max() / (points - 1)
    n = np.maximum(2, np.ceil((high - low) / step - 1e-9).astype(int) + 1)
    middle = (low + high) / 2
    x, y = (middle[k] + step * (np.arange(n[k]) - (n[k] - 1) / 2) for k in (0, 1))
    return x, y
