"""What lies behind an analysis: structure, other partitions, other explanations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import squareform

from landscape.analysis.analysis import Analysis
from landscape.analysis.basins.partitions import (
    compare_partitions,
    disagreement,
    matrix_agreement,
)
from landscape.analysis.basins.structure import (
    Climbs,
    Clustering,
    Triangles,
    climbs,
    clustering,
    count_triangles,
    directed_links,
)
from landscape.analysis.sources import Source, partition_sources, sources_sentence
from landscape.analysis.statistics import (
    Explanation,
    explain,
    pair_regression,
    principal_coordinates,
    score_facts,
    split_half,
)

_TARGET = "centroid distance"
_COMPONENTS = 2  # of distances between models, as predictors of their scores


@dataclass(frozen=True)
class Diagnostics:
    """What a reviewer asks next.

    Attributes:
        triangles: Whether having no barrier is transitive.
        clustering: Weighted clustering coefficients of the affinity, against permuted gaps.
        climbs: Directed: how far the loss rises out of each model on the way to each other.
        sources: Everything that tells models apart, and the groups that it gives.
        partitions: A row a pair of sources: how alike their groups are.
        matrices: A row a pair of sources: how alike their distances are.
        agreement: One sentence: does in-domain loss find the groups that behaviour suggests?
        explanation: Whether centroid distance says more about each score than other predictors.
        pair_explanation: Do gaps explain how differently two models score? None without a focus.
    """

    triangles: Triangles
    clustering: Clustering
    climbs: Climbs
    sources: tuple[Source, ...]
    partitions: pd.DataFrame
    matrices: pd.DataFrame
    agreement: str
    explanation: Explanation | None
    pair_explanation: pd.DataFrame | None


def diagnose(analysis: Analysis, *, seed: int = 0) -> Diagnostics:
    """Compute the diagnostics of an analysis: seconds for ten models, a minute for a hundred.

    Args:
        analysis: Of a store.
        seed: Of every permutation and resampling.
    """
    results, gaps = analysis.results, analysis.gaps
    rng = np.random.default_rng(seed)
    estimate = np.maximum(gaps.estimate, 0)
    states = analysis.basins.states
    triangles = count_triangles(
        estimate,
        apart=states.apart if states.beyond_noise else None,
        joined=states.joined if states.beyond_noise else None,
        tolerance=states.tolerance,
    )
    curves = analysis.curves[analysis.dataset].losses
    if results.given_gaps is None:
        directed = climbs(curves, analysis.pairs, len(analysis.models), points=results.exact)
    else:  # nothing is known of the models' own losses
        directed = np.where(np.eye(len(analysis.models)), 0, np.nan)
    sources = partition_sources(analysis, rng=seed)
    whole = [source for source in sources if source.n_groups]
    partitions = compare_partitions({source.name: source.labels for source in whole}, rng=rng)
    predictors = _predictors(analysis)
    challenge = analysis.scores[list(analysis.challenge_columns)]
    conditions = None if analysis.conditions is None else analysis.conditions.labels
    explanation = None
    if challenge.shape[1]:
        explanation = explain(
            challenge,
            predictors,
            target=_TARGET,
            conditions=conditions,
            reliability=_reliability(analysis, rng),
            parents=score_facts(results, seed).parents,
            rng=rng,
        )
    return Diagnostics(
        triangles=triangles,
        clustering=clustering(estimate, rng=rng),
        climbs=directed_links(directed, tolerance=analysis.basins.states.tolerance),
        sources=sources,
        partitions=partitions,
        matrices=matrix_agreement({source.name: source.matrix for source in sources}, rng=rng),
        agreement=sources_sentence(analysis, sources, partitions),
        explanation=explanation,
        pair_explanation=_explain_pairs(analysis, conditions, rng),
    )


def _predictors(analysis: Analysis) -> dict[str, Any]:
    """Sets of predictors of a model's scores, the centroid distance last."""
    results = analysis.results
    sets: dict[str, Any] = {}
    in_domain = analysis.scores[list(analysis.in_domain_columns)]
    losses = {
        f"{name} loss": data.model_losses.mean(1, dtype=np.float64)
        for name, data in results.datasets.items()
        if data.role == "in_domain" and np.isfinite(data.model_losses).any()
    }
    sets["in-domain"] = pd.concat([in_domain, pd.DataFrame(losses, index=in_domain.index)], axis=1)
    if np.isfinite(results.distances).all():
        sets["weight distance"] = principal_coordinates(results.distances, _COMPONENTS)
    data = results.datasets[analysis.dataset]
    if not data.aggregated:
        apart = disagreement(data.model_predictions)
        sets["functional similarity"] = principal_coordinates(apart, _COMPONENTS)
    covariates = [name for name, role in results.score_roles.items() if role == "covariate"]
    if covariates:
        sets["covariates"] = results.given_scores[covariates]
    # distances that are all alike have no coordinates
    sets = {name: values for name, values in sets.items() if np.shape(values)[1]}
    return {**sets, _TARGET: analysis.basins.groups.centroid_distance}


def _reliability(analysis: Analysis, rng: np.random.Generator) -> dict[str, float]:
    """Of sets of predictors: of several columns the least; of weights, which have no noise, 1.

    Unknown of what came with the losses, and of centroid distance.
    """
    results, table = analysis.results, analysis.relation.table.set_index("group")["reliability"]
    columns = [float(table[name]) for name in analysis.in_domain_columns]
    known = {"weight distance": 1.0}
    for data in results.datasets.values():
        if data.role == "in_domain" and not data.aggregated:
            means = partial(_mean_losses, data.model_losses)
            columns.append(split_half(means, np.arange(len(data.labels)), rng))
    if np.isfinite(columns).any():
        known["in-domain"] = float(np.nanmin(columns))
    data = results.datasets[analysis.dataset]
    if not data.aggregated:
        known["functional similarity"] = split_half(
            lambda half: squareform(disagreement(data.model_predictions[:, half])),
            np.arange(len(data.labels)),
            rng,
        )
    return known


def _mean_losses(losses: np.ndarray, examples: np.ndarray) -> np.ndarray:
    return np.asarray(losses[:, examples].mean(1, dtype=np.float64))


def _explain_pairs(
    analysis: Analysis, conditions: np.ndarray | None, rng: np.random.Generator
) -> pd.DataFrame | None:
    """Differences between scores on the focus, by gap and what else tells two models apart."""
    if not analysis.focus:
        return None
    results, score = analysis.results, analysis.scores[analysis.focus].to_numpy()
    if len(score) < 4 or not np.isfinite(score).all() or np.ptp(score) == 0:
        return None
    by = {"gap": np.maximum(analysis.gaps.estimate, 0)}
    if np.isfinite(results.distances).all():
        by["weight distance"] = results.distances
    data = results.datasets[analysis.dataset]
    if not data.aggregated:
        by["disagreement"] = disagreement(data.model_predictions)
    return pair_regression(np.abs(score[:, None] - score), by, conditions=conditions, rng=rng)
