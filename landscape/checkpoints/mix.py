"""Linear combinations of anchors, written into the same buffers again and again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from landscape.checkpoints.anchors import Anchor, Params, as_params
from landscape.checkpoints.read import Rows
from landscape.core.errors import ConfigError

# a last layer with fewer outputs is a classification head: its rounding is the logits' own
_HEAD_OUTPUTS = 32


class Mixer:
    """The weights of a model at linear combinations of anchors, in buffers that are reused.

    Args:
        model: Gives names, shapes and the buffers that no anchor holds.
        dtype: Of the mixed weights; in bf16, a classification head stays fp32.
        device: Where they lie.
        n_points: Points of weight space held at once.
        rows: For some parameters, the only rows that the batches use; no other row is mixed.

    Attributes:
        weights: For each name (n_points, *shape); overwritten by each ``mix``.
        n_parameters: Of the model.
    """

    def __init__(
        self,
        model: nn.Module,
        dtype: torch.dtype,
        device: torch.device,
        n_points: int = 1,
        rows: Rows | None = None,
    ) -> None:
        # mixing in fp32 costs little and keeps bf16's rounding to one step
        self.mix_dtype = torch.float64 if dtype == torch.float64 else torch.float32
        self.device, self.n_points = device, n_points
        parameters = {name: tensor.shape for name, tensor in model.named_parameters()}
        self.n_parameters = sum(shape.numel() for shape in parameters.values())
        self._parameters = list(parameters)
        self._buffers = [name for name, t in model.named_buffers() if t.is_floating_point()]
        self._shapes = {**parameters, **{n: t.shape for n, t in model.named_buffers()}}
        self._rows = {
            name: torch.as_tensor(np.asarray(used), dtype=torch.int64, device=device)
            for name, used in (rows or {}).items()
            if name in parameters
        }
        precise = _head(model) if dtype == torch.bfloat16 else set()
        self._dtypes = {n: self.mix_dtype if n in precise else dtype for n in self._shapes}
        self._models = {
            name: tensor.to(device).expand(n_points, *tensor.shape)
            for name, tensor in model.named_buffers()
            if not tensor.is_meta
        }
        self.weights: dict[str, Tensor] = {name: self._empty(name) for name in parameters}
        self.weights |= self._models
        largest = max((self._mixed_shape(name).numel() for name in parameters), default=0)
        self._scratch = torch.empty(largest, dtype=self.mix_dtype, device=device)

    def load(self, anchors: Sequence[Anchor]) -> list[dict[str, Tensor]]:
        """The anchors' tensors on the device, checked."""
        if not anchors:
            raise ConfigError("There are no anchors to evaluate.", where="evaluate(anchors)")
        states = [_state(anchor) for anchor in anchors]
        mixed = [name for name in self._buffers if all(name in state for state in states)]
        for name in self._buffers:
            if name in mixed and self.weights.get(name) is self._models.get(name):
                self.weights[name] = self._empty(name)
            elif name not in mixed and name in self._models:
                self.weights[name] = self._models[name]
        names = [*self._parameters, *mixed]
        return [
            {name: self._load(state, number, name) for name in names}
            for number, state in enumerate(states)
        ]

    def mix(self, anchors: Sequence[Params], matrix: np.ndarray) -> dict[str, Tensor]:
        """Set ``weights`` to (n_points, n_anchors) coefficients, and return as many points."""
        used = [
            [(float(c), anchor) for c, anchor in zip(row, anchors, strict=True) if c]
            for row in matrix
        ]
        for name in anchors[0]:
            for place, terms in enumerate(used):
                self._combine(
                    name, self.weights[name][place], [(c, anchor[name]) for c, anchor in terms]
                )
        return {name: tensor[: len(matrix)] for name, tensor in self.weights.items()}

    def _combine(self, name: str, out: Tensor, terms: list[tuple[float, Tensor]]) -> None:
        rows = self._rows.get(name)
        if len(terms) == 1 and terms[0][0] == 1:
            mixed = terms[0][1]  # an end of a path is the checkpoint itself, bit for bit
        elif rows is None and out.dtype == self.mix_dtype:
            add_up(terms, out)
            return
        else:
            shape = self._mixed_shape(name)
            mixed = add_up(terms, self._scratch[: shape.numel()].view(shape))
        if rows is None:
            out.copy_(mixed)
        else:
            out.index_copy_(0, rows, mixed.to(out.dtype))

    def _empty(self, name: str) -> Tensor:
        # rows that are never mixed stay zero: on a CPU, pages that are never touched
        make = torch.zeros if name in self._rows else torch.empty
        shape = (self.n_points, *self._shapes[name])
        return make(shape, dtype=self._dtypes[name], device=self.device)

    def _mixed_shape(self, name: str) -> torch.Size:
        """Of what is mixed of a tensor: its rows that are used, or all of it."""
        shape, rows = self._shapes[name], self._rows.get(name)
        return shape if rows is None else torch.Size((len(rows), *shape[1:]))

    def _load(self, state: Params, number: int, name: str) -> Tensor:
        shape = self._shapes[name]
        if name not in state:
            raise ConfigError(
                f"An anchor lacks the parameter '{name}'.",
                where=f"anchors[{number}]",
                expected=f"a tensor of shape {tuple(shape)}",
                found=f"{len(state)} other tensors",
            )
        tensor = state[name].detach()
        if name in self._rows and tensor.shape == shape:
            tensor = tensor[self._rows[name].to(tensor.device)]
        if tensor.shape != self._mixed_shape(name):
            raise ConfigError(
                f"An anchor has the parameter '{name}' in another shape.",
                where=f"anchors[{number}]",
                expected=tuple(self._mixed_shape(name)),
                found=tuple(tensor.shape),
            )
        return tensor.to(self.device, self.mix_dtype)


def add_up(terms: list[tuple[float, Tensor]], out: Tensor) -> Tensor:
    """Set ``out`` to the sum of coefficients times tensors; of two that sum to 1, by ``lerp``."""
    if not terms:
        return out.zero_()
    (c, first), *others = terms
    if len(others) == 1 and abs(c + others[0][0] - 1) < 1e-12:
        return torch.lerp(first, others[0][1], others[0][0], out=out)
    torch.mul(first, c, out=out)
    for c, tensor in others:
        out.add_(tensor, alpha=c)
    return out


def _head(model: nn.Module) -> set[str]:
    """The parameters of the last linear layer, where it has the few outputs of a classifier."""
    layers = [(n, module) for n, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not layers or layers[-1][1].out_features >= _HEAD_OUTPUTS:
        return set()
    name = layers[-1][0]
    return {f"{name}.{kind}" if name else kind for kind in ("weight", "bias")}


def _state(anchor: Anchor) -> Params:
    """An anchor's tensors by name, a module's buffers too."""
    if isinstance(anchor, nn.Module):
        return {**dict(anchor.named_parameters()), **dict(anchor.named_buffers())}
    return as_params(anchor)
