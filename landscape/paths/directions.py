"""Directions of weight space: random ones at the scale of the network, and given ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from landscape.checkpoints.gram_matrix import Anchor, as_state, gram
from landscape.core.errors import ConfigError, require_known

Normalize = Literal["filter", "layer", "none"]
OneDimensional = Literal["zero", "norm"]

_DEPENDENT = 1e-9  # squared sine of the smallest angle that still makes a direction of its own


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
    state = as_state(params)
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


def random_directions(
    params: Anchor,
    rng: torch.Generator,
    n: int = 2,
    *,
    normalize: Normalize = "filter",
    one_dimensional: OneDimensional = "zero",
    orthogonalize: bool = False,
) -> list[dict[str, Tensor]]:
    """``n`` of ``random_direction``, one after the other; at a right angle if so asked.

    Args:
        params: As in ``random_direction``.
        rng: Draws the numbers.
        n: How many.
        normalize: As in ``random_direction``.
        one_dimensional: As in ``random_direction``.
        orthogonalize: Whether to pass them through ``orthogonal``; see there why not to.
    """
    made = [
        random_direction(params, rng, normalize=normalize, one_dimensional=one_dimensional)
        for _ in range(n)
    ]
    return orthogonal(made) if orthogonalize else made


def orthogonal(directions: Sequence[Anchor]) -> list[dict[str, Tensor]]:
    """The same directions at right angles: each less its shadows on those before it.

    The first one and all norms stay (Gram and Schmidt). After filter normalisation the norms of
    single filters do not stay exactly: taking the shadow away changes each filter by another
    factor. Random directions of so many dimensions are nearly orthogonal anyway, so that this is
    for given ones, or where exact angles matter more than exact filters.

    Args:
        directions: Each a mapping from name to tensor, all with the same names and shapes.

    Returns:
        As many, as new tensors.

    Raises:
        ConfigError: No directions, one of zero, one that the others before it make up, or names
            and shapes that differ.
    """
    states = [as_state(direction) for direction in directions]
    if not states:
        raise ConfigError("There are no directions.", where="orthogonal(directions)")
    names = [name for name in states[0] if states[0][name].is_floating_point()]
    zero = {name: states[0][name].new_zeros(()).expand(states[0][name].shape) for name in names}
    inner = gram([*states, zero], origin=len(states))[:-1, :-1]
    lengths = np.sqrt(inner.diagonal())
    rows = np.zeros_like(inner)  # of each result, in terms of the directions at unit length
    for k in range(len(states)):
        rows[k, k] = 1.0
        if lengths[k] > 0:
            cosines = inner[:k, k] / (lengths[:k] * lengths[k])
            shadows = rows[:k, :k] @ cosines
            left = 1 - shadows @ shadows
            if left > _DEPENDENT:
                rows[k, :k] = -shadows @ rows[:k, :k]
                rows[k] /= np.sqrt(left)
                continue
        raise ConfigError(
            "A direction depends on those before it, or is zero.",
            where=f"directions[{k}]",
            expected="directions that do not lie in one plane, line or point",
        )
    mixes = lengths[:, None] * rows / lengths[None]
    return [
        {name: _mixed([state[name] for state in states], mix) for name in names} for mix in mixes
    ]


def difference(a: Anchor, b: Anchor) -> dict[str, Tensor]:
    """The direction b - a: a step of 1 from ``a`` arrives at ``b``.

    Args:
        a: A checkpoint, module, or mapping from name to tensor, read one tensor at a time.
        b: The same, with at least the floating-point tensors of ``a``.

    Raises:
        ConfigError: ``b`` lacks a tensor of ``a`` or has it in another shape.
    """
    start, end = as_state(a), as_state(b)
    direction = {}
    for name in start:
        tensor = start[name].detach()
        if not tensor.is_floating_point():
            continue
        try:  # "name in end" would read the tensor once more
            other = end[name].detach()
        except KeyError:
            other = None
        if other is None or other.shape != tensor.shape:
            raise ConfigError(
                f"The parameter '{name}' is not the same in both.",
                where="difference(a, b)",
                expected=f"shape {tuple(tensor.shape)}",
                found="no such tensor" if other is None else f"shape {tuple(other.shape)}",
            )
        direction[name] = other.to(tensor) - tensor
    return direction


def _scaled(drawn: Tensor, weights: Tensor, rule: str) -> Tensor:
    if rule == "none" or not drawn.numel():
        return drawn
    if rule == "zero":
        return drawn.zero_()
    rows = len(drawn) if rule == "filter" else 1
    flat, filters = drawn.reshape(rows, -1), weights.reshape(rows, -1)
    size, own = (
        torch.linalg.vector_norm(part, dim=1, keepdim=True, dtype=torch.float64)
        for part in (filters, flat)
    )
    return flat.mul_((size / own).to(flat.dtype)).reshape(weights.shape)


def _mixed(tensors: Sequence[Tensor], mix: np.ndarray) -> Tensor:
    total = torch.zeros_like(tensors[0], dtype=torch.float64)
    for share, tensor in zip(mix, tensors, strict=True):
        if share:
            total += float(share) * tensor.detach()
    return total.to(tensors[0].dtype)
