"""What an analysis found, as plain sentences, and what to know before believing them."""

from __future__ import annotations

import re
from math import factorial, isfinite, prod
from typing import TYPE_CHECKING

import numpy as np

from landscape.averaging import AVERAGING_RULES, will_average
from landscape.plots import common
from landscape.plots.captions import count, percent
from landscape.plots.centroid_distance import relation_row
from landscape.report.words import (
    FDR,
    equals,
    in_words,
    interval_of,
    listed,
    number,
    ranked_pairs,
    sentence,
)

if TYPE_CHECKING:
    import pandas as pd

    from landscape.analysis import Analysis

_TINY = 2  # models; a basin of so few has no spread to speak of


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
    if analysis.rule not in AVERAGING_RULES:
        return []
    labels = np.asarray(analysis.basins.labels)
    if analysis.basins.n_basins == 1:
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
        members = [analysis.models[i] for i in np.flatnonzero(labels == basin)]
        if len(members) > 1:
            sentences.append(f"Of basin {basin}: {will_average(analysis, members).reason}")
    return sentences


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
    # the reason begins with the number of basins, which the sentence has said already
    found = re.fullmatch(r"\w+ basins?(, as asked)?(?:: (.*?))?\.?", basins.evidence.reason.strip())
    if found is None:
        return [f"The {n} lie in {place}.", sentence(basins.evidence.reason)]
    asked, why = found.groups()
    verb = "were put, as asked, into" if asked else "lie in"
    return [f"The {n} {verb} {place}{': ' if why else ''}{why or ''}."]


def _gap_sentences(analysis: Analysis) -> list[str]:
    rule, gaps = common.rule_name(analysis), analysis.gaps
    ranked = ranked_pairs(analysis)
    if not len(ranked):
        return ["No pair of models has been measured."]
    i, j = analysis.pairs[ranked[0]]
    interval = (
        f"{number(gaps.estimate[i, j], 3)} nats ({percent(gaps.confidence)} interval "
        f"{number(gaps.low[i, j], 3)} to {number(gaps.high[i, j], 3)})"
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


def _smallest_p(sizes: np.ndarray) -> float:
    """What an exact permutation test gives the most extreme grouping into such basins."""
    # a basin of one model is left out of the test; exchanging equal basins changes nothing
    tested = [int(size) for size in sizes if size > 1]
    if len(tested) < 2:
        return 1.0
    same = prod(factorial(tested.count(size)) for size in set(tested))
    return same * prod(map(factorial, tested)) / factorial(sum(tested))


def warnings(analysis: Analysis) -> list[str]:
    """What a reader must know before believing the numbers."""
    basins, found = analysis.basins, []
    n_missing = len(analysis.pairs) - len(ranked_pairs(analysis))
    if n_missing:
        found.append(
            f"{count(n_missing, 'pair')} of {len(analysis.pairs):,} "
            f"{'was' if n_missing == 1 else 'were'} not measured; "
            "run the experiment again to fill the store."
        )
    elif str(analysis.contents.attributes.get("finished", "yes")) != "yes":
        found.append("The store is not marked as finished: a run was interrupted or still goes on.")
    if basins.n_basins == 1:
        found.append(
            "One basin was found. Centroid distance still needs two centroids: it, and the two "
            "sides in the figures, come from a split that was forced and need not mean anything."
        )
    else:
        sizes = np.bincount(basins.labels, minlength=basins.n_basins)
        for basin in np.flatnonzero(sizes <= _TINY):
            found.append(
                f"Basin {basin} holds {count(int(sizes[basin]), 'model')} only: "
                "its mean and interval say little."
            )
        smallest = _smallest_p(sizes)
        if smallest > FDR:
            found.append(
                f"With basins of {listed(sizes.tolist())} models the permutation test can give no "
                f"p below {smallest:.2g}: no difference can be significant before there are more "
                "models."
            )
    if not analysis.focus:
        found.append("There is no challenge set: scores in the figures are in-domain.")
    return found


def tiles(analysis: Analysis) -> list[dict[str, str]]:
    """The findings' main numbers."""
    ranked = ranked_pairs(analysis)
    found = [
        {"name": "Models", "value": f"{len(analysis.models):,}", "note": ""},
        {
            "name": "Pairs measured",
            "value": f"{len(ranked):,}",
            "note": f"of {len(analysis.pairs):,}",
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
                "note": f"[{number(gaps.low[i, j], 3)}, {number(gaps.high[i, j], 3)}]",
            }
        )
    row = relation_row(analysis, analysis.focus) if analysis.focus else None
    if row is not None and isfinite(row["pearson"]):
        found.append(
            {
                "name": "Centroid distance and focus score",
                "value": f"r = {number(row['pearson'], 2)}",
                "note": f"[{number(row['pearson_low'], 2)}, {number(row['pearson_high'], 2)}]",
            }
        )
    return found
