"""What an analysis found, as plain sentences and as single numbers."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from landscape.analysis.statistics.intervals import UNBOUNDED, range_of
from landscape.core.relation_sentences import relation_sentence, within_sentence
from landscape.core.wording import count, equals, in_words, interval, listed, number, percent
from landscape.output.report.gaps import rules
from landscape.output.report.tables import interval_note
from landscape.output.words import metric_of, ranked_pairs, relation_row, rule_name

if TYPE_CHECKING:
    import pandas as pd

    from landscape.analysis.analysis import Analysis


def answer(analysis: Analysis) -> list[str]:
    """The findings as plain sentences."""
    basins, groups = analysis.basins, analysis.basins.groups
    sentences = analysis.answer
    if basins.shown.noun != "basin" and groups.n_groups > 1:
        sizes = np.bincount(groups.labels, minlength=groups.n_groups).tolist()
        asked = ", as asked" if groups.evidence.verdict == "asked" else ""
        why = f": {groups.evidence.why}" if groups.evidence.why else ""
        kinds = in_words(groups.n_groups, "group")
        sentences.append(f"Gaps part the models into {kinds}, of {listed(sizes)}{asked}{why}.")
    return [*sentences, *_on_gaps(analysis), *_on_focus(analysis)]


def _on_gaps(analysis: Analysis) -> list[str]:
    rule, gaps, ranked = rule_name(analysis), analysis.gaps, ranked_pairs(analysis)
    if not len(ranked):
        return ["No pair of models has been measured."]
    i, j = analysis.pairs[ranked[0]]
    value = f"{number(gaps.estimate[i, j], 3)} nats"
    if ends := interval(gaps.low[i, j], gaps.high[i, j], 3):
        value += f" ({percent(gaps.confidence)} interval {ends})"
    sentences = [
        f"The largest {rule} on {analysis.dataset} is {value}, between {analysis.models[i]} and "
        f"{analysis.models[j]}. {rules(analysis)}"
    ]
    shown = analysis.basins.shown
    first, second = np.asarray(shown.labels)[analysis.pairs[ranked]].T
    values = gaps.estimate[tuple(analysis.pairs[ranked].T)]
    within, across = values[first == second], values[first != second]
    if len(within) and len(across):
        sentences.append(
            f"The median {rule} is {number(np.median(within), 3)} nats between models of one "
            f"{shown.noun} and {number(np.median(across), 3)} nats between others."
        )
    return sentences


def _on_focus(analysis: Analysis) -> list[str]:
    if not analysis.focus:
        return [
            "No challenge set was measured, so nothing is said about how the models generalise."
        ]
    row, sentences = relation_row(analysis, analysis.focus), []
    if row is None:
        return []
    level = percent(analysis.relation.confidence)
    metric, shown = metric_of(analysis, analysis.focus), analysis.basins.shown
    noun = shown.noun
    if shown.n > 1 and isfinite(row["difference"]):
        means = [f"{number(row[f'{noun}_{b}_mean'], 3)} in {noun} {b}" for b in range(shown.n)]
        tested = ""
        if isfinite(row["p_value"]):
            n_tested = count(int(analysis.relation.table["q_value"].notna().sum()), "group")
            tested = (
                f"; that all {noun}s are alike has p {equals(row['p_value'])} "
                f"(q {equals(row['q_value'])} over {n_tested})"
            )
            if isfinite(row["p_within"]):
                tested += f", within training conditions p {equals(row['p_within'])}"
            elif analysis.conditions is not None:
                tested += f", but within training conditions {noun}s do not differ"
        ends = interval(row["difference_low"], row["difference_high"], 3)
        bounded = range_of(analysis.scores[analysis.focus].to_numpy()) != UNBOUNDED
        however = ", however scores are distributed" if bounded else ""
        held = f" ({level} interval {ends}{however})" if ends else ""
        sentences.append(
            f"The mean {metric} on {analysis.focus} is {listed(means)}; the difference between "
            f"{noun}s 0 and 1 is {number(row['difference'], 3)}{held}{tested}."
        )
    return [*_on_distance(analysis, row), *sentences]


def _on_distance(analysis: Analysis, row: pd.Series) -> list[str]:
    """The relation to centroid distance, and what training conditions have to do with it."""
    if not isfinite(row["spearman"]):
        return []
    score = f"{metric_of(analysis, analysis.focus)} on {analysis.focus}"
    level, conditions = analysis.relation.confidence, analysis.conditions
    everywhere, within = (
        (float(row[name]), float(row[f"{name}_low"]), float(row[f"{name}_high"]))
        for name in ("spearman", "spearman_within")
    )
    forced = analysis.basins.shown.n == 1
    if conditions is None:
        return [relation_sentence(score, everywhere, float(row["pearson"]), level, forced)]
    return [
        within_sentence(
            score,
            everywhere,
            within,
            level,
            forced,
            n_models=len(analysis.models),
            conditions=conditions.names,
            by_names=conditions.source == "names",
        )
    ]


def _number(analysis: Analysis) -> str:
    basins = analysis.basins
    return "none" if basins.n_basins is None else str(basins.n_basins)


def tiles(analysis: Analysis) -> list[tuple[str, str, str]]:
    """The findings' main numbers: name, value, note."""
    ranked, gaps = ranked_pairs(analysis), analysis.gaps
    everything = len(analysis.pairs) + analysis.results.never_measured
    numbers = [
        ("Models", f"{len(analysis.models):,}", ""),
        ("Pairs measured", f"{len(ranked):,}", f"of {everything:,}"),
        ("Basins", _number(analysis), f"answer: {analysis.basins.answer}"),
    ]
    if len(ranked):
        i, j = analysis.pairs[ranked[0]]
        ends = interval_note(gaps.low[i, j], gaps.high[i, j], 3)
        largest = f"{number(gaps.estimate[i, j], 3)} nats"
        others = [f"{by.name} {number(by.largest, 3)}" for by in analysis.by_rule[1:]]
        note = "; ".join([ends] * bool(ends) + others)
        numbers.append((f"Largest {rule_name(analysis)}", largest, note))
    row = relation_row(analysis, analysis.focus) if analysis.focus else None
    if row is not None and isfinite(row["spearman"]):
        ends = interval_note(row["spearman_low"], row["spearman_high"], 2)
        if isfinite(row["spearman_within"]):
            within = f"within conditions {number(row['spearman_within'], 2)}"
            ends = f"{ends}; {within}" if ends else within
        rho = f"\u03c1 = {number(row['spearman'], 2)}"
        numbers.append(("Centroid distance and focus score", rho, ends))
    return numbers
