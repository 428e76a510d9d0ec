"""Losses and their gradients in the anchors, for what is trained in weight space.

Points are mixed in place, as for ``evaluate``. The point theta_k = sum_i c_ki anchor_i has
dL/d anchor_i = c_ki dL/d theta_k, so that no graph of the mixing is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape.checkpoints.anchors import Anchor, Params
from landscape.checkpoints.mix import Mixer
from landscape.evaluation.forward import (
    Batch,
    Loss,
    Transform,
    arguments,
    cross_entropy,
    eval_mode,
    logits_of,
    to_device,
)
from landscape.evaluation.plan import SMALL_MODEL
from landscape.paths import as_coefficients

Grads = dict[str, Tensor]


class Gradients:
    """A model whose loss is differentiated at linear combinations of anchors.

    The forward runs in eval mode: without dropout, the loss is a function of the weights alone.

    Args:
        model: As in ``evaluate``; it is not changed.
        n_points: At most this many points a call under ``vmap``.
        device: cuda where there is one, by default.
        precision: ``fp32``; ``bf16`` computes forward and backward under autocast, weights and
            gradients stay fp32; ``fp64``.
        strategy: ``vmap`` over the points, ``loop`` over them, or ``auto``: vmap for small models.
        loss: (logits (n, n_labels), labels (n,)) -> (n,) nats; cross-entropy by default.
        transform: Applied to the logits first.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        n_points: int = 1,
        device: str | torch.device | None = None,
        precision: Literal["fp32", "bf16", "fp64"] = "fp32",
        strategy: Literal["auto", "vmap", "loop"] = "auto",
        loss: Loss | None = None,
        transform: Transform | None = None,
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.dtype = torch.float64 if precision == "fp64" else torch.float32
        self._model, self._bf16 = model, precision == "bf16"
        self._loss, self._transform = loss or cross_entropy, transform
        is_small = sum(parameter.numel() for parameter in model.parameters()) < SMALL_MODEL
        self._stacked = strategy == "vmap" or (strategy == "auto" and is_small and n_points > 1)
        self._mixer = Mixer(model, self.dtype, self.device, n_points if self._stacked else 1)
        # buffers, of batch normalisation for instance, are mixed but have no gradient
        self._parameters = {name for name, p in model.named_parameters() if p.is_floating_point()}

    def load(self, anchors: Sequence[Anchor]) -> list[dict[str, Tensor]]:
        """The anchors' tensors on the device, checked; what is there already is not copied."""
        return self._mixer.load(anchors)

    def add(
        self,
        anchors: Sequence[Grads],
        coefficients: np.ndarray,
        batch: Batch,
        into: Sequence[Grads | None],
        weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """Add gradients of the weighted sum of the points' mean losses.

        Args:
            anchors: From ``load``.
            coefficients: (n_points, n_anchors).
            batch: Inputs and labels.
            into: For each anchor, tensors by name that its gradient is added to, or None.
            weights: (n_points,) of the sum; 1 / n_points by default.

        Returns:
            (n_points,) mean losses in nats.
        """
        matrix = as_coefficients(coefficients, len(anchors))
        share = np.full(len(matrix), 1 / len(matrix)) if weights is None else weights
        inputs, labels = batch
        moved = to_device(inputs, self.device, self.dtype), labels.to(self.device)
        losses = []
        with eval_mode(self._model):
            points = (self._vmapped if self._stacked else self._looped)(anchors, matrix, moved)
            for row, weight, (grads, loss) in zip(matrix, share, points, strict=True):
                for scale, target in zip((row * weight).tolist(), into, strict=True):
                    if target is not None and scale != 0:
                        for name, grad in grads.items():
                            target[name].add_(grad, alpha=scale)
                losses.append(loss)
        return torch.stack(losses).double().cpu().numpy()

    def _looped(
        self, anchors: Sequence[Grads], matrix: np.ndarray, batch: Batch
    ) -> Iterator[tuple[Grads, Tensor]]:
        """Each point's gradient and loss, one point after the other."""
        for row in matrix:
            with torch.no_grad():
                mixed = self._mixer.mix(anchors, row[None])
            point = {name: tensor[0].detach() for name, tensor in mixed.items()}
            leaves = {n: t.requires_grad_() for n, t in point.items() if n in self._parameters}
            loss = self._mean_loss(point, batch)
            grads = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
            named = {n: g for n, g in zip(leaves, grads, strict=True) if g is not None}
            yield named, loss.detach()

    def _vmapped(
        self, anchors: Sequence[Grads], matrix: np.ndarray, batch: Batch
    ) -> Iterator[tuple[Grads, Tensor]]:
        """The same, many points at once."""
        for start in range(0, len(matrix), self._mixer.n_points):
            with torch.no_grad():
                mixed = self._mixer.mix(anchors, matrix[start : start + self._mixer.n_points])
            points = {n: t for n, t in mixed.items() if n in self._parameters}
            rest = {n: t for n, t in mixed.items() if n not in points}
            # attention's fused kernels have no vmap rule together with a gradient
            with sdpa_kernel(SDPBackend.MATH):
                grads, losses = vmap(
                    grad_and_value(lambda point, rest: self._mean_loss(point | rest, batch)),
                    randomness="error",
                )(points, rest)
            for k, loss in enumerate(losses.detach()):
                yield {name: grad[k] for name, grad in grads.items()}, loss

    def _mean_loss(self, weights: Params, batch: Batch) -> Tensor:
        inputs, labels = batch
        args, kwargs = arguments(inputs)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            output = functional_call(self._model, dict(weights), args, kwargs)
        logits = logits_of(output)
        if self._transform is not None:
            logits = self._transform(logits)
        return self._loss(logits, labels).mean()
