from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landscape.tasks import Examples
from landscape.tasks.batches import Encoded, make_batches, tokenize, used_tokens
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
    assert sorted(batches.places) == list(range(len(lengths)))
    assert batches.labels.tolist() == list(range(len(lengths)))
    rows_in_order = np.argsort(batches.places)
    place = 0
    for inputs, labels in batches:
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        rows = rows_in_order[place : place + len(labels)]
        place += len(labels)
        assert labels.tolist() == rows.tolist()
        assert ids.shape[1] == max(lengths[row] for row in rows)  # no padding beyond the longest
        assert len(rows) == 1 or ids.numel() <= budget
        for row, line, used in zip(rows, ids, mask, strict=True):
            assert line[used.bool()].tolist() == list(np.arange(1, lengths[row] + 1) + 100 * row)
            assert not line[~used.bool()].any()


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    batch_cost=st.integers(0, 30),
)
def test_no_way_of_cutting_costs_less(lengths: list[int], batch_cost: int) -> None:
    """Against every way to cut the sorted lengths."""
    batches = make_batches(encoded(lengths), 10**6, batch_cost)
    ordered, n = sorted(lengths), len(lengths)
    cheapest = min(
        sum(
            (stop - start) * ordered[stop - 1] + batch_cost
            for start, stop in itertools.pairwise((0, *cuts, n))
        )
        for count in range(n)
        for cuts in itertools.combinations(range(1, n), count)
    )
    assert batches.n_tokens + batch_cost * len(batches) == cheapest


def test_equal_sequences_are_computed_once_and_read_out_everywhere() -> None:
    ids = [np.array(row) for row in ([1, 2], [3], [1, 2], [1, 2], [3, 4, 5])]
    kinds = [np.zeros_like(row) for row in ids]
    kinds[3] = np.array([0, 1])  # the same tokens, another segment
    columns = {"input_ids": ids, "token_type_ids": kinds}
    tokens = Encoded(columns, {"input_ids": 0, "token_type_ids": 0}, np.array([0, 1, 1, 0, 1]))
    batches = make_batches(tokens)
    flat = [
        (row[used.bool()].tolist(), kind[used.bool()].tolist())
        for inputs, _ in batches
        for row, kind, used in zip(
            inputs["input_ids"], inputs["token_type_ids"], inputs["attention_mask"], strict=True
        )
    ]
    assert len(flat) == 4
    for row, place in enumerate(batches.places):
        assert flat[place] == (ids[row].tolist(), kinds[row].tolist())
    assert batches.labels.tolist() == [0, 1, 1, 0, 1]
    used = sorted({int(i) for inputs, _ in batches for i in inputs["input_ids"].unique()})
    assert used_tokens([batches]).tolist() == used
    assert set(used) - {0} == {1, 2, 3, 4, 5}


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
