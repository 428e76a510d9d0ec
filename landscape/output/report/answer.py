"""What an analysis found, as plain sentences and as single numbers."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from landscape.analysis.averaging import will_average
from landscape.analysis.barriers import RULES
from landscape.core.wording import basins_in_words, count, equals, interval, listed, number, percent
from landscape.output.report.tables import interval_note
from landscape.output.words import metric_of, ranked_pairs, relation_row, rule_name

if TYPE_CHECKING:
    import pandas as pd

    from landscape.analysis.analysis import Analysis


def answer(analysis: Analysis) -> list[str]:
    """The findings as plain sentences."""
    return [
        *_on_basins(analysis),
        *_on_gaps(analysis),
        *_on_averaging(analysis),
        *_on_focus(analysis),
    ]


def _on_basins(analysis: Analysis) -> list[str]:
    basins, n = analysis.basins, count(len(analysis.models), "model")
    place, evidence = basins_in_words(basins.n_basins), basins.evidence
    if basins.n_basins > 1:
        sizes = np.bincount(basins.labels, minlength=basins.n_basins).tolist()
        if len(set(sizes)) == 1:
            place += f", of {count(sizes[0], 'model')} each"
        else:
            place += f", of {listed(sizes)} {'model' if sizes[-1] == 1 else 'models'}"
    if evidence.verdict == "asked":
        return [f"The {n} were put, as asked, into {place}{evidence.why and ': '}{evidence.why}."]
    if not evidence.why:
        return [f"The {n} lie in {place}.", evidence.reason]
    return [f"The {n} lie in {place}: {evidence.why}."]


def _on_gaps(analysis: Analysis) -> list[str]:
    rule, gaps, ranked = rule_name(analysis), analysis.gaps, ranked_pairs(analysis)
    if not len(ranked):
        return ["No pair of models has been measured."]
    i, j = analysis.pairs[ranked[0]]
    value = f"{number(gaps.estimate[i, j], 3)} nats"
    if ends := interval(gaps.low[i, j], gaps.high[i, j], 3):
        value += f" ({percent(gaps.confidence)} interval {ends})"
    where = f"between {analysis.models[i]} and {analysis.models[j]}"
    if len(ranked) == 1:
        sentences = [f"The {rule} on {analysis.dataset} {where} is {value}."]
    else:
        sentences = [f"The largest {rule} on {analysis.dataset} is {value}, {where}."]
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


def _on_averaging(analysis: Analysis) -> list[str]:
    """Whether the models of each basin average."""
    if not RULES[analysis.rule].is_zero_without:
        return []
    labels, sentences = np.asarray(analysis.basins.labels), []
    for basin in range(analysis.basins.n_basins):
        inside = np.flatnonzero(labels == basin)
        if len(inside) < 2 or not _all_known(analysis, inside):
            continue
        averaging = will_average(analysis, [analysis.models[i] for i in inside])
        limit, named = f"{averaging.tolerance:g} nats", isfinite(averaging.gap)
        if analysis.basins.n_basins > 1:
            sentences.append(f"Of basin {basin}: {averaging.reason}")
        elif averaging.n_pairs == 1 or averaging.verdict == "unclear" or not named:
            sentences.append(averaging.reason)
        # the largest gap has just been named, and how many are beyond noise
        elif averaging.verdict == "yes":
            sentences.append(f"They should average: no gap's interval reaches above {limit}.")
        else:
            sentences.append(f"They do not average well: some gaps are surely above {limit}.")
    return sentences


def _all_known(analysis: Analysis, members: np.ndarray) -> bool:
    """Whether all pairs of these models are in the store, with intervals of what was measured."""
    inside = np.isin(analysis.pairs, members).all(axis=1)
    n, gaps = len(members), analysis.gaps
    finite = np.isfinite(gaps.estimate[tuple(analysis.pairs[inside].T)])
    known = np.isfinite(gaps.low[tuple(analysis.pairs[inside].T)])
    return bool(inside.sum() == n * (n - 1) // 2 and (known | ~finite).all())


def _on_focus(analysis: Analysis) -> list[str]:
    if not analysis.focus:
        return [
            "No challenge set was measured, so nothing is said about how the models generalise."
        ]
    row, sentences = relation_row(analysis, analysis.focus), []
    if row is None:
        return []
    level = percent(analysis.relation.confidence)
    metric, n_basins = metric_of(analysis, analysis.focus), analysis.basins.n_basins
    if n_basins == 1:
        sentences.append(
            f"One basin leaves no basins to compare on {analysis.focus}: centroid distance and "
            "the two sides in the figures come from a forced two-way split."
        )
    elif isfinite(row["difference"]):
        means = [
            f"{number(row[f'basin_{basin}_mean'], 3)} in basin {basin}" for basin in range(n_basins)
        ]
        pair = "" if n_basins == 2 else " between basins 0 and 1"
        sentences.append(
            f"The mean {metric} on {analysis.focus} is {listed(means)}; the difference{pair} is "
            f"{_ranged(row, 'difference', 3, f'{level} interval ')}{_tested(analysis, row)}."
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
            f"{_ranged(row, 'pearson', 2, f'{level} interval ')}, Spearman \u03c1 = "
            f"{_ranged(row, 'spearman', 2)}."
        )
    return sentences


def _ranged(row: pd.Series, name: str, digits: int, what: str = "") -> str:
    """``0.12 (95% interval 0.10 to 0.14)`` from a row of the relation table."""
    ends = interval(row[f"{name}_low"], row[f"{name}_high"], digits)
    return number(row[name], digits) + (f" ({what}{ends})" if ends else "")


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
    ranked, gaps = ranked_pairs(analysis), analysis.gaps
    everything = len(analysis.pairs) + analysis.results.never_measured
    numbers = [
        ("Models", f"{len(analysis.models):,}", ""),
        ("Pairs measured", f"{len(ranked):,}", f"of {everything:,}"),
        ("Basins", str(analysis.basins.n_basins), ""),
    ]
    if len(ranked):
        i, j = analysis.pairs[ranked[0]]
        ends = interval_note(gaps.low[i, j], gaps.high[i, j], 3)
        largest = f"{number(gaps.estimate[i, j], 3)} nats"
        numbers.append((f"Largest {rule_name(analysis)}", largest, ends))
    row = relation_row(analysis, analysis.focus) if analysis.focus else None
    if row is not None and isfinite(row["pearson"]):
        ends = interval_note(row["pearson_low"], row["pearson_high"], 2)
        r = f"r = {number(row['pearson'], 2)}"
        numbers.append(("Centroid distance and focus score", r, ends))
    return [{"name": name, "value": value, "note": note} for name, value, note in numbers]
