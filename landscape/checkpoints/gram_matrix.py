"""Inner products of checkpoints, tensor by tensor: all that lengths and coordinates need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from landscape.checkpoints.anchors import Anchor, side_by_side


def gram(anchors: Sequence[Anchor], origin: int = 0) -> np.ndarray:
    """(n_anchors, n_anchors) inner products of the anchors' differences from one of them.

    Tensors are read one at a time; products of fp32 tensors are summed in float64.

    Args:
        anchors: Modules, checkpoints, or mappings from name to tensor, of the same parameters.
        origin: Which anchor the differences are taken from.

    Raises:
        ConfigError: No anchors, or parameters that differ in name or shape.
    """
    total = np.zeros((len(anchors), len(anchors)))
    for _, tensors in side_by_side(anchors, "gram(anchors)"):
        flat = [tensor.cpu().double().ravel() for tensor in tensors]
        rows = torch.stack([tensor - flat[origin] for tensor in flat])
        total += (rows @ rows.T).numpy()
    return total
