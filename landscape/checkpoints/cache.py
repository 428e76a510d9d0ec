"""Keep as many checkpoints in memory as a budget allows."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor

from landscape.checkpoints.read import Checkpoint


class WeightCache:
    """Loaded weights, the least recently used one dropped when the budget is full.

    Args:
        budget: Bytes of fp32 weights to keep; at least the two ends of a pair are kept anyway.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._loaded: OrderedDict[str, dict[str, Tensor]] = OrderedDict()
        self.reads = 0

    def get(self, checkpoint: Checkpoint) -> dict[str, Tensor]:
        """The checkpoint's tensors, from memory where they are there."""
        key = str(checkpoint.path)
        if key in self._loaded:
            self._loaded.move_to_end(key)
            return self._loaded[key]
        size = max(1, checkpoint.params.n_bytes)
        capacity = max(2, self.budget // size)
        while len(self._loaded) >= capacity:
            self._loaded.popitem(last=False)
        self.reads += 1
        # clone: a mapped page that is read anew at every pair would defeat the budget
        self._loaded[key] = {name: tensor.clone() for name, tensor in checkpoint.params.items()}
        return self._loaded[key]

    def capacity(self, checkpoint: Checkpoint) -> int:
        """How many checkpoints of this size are kept."""
        return int(max(2, self.budget // max(1, checkpoint.params.n_bytes)))
