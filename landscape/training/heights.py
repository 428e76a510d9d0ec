"""How the volume of a simplex grows with one more vertex, and the gradient of its logarithm."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from landscape.checkpoints.anchors import Params
from landscape.checkpoints.gram_matrix import gram
from landscape.core.errors import ConfigError
from landscape.paths import volume

_COLUMNS = 1 << 16  # of a parameter at once: what fits in a processor's cache
_ROUNDING = 8.0  # heights below so many of its units are rounding


@dataclass(frozen=True)
class Foot:
    """Where a base is nearest to a vertex: coordinates along its edges, and the height squared.

    ``log_volume`` is that of base and vertex together, natural; minus infinity where the height is
    not told from rounding.
    """

    at: np.ndarray
    square: float
    log_volume: float


class Base:
    """Vertices that stay, tensors by name, and how their simplex's volume grows with one more.

    The volume is that of the base times the new vertex's height over it, divided by the number of
    edges; so the gradient of its logarithm in the new vertex is the vertex's component orthogonal
    to the base, divided by the height squared.
    """

    def __init__(self, vertices: Sequence[Params]) -> None:
        self._vertices = vertices
        inner = gram(vertices)
        size = volume(inner)
        if not size > 0:
            raise ConfigError(
                "The vertices of a simplex depend on each other: it has no volume.",
                fix="choose checkpoints of which none is a linear combination of the others",
            )
        self._inner = inner[1:, 1:]
        self._log = math.log(size) - math.log(len(vertices))

    def foot(self, vertex: Params) -> Foot:
        """Of the height from a vertex on the base."""
        n, sample = len(self._inner), next(iter(vertex.values()))
        products = torch.zeros(n, dtype=torch.float64, device=sample.device)
        size, height = products.new_zeros(2)
        for new, first, *others in _blocks(vertex, *self._vertices):
            size += torch.dot(new, new) + torch.dot(first, first)
            for place, other in enumerate(others):
                products[place] += torch.dot(new - first, other - first)
        at = np.linalg.solve(self._inner, products.cpu().numpy()) if n else np.zeros(0)
        # summed from the component itself: a difference of squares would lose small heights
        for part, _ in self._heights(vertex, at):
            height += torch.dot(part, part)
        square = float(height)
        is_seen = square > (_ROUNDING * torch.finfo(sample.dtype).eps) ** 2 * float(size)
        return Foot(at, square, self._log + math.log(square) / 2 if is_seen else -math.inf)

    def add_gradient(self, vertex: Params, foot: Foot, into: Params, scale: float) -> None:
        """Add ``scale`` times the log volume's gradient in the vertex whose foot is known."""
        for part, target in self._heights(vertex, foot.at, into):
            target.add_(part, alpha=scale / foot.square)

    def _heights(
        self, vertex: Params, at: np.ndarray, beside: Params | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The vertex's component orthogonal to the base, with another's values, block by block."""
        beside = vertex if beside is None else beside
        for new, target, first, *others in _blocks(vertex, beside, *self._vertices):
            part = new - first
            for share, other in zip(at.tolist(), others, strict=True):
                part.sub_(other - first, alpha=share)
            yield part, target


def _blocks(*states: Params) -> Iterator[tuple[Tensor, ...]]:
    """The states' values side by side, flat, some at a time; views where they lie in order."""
    for name in states[0]:
        rows = [state[name].reshape(-1) for state in states]
        for start in range(0, len(rows[0]), _COLUMNS):
            yield tuple(row[start : start + _COLUMNS] for row in rows)
