"""Train many small models at once: their weights stacked, the forward vectorised over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from landscape.checkpoints.anchors import Params
from landscape.training.loop import Report, silent, train

StackedBatch = tuple[Params, Tensor]


def train_stacked(
    model: nn.Module,
    params: Sequence[Params],
    batches: Iterator[StackedBatch],
    learning_rates: Sequence[float],
    steps: int,
    rate: Callable[[int], float],
    report: Report = silent,
) -> list[dict[str, Tensor]]:
    """Train every start on its own batches by AdamW and cross-entropy, gradients clipped to 1.

    The losses of the models are summed; no model's loss depends on another's weights, so each
    gets exactly the gradient that it would get alone. Where operator launches dominate (small
    encoders, small batches) this is several times faster than one model after the other.

    The model gives the forward; its own weights are not touched. It must draw no random numbers
    (dropout off) and, if it is a transformer, use eager attention and a ready additive mask: vmap
    has no rule for what else transformers does. An embedding's ``padding_idx`` keeps its row from
    learning in the first model only (as of torch 2.13): mask padding. There is one start in
    ``params`` and one learning rate a model; a batch is inputs, each (n_models, batch, ...), and
    labels (n_models, batch). ``rate`` goes from the step to the factor on the learning rates.
    """
    stacked = {n: torch.stack([start[n].detach() for start in params]) for n in params[0]}
    for leaf in stacked.values():
        leaf.requires_grad_()
    peak = max(learning_rates)
    share = torch.tensor([value / peak if peak else 1.0 for value in learning_rates])
    optimizer = torch.optim.AdamW(list(stacked.values()), lr=peak, weight_decay=0.01, fused=True)

    def loss_of(leaf: dict[str, Tensor], inputs: dict[str, Tensor], labels: Tensor) -> Tensor:
        output = torch.func.functional_call(model, leaf, (), inputs)
        logits = output if isinstance(output, Tensor) else output.logits
        return nn.functional.cross_entropy(logits, labels)

    losses_of = torch.func.vmap(loss_of)

    def step(number: int) -> float:
        inputs, labels = next(batches)
        for group in optimizer.param_groups:
            group["lr"] = peak * rate(number)
        losses = losses_of(stacked, dict(inputs), labels)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        _clip(list(stacked.values()))
        _step(optimizer, list(stacked.values()), share)
        optimizer.zero_grad()
        return losses.mean().item()

    train(f"{len(params)} models at once", steps, step, {}, recipe={}, report=report)
    return [
        {name: leaf.detach()[i].clone() for name, leaf in stacked.items()}
        for i in range(len(params))
    ]


def _clip(leaves: list[Tensor]) -> None:
    """What ``clip_grad_norm_`` does, for each model alone."""
    grads = [leaf.grad for leaf in leaves if leaf.grad is not None]
    norms = torch.stack([grad.flatten(1).norm(dim=1) for grad in grads]).norm(dim=0)
    scale = (1 / (norms + 1e-6)).clamp(max=1.0)
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
