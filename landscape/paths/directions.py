"""Directions of weight space: random ones at the scale of the network, and given ones."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from landscape.checkpoints.anchors import Anchor, as_params, shape_of
from landscape.core.errors import ConfigError, require_known

Normalize = Literal["filter", "layer", "none"]
OneDimensional = Literal["zero", "norm"]


def random_direction(
    params: Anchor,
    rng: torch.Generator,
    *,
    normalize: Normalize = "filter",
    one_dimensional: OneDimensional = "zero",
) -> dict[str, Tensor]:
    """A Gaussian direction, scaled to the weights around which a slice is cut.

    Without scaling, a step of a given size means little to a layer with large weights and much to
    one with small weights. Filter normalisation (Li et al. 2018, arXiv 1712.09913) gives every
    filter of the direction the norm of the same filter of the weights. What a filter is:

    - a linear layer: a row of its weight, that is all weights into one output. Q, K and V are
      linear layers, and each of their rows belongs to one head;
    - an embedding: a row, that is the vector of one token, position or segment. A row of zeros
      (padding) has a direction of zero;
    - a tensor of more than two dimensions: a slice of the first one, as in a convolution;
    - LayerNorm weights and all biases are one-dimensional and have no filters: they stay where
      they are (Li et al.), or the whole tensor gets the norm of the weights' tensor.

    Args:
        params: A checkpoint, module, or mapping from name to tensor; tensors are read one at a
            time. Tensors of integers are left out.
        rng: Draws the numbers, in the order of the names. What is scaled, and how, does not
            change the draws.
        normalize: ``filter`` as above; ``layer`` gives each whole tensor the norm of the weights';
            ``none`` leaves the standard Gaussian numbers.
        one_dimensional: ``zero`` or ``norm``, as above, whatever ``normalize`` is.

    Returns:
        A tensor for each of the parameters; with ``filter`` and ``layer``, a step of 1 along it is
        about as long as the weights.

    Raises:
        ConfigError: A rule that is not known, or no parameters.
    """
    require_known("normalisation", normalize, get_args(Normalize), where="normalize")
    require_known("rule", one_dimensional, get_args(OneDimensional), where="one_dimensional")
    state = as_params(params)
    direction = {}
    for name in state:
        tensor = state[name].detach()
        if not tensor.is_floating_point():
            continue
        dtype = torch.promote_types(tensor.dtype, torch.float32)
        drawn = torch.randn(tensor.shape, generator=rng, device=rng.device, dtype=dtype)
        rule = normalize if tensor.ndim > 1 else one_dimensional
        direction[name] = _scaled(drawn.to(tensor.device), tensor, rule)
    if not direction:
        raise ConfigError("There are no parameters to draw a direction for.", where="params")
    return direction


def read_direction(file: Path, like: Anchor) -> dict[str, Tensor]:
    """A direction from a safetensors file, 0 in the parameters of ``like`` that it does not hold.

    Raises:
        ConfigError: No such file, a tensor that ``like`` lacks or has in another shape, or zeros
            and numbers that are not finite.
    """
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise ConfigError("The direction cannot be read.", where=file, found=error) from None
    params = as_params(like)
    for name, tensor in tensors.items():
        require_known("parameter", name, params, where=file)
        if tuple(tensor.shape) != shape_of(params, name):
            raise ConfigError(
                f"The direction has the parameter '{name}' in another shape.",
                where=file,
                expected=shape_of(params, name),
                found=tuple(tensor.shape),
            )
    total = sum(float(tensor.double().square().sum()) for tensor in tensors.values())
    if not 0 < total < np.inf:
        raise ConfigError("A direction is finite, and not zero.", where=file)
    direction = {name: torch.zeros_like(params[name]) for name in params}
    direction |= {name: tensor.to(direction[name]) for name, tensor in tensors.items()}
    return {name: tensor for name, tensor in direction.items() if tensor.is_floating_point()}


def _scaled(drawn: Tensor, weights: Tensor, rule: str) -> Tensor:
    if rule == "none" or not drawn.numel():
        return drawn
    if rule == "zero":
        return drawn.zero_()
    rows = len(drawn) if rule == "filter" else 1
    flat, filters = drawn.reshape(rows, -1), weights.reshape(rows, -1)
    norms = [
        torch.linalg.vector_norm(part, dim=1, keepdim=True, dtype=torch.float64)
        for part in (filters, flat)
    ]
    return flat.mul_((norms[0] / norms[1]).to(flat.dtype)).reshape(weights.shape)
