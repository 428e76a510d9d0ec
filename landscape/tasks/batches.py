"""Texts to tokens, once for a whole population, and tokens to length-sorted batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from landscape.tasks import Examples

Batch = tuple[dict[str, Tensor], Tensor]


@dataclass(frozen=True)
class Encoded:
    """Tokenised examples.

    Attributes:
        columns: The tokenizer's outputs but the attention mask: for each, n_examples int arrays.
        padding: The value that fills each column.
        labels: (n_examples,) class indices.
        padding_side: ``right`` or ``left``.
    """

    columns: dict[str, list[np.ndarray]]
    padding: dict[str, int]
    labels: np.ndarray
    padding_side: str = "right"

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> np.ndarray:
        """(n_examples,) tokens in each example."""
        return np.array([len(ids) for ids in self.columns["input_ids"]], dtype=np.int64)

    def pad(self, rows: np.ndarray) -> Batch:
        """One batch of these examples, padded to its own longest, with an attention mask."""
        ids = self.columns["input_ids"]
        lengths = np.array([len(ids[row]) for row in rows], dtype=np.int64)[:, None]
        places = np.arange(lengths.max())
        is_left = self.padding_side == "left"
        mask = places >= lengths.max() - lengths if is_left else places < lengths
        inputs = {}
        for name, values in self.columns.items():
            block = np.full(mask.shape, self.padding[name], dtype=np.int64)
            block[mask] = np.concatenate([values[row] for row in rows])
            inputs[name] = torch.from_numpy(block)
        inputs["attention_mask"] = torch.from_numpy(mask.astype(np.int64))
        return inputs, torch.from_numpy(self.labels[rows])


@dataclass(frozen=True)
class Batches(Sequence[Batch]):
    """Length-sorted batches in which equal token sequences stand once.

    Attributes:
        items: The batches; a label is that of the first example with this sequence.
        places: (n_examples,) where each example's sequence stands, counted through all batches.
        labels: (n_examples,) class indices in the order of the examples.
    """

    items: tuple[Batch, ...]
    places: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.items)

    @property
    def n_tokens(self) -> int:
        """Tokens that a forward pass computes on, padding included."""
        return sum(inputs["input_ids"].numel() for inputs, _ in self.items)


def tokenize(tokenizer: Any, examples: Examples, max_length: int = 128) -> Encoded:
    """Tokenise texts, or pairs of texts, cut to ``max_length`` tokens, special ones included."""
    limit = min(max_length, tokenizer.model_max_length or max_length)
    output = tokenizer(
        *(list(column) for column in examples.texts),
        truncation=True,
        max_length=limit,
        return_attention_mask=False,
    )
    columns = {
        name: [np.asarray(ids, dtype=np.int32) for ids in values]
        for name, values in output.items()
        if name in tokenizer.model_input_names
    }
    padding = dict.fromkeys(columns, 0)
    padding["input_ids"] = tokenizer.pad_token_id or 0
    if "token_type_ids" in columns:
        padding["token_type_ids"] = tokenizer.pad_token_type_id
    return Encoded(columns, padding, np.asarray(examples.labels), tokenizer.padding_side)


def make_batches(
    encoded: Encoded, token_budget: int = 2048, batch_cost: int | None = None
) -> Batches:
    """Cut the sequences, sorted by length, where padding and batches together cost least.

    Args:
        encoded: The examples; equal sequences are computed once.
        token_budget: Examples x longest of one batch; a longer sequence gets a batch of its own.
        batch_cost: What one more batch costs, in tokens' time: an eighth of the budget by default.
    """
    if batch_cost is None:
        batch_cost = token_budget // 8
    first, places = _distinct(encoded)
    lengths = encoded.lengths[first]
    order = np.argsort(lengths, kind="stable")
    items = [
        encoded.pad(first[order[start:stop]])
        for start, stop in _cuts(lengths[order], token_budget, batch_cost)
    ]
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Batches(tuple(items), rank[places], np.asarray(encoded.labels))


def used_tokens(batches: Iterable[Batches]) -> np.ndarray:
    """The token ids that occur in any of these batches, padding included, ascending."""
    ids = [inputs["input_ids"].numpy() for items in batches for inputs, _ in items]
    return np.unique(np.concatenate([np.unique(block) for block in ids]))


def _distinct(encoded: Encoded) -> tuple[np.ndarray, np.ndarray]:
    """The first example of each sequence, and which sequence each example has."""
    seen: dict[bytes, int] = {}
    first: list[int] = []
    places = np.empty(len(encoded), dtype=np.int64)
    for row in range(len(encoded)):
        key = b"|".join(values[row].tobytes() for values in encoded.columns.values())
        if key not in seen:
            seen[key] = len(first)
            first.append(row)
        places[row] = seen[key]
    return np.array(first, dtype=np.int64), places


def _cuts(lengths: np.ndarray, budget: int, batch_cost: int) -> list[tuple[int, int]]:
    """Where to cut ascending lengths so that tokens computed plus batch costs are fewest."""
    n = len(lengths)
    # a batch ends where the length changes, or where the budget is full
    ends = np.append(np.flatnonzero(np.diff(lengths)) + 1, n)
    best = {0: (0, 0)}  # from the number of examples cut so far to (cost, where the last cut began)
    for stop in ends:
        width = int(lengths[stop - 1])
        room = max(1, budget // max(width, 1))
        options = []
        for start in (0, *(end for end in ends if end < stop)):
            # an early part that overflows the budget is several batches of this width
            count = -(-(stop - start) // room)
            cost = best[start][0] + (stop - start) * width + count * batch_cost
            options.append((int(cost), int(start)))
        best[int(stop)] = min(options)
    cuts: list[tuple[int, int]] = []
    stop = n
    while stop:
        start = best[stop][1]
        room = max(1, budget // max(int(lengths[stop - 1]), 1))
        pieces = -(-(stop - start) // room)
        edges = np.linspace(start, stop, pieces + 1).astype(int)
        cuts[:0] = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        stop = start
    return cuts
