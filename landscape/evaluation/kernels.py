"""Which kernels the operations of a forward call: the fast ones of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

Linear = Literal["torch", "onednn", "packed"]
"""``torch`` as it is; oneDNN on the weights as they lie, or on weights that are packed once a
point. On a CPU torch multiplies fp32 matrices by MKL, which takes a slow path on AMD."""


class Kernels(TorchFunctionMode):
    """Reroutes linear layers and attention while it is active; the model is not changed.

    Args:
        linear: How linear layers of CPU weights are computed.
        weights: The mixed weights; packing is for these only, since they alone are known to stay
            as they are until ``new_point``.
    """

    def __init__(self, linear: Linear, weights: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self._linear = linear
        self._weights = {id(weight): weight for weight in weights}
        self._packed: dict[int, Tensor] = {}

    def new_point(self) -> None:
        """Forget what was packed: the weights have been set anew."""
        self._packed.clear()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.linear:
            return self._linear_layer(*args, **kwargs)
        if func is F.scaled_dot_product_attention and _batched(args[0]):
            return _attention(*args, **kwargs)
        return func(*args, **kwargs)

    def _linear_layer(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if weight.dtype != input.dtype and weight.dtype == torch.float32:
            # a head that is kept in fp32 under bf16
            return F.linear(input.float(), weight, None if bias is None else bias.float())
        if self._linear == "torch" or not weight.is_cpu or weight.dtype == torch.float64:
            return F.linear(input, weight, bias)
        if self._linear == "packed":
            if id(weight) not in self._weights:
                return F.linear(input, weight, bias)
            if id(weight) not in self._packed:
                n_rows = input.numel() // max(1, input.shape[-1])
                self._packed[id(weight)] = torch.ops.mkldnn._reorder_linear_weight(weight, n_rows)
            weight = self._packed[id(weight)]
        return torch.ops.mkldnn._linear_pointwise(input, weight, bias, "none", [], "")


def has_onednn() -> bool:
    """Whether this torch has oneDNN's linear layer."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")


def _batched(tensor: Tensor) -> bool:
    return torch._C._functorch.is_batchedtensor(tensor)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    if enable_gqa or dropout_p:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    return _fused_attention(query, key, value, attn_mask, is_causal, scale)


@torch.library.custom_op("landscape::attention", mutates_args=())
def _fused_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    is_causal: bool,
    scale: float | None,
) -> Tensor:
    output = F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=is_causal, scale=scale
    )
    return output.contiguous()


@_fused_attention.register_vmap
def _fold_points(
    info: Any,
    in_dims: tuple[int | None, ...],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    is_causal: bool,
    scale: float | None,
) -> tuple[Tensor, int]:
    """Points of weight space are more examples: torch has no vmap rule for its fused kernel."""
    n: int = info.batch_size

    def fold(tensor: Tensor, dim: int | None) -> Tensor:
        spread = tensor.expand(n, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        return spread.flatten(0, 1)

    q, k, v = (fold(t, d) for t, d in zip((query, key, value), in_dims[:3], strict=True))
    if mask is not None:
        if in_dims[3] is not None:
            mask = mask.movedim(in_dims[3], 0)
        if mask.ndim >= q.ndim:  # else it has no axis of examples and is the same for all
            rest = mask.shape[1 - q.ndim :]
            mask = mask.expand(n, q.shape[0] // n, *rest).flatten(0, 1)
    output = _fused_attention(q, k, v, mask, is_causal, scale)
    return output.unflatten(0, (n, -1)), 0
