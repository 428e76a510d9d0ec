"""The last layer at the first token only: a classifier that pools it reads nothing else.

Keys and values are still needed at every token; queries, the attention's output and the
feed-forward network are not: five sixths of the last layer's products.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

# classifiers of these read the first token's last hidden state alone
_BERT_LIKE = {"bert", "camembert", "electra", "roberta", "xlm-roberta"}
_TOLERANCE = 1e-4


def read_first_token_only(model: nn.Module, params: Mapping[str, Tensor]) -> bool:
    """Let a classifier compute its last layer at the first token only, where that changes nothing.

    Its last layer's ``forward`` is replaced if, with these weights, the logits of two short
    sequences stay the same. Returns whether it was done.
    """
    config: Any = model.config
    base = getattr(model, str(model.base_model_prefix), None)
    if config.model_type in _BERT_LIKE and not getattr(config, "is_decoder", False):
        layer, forward = base.encoder.layer[-1], _bert_layer  # type: ignore[union-attr]
    elif config.model_type == "distilbert":
        layer, forward = base.transformer.layer[-1], _distilbert_layer  # type: ignore[union-attr]
    else:
        return False
    ids = torch.arange(4, 16).remainder(config.vocab_size).view(2, 6)
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0

    def logits() -> Tensor:
        with torch.no_grad():
            inputs = {"input_ids": ids, "attention_mask": mask}
            return functional_call(model, dict(params), (), inputs).logits

    whole = logits()
    layer.forward = types.MethodType(forward, layer)
    try:
        same = torch.allclose(logits(), whole, atol=_TOLERANCE, rtol=_TOLERANCE)
    except (AttributeError, RuntimeError, TypeError):  # another version's layer
        same = False
    if not same:
        del layer.forward
    return same


def _bert_layer(
    self: Any, hidden_states: Tensor, attention_mask: Any = None, *_: Any, **__: Any
) -> Tensor:
    attention = self.attention.self
    first = hidden_states[:, :1].contiguous()
    context = _attend(
        attention,
        (attention.query(first), attention.key(hidden_states), attention.value(hidden_states)),
        attention_mask,
    )
    return self.feed_forward_chunk(self.attention.output(context, first))


def _distilbert_layer(
    self: Any, hidden_states: Tensor, attention_mask: Any = None, *_: Any, **__: Any
) -> Tensor:
    attention = self.attention
    first = hidden_states[:, :1].contiguous()
    context = _attend(
        attention,
        (attention.q_lin(first), attention.k_lin(hidden_states), attention.v_lin(hidden_states)),
        attention_mask,
    )
    mixed = self.sa_layer_norm(attention.out_lin(context) + first)
    return self.output_layer_norm(self.ffn(mixed) + mixed)


def _attend(attention: Any, projected: tuple[Tensor, ...], mask: Tensor | None) -> Tensor:
    """The context (n, 1, hidden) of one query each."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    size = attention.attention_head_size
    heads = [t.view(*t.shape[:2], -1, size).transpose(1, 2) for t in projected]
    run: Callable[..., Any] = ALL_ATTENTION_FUNCTIONS.get_interface(
        attention.config._attn_implementation, _eager
    )
    if mask is not None:
        mask = mask[:, :, :1]
    context, _ = run(attention, *heads, mask, dropout=0.0, scaling=attention.scaling)
    return context.flatten(2)


def _eager(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, scaling: float, **_: Any
) -> tuple[Tensor, None]:
    scores = query @ key.transpose(2, 3) * scaling
    if mask is not None:
        scores = scores + mask
    return (scores.softmax(-1) @ value).transpose(1, 2), None
