"""From a model's labels to the classes that a data set tells apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor


def collapse(
    classes: Sequence[Sequence[int]], how: Literal["max", "logsumexp"] = "max"
) -> Callable[[Tensor], Tensor]:
    """A function from logits (..., n_labels) to those of a data set's classes (..., n_classes).

    ``classes`` are the label indices that each stands for: HANS with entailment first is
    ``[[0], [1, 2]]``. They are joined by ``max`` (Juneja et al. 2023, arXiv 2205.12411), or by
    ``logsumexp``, which keeps the summed probability.
    """

    def join(logits: Tensor) -> Tensor:
        parts = [logits[..., list(members)] for members in classes]
        joined = [part.amax(-1) if how == "max" else part.logsumexp(-1) for part in parts]
        return torch.stack(joined, dim=-1)

    return join
