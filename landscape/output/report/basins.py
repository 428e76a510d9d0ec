"""How many basins there are, why, who is in them, and how surely."""

from __future__ import annotations

from math import comb, isfinite
from typing import TYPE_CHECKING

import numpy as np

from landscape.output.plots import common
from landscape.output.plots.captions import count, delta_words
from landscape.output.report.cells import (
    FOLD_FROM,
    SHORT,
    Cell,
    Head,
    Row,
    Section,
    Table,
    count_cell,
    number_cell,
    share,
)
from landscape.output.report.words import equals, listed, number, sentence

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.basins import Mixture

_SENTENCES = 5  # about models between basins; more are listed by name
_SURE = 0.95
VERDICTS = {
    "asked": "the number was asked for",
    "one valley": "one valley: no gap is a barrier",
    "no groups": "gaps, but no groups of models stand apart",
    "groups": "groups of models stand apart",
}


def basins_section(analysis: Analysis) -> Section:
    """How many basins, why, and who is in them."""
    basins = analysis.basins
    text = (
        f"{sentence(basins.evidence.reason)} The affinity's scale is delta = "
        f"{basins.delta:.4g} nats ({delta_words(basins.delta_rule)})."
    )
    tables = [_members(analysis), _evidence(analysis)]
    if basins.n_basins > 1:
        tables.append(_membership(analysis))
    return Section(
        "basins", "Basins", tuple(tables), (text, *_between(analysis)), tuple(_facts(analysis))
    )


def models_between(analysis: Analysis) -> list[int]:
    """Models that lie between two basins."""
    return np.flatnonzero(analysis.basins.membership.between).tolist()


def _members(analysis: Analysis) -> Table:
    basins = analysis.basins
    rows = []
    gaps = np.asarray(analysis.gaps.estimate)
    for basin in range(basins.n_basins):
        members = np.flatnonzero(np.asarray(basins.labels) == basin)
        inside = gaps[np.ix_(members, members)][np.triu_indices(len(members), 1)]
        inside = inside[np.isfinite(inside)]
        names = ", ".join(analysis.models[model] for model in members)
        cells = (
            Cell(f"basin {basin}", basin=basin),
            count_cell(len(members)),
            number_cell(np.median(inside) if inside.size else np.nan, 3),
            number_cell(inside.max() if inside.size else np.nan, 3),
            Cell(names, long=len(names) > SHORT),
        )
        rows.append(Row(cells))
    rule = common.rule_name(analysis)
    return Table(
        "Every basin and the gaps between its own models.",
        (
            Head("basin"),
            Head("models", True),
            Head(f"median {rule} (nats)", True),
            Head(f"largest {rule} (nats)", True),
            Head("members"),
        ),
        tuple(rows),
        sortable=False,
    )


def _facts(analysis: Analysis) -> list[tuple[str, str]]:
    """What speaks for one number of basins or another, in a few words each."""
    evidence = analysis.basins.evidence
    # all of them count: where some were not measured, the evidence is of a completed matrix
    n_pairs = comb(len(analysis.models), 2)
    limit = f"{evidence.tolerance:g} nats"
    noisy = isfinite(evidence.noise)
    facts = [
        ("verdict", VERDICTS[evidence.verdict]),
        (
            "barriers",
            f"{evidence.n_barriers:,} of {count(n_pairs, 'gap')} above {limit}"
            + (" beyond example noise" if noisy else ""),
        ),
        (
            "sharp",
            "yes: every gap between groups is a barrier and none within is, a few bridges aside"
            if evidence.sharp
            else "no",
        ),
        ("eigengap", f"{count(evidence.eigengap, 'basin')}"),
        ("kinds of gaps", _kinds(evidence.mixture)),
    ]
    if isfinite(evidence.p_value):
        facts.append(("against one basin", f"p {equals(evidence.p_value)}"))
    if noisy:
        facts.append(
            (
                "against example noise",
                f"p {equals(evidence.p_noise)}; median standard error of a gap "
                f"{number(evidence.noise, 4)} nats",
            )
        )
    return facts


def _kinds(mixture: Mixture | None) -> str:
    if mixture is None:
        return "too few gaps, or all alike"
    if mixture.n_kinds == 1:
        return f"one (two are worse by {number(-mixture.preference, 1)} BIC)"
    low, high = (number(mean, 3) for mean in mixture.means)
    parted = (
        f", parted at {number(mixture.threshold, 3)} nats" if isfinite(mixture.threshold) else ""
    )
    return (
        f"two, {share(mixture.share, 0)} around {low} and the others around {high} nats{parted} "
        f"(better than one by {number(mixture.preference, 1)} BIC)"
    )


def _evidence(analysis: Analysis) -> Table:
    evidence = analysis.basins.evidence
    noisy = isfinite(evidence.noise)
    columns = zip(
        evidence.candidates,
        evidence.silhouettes,
        evidence.null_quantiles,
        evidence.separations,
        evidence.noise_quantiles if noisy else np.full(len(evidence.candidates), np.nan),
        evidence.stabilities,
        strict=True,
    )
    rows = tuple(
        Row(
            (Cell(str(k)), *(number_cell(value, 3) for value in values)),
            strong=int(k) == analysis.basins.n_basins,
        )
        for k, *values in columns
    )
    return Table(
        "How well the models separate into each number of basins. Silhouette and separation must "
        "exceed what stands beside them: what one basin gives in 95% of draws at any number of "
        f"basins, and {'what example noise gives in 95%, plus ' if noisy else ''}"
        f"{evidence.tolerance:g} nats.",
        (
            Head("basins"),
            Head("mean silhouette", True),
            Head("one basin gives", True),
            Head("smallest separation (nats)", True),
            Head("noise gives (nats)", True),
            Head("stability", True),
        ),
        rows,
        sortable=False,
    )


def _membership(analysis: Analysis) -> Table:
    basins, membership = analysis.basins, analysis.basins.membership
    rows = []
    for model, name in enumerate(analysis.models):
        label, second = int(basins.labels[model]), int(membership.second[model])
        cells = (
            Cell(name, basin=label),
            count_cell(label),
            number_cell(membership.probability[model, label], 2),
            count_cell(second),
            *(number_cell(value, 3) for value in membership.distance[model]),
            Cell("between" if membership.between[model] else ""),
        )
        rows.append(Row(cells, strong=bool(membership.between[model])))
    noise = (
        "the share of resamples of the examples in which it is the nearest"
        if isfinite(basins.evidence.noise)
        else "1 where it is the nearest, for no noise is known"
    )
    return Table(
        f"How sure each model's basin is: its probability, {noise}, and the model's mean gap to "
        "the other models of each basin.",
        (
            Head("model"),
            Head("basin", True),
            Head("probability", True),
            Head("second nearest", True),
            *(Head(f"mean gap to basin {basin} (nats)", True) for basin in range(basins.n_basins)),
            Head("place"),
        ),
        tuple(rows),
        folded="How sure each model's basin is" if len(rows) >= FOLD_FROM else "",
    )


def _between(analysis: Analysis) -> list[str]:
    """A sentence on each model that lies between two basins, or on the rest of them together."""
    found = models_between(analysis)
    sentences = [_lies_between(analysis, model) for model in found[:_SENTENCES]]
    if rest := [analysis.models[model] for model in found[_SENTENCES:]]:
        who = f"Model {rest[0]} lies" if len(rest) == 1 else f"Models {listed(rest)} lie"
        sentences.append(f"{who} between basins, too.")
    return sentences


def _lies_between(analysis: Analysis, model: int) -> str:
    basins, membership = analysis.basins, analysis.basins.membership
    own, second = int(basins.labels[model]), int(membership.second[model])
    to_own, to_second = (number(membership.distance[model, b], 3) for b in (own, second))
    probability = float(membership.probability[model, own])
    noisy = isfinite(basins.evidence.noise)
    if probability < _SURE and not noisy:
        why = "that is nearer, though the model was grouped with the first"
    elif probability < _SURE:
        why = f"it is nearest to basin {own} in only {share(probability, 0)} of resamples"
    else:
        barrier = "no barrier beyond noise" if noisy else "no barrier"
        why = f"{barrier} parts it from the median model of basin {second}"
    low, high = sorted((own, second))
    return (
        f"Model {analysis.models[model]} lies between basins {low} and {high}: its mean gap is "
        f"{to_own} nats to basin {own}, its own, and {to_second} nats to basin {second}; {why}."
    )
