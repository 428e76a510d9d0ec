"""Train many small models at once: their weights stacked, the forward vectorised over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from landscape.checkpoints.anchors import Params

StackedBatch = tuple[Params, Tensor]


def train_stacked(
    model: nn.Module,
    params: Sequence[Params],
    batches: Iterable[StackedBatch],
    learning_rates: Sequence[float],
    *,
    rate: Callable[[int], float] = lambda step: 1.0,
    weight_decay: float = 0.01,
    clip: float | None = 1.0,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> list[dict[str, Tensor]]:
    """Train every start on its own batches by AdamW and cross-entropy.

    The losses of the models are summed; no model's loss depends on another's weights, so each
    gets exactly the gradient that it would get alone. Where operator launches dominate (small
    encoders, small batches) this is several times faster than one model after the other.

    Args:
        model: Gives the forward, called with a batch's inputs as keywords; returns logits or an
            object with ``.logits``. Its own weights are not touched. It must draw no random
            numbers (dropout off) and, if it is a transformer, use eager attention and a ready
            additive mask: vmap has no rule for what else transformers does.
        params: One start a model, all with the same names and shapes, every one of which is
            trained. Buffers stay the module's own. An embedding's ``padding_idx`` keeps its row
            from learning in the first model only (as of torch 2.13): mask padding.
        batches: One item a step: inputs, each (n_models, batch, ...), and labels
            (n_models, batch). Training ends when they do.
        learning_rates: One a model.
        rate: From the step (0, 1, ...) to the factor on the learning rates.
        weight_decay: Decoupled (Loshchilov & Hutter 2019, arXiv 1711.05101), on every weight.
        clip: The largest gradient norm, taken for each model alone; None leaves it free.
        on_step: Called after each step with its number and the losses (n_models,), in nats.

    Returns:
        The trained weights, in the order of ``params``.
    """
    stacked = {n: torch.stack([start[n].detach() for start in params]) for n in params[0]}
    for leaf in stacked.values():
        leaf.requires_grad_()
    peak = max(learning_rates)
    share = torch.tensor([value / peak if peak else 1.0 for value in learning_rates])
    optimizer = torch.optim.AdamW(
        list(stacked.values()), lr=peak, weight_decay=weight_decay, fused=True
    )

    def loss_of(leaf: dict[str, Tensor], inputs: dict[str, Tensor], labels: Tensor) -> Tensor:
        output = torch.func.functional_call(model, leaf, (), inputs)
        logits = output if isinstance(output, Tensor) else output.logits
        return nn.functional.cross_entropy(logits, labels)

    losses_of = torch.func.vmap(loss_of)
    for step, (inputs, labels) in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = peak * rate(step)
        losses = losses_of(stacked, dict(inputs), labels)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        if clip is not None:
            _clip(list(stacked.values()), clip)
        _step(optimizer, list(stacked.values()), share)
        optimizer.zero_grad()
        if on_step is not None:
            on_step(step, losses.detach())
    return [
        {name: leaf.detach()[i].clone() for name, leaf in stacked.items()}
        for i in range(len(params))
    ]


def _clip(leaves: list[Tensor], limit: float) -> None:
    """What ``clip_grad_norm_`` does, for each model alone."""
    grads = [leaf.grad for leaf in leaves if leaf.grad is not None]
    norms = torch.stack([grad.flatten(1).norm(dim=1) for grad in grads]).norm(dim=0)
    scale = (limit / (norms + 1e-6)).clamp(max=1.0)
    for grad in grads:
        grad.mul_(scale.view(-1, *[1] * (grad.ndim - 1)))


def _step(optimizer: torch.optim.Optimizer, leaves: list[Tensor], share: Tensor) -> None:
    """One step, each model with its share of the optimizer's learning rate.

    AdamW's change of the weights is proportional to the learning rate, decay included, so a
    model with a lower one goes that share of the way.
    """
    if bool((share == 1).all()):
        optimizer.step()
        return
    before = [leaf.detach().clone() for leaf in leaves]
    optimizer.step()
    with torch.no_grad():
        for leaf, old in zip(leaves, before, strict=True):
            leaf.copy_(old.lerp(leaf, share.view(-1, *[1] * (leaf.ndim - 1))))
