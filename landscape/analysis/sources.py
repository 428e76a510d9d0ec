"""The matrices of a store that tell models apart, and whether they define the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import adjusted_rand_score

from landscape.analysis.barriers import RULES
from landscape.analysis.basins import cut_into, find_basins
from landscape.analysis.basins.partitions import disagreement, rand_p_value
from landscape.analysis.basins.structure import fill_unmeasured
from landscape.analysis.gaps import gap_matrix
from landscape.core.arrays import Array, Labels
from landscape.core.errors import ConfigError
from landscape.core.sentences import Agreement, agreement_sentence

if TYPE_CHECKING:
    import pandas as pd

    from landscape.analysis.analysis import Analysis


_LEVEL = 0.05


@dataclass(frozen=True)
class Source:
    """A matrix that tells models apart, and the partitions that it gives.

    Attributes:
        name: For instance ``convexity gap on mnli_dev``.
        matrix: (n_models, n_models): nats for a gap, a share of examples for disagreement, the
            Euclidean norm of the weights' difference for weight distance.
        n_groups: How many ``find_groups`` finds by itself; 0 where a pair is NaN.
        labels: (n_models,) these groups; (0,) where a pair is NaN.
        forced: (n_models,) as many groups as the analysis has, but 2 at least; (0,) likewise.
        kind: A barrier rule, ``disagreement`` or ``weight distance``.
        dataset: Of the losses or predictions; "" for weights.
        note: How the number was found where that is not plain; "" else.
    """

    name: str
    matrix: Array
    n_groups: int
    labels: Labels
    forced: Labels
    kind: str
    dataset: str
    note: str


def partition_sources(
    analysis: Analysis, *, rng: np.random.Generator | int | None = None
) -> tuple[Source, ...]:
    """Everything in a store that tells models apart, and the groups that it gives.

    Gaps by every rule that is 0 without a barrier on every data set, the share of examples on which
    two models predict differently, and the distance between weights. The analysis' own gaps keep
    its groups unless their number was asked for; others are clustered without noise. What is not in
    nats has tolerance 0: only the nulls of ``find_basins`` keep it from finding groups.
    """
    results = analysis.results
    seed = int(np.random.default_rng(0 if rng is None else rng).integers(2**31))
    return (
        *(
            _source(analysis, rule, name, _gaps(analysis, rule, name), seed)
            for name in results.datasets
            for rule in (RULES if results.given_gaps is None else [analysis.rule])
            if RULES[rule].is_zero_without or results.given_gaps is not None
        ),
        *(
            _source(analysis, "disagreement", name, disagreement(data.model_predictions), seed)
            for name, data in results.datasets.items()
            if not data.aggregated
        ),
        *(
            [_source(analysis, "weight distance", "", results.distances, seed)]
            if not np.isnan(results.distances).any()
            else []
        ),
    )


def sources_sentence(analysis: Analysis, sources: Sequence[Source], table: pd.DataFrame) -> str:
    """One sentence: does in-domain loss find the groups that challenge-set behavior suggests?

    The in-domain gaps' groups are held against those of every challenge set's gaps, by the same
    rule, and of disagreement on it; related means an adjusted Rand index with p at most .05. Where
    one of the two is a single group, both are cut into as many as the analysis has, or 2.
    """
    datasets = analysis.results.datasets
    rule = analysis.rule if RULES[analysis.rule].is_zero_without else "convexity_gap"
    in_domain = [name for name, data in datasets.items() if data.role == "in_domain"]
    in_domain_set = analysis.dataset if analysis.dataset in in_domain else in_domain[0]
    base = next((s for s in sources if (s.kind, s.dataset) == (rule, in_domain_set)), None)
    if base is None or not base.n_groups:
        raise ConfigError(
            "There are no groups of in-domain gaps to compare with.",
            where=f"{rule} on {in_domain_set}",
        )
    others = [
        source
        for source in sources
        if source.dataset in datasets
        and datasets[source.dataset].role == "challenge"
        and source.kind in (rule, "disagreement")
        and source.n_groups
    ]
    grades = [_against(base, other, table) for other in others]
    return agreement_sentence(base.name, base.n_groups, grades)


def _against(
    base: Source, other: Source, table: pd.DataFrame
) -> tuple[Agreement, str, int, int, float, float]:
    """How another source's groups are related to the base's: see ``agreement_sentence``."""
    source = other.name, other.n_groups
    if base.n_groups == other.n_groups == 1:
        return Agreement.SAME, *source, 0, np.nan, np.nan
    cut = 0
    if 1 in (base.n_groups, other.n_groups):  # one block has nothing to compare: cut both
        cut = int(base.forced.max()) + 1
        index = float(adjusted_rand_score(base.forced, other.forced))
        p_value = rand_p_value(base.forced, other.forced)
    else:
        index, p_value = _in_table(base, other, table)
        if index == 1:
            return Agreement.SAME, *source, 0, index, p_value
    related = index > 0 and p_value <= _LEVEL
    grade = Agreement.RELATED if related else Agreement.OTHER
    return grade, *source, cut, index, p_value


def _in_table(base: Source, other: Source, table: pd.DataFrame) -> tuple[float, float]:
    """The adjusted Rand index of two sources, and its p-value."""
    names = {base.name, other.name}
    row = table[table["first"].isin(names) & table["second"].isin(names)].iloc[0]
    return float(row["adjusted_rand"]), float(row["p_value"])


def _source(analysis: Analysis, kind: str, dataset: str, matrix: Array, seed: int) -> Source:
    name = kind.replace("_", " ") + (f" on {dataset}" if dataset else "")
    if kind in RULES:
        matrix = fill_unmeasured(matrix, analysis.results.pairs)
    if missing := int(np.triu(np.isnan(matrix), 1).sum()):
        none = np.empty(0, dtype=np.intp)
        word = "pair has" if missing == 1 else "pairs have"
        note = f"{missing} {word} no finite value: no groups"
        return Source(name, matrix, 0, none, none, kind, dataset, note)
    groups, note = analysis.basins.groups, ""
    options: dict[str, Any] = {}
    if kind not in RULES:
        options, note = {"tolerance": 0.0}, "not in nats: no tolerance"
    else:
        options["tolerance"] = groups.evidence.tolerance
        if groups.delta_rule == "given":
            options["delta"] = groups.delta
    is_analysed = (kind, dataset) == (analysis.rule, analysis.dataset)
    if is_analysed and groups.evidence.verdict != "asked":
        grouped = groups
    else:
        if is_analysed:
            options["noise"] = analysis.gaps.standard_error
        elif not note:
            note = "without noise"
        grouped = find_basins(matrix, rng=seed, **options).groups
    k = max(2, groups.n_groups)
    forced = grouped.labels
    if grouped.n_groups != k:
        forced = cut_into(matrix, k, delta=options.get("delta", "median"), rng=seed)
    return Source(name, matrix, grouped.n_groups, grouped.labels, forced, kind, dataset, note)


def _gaps(analysis: Analysis, rule: str, dataset: str) -> Array:
    # a signed rule is negative where there is no barrier: no distance is less than none
    curves = analysis.curves[dataset].losses
    return np.maximum(gap_matrix(analysis.results, curves, rule), 0)
