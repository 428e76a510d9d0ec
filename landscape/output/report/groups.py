"""Groups of models whose gaps are alike: how many, why, who is in them, and how surely."""

from __future__ import annotations

from math import comb, isfinite
from typing import TYPE_CHECKING

import numpy as np

from landscape.core.wording import count, equals, listed, number, share, verb
from landscape.output.report.registry import Body, Source, Term, section
from landscape.output.report.tables import (
    Cell,
    Row,
    Table,
    count_cell,
    make_table,
    number_cell,
)
from landscape.output.words import rule_name

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.basins import Mixture
    from landscape.analysis.diagnostics import Diagnostics

_TINY = 2  # models; a basin of so few has no spread to speak of
_JUNEJA = Source("Juneja et al. 2023", "2205.12411")
VERDICTS = {
    "asked": "the number was asked for",
    "one valley": "one valley: no gap is a barrier",
    "no groups": "gaps, but no groups of models stand apart",
    "groups": "groups of models stand apart",
}
_TERMS = (
    Term(
        "group",
        "A set of models with small gaps between them: a cluster of the affinity "
        "exp(\N{MINUS SIGN}gap\u00b2 / 2 delta\u00b2) by spectral clustering. Barriers may lie "
        "within a group: only a basin has none.",
        (_JUNEJA,),
    ),
    Term(
        "number of groups",
        "The mean silhouette of a grouping says how much nearer models are to their own group "
        "than to the next, from 0 (no nearer) to 1. Several groups are reported where having "
        "no barrier parts the models by itself, or where the silhouette exceeds what "
        "populations of one group give in 95% of draws and the gaps between groups exceed the "
        "tolerance beyond noise.",
        (Source("Rousseeuw 1987"),),
    ),
    Term(
        "centroid distance",
        "A model's distance to the first centroid less its distance to the second, in the "
        "spectral embedding: a graded membership. Below 0 it is nearer the first. It is "
        "always that of a two-way split.",
        (_JUNEJA,),
    ),
    Term("separation", "The smallest median gap between the models of two groups, in nats."),
    Term(
        "eigengap",
        "The number of groups after which the eigenvalues of the affinity's normalised "
        "Laplacian, in ascending order, rise most.",
        (Source("von Luxburg 2007", "0711.0189"),),
    ),
    Term(
        "mixture (kinds of gaps)",
        "Whether one normal distribution or two describe the square roots of the gaps better, "
        "by the Bayesian information criterion (BIC); gaps depend on each other, so that it "
        "ranks the two and tests nothing.",
        (Source("Schwarz 1978"),),
    ),
    Term(
        "stability",
        "The mean adjusted Rand index of a grouping with those that average linkage finds "
        "on resampled gaps: 1 where other examples would give the same groups.",
        (Source("von Luxburg 2010", "1007.1075"),),
    ),
    Term(
        "between groups",
        "A model lies between two groups if it has no barrier beyond noise to most models of "
        "another group, or if it is nearest to its own in fewer than 95% of the "
        "resamples.",
    ),
)


@section("groups", title="Groups by gaps", place=15)
def groups(analysis: Analysis, diagnostics: Diagnostics) -> Body:
    """How many groups, why, and who is in them."""
    tables = [_members(analysis), _evidence(analysis)]
    if analysis.basins.groups.n_groups > 1:
        tables.append(_membership(analysis))
    return Body(
        (analysis.basins.groups.evidence.reason,),
        _facts(analysis),
        tuple(tables),
        terms=_TERMS,
        warnings=tuple(_warnings(analysis)),
    )


def _warnings(analysis: Analysis) -> list[str]:
    shown, groups, warnings = analysis.basins.shown, analysis.basins.groups, []
    if shown.n == 1:
        return [
            "The models form no groups. Centroid distance still needs two centroids: it, and "
            "the two sides in the figures, come from a split that was forced and need not mean "
            "anything.",
        ]
    if names := [analysis.models[k] for k in np.flatnonzero(groups.membership.between)]:
        lie = verb(len(names), "lies", "lie")
        warnings.append(f"{listed(names, 5)} {lie} between two groups: see the section on groups.")
    sizes = np.bincount(shown.labels[shown.labels >= 0], minlength=shown.n)
    if small := [f"{shown.noun} {k}" for k in np.flatnonzero(sizes <= _TINY)]:
        warnings.append(
            f"Of {listed(small, 5)}, of {_TINY} models at most, mean and interval say little."
        )
    return warnings


def _members(analysis: Analysis) -> Table:
    gaps, rule = np.asarray(analysis.gaps.estimate), rule_name(analysis)
    rows: list[Row] = []
    for group in range(analysis.basins.groups.n_groups):
        members = np.flatnonzero(np.asarray(analysis.basins.groups.labels) == group)
        inside = gaps[np.ix_(members, members)][np.triu_indices(len(members), 1)]
        inside = inside[np.isfinite(inside)]
        median = np.median(inside) if inside.size else np.nan
        rows.append(
            {
                "group": Cell(f"group {group}"),
                "models": count_cell(len(members)),
                f"median {rule} (nats)": number_cell(median, 3),
                f"largest {rule} (nats)": number_cell(inside.max(initial=-np.inf), 3),
                "members": ", ".join(analysis.models[model] for model in members),
            }
        )
    return make_table("Every group and the gaps between its own models.", rows)


def _facts(analysis: Analysis) -> tuple[tuple[str, str], ...]:
    """What speaks for one number of basins or another, in a few words each."""
    answer, evidence = analysis.basins.groups, analysis.basins.groups.evidence
    # all of them count: where some were not measured, the evidence is of a completed matrix
    n_pairs = count(comb(len(analysis.models), 2), "gap")
    noisy = isfinite(evidence.noise)
    beyond = " beyond example noise" if noisy else ""
    facts = [
        ("verdict", VERDICTS[evidence.verdict]),
        (
            "barriers",
            f"{evidence.n_barriers:,} of {n_pairs} above {evidence.tolerance:.3g} nats{beyond}",
        ),
        (
            "basins",
            "these are the basins; a model that joins several is put into the nearest"
            if evidence.sharp
            else "these are no basins",
        ),
        ("eigengap", f"{count(evidence.eigengap, 'group')}"),
        ("kinds of gaps", _kinds(evidence.mixture)),
        ("affinity's scale delta", f"{answer.delta:.4g} nats ({answer.delta_rule})"),
    ]
    if isfinite(evidence.p_value):
        facts.append(("against one group", f"p {equals(evidence.p_value)}"))
    if noisy:
        error = f"median standard error of a gap {number(evidence.noise, 4)} nats"
        facts.append(("against example noise", f"p {equals(evidence.p_noise)}; {error}"))
    return tuple(facts)


def _kinds(mixture: Mixture | None) -> str:
    if mixture is None:
        return "too few gaps, or all alike"
    better = f"by {number(abs(mixture.preference), 1)} BIC"
    if mixture.n_kinds == 1:
        return f"one (better than two {better})"
    low, high = (number(mean, 3) for mean in mixture.means)
    return (
        f"two, {share(mixture.share, 0)} around {low} and the others around {high} nats, parted at "
        f"{number(mixture.threshold, 3)} nats (better than one {better})"
    )


def _evidence(analysis: Analysis) -> Table:
    evidence = analysis.basins.groups.evidence
    columns = {
        "mean silhouette": evidence.silhouettes,
        "one group gives": evidence.null_quantiles,
        "smallest separation (nats)": evidence.separations,
        "noise gives (nats)": evidence.noise_quantiles,
        "stability": evidence.stabilities,
    }
    noisy = isfinite(evidence.noise)
    if not noisy:
        columns["noise gives (nats)"] = np.full(len(evidence.candidates), np.nan)
    rows: list[Row] = [
        {"groups": str(k), **{head: number_cell(of[at], 3) for head, of in columns.items()}}
        for at, k in enumerate(evidence.candidates)
    ]
    return make_table(
        "How well the models separate into each number of groups. Silhouette and separation must "
        "exceed what stands beside them: what one group gives in 95% of draws at any number of "
        f"groups, and {'what example noise gives in 95%, plus ' if noisy else ''}"
        f"{evidence.tolerance:.3g} nats.",
        rows,
        strong=np.flatnonzero(evidence.candidates == analysis.basins.groups.n_groups).tolist(),
    )


def _membership(analysis: Analysis) -> Table:
    answer = analysis.basins.groups
    membership = answer.membership
    rows: list[Row] = []
    for model, name in enumerate(analysis.models):
        label = int(answer.labels[model])
        row: Row = {
            "model": name,
            "group": count_cell(label),
            "probability": number_cell(membership.probability[model, label], 2),
            "second nearest": count_cell(membership.second[model]),
        }
        for group, value in enumerate(membership.distance[model]):
            row[f"mean gap to group {group} (nats)"] = number_cell(value, 3)
        rows.append(row | {"place": "between" if membership.between[model] else ""})
    noise = (
        "the share of resamples of the examples in which it is the nearest"
        if isfinite(answer.evidence.noise)
        else "1 where it is the nearest, for no noise is known"
    )
    return make_table(
        f"How sure each model's group is: its probability, {noise}, and the model's mean gap to "
        "the other models of each group.",
        rows,
        strong=np.flatnonzero(membership.between).tolist(),
        folded="How sure each model's group is",
    )
