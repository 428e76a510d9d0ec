"""What an analysis found, as plain sentences and as single numbers."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from landscape.analysis.averaging import will_average
from landscape.analysis.barriers import RULES
from landscape.output.plots import common
from landscape.output.plots.captions import count, percent
from landscape.output.plots.centroid_distance import relation_row
from landscape.output.report.cells import interval_note
from landscape.output.report.words import (
    equals,
    in_words,
    interval_of,
    listed,
    number,
    ranked_pairs,
)

if TYPE_CHECKING:
    import pandas as pd

    from landscape.analysis.analysis import Analysis


def answer(analysis: Analysis) -> list[str]:
    """The findings as plain sentences."""
    return [
        *_basin_sentences(analysis),
        *_gap_sentences(analysis),
        *_averaging_sentences(analysis),
        *_focus_sentences(analysis),
    ]


def _averaging_sentences(analysis: Analysis) -> list[str]:
    """Whether the models of each basin average."""
    if not RULES[analysis.rule].is_zero_without:
        return []
    labels = np.asarray(analysis.basins.labels)
    if analysis.basins.n_basins == 1:
        if not _judged(analysis, np.arange(len(labels))):
            return []
        found = will_average(analysis)
        if found.n_pairs == 1 or found.verdict == "unclear" or not isfinite(found.gap):
            return [found.reason]
        # the largest gap has just been named
        if found.verdict == "yes":
            return [
                f"They should average: no gap's interval reaches above {found.tolerance:g} nats."
            ]
        return [
            f"They do not average well: {found.n_beyond} of {found.n_pairs} gaps are beyond noise "
            f"and {found.tolerance:g} nats."
        ]
    sentences = []
    for basin in range(analysis.basins.n_basins):
        inside = np.flatnonzero(labels == basin)
        members = [analysis.models[i] for i in inside]
        if len(members) > 1 and _judged(analysis, inside):
            sentences.append(f"Of basin {basin}: {will_average(analysis, members).reason}")
    return sentences


def _judged(analysis: Analysis, members: np.ndarray) -> bool:
    """Whether all pairs of these models are in the store, with intervals of what was measured."""
    inside = np.isin(analysis.pairs, members).all(axis=1)
    n, gaps = len(members), analysis.gaps
    finite = np.isfinite(gaps.estimate[tuple(analysis.pairs[inside].T)])
    known = np.isfinite(gaps.low[tuple(analysis.pairs[inside].T)])
    return bool(inside.sum() == n * (n - 1) // 2 and (known | ~finite).all())


def _basin_sentences(analysis: Analysis) -> list[str]:
    basins, n = analysis.basins, count(len(analysis.models), "model")
    if basins.n_basins == 1:
        place = "one basin"
    else:
        sizes = np.bincount(basins.labels, minlength=basins.n_basins).tolist()
        if len(set(sizes)) == 1:
            held = f"{count(sizes[0], 'model')} each"
        else:
            held = f"{listed(sizes)} {'model' if sizes[-1] == 1 else 'models'}"
        place = f"{in_words(basins.n_basins)} basins, of {held}"
    evidence = basins.evidence
    if evidence.verdict == "asked":
        return [f"The {n} were put, as asked, into {place}{evidence.why and ': '}{evidence.why}."]
    if not evidence.why:
        return [f"The {n} lie in {place}.", evidence.reason]
    return [f"The {n} lie in {place}: {evidence.why}."]


def _gap_sentences(analysis: Analysis) -> list[str]:
    rule, gaps = common.rule_name(analysis), analysis.gaps
    ranked = ranked_pairs(analysis)
    if not len(ranked):
        return ["No pair of models has been measured."]
    i, j = analysis.pairs[ranked[0]]
    interval = f"{number(gaps.estimate[i, j], 3)} nats"
    if isfinite(gaps.low[i, j]):
        interval += (
            f" ({percent(gaps.confidence)} interval {number(gaps.low[i, j], 3)} to "
            f"{number(gaps.high[i, j], 3)})"
        )
    where = f"between {analysis.models[i]} and {analysis.models[j]}"
    if len(ranked) == 1:
        sentences = [f"The {rule} on {analysis.dataset} {where} is {interval}."]
    else:
        sentences = [f"The largest {rule} on {analysis.dataset} is {interval}, {where}."]
    if analysis.basins.n_basins > 1:
        first, second = np.asarray(analysis.basins.labels)[analysis.pairs[ranked]].T
        values = gaps.estimate[tuple(analysis.pairs[ranked].T)]
        within, across = values[first == second], values[first != second]
        if len(within) and len(across):
            sentences.append(
                f"The median {rule} is {number(np.median(within), 3)} nats between models of one "
                f"basin and {number(np.median(across), 3)} nats between models of different "
                "basins."
            )
    return sentences


def _focus_sentences(analysis: Analysis) -> list[str]:
    if not analysis.focus:
        return [
            "No challenge set was measured, so nothing is said about how the models generalise."
        ]
    row = relation_row(analysis, analysis.focus)
    if row is None:
        return []
    level = percent(analysis.relation.confidence)
    metric = common.metric_of(analysis, analysis.focus)
    sentences = []
    if analysis.basins.n_basins == 1:
        sentences.append(
            f"One basin leaves no basins to compare on {analysis.focus}: centroid distance and "
            "the two sides in the figures come from a forced two-way split."
        )
    elif isfinite(row["difference"]):
        means = [
            f"{number(row[f'basin_{basin}_mean'], 3)} in basin {basin}"
            for basin in range(analysis.basins.n_basins)
        ]
        pair = "" if analysis.basins.n_basins == 2 else " between basins 0 and 1"
        sentences.append(
            f"The mean {metric} on {analysis.focus} is {listed(means)}; the difference{pair} is "
            f"{interval_of(row, 'difference', 3, f'{level} interval ')}{_tested(analysis, row)}."
        )
    if isfinite(row["pearson"]):
        low, high = row["pearson_low"], row["pearson_high"]
        clear = isfinite(low) and isfinite(high) and low * high > 0
        how = (
            f"{'rises' if row['pearson'] > 0 else 'falls'} with centroid distance"
            if clear
            else "has no clear linear relation to centroid distance"
        )
        sentences.append(
            f"Over models the {metric} {how}: Pearson r = "
            f"{interval_of(row, 'pearson', 2, f'{level} interval ')}, Spearman \u03c1 = "
            f"{interval_of(row, 'spearman', 2)}."
        )
    return sentences


def _tested(analysis: Analysis, row: pd.Series) -> str:
    if not isfinite(row["p_value"]):
        return ""
    tested = count(int(analysis.relation.table["q_value"].notna().sum()), "group")
    if analysis.basins.n_basins == 2:
        test = "with permutation"
    else:
        test = "and a permutation test of all basins gives"
    return f", {test} p {equals(row['p_value'])} (q {equals(row['q_value'])} over {tested})"


def tiles(analysis: Analysis) -> list[dict[str, str]]:
    """The findings' main numbers."""
    ranked = ranked_pairs(analysis)
    found = [
        {"name": "Models", "value": f"{len(analysis.models):,}", "note": ""},
        {
            "name": "Pairs measured",
            "value": f"{len(ranked):,}",
            "note": f"of {len(analysis.pairs) + analysis.contents.never_measured:,}",
        },
        {"name": "Basins", "value": str(analysis.basins.n_basins), "note": ""},
    ]
    if len(ranked):
        i, j = analysis.pairs[ranked[0]]
        gaps = analysis.gaps
        found.append(
            {
                "name": f"Largest {common.rule_name(analysis)}",
                "value": f"{number(gaps.estimate[i, j], 3)} nats",
                "note": interval_note(gaps.low[i, j], gaps.high[i, j], 3),
            }
        )
    row = relation_row(analysis, analysis.focus) if analysis.focus else None
    if row is not None and isfinite(row["pearson"]):
        found.append(
            {
                "name": "Centroid distance and focus score",
                "value": f"r = {number(row['pearson'], 2)}",
                "note": interval_note(row["pearson_low"], row["pearson_high"], 2),
            }
        )
    return found
