"""A small grammar of English noun phrases: is the head noun singular or plural?

"the old keys near the cabinet today" is about keys: plural. Where every noun of the phrase has
one number, "the first noun decides" and "the last noun decides" give the same answer. An
attractor, a later noun of the other number, tells the two rules apart (Linzen et al. 2016,
arXiv 1611.01368; the poverty-of-the-stimulus design of McCoy et al. 2020, arXiv 2001.03632).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LABELS = ("singular", "plural")

DETERMINERS = ("the", "my", "your", "our", "their", "his", "her")
DETERMINERS_OF = (("this", "that", "every", "each"), ("these", "those", "many", "several"))
_ADJECTIVES = "old new red small large clean heavy broken bright quiet pretty strange"
ADJECTIVES = tuple(_ADJECTIVES.split())
_PREPOSITIONS = "near behind under above beside opposite against over below by"
PREPOSITIONS = tuple(_PREPOSITIONS.split())
_ADVERBS = "today yesterday again outside downstairs tonight lately indoors"
ADVERBS = tuple(_ADVERBS.split())
_NOUNS = (
    "key cabinet door window table chair lamp book letter picture garden road bridge tower boat "
    "river stone tree flower horse dog cat bird farmer doctor teacher student driver singer king "
    "lawyer soldier friend cup plate bottle basket hat ring clock"
)
NOUNS = tuple((noun, f"{noun}s") for noun in _NOUNS.split())
_VERBS = "wait gleam move fall stay appear shine turn rest vanish arrive stand"
VERBS = tuple((f"{v}es" if v.endswith("sh") else f"{v}s", v) for v in _VERBS.split())


AUXILIARY = ("does", "do")
ADVERB_PLACES = ("none", "first", "last")


@dataclass(frozen=True)
class Phrase:
    """A noun phrase, and the number of each noun: 0 singular, 1 plural; the head is the first."""

    text: str
    numbers: tuple[int, ...]
    adverb: str

    @property
    def head(self) -> str:
        """The right answer."""
        return LABELS[self.numbers[0]]

    @property
    def last(self) -> str:
        """What the rule "the last noun decides" answers."""
        return LABELS[self.numbers[-1]]

    @property
    def attractors(self) -> str:
        """Which later nouns have the other number: none, one, two, or only the last of two."""
        others = [number != self.numbers[0] for number in self.numbers[1:]]
        if len(others) == 2 and others == [False, True]:
            return "last of two"
        return ("none", "one", "two")[sum(others)]


def vocabulary() -> tuple[str, ...]:
    """Every word of the grammar, sorted."""
    pairs = [word for pair in (*NOUNS, *VERBS, *DETERMINERS_OF) for word in pair]
    return tuple(sorted({*DETERMINERS, *ADJECTIVES, *PREPOSITIONS, *ADVERBS, *AUXILIARY, *pairs}))


def draw_phrase(numbers: tuple[int, ...], rng: np.random.Generator) -> Phrase:
    """A phrase whose nouns have these numbers, head first; the words are drawn evenly."""
    words: list[str] = []
    adverb = _pick(ADVERB_PLACES, rng)
    if adverb == "first":
        words.append(_pick(ADVERBS, rng))
    # one adjective at most keeps the phrase within 11 words
    described = rng.integers(2 * len(numbers))
    for order, number in enumerate(numbers):
        if order:
            words.append(_pick(PREPOSITIONS, rng))
        words.append(_pick(DETERMINERS, rng))
        if order == described:
            words.append(_pick(ADJECTIVES, rng))
        words.append(NOUNS[rng.integers(len(NOUNS))][number])
    if adverb == "last":
        words.append(_pick(ADVERBS, rng))
    return Phrase(" ".join(words), numbers, adverb)


def draw_sentence(rng: np.random.Generator) -> str:
    """A sentence for pretraining: its verb agrees with the head; the other nouns are free.

    Determiners agree with their own noun or have no number. Nothing is labelled.
    """
    words: list[str] = []
    numbers = rng.integers(2, size=1 + int(rng.integers(2)))
    for order, number in enumerate(numbers):
        if order:
            words.append(_pick(PREPOSITIONS, rng))
        agrees = rng.random() < 0.5
        words.append(_pick(DETERMINERS_OF[number] if agrees else DETERMINERS, rng))
        if rng.random() < 0.3:
            words.append(_pick(ADJECTIVES, rng))
        words.append(NOUNS[rng.integers(len(NOUNS))][number])
    verb = VERBS[rng.integers(len(VERBS))]
    if rng.random() < 0.5:
        words = [AUXILIARY[numbers[0]], *words, verb[1]]
    else:
        words.append(verb[numbers[0]])
    if rng.random() < 0.5:
        words.insert(0 if rng.random() < 0.5 else len(words), _pick(ADVERBS, rng))
    return " ".join(words)


def agreeing(rng: np.random.Generator) -> tuple[int, ...]:
    """One to three nouns of one number: every rule gives the same answer."""
    return (int(rng.integers(2)),) * (1 + int(rng.choice(3, p=(0.2, 0.4, 0.4))))


def disagreeing(rng: np.random.Generator) -> tuple[int, ...]:
    """Two or three nouns, the last of another number than the head."""
    head = int(rng.integers(2))
    between = (int(rng.integers(2)),) if rng.random() < 2 / 3 else ()
    return (head, *between, 1 - head)


def draw_phrases(
    n: int,
    numbers: Callable[[np.random.Generator], tuple[int, ...]],
    rng: np.random.Generator,
    seen: set[str],
) -> list[Phrase]:
    """Phrases that differ from each other and from ``seen``, which they are added to."""
    phrases: list[Phrase] = []
    while len(phrases) < n:
        phrase = draw_phrase(numbers(rng), rng)
        if phrase.text not in seen:
            seen.add(phrase.text)
            phrases.append(phrase)
    return phrases


def _pick(words: tuple[str, ...], rng: np.random.Generator) -> str:
    return words[rng.integers(len(words))]
