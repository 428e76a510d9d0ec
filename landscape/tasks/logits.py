"""From a model's labels to the classes that a data set tells apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor


def collapse(
    classes: Sequence[Sequence[int]], how: Literal["max", "logsumexp"] = "max"
) -> Callable[[Tensor], Tensor]:
    """A function that joins the logits of labels which are one class of a data set.

    Args:
        classes: For each class, the label indices that it stands for: HANS with entailment first
            is ``[[0], [1, 2]]``.
        how: ``max`` (Juneja et al. 2023, arXiv 2205.12411), or ``logsumexp``, which keeps the
            summed probability.

    Returns:
        Logits (..., n_labels) -> (..., n_classes).
    """

    def join(logits: Tensor) -> Tensor:
        parts = [logits[..., list(members)] for members in classes]
        joined = [part.amax(-1) if how == "max" else part.logsumexp(-1) for part in parts]
        return torch.stack(joined, dim=-1)

    return join
