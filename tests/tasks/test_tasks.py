from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landscape.core.errors import LandscapeError
from landscape.tasks import (
    BUILTIN_TASKS,
    Examples,
    data_root,
    load_examples,
    load_task,
    sample_examples,
)
from landscape.tasks.logits import collapse

# rows of the real files, as their SOURCE pages state them
ROWS = {
    "mnli": {"train": 29340, "mnli_dev": 9815, "hans": 30000},
    "snli": {"train": 18000, "snli_test": 2000, "snli_hard": 3261, "breaking_nli": 8193},
    "qqp": {"qqp_dev": 7012, "paws_qqp": 677},
    "cola": {"train": 8551, "cola_in_domain": 527, "cola_out_of_domain": 516},
    "sst2": {"train": 60614, "sst2_dev": 872},
    "sentence_polarity": {"movie_reviews": 2000},
}


def task(**changes: Any) -> dict[str, Any]:
    data = {"file": "data.tsv", **changes}
    return {"name": "t", "labels": ["no", "yes"], "texts": ["text"], "in_domain": {"dev": data}}


def write(folder: Path, name: str, text: str) -> None:
    content = text.encode()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


def test_the_built_in_tasks_are_those_of_the_paper_and_more() -> None:
    assert set(BUILTIN_TASKS) == set(ROWS)


@pytest.mark.parametrize("name", BUILTIN_TASKS)
def test_real_files_have_the_rows_that_their_sources_state(name: str, shared_data: Path) -> None:
    chosen = load_task(name)
    for data in [*chosen.datasets, *(["train"] if chosen.train else [])]:
        examples = load_examples(chosen, data, shared_data)
        assert len(examples) == ROWS[name].get(data, len(examples))
        assert set(np.unique(examples.labels)) == set(range(len(examples.label_names)))
        assert all(text for column in examples.texts for text in column[:100])
        if chosen.focus and chosen.focus.startswith(f"{data}: "):
            group = chosen.focus.removeprefix(f"{data}: ")
            assert any(group in values for values in examples.groups.values())


def test_hans_has_its_heuristics_labels_and_subcases(shared_data: Path) -> None:
    hans = load_examples(load_task("mnli"), "hans", shared_data)
    assert hans.label_names == ("entailment", "non-entailment")
    assert hans.classes == ((0,), (1, 2))
    assert set(Counter(hans.groups["heuristic x label"]).values()) == {5000}
    assert len(Counter(hans.groups["heuristic x label"])) == 6
    assert len(Counter(hans.groups["subcase"])) == 30


def test_folds_share_no_sentence(shared_data: Path) -> None:
    chosen = load_task("sentence_polarity")
    train = load_examples(chosen, "train", shared_data)
    dev = load_examples(chosen, "sentence_polarity_dev", shared_data)
    assert len(train) + len(dev) == 10662
    assert not set(train.texts[0]) & set(dev.texts[0])
    assert 0.08 < len(dev) / 10662 < 0.12


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.tsv", 'text\tlabel\na "b\tno\nNA\tyes\n'),
        ("data.tsv.gz", 'text\tlabel\na "b\tno\nNA\tyes\n'),
        ("data.csv", 'text,label\n"a ""b",no\nNA,yes\n'),
        ("data.jsonl", '{"text": "a \\"b", "label": "no"}\n{"text": "NA", "label": "yes"}\n'),
        ("data.jsonl.gz", '{"text": "a \\"b", "label": "no"}\n{"text": "NA", "label": "yes"}\n'),
    ],
)
def test_file_kinds_give_the_same_rows(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path, name, text)
    examples = load_examples(load_task(task(file=name)), "dev", tmp_path)
    assert examples.texts == (('a "b', "NA"),)
    assert examples.labels.tolist() == [0, 1]


def test_numbers_and_booleans_are_labels_too(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": 1, "right": True}, {"text": "b", "label": 0, "right": False}]
    write(tmp_path, "data.jsonl", "\n".join(map(json.dumps, rows)))
    spec = {"file": "data.jsonl", "labels": {0: "no", 1: "yes"}, "groups": ["right"]}
    examples = load_examples(load_task(task(**spec)), "dev", tmp_path)
    assert examples.labels.tolist() == [1, 0]
    assert examples.groups["right"].tolist() == ["true", "false"]


def test_where_keeps_rows_and_changes_the_hash(tmp_path: Path) -> None:
    write(tmp_path, "data.tsv", "text\tlabel\tkind\na\tno\tx\nb\tyes\ty\nc\tno\ty\n")
    whole = load_examples(load_task(task()), "dev", tmp_path)
    part = load_examples(load_task(task(where={"kind": ["y"]})), "dev", tmp_path)
    assert part.texts == (("b", "c"),)
    assert whole.content_hash() != part.content_hash()
    assert whole.content_hash() == load_examples(load_task(task()), "dev", tmp_path).content_hash()


@pytest.mark.parametrize(
    ("text", "changes", "message"),
    [
        ("text\tlabel\na\tmaybe\n", {}, "found: 'maybe'"),
        ("words\tlabel\na\tno\n", {}, "no column 'text'"),
        ("text\tlabel\n", {}, "no rows"),
        ("text\tlabel\na\tno\n", {"groups": ["kind"]}, "no column 'kind'"),
        ("text\tlabel\na\tno\n", {"labels": {"no": "nein"}}, "'nein', which is not one of"),
        ("text\tlabel\na\tno\n", {"labels": {"no": "no", "both": ["no", "yes"]}}, "two classes"),
        ("text\tlabel\na\tno\n", {"folds": {"n": 2, "use": [2]}}, r"folds must lie in 0\.\.1"),
        ("text\tlabel\na\tno\n", {"datasets": "x"}, "exactly one of 'file' and 'datasets'"),
        ("", {"file": "absent.tsv"}, "does not exist"),
    ],
)
def test_bad_data_gives_one_clear_error(
    tmp_path: Path, text: str, changes: dict[str, Any], message: str
) -> None:
    write(tmp_path, "data.tsv", text)
    with pytest.raises(LandscapeError, match=message):
        load_examples(load_task(task(**changes)), "dev", tmp_path)


def test_a_datasets_id_gives_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets", reason="datasets is an extra")
    (tmp_path / "rows").mkdir()
    write(tmp_path / "rows", "validation.csv", "text,label\na,0\nb,1\n")
    spec = {"file": None, "datasets": str(tmp_path / "rows"), "labels": {0: "no", 1: "yes"}}
    examples = load_examples(load_task(task(**spec)), "dev")
    assert examples.texts == (("a", "b"),)
    assert examples.labels.tolist() == [0, 1]
    with pytest.raises(LandscapeError, match="check the id"):
        load_examples(load_task(task(**{**spec, "split": "absent"})), "dev")


def test_damaged_gzip_is_named(tmp_path: Path) -> None:
    write(tmp_path, "data.tsv.gz", "text\tlabel\n" + "a\tno\n" * 1000)
    content = (tmp_path / "data.tsv.gz").read_bytes()
    (tmp_path / "data.tsv.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(LandscapeError, match=r"cannot be read.\n  where: .*data.tsv.gz"):
        load_examples(load_task(task(file="data.tsv.gz")), "dev", tmp_path)


def test_unknown_task_names_the_nearest() -> None:
    with pytest.raises(LandscapeError, match="did you mean 'mnli'"):
        load_task("mnil")


def test_data_root_from_argument_then_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDSCAPE_DATA", str(tmp_path))
    assert data_root() == tmp_path
    (tmp_path / "other").mkdir()
    assert data_root(tmp_path / "other") == tmp_path / "other"
    with pytest.raises(LandscapeError, match="not a folder"):
        data_root(tmp_path / "absent")
    monkeypatch.delenv("LANDSCAPE_DATA")
    assert data_root() is None


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6), data=st.data())
def test_samples_are_stratified_and_seeded(sizes: list[int], data: st.DataObject) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    n = data.draw(st.integers(1, len(labels)))
    names = tuple(map(str, range(len(sizes))))
    whole = Examples(
        "x",
        (tuple(map(str, range(len(labels)))),),
        labels,
        names,
        tuple((i,) for i in range(len(sizes))),
        {},
        "accuracy",
    )
    sample = sample_examples(whole, n, np.random.default_rng(3))
    assert len(sample) == n
    rows = [int(text) for text in sample.texts[0]]
    assert rows == sorted(set(rows))
    counts = np.bincount(sample.labels, minlength=len(sizes))
    assert (np.abs(counts - n * np.array(sizes) / len(labels)) < 1).all()
    again = sample_examples(whole, n, np.random.default_rng(3))
    assert again.content_hash() == sample.content_hash()


def test_collapsed_logits() -> None:
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).double()
    by_max = collapse(((0,), (1, 2)))(logits)
    assert torch.equal(by_max[:, 0], logits[:, 0])
    assert torch.equal(by_max[:, 1], torch.maximum(logits[:, 1], logits[:, 2]))
    by_sum = collapse(((0,), (1, 2)), "logsumexp")(logits)
    p = logits.softmax(-1)
    joined = torch.stack([p[:, 0], p[:, 1] + p[:, 2]], dim=-1)
    torch.testing.assert_close(by_sum.softmax(-1), joined)
