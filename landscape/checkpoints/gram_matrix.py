"""Inner products of checkpoints, tensor by tensor: all that lengths and coordinates need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landscape.checkpoints.anchors import Anchor, side_by_side
from landscape.checkpoints.read import Checkpoint
from landscape.core.progress import Track, silent

_BYTES_AT_ONCE = 1 << 28  # of all checkpoints' blocks, twice in float64 and once as they are


def gram(anchors: Sequence[Anchor]) -> np.ndarray:
    """(n_anchors, n_anchors) inner products of the anchors' differences from the first one.

    Tensors are read one at a time; products of fp32 tensors are summed in float64.

    Raises:
        ConfigError: No anchors, or parameters that differ in name or shape.
    """
    total = np.zeros((len(anchors), len(anchors)))
    for _, tensors in side_by_side(anchors, "gram(anchors)"):
        flat = [tensor.cpu().double().ravel() for tensor in tensors]
        rows = torch.stack([tensor - flat[0] for tensor in flat])
        total += (rows @ rows.T).numpy()
    return total


def weight_distances(checkpoints: Sequence[Checkpoint], track: Track[Any] = silent) -> np.ndarray:
    """Euclidean distances between all parameters of checkpoints.

    They come from inner products of the differences from the first checkpoint, summed in float64
    over blocks of every tensor, so that memory is bounded however many checkpoints there are and
    however large a tensor is. A distance is off by less than about 1e-7 of the largest distance
    from the first checkpoint.

    Returns:
        (n_checkpoints, n_checkpoints) float64, symmetric, zero on the diagonal.
    """
    size = max(1, _BYTES_AT_ONCE // (20 * len(checkpoints)))
    first, *others = checkpoints
    inner = gram([_Blocks(first, size, track), *(_Blocks(other, size) for other in others)])
    with np.errstate(invalid="ignore"):  # a weight that is infinite gives NaN
        square = np.diag(inner)[:, None] + np.diag(inner) - (inner + inner.T)
    distances = np.sqrt(np.maximum(square, 0))
    np.fill_diagonal(distances, 0)
    return distances


class _Blocks(Mapping[str, Tensor]):
    """A checkpoint's tensors in pieces of at most ``size`` values, read when asked for."""

    def __init__(self, checkpoint: Checkpoint, size: int, track: Track[Any] = silent) -> None:
        self._weights, self._size, self._track = checkpoint.params, size, track
        self._place = {
            f"{name} {shape} from {start}": (name, start)
            for name, shape in checkpoint.params.shapes.items()
            for start in range(0, int(np.prod(shape, dtype=np.int64)), size)
        }

    def __getitem__(self, key: str) -> Tensor:
        name, start = self._place[key]
        return self._weights[name].reshape(-1)[start : start + self._size]

    def __iter__(self) -> Iterator[str]:
        return iter(self._track(list(self._place), "block"))

    def __len__(self) -> int:
        return len(self._place)
