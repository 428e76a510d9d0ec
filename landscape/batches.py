"""Texts to tokens, once for a whole population, and tokens to length-sorted batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
        lengths = self.lengths_of(rows)
        width = int(lengths.max())
        inputs = {}
        for name, values in self.columns.items():
            block = np.full((len(rows), width), self.padding[name], dtype=np.int64)
            for i, (row, length) in enumerate(zip(rows, lengths, strict=True)):
                block[i, self._span(width, length)] = values[row]
            inputs[name] = torch.from_numpy(block)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        for i, length in enumerate(lengths):
            mask[i, self._span(width, length)] = 1
        inputs["attention_mask"] = torch.from_numpy(mask)
        return inputs, torch.from_numpy(self.labels[rows])

    def lengths_of(self, rows: np.ndarray) -> np.ndarray:
        """(len(rows),) tokens in each of these examples."""
        ids = self.columns["input_ids"]
        return np.array([len(ids[row]) for row in rows], dtype=np.int64)

    def _span(self, width: int, length: int) -> slice:
        return slice(width - length, width) if self.padding_side == "left" else slice(length)


@dataclass(frozen=True)
class Batches(Sequence[Batch]):
    """Length-sorted batches that remember each example's place.

    Attributes:
        items: The batches.
        rows: (n_examples,) the original row of each example, in batch order.
    """

    items: tuple[Batch, ...]
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.items)

    @property
    def n_tokens(self) -> int:
        """Tokens that a forward pass computes on, padding included."""
        return sum(labels.shape[0] * _width(inputs) for inputs, labels in self.items)


def _width(inputs: dict[str, Tensor]) -> int:
    return inputs["input_ids"].shape[1]


def tokenize(tokenizer: Any, examples: Examples, max_length: int = 128) -> Encoded:
    """Tokenise texts, or pairs of texts, cut to ``max_length`` tokens.

    Args:
        tokenizer: A Hugging Face tokenizer.
        examples: One or two text columns.
        max_length: The longest sequence in tokens, special tokens included.
    """
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


def make_batches(encoded: Encoded, token_budget: int = 4096) -> Batches:
    """Sort by length and cut so that examples x longest stays within ``token_budget``.

    A sequence longer than the budget gets a batch of its own.
    """
    lengths = encoded.lengths
    order = np.argsort(lengths, kind="stable")
    items: list[Batch] = []
    start = 0
    while start < len(order):
        stop = start + 1
        # the sequences ascend, so the next one is the longest of a batch that holds it
        while stop < len(order) and (stop + 1 - start) * lengths[order[stop]] <= token_budget:
            stop += 1
        items.append(encoded.pad(order[start:stop]))
        start = stop
    return Batches(tuple(items), order)
