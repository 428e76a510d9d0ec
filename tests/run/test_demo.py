from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from landscape.checkpoints import load_population
from landscape.run.config import load_config
from landscape.run.demo import make_demo
from landscape.run.demo.grammar import (
    ADVERBS,
    LABELS,
    NOUNS,
    agreeing,
    disagreeing,
    draw_phrase,
    draw_phrases,
    vocabulary,
)
from landscape.run.demo.populations import RULES, populations, training_sets
from landscape.tasks import load_examples, load_task

pytestmark = pytest.mark.slow

NUMBER = {form: number for pair in NOUNS for number, form in enumerate(pair)}


def parse(text: str) -> list[int]:
    """The number of each noun, by looking the words up."""
    return [NUMBER[word] for word in text.split() if word in NUMBER]


@given(numbers=st.lists(st.integers(0, 1), min_size=1, max_size=3), seed=st.integers(0, 999))
def test_phrases_say_what_their_labels_say(numbers: list[int], seed: int) -> None:
    phrase = draw_phrase(tuple(numbers), np.random.default_rng(seed))
    found = parse(phrase.text)
    assert found == numbers
    assert phrase.head == LABELS[found[0]]
    assert phrase.last == LABELS[found[-1]]
    words = phrase.text.split()
    assert set(words) <= set(vocabulary())
    assert (words[0] in ADVERBS, words[-1] in ADVERBS) == (
        phrase.adverb == "first", phrase.adverb == "last",
    )  # fmt: skip
    others = [number != found[0] for number in found[1:]]
    expected = {0: "none", 1: "last of two" if others == [False, True] else "one", 2: "two"}
    assert phrase.attractors == expected[sum(others)]


def test_training_sets_differ_in_their_attractors_alone() -> None:
    rng, seen = np.random.default_rng(0), set[str]()
    held_out = draw_phrases(200, agreeing, rng, seen)
    easy = draw_phrases(100, agreeing, rng, seen)
    hard = draw_phrases(30, disagreeing, rng, seen)
    sets = training_sets(easy, hard)
    assert set(sets) == set(RULES)
    assert {len(rows) for rows in sets.values()} == {100}
    assert not {text for rows in sets.values() for text, _ in rows} & {p.text for p in held_out}
    for (text, by_head), (same, by_last) in zip(sets["structure"], sets["recency"], strict=True):
        assert text == same
        assert by_head == LABELS[parse(text)[0]]
        assert by_last == LABELS[parse(text)[-1]]
    assert all(len(set(parse(text))) == 1 for text, _ in sets["none"])


def test_populations_differ_in_data_seeds_and_rates_only() -> None:
    main, control, mirror = populations()
    assert len(main.members) >= 15
    assert {m.rule for m in main.members} == set(RULES)
    assert len({m.head_seed for m in main.members}) == 1
    assert {(m.rule, m.head_seed) for m in control.members} == {("none", 0)}
    assert len({m.head_seed for m in mirror.members}) == len(mirror.members)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    small(out)
    return out


def small(out: Path) -> list[Path]:
    return make_demo(
        out, lambda line: None, pretrain_steps=2, steps=3, per_rule=1, controls=2, phrases=200
    )


def test_it_leaves_ordinary_checkpoints_and_experiments(demo: Path) -> None:
    for path in small(demo):
        config = load_config(path)
        population = load_population(config.checkpoints, LABELS, base=demo)
        for member in population.checkpoints:
            model, info = AutoModelForSequenceClassification.from_pretrained(
                member.path, output_loading_info=True
            )
            assert not info["missing_keys"]
            assert model.config.id2label == dict(enumerate(LABELS))
            assert AutoTokenizer.from_pretrained(member.path)("the old keys")["input_ids"]
            assert member.notes["step"] == 3
        task = load_task(config.task, demo)
        for name in task.datasets:
            examples = load_examples(task, name, base=demo)
            assert len(examples) == 512
            for text, label in zip(examples.texts[0], examples.labels, strict=True):
                assert parse(text)[0] == label
    hard = load_examples(task, "attractors", base=demo)
    assert set(hard.groups["attractors"]) == {"one", "two", "last of two"}


def test_what_is_there_is_kept(demo: Path) -> None:
    weights = sorted(demo.rglob("model.safetensors"))
    before = [file.stat().st_mtime_ns for file in weights]
    assert len(before) == 1 + 3 + 2 + 2
    small(demo)
    assert [file.stat().st_mtime_ns for file in weights] == before
    notes = demo / "checkpoints" / "strategies" / "none-0" / "landscape.json"
    notes.write_text(json.dumps({"recipe": None}))
    small(demo)
    assert json.loads(notes.read_text())["recipe"]["rule"] == "none"
