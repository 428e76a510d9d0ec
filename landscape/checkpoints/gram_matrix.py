"""Inner products of checkpoints, tensor by tensor: all that lengths and coordinates need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from landscape.core.errors import ConfigError

Anchor = nn.Module | Mapping[str, Tensor]


def gram(anchors: Sequence[Anchor], origin: int = 0) -> np.ndarray:
    """(n_anchors, n_anchors) inner products of the anchors' differences from one of them.

    Tensors are read one at a time, so that checkpoints on disk need not fit in memory; products
    of fp32 tensors are summed in float64.

    Args:
        anchors: Modules, checkpoints, or mappings from name to tensor, of the same parameters.
        origin: Which anchor the differences are taken from.

    Raises:
        ConfigError: No anchors, or parameters that differ in name or shape.
    """
    states = [as_state(anchor) for anchor in anchors]
    if not states:
        raise ConfigError("There are no anchors.", where="gram(anchors)")
    total = np.zeros((len(states), len(states)))
    for name in states[0]:
        tensors = [_tensor(state, name, number) for number, state in enumerate(states)]
        if not tensors[0].is_floating_point():
            continue
        shapes = {tuple(tensor.shape) for tensor in tensors}
        if len(shapes) > 1:
            raise ConfigError(
                f"The parameter '{name}' does not have the same shape in every anchor.",
                where="gram(anchors)",
                found=sorted(shapes),
            )
        flat = [tensor.detach().cpu().double().ravel() for tensor in tensors]
        rows = torch.stack([tensor - flat[origin] for tensor in flat])
        total += (rows @ rows.T).numpy()
    return total


def as_state(anchor: Anchor) -> Mapping[str, Tensor]:
    """An anchor's parameters by name."""
    if isinstance(anchor, nn.Module):
        return dict(anchor.named_parameters())
    return getattr(anchor, "params", anchor)


def _tensor(state: Mapping[str, Tensor], name: str, number: int) -> Tensor:
    if name not in state:
        raise ConfigError(
            f"An anchor lacks the parameter '{name}'.",
            where=f"anchors[{number}]",
            found=f"{len(state)} other tensors",
        )
    return state[name]
