"""What the analysis found, in plain sentences made of its numbers and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from math import isfinite

from landscape.core.wording import (
    capital,
    count,
    in_words,
    listed,
    number,
    percent,
    short,
    verb,
)


class Averages(StrEnum):
    """Whether models average."""

    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"


class Agreement(StrEnum):
    """How two partitions go together."""

    SAME = "same"
    RELATED = "related"
    OTHER = "other"


class Answer(StrEnum):
    """What can be said of a population's basins."""

    ONE = "one"
    UNDECIDED = "undecided"
    BASINS = "basins"
    APART = "apart"
    BRIDGED = "bridged"
    CHAIN = "chain"
    MIXED = "mixed"


class Criterion(StrEnum):
    """What a barrier is a barrier of."""

    LOSS = "loss"
    CALIBRATED = "calibrated loss"
    ACCURACY = "accuracy"


def answer_sentence(
    answer: Answer,
    sizes: Sequence[int],
    *,
    criterion: Criterion,
    n_apart: int,
    n_pairs: int,
    tolerance: float,
    asked: float,
    beyond_noise: bool,
    gaps: tuple[float, float, float],
    at_least: int,
    aside: Sequence[str],
    n_clean: int,
    n_open: int,
    n_examples: int | None,
) -> str:
    """Which models share a basin, or why no division into basins says it.

    Args:
        answer: What can be said.
        sizes: Of the basins, or of the connected parts where there are none.
        criterion: What the gaps are of: nats of loss, or shares of examples of accuracy.
        n_apart: Pairs with a barrier.
        n_pairs: All pairs.
        tolerance: Nats, as used.
        asked: Nats, as given.
        beyond_noise: Whether noise is known.
        gaps: Nats: the lowest and the median gap of pairs with a barrier, and the largest that
            any gap could be.
        at_least: Basins that are certain.
        aside: Models that join several basins.
        n_clean: How many of the parts are basins.
        n_open: Pairs within a basin of which no barrier is shown, nor that there is none.
        n_examples: About as many as would show that there is no barrier.
    """

    def size(value: float) -> str:
        return f"{short(value)} nats" if of_loss else f"{100 * value:.2g} points"

    of_loss = criterion is not Criterion.ACCURACY
    n_models, limit = sum(sizes) + len(aside), size(tolerance)
    lowest, median, highest = gaps
    beyond = f"{limit} beyond noise" if beyond_noise else limit
    lines = f"{n_apart:,} of {count(n_pairs, 'line')}"
    open_ = f" ({n_open:,} undecided)" if n_open else ""
    have = verb(n_apart, "has", "have")
    if answer is Answer.ONE:
        which = (
            "the line has no barrier"
            if n_pairs == 1
            else f"none of {n_pairs:,} lines has a barrier"
        )
        text = f"One basin: {which} above {limit}; the largest possible is {size(highest)}."
    elif answer is Answer.UNDECIDED and not n_apart:
        would = f"; about {n_examples:,} examples would tell" if n_examples else ""
        text = f"No barrier was shown, but gaps up to {size(highest)} could be hidden{would}."
    elif answer is Answer.UNDECIDED:
        text = (
            f"Barriers were shown on {lines}, but not which models share a basin; more examples "
            "would tell."
        )
    elif answer is Answer.APART:
        text = (
            f"No two of {count(n_models, 'model')} share a basin: {lines} {have} a barrier above "
            f"{beyond} (lowest {size(lowest)}, median {size(median)})"
            f"{'' if at_least >= n_models else f'; {_certain(at_least, n_models)}'}."
        )
    elif answer in (Answer.BASINS, Answer.BRIDGED):
        text = f"{capital(in_words(len(sizes), 'basin'))} of {sizes_in_words(sizes)}"
        if aside:
            to = "both" if len(sizes) == 2 else "several"
            text += f", and {listed(aside, 4)}, joined to {to}"
        text += (
            f": {lines} {have} a barrier above {beyond}, none within a basin{open_}; "
            f"{_certain(at_least, len(sizes))}."
        )
    elif answer is Answer.CHAIN and len(sizes) == 1:
        text = (
            f"All {count(n_models, 'model')} are linked through others, but {lines} {have} a "
            f"barrier above {beyond}: no division into basins describes them."
        )
    else:
        which = "none is a basin: "
        if n_clean:
            others = verb(len(sizes) - n_clean, "other", "others")
            which = f"{n_clean} {verb(n_clean, 'is a basin', 'are basins')}; in the {others}, "
        text = (
            f"The models fall into {count(len(sizes), 'part')} of {listed(sizes, 8)}, of which "
            f"{which}models are linked through others though direct lines have barriers. In all, "
            f"{lines} {have} a barrier above {beyond}."
        )
    if tolerance > asked:
        text += f" The tolerance was raised from {size(asked)}: most gaps are not known better."
    return text


def sizes_in_words(sizes: Sequence[int]) -> str:
    """``6 each``; ``9, 3 and 2``; ``5 and 11 models alone``."""
    several, n_alone = [str(size) for size in sizes if size > 1], list(sizes).count(1)
    if len(sizes) > 1 and not several:
        return "one model each"
    if len(set(sizes)) == 1:
        return f"{sizes[0]}{' each' if len(sizes) > 1 else ''}"
    if n_alone < 2:
        return listed(sizes, 8)
    return listed([*several, f"{n_alone} models alone"], 8)


def _certain(at_least: int, n_basins: int) -> str:
    if at_least >= n_basins:
        return "all are certain"
    return f"at least {at_least} are certain" if at_least > 1 else "how many is not certain"


def criteria_sentences(
    criteria: Sequence[tuple[Criterion, Answer, int | None]], sentences: Sequence[str], same: bool
) -> list[str]:
    """The answers by several criteria, where they differ in one sentence first.

    Args:
        criteria: Each with its answer and the number of its basins; the loss is the first.
        sentences: Each answer in full.
        same: Whether all divide the models alike.
    """
    others = [criterion for criterion, _, _ in criteria[1:]]
    if same:
        return [sentences[0], *([f"The same comes out by {listed(others)}."] if others else [])]
    short_answers = [f"by {name} {_in_short(answer, n)}" for name, answer, n in criteria]
    first = capital("; ".join(short_answers)) + "."
    named = zip(criteria, sentences, strict=True)
    return [first, *(f"{capital(name)}: {_lower(text)}" for (name, _, _), text in named)]


def _in_short(answer: Answer, n_basins: int | None) -> str:
    return {
        Answer.ONE: "all models share one basin",
        Answer.UNDECIDED: "it is undecided",
        Answer.APART: "no two models share a basin",
        Answer.CHAIN: "models are linked, but in no basins",
        Answer.MIXED: "some models share basins, others are linked without",
    }.get(answer, f"there are {in_words(n_basins or 0, 'basin')}")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def averaging_sentence(
    verdict: Averages,
    models: Sequence[str],
    pair: tuple[str, str],
    *,
    rule: str,
    dataset: str,
    gap: float,
    low: float,
    high: float,
    confidence: float,
    tolerance: float,
    n_pairs: int,
    n_above: int,
    n_possible: int,
    unknown: bool,
    n_points: int,
) -> str:
    """Will these models average, by the largest gap between two of them?"""
    several = n_pairs > 1
    who = f"these {len(models)} models" if several else " and ".join(models)
    between = f", between {pair[0]} and {pair[1]}" if several else ""
    finding = (
        f"the {'largest ' if several else ''}{rule.replace('_', ' ')} on {dataset} is "
        f"{_nats(gap)} nats ({percent(confidence)} interval {_nats(low)} to {_nats(high)}){between}"
    )
    limit = f"{tolerance:g} nats"
    if verdict is Averages.UNCLEAR:
        why = f"{n_possible} of {n_pairs} gaps" if several else "it"
        why += f" could be above {limit}"
        if unknown:
            why = "points between them were left out that this rule or data set may need"
        return f"Whether {who} average is unclear: {finding}; {why}."
    who = capital(who) if several else who
    if verdict is Averages.YES:
        on = f" on this grid of {count(n_points, 'point')}"
        return f"{who} should average: {finding}; no interval reaches above {limit}{on}."
    if not isfinite(gap):
        return (
            f"{who} do not average: the loss on {dataset} between {pair[0]} and {pair[1]} is not "
            "finite."
        )
    how = "all of that is"
    if several:
        how = f"{n_above} of {n_pairs} intervals {verb(n_above, 'lies', 'lie')}"
    return f"{who} do not average well: {finding}; {how} above {limit}."


def _nats(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}"


def rules_sentence(
    by_rule: Sequence[tuple[str, int]], *, n_pairs: int, tolerance: float, beyond_noise: bool
) -> str:
    """How many pairs have a barrier by each rule: its name, and as many."""
    counts = [f"{n:,}" if n else "none" for _, n in by_rule]
    name, rest = by_rule[0][0], ""
    if len(set(counts)) > 1:
        rest = "".join(
            f", by {other} {n}" for (other, _), n in zip(by_rule[1:], counts[1:], strict=True)
        )
    elif len(by_rule) > 1:
        name = f"{listed([name for name, _ in by_rule])} alike"
    beyond = " beyond noise" if beyond_noise else ""
    exceed = verb(by_rule[0][1], "exceeds", "exceed")
    what = f"{counts[0]} of {count(n_pairs, 'pair')} {exceed} {short(tolerance)} nats{beyond}"
    return f"By {name} {what}{rest}."


def power_sentence(seen: float, *, n_examples: int, n_pairs: int, tolerance: float) -> str:
    """Which gap as many examples would show."""
    alone = f", alone among {n_pairs:,} and of median noise," if n_pairs > 1 else ""
    return (
        f"With {count(n_examples, 'example')} a gap of {number(seen, 3)} nats{alone} would be "
        f"shown to exceed {short(tolerance)} nats in 80% of samples."
    )


def grid_sentence(n_points: int, *, tolerance: float, adaptive: bool) -> str:
    """What a grid of points, and leaving some of them out, can hide."""
    text = f"Gaps are those of this grid of {count(n_points, 'point')}"
    if tolerance > 0:
        text += f", to within {tolerance:.2g} nats"
    text += ": a spike between two of its points is not seen."
    if adaptive:
        text += (
            " How far a curve may bend where points were left out is learnt from a few pilot "
            "pairs: a spike that none of them has can be missed."
        )
    return text


def few_sentence(n_behind: float, tolerance: float) -> str:
    """A warning where few examples carry the gaps."""
    return (
        f"Behind half of the gaps above {short(tolerance)} nats stand {n_behind:.1f} examples or "
        "fewer (effective number): intervals of gaps that so few carry cover less often than they "
        "say, for another sample may have none of these."
    )


def contributions_sentence(
    n_pairs: int,
    n_examples: int,
    *,
    gap: float,
    n_half: int,
    n_top: int,
    gap_without_top: float,
    agreement: float,
    n_agreement: int,
) -> str:
    """How many examples the gaps rest on, and whether pairs agree on which."""
    what = f"the mean gap of {count(n_pairs, 'pair')}"
    if not n_half or not gap:
        text = f"No example contributes: {what} is 0."
    else:
        which = "one that contributes" if n_top == 1 else f"{n_top} examples that contribute"
        after = f"it is {gap_without_top:.3g} nats ({gap_without_top / gap:.0%})"
        if not isfinite(gap_without_top):
            after = "nothing is left"
        elif gap_without_top == 0:
            after = "it vanishes"
        text = (
            f"{n_half:,} of {count(n_examples, 'example')} {verb(n_half, 'makes', 'make')} half of "
            f"{what}, {gap:.3g} nats net; without the {which} most {after}."
        )
    if n_agreement:
        text += (
            " The order of the examples in one pair correlates with that in the other pairs by "
            f"{agreement:.2f} (Spearman, median of {n_agreement})."
        )
    return text


def structure_sentence(
    *,
    n_triples: int,
    all_measured: bool,
    tolerance: float,
    n_intransitive: int,
    n_certain: int | None,
    n_closed: int,
    worst: Sequence[str] = (),
    gaps: Sequence[float] = (),
) -> str:
    """Do blocks describe who joins whom, and if not, which three models say so?"""
    limit = f"{short(tolerance)} nats"
    if not n_triples:
        return "Nothing can be intransitive: no three models have all three gaps measured."
    measured = "" if all_measured else "measured "
    of = f"of {n_triples} {measured}{verb(n_triples, 'triple', 'triples')}"
    if not n_intransitive:
        if not n_closed:
            why = f"none could be: no model joins two others within {limit}"
            return f"None {of} is intransitive, and {why}."
        return (
            f"None {of} is intransitive: wherever a model joins two others within {limit}, these "
            "two join as well."
        )
    a, b, c = worst
    finding = f"{n_intransitive} {of} {verb(n_intransitive, 'is', 'are')} intransitive"
    if n_certain is not None:
        finding += f" ({n_certain if n_certain else 'none'} of them beyond noise)"
    above = "" if tolerance == 0 else f" above {limit}"
    verdict = "no partition into blocks says that"
    if n_certain == 0:
        verdict = "of each of these alone that is not shown beyond noise"
    return (
        f"{finding}: there is no barrier{above} between {a} and {b} ({short(gaps[0])}) nor between "
        f"{b} and {c} ({short(gaps[1])}), but one of {short(gaps[2])} nats between {a} and {c}; "
        f"{verdict}."
    )


def agreement_sentence(
    base: str, n_groups: int, others: Sequence[tuple[Agreement, str, int, int, float, float]]
) -> str:
    """Does in-domain loss find the groups that challenge-set behavior suggests?

    Yes: all are the same; no: none is related.

    Each other source goes with the base as its agreement says, has a name and so many groups; into
    how many both were cut to compare them (or 0), the adjusted Rand index and its p-value follow.
    """
    if not others:
        return "No challenge set can say whether in-domain loss finds the groups of behavior."
    parts = "; ".join(_agreement(n_groups, *other) for other in others)
    who = f"in-domain loss ({base}) finds {_groups(n_groups)}; {parts}."
    grades = {other[0] for other in others}
    if n_groups == 1 and grades == {Agreement.SAME}:
        return f"There are no groups to compare: {who}"
    answers = {frozenset({Agreement.SAME}): "Yes", frozenset({Agreement.OTHER}): "No"}
    return f"{answers.get(frozenset(grades), 'In part')}: {who}"


def _agreement(
    n_base: int, grade: Agreement, name: str, n_groups: int, cut: int, index: float, p_value: float
) -> str:
    if grade is Agreement.SAME:
        return f"{name} finds {'one, too' if n_base == 1 else 'the same'}"
    numbers = f"(adjusted Rand index {index:.2f}, p = {p_value:.2g})"
    finds = f"{name} finds {_groups(n_groups)}"
    related = grade is Agreement.RELATED
    if cut:
        agree = "agree" if related else "agree no more than by chance"
        return f"{finds}, but cut into {cut} all the same, the two {agree} {numbers}"
    if related:
        return f"{finds} that are related but not the same {numbers}"
    return f"{finds} that agree no more than by chance {numbers}"


def _groups(n: int) -> str:
    return "one group" if n == 1 else f"{n} groups"


def groups_sentence(n: int, why: str, asked: bool = False) -> str:
    """``Two groups: every gap ...``, from what ``why_groups`` says."""
    because = f": {why}" if why else ""
    return capital(f"{in_words(n, 'group')}{', as asked' if asked else ''}{because}.")


def why_groups(
    verdict: str,
    n_groups: int,
    *,
    n_models: int,
    n_barriers: int,
    tolerance: float,
    beyond_noise: bool,
    sharp: bool,
    bridged: bool,
    largest_gap: float,
    silhouette: float,
    null_quantile: float,
) -> str:
    """On what a number of groups rests, as a clause; nothing where it was only asked for.

    The verdict is ``asked``, ``one valley``, ``no groups`` or ``groups``; a quantile of NaN is one
    of which nothing was drawn.
    """
    beyond = f"{short(tolerance)} nats" + (" beyond example noise" if beyond_noise else "")
    against = ""
    if n_models > 2 and isfinite(null_quantile):
        against = (
            f"silhouette {short(silhouette)} against {short(null_quantile)} at the 95% quantile "
            "of one-group nulls"
        )
    if verdict == "asked":
        return against if n_groups > 1 else ""
    if verdict == "one valley":
        return f"no gap exceeds {beyond}"
    if n_models == 2:
        return f"the one gap, {short(largest_gap)} nats, exceeds {beyond}"
    if verdict == "no groups":
        pairs = n_models * (n_models - 1) // 2
        above = f"{n_barriers} of {pairs} gaps exceed {beyond}"
        return f"no groups of models stand apart ({against}), though {above}"
    if sharp:
        return f"they are the basins{', and models that join several' if bridged else ''}"
    return against


def few_pairs_sentence(
    answer: str, *, n_measured: int, n_pairs: int, doubtful: Sequence[str]
) -> str:
    """The answer of a population of which few pairs were measured, and whom that leaves open."""
    text = f"From {n_measured:,} of {n_pairs:,} pairs: {answer}" if n_measured < n_pairs else answer
    if doubtful:
        who = f"{count(len(doubtful), 'doubtful model')} ({listed(doubtful, 4)})"
        join = verb(len(doubtful), "it joins", "they join")
        text += f" Not counted: {who}, of which too few pairs were measured to say whom {join}."
    return text
