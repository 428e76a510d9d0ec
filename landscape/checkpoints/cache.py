"""Keep as many checkpoints in memory as a budget allows, and read the next ones ahead."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import torch
from torch import Tensor

from landscape.checkpoints.read import Checkpoint, Rows, Weights


class WeightCache:
    """Loaded fp32 weights, the least recently used checkpoint dropped when the budget is full.

    Each checkpoint is one allocation, which the next one takes over: memory does not fragment. One
    thread does all loading, so that what is prefetched loads while the caller computes.

    Args:
        budget: Bytes of weights to keep; at least the two ends of a pair are kept anyway.
        device: Where they are kept.
        rows: For some tensors, the only rows that are read and kept.
    """

    def __init__(
        self,
        budget: int,
        device: torch.device | str = "cpu",
        rows: Rows | None = None,
    ) -> None:
        self.budget = budget
        self.device = torch.device(device)
        self.reads = 0
        self._rows = dict(rows or {})
        self._loaded: OrderedDict[str, tuple[Tensor, dict[str, Tensor]]] = OrderedDict()
        self._lock = Lock()
        self._loader = ThreadPoolExecutor(1, "checkpoint-loader")

    def __enter__(self) -> WeightCache:
        return self

    def __exit__(self, *_: object) -> None:
        self._loader.shutdown(cancel_futures=True)

    def get(self, checkpoint: Checkpoint) -> dict[str, Tensor]:
        """The checkpoint's tensors, from memory where they are there."""
        # not behind what is being prefetched
        return self._in_memory(checkpoint) or self._loader.submit(self._load, checkpoint).result()

    def prefetch(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Begin to load these, where there is room beside the pair in use."""
        for checkpoint in checkpoints:
            if self.capacity(checkpoint) >= 4:
                self._loader.submit(self._load, checkpoint)

    def capacity(self, checkpoint: Checkpoint) -> int:
        """How many checkpoints of this size are kept."""
        return int(max(2, self.budget // max(1, self.n_bytes(checkpoint))))

    def n_bytes(self, checkpoint: Checkpoint) -> int:
        """What one checkpoint takes."""
        return self._selected(checkpoint).n_bytes

    def _selected(self, checkpoint: Checkpoint) -> Weights:
        return checkpoint.params.with_rows(self._rows)

    def _in_memory(self, checkpoint: Checkpoint) -> dict[str, Tensor] | None:
        key = str(checkpoint.path)
        with self._lock:
            if key not in self._loaded:
                return None
            self._loaded.move_to_end(key)
            return self._loaded[key][1]

    def _load(self, checkpoint: Checkpoint) -> dict[str, Tensor]:
        if loaded := self._in_memory(checkpoint):
            return loaded
        params = self._selected(checkpoint)
        flat: Tensor | None = None
        with self._lock:
            while len(self._loaded) >= self.capacity(checkpoint):
                _, (flat, _) = self._loaded.popitem(last=False)
        if flat is None or flat.numel() * 4 != params.n_bytes:
            flat = torch.empty(params.n_bytes // 4, device=self.device)
        views, place = {}, 0
        for name, shape in params.shapes.items():
            size = torch.Size(shape).numel()
            views[name] = flat[place : place + size].view(shape)
            views[name].copy_(params[name])
            place += size
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.reads += 1
        with self._lock:
            self._loaded[str(checkpoint.path)] = (flat, views)
        return views
