from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landscape.batches import Encoded, make_batches, tokenize
from landscape.tasks import Examples
from tests.tiny import make_tokenizer


def encoded(lengths: list[int], side: str = "right") -> Encoded:
    ids = [np.arange(1, n + 1) + 100 * i for i, n in enumerate(lengths)]
    return Encoded({"input_ids": ids}, {"input_ids": 0}, np.arange(len(lengths)), side)


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    budget=st.integers(1, 200),
    side=st.sampled_from(["right", "left"]),
)
def test_every_example_is_in_one_batch_within_the_budget(
    lengths: list[int], budget: int, side: str
) -> None:
    batches = make_batches(encoded(lengths, side), budget)
    assert sorted(batches.rows) == list(range(len(lengths)))
    place = 0
    for inputs, labels in batches:
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        rows = batches.rows[place : place + len(labels)]
        place += len(labels)
        assert labels.tolist() == rows.tolist()
        assert ids.shape[1] == max(lengths[row] for row in rows)  # no padding beyond the longest
        assert len(rows) == 1 or ids.numel() <= budget
        for row, line, used in zip(rows, ids, mask, strict=True):
            assert line[used.bool()].tolist() == list(np.arange(1, lengths[row] + 1) + 100 * row)
            assert not line[~used.bool()].any()


def test_pairs_are_tokenised_as_the_tokenizer_does() -> None:
    examples = Examples(
        name="x",
        texts=(("the cat", "dogs"), ("a dog runs", "unheard")),
        labels=np.array([0, 1]),
        label_names=("a", "b"),
        classes=((0,), (1,)),
        groups={},
        metric="accuracy",
    )
    tokenizer = make_tokenizer()
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    (batch,) = make_batches(tokenize(tokenizer, examples))
    expected = tokenizer(["dogs", "the cat"], ["unheard", "a dog runs"], padding=True)
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        assert batch[0][name].tolist() == expected[name]
    assert batch[1].tolist() == [1, 0]
    cut = tokenize(tokenizer, examples, max_length=5)
    assert cut.lengths.tolist() == [5, 5]
