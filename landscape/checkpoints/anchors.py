"""What points of weight space are mixed from: modules, checkpoints, name-to-tensor mappings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor, nn

from landscape.checkpoints.read import Checkpoint, Weights
from landscape.core.errors import ConfigError

Params = Mapping[str, Tensor]
Anchor = nn.Module | Checkpoint | Params


def as_params(anchor: Anchor) -> Params:
    """An anchor's parameters by name; of a module, without its buffers."""
    if isinstance(anchor, nn.Module):
        return dict(anchor.named_parameters())
    return anchor.params if isinstance(anchor, Checkpoint) else anchor


def shape_of(params: Params, name: str) -> tuple[int, ...]:
    """A tensor's shape, of checkpoints without reading it."""
    return params.shapes[name] if isinstance(params, Weights) else tuple(params[name].shape)


def side_by_side(anchors: Sequence[Anchor], where: str) -> Iterator[tuple[str, list[Tensor]]]:
    """Each floating-point parameter of the first anchor, as it is in all of them.

    Tensors are read one name at a time, so that checkpoints on disk need not fit in memory.

    Raises:
        ConfigError: No anchors, or parameters that differ in name or shape.
    """
    if not anchors:
        raise ConfigError("There are no anchors.", where=where)
    first, *others = [as_params(anchor) for anchor in anchors]
    for name in first:
        tensors = [first[name].detach()]
        if not tensors[0].is_floating_point():
            continue
        for number, other in enumerate(others, start=1):
            try:  # "name in other" could read the tensor once more
                tensors.append(other[name].detach())
            except KeyError:
                raise ConfigError(
                    f"An anchor lacks the parameter '{name}'.",
                    where=f"{where}, anchor {number}",
                    found=f"{len(other)} other tensors",
                ) from None
        shapes = {tuple(tensor.shape) for tensor in tensors}
        if len(shapes) > 1:
            raise ConfigError(
                f"The parameter '{name}' does not have the same shape in every anchor.",
                where=where,
                found=sorted(shapes),
            )
        yield name, tensors
