"""From a store to everything that figures and the report draw; no torch."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from landscape.analysis.barriers import RULES, GapIntervals
from landscape.analysis.barriers.contributions import (
    PopulationContributions,
    population_contributions,
)
from landscape.analysis.basins import Basins, find_basins
from landscape.analysis.basins.active import find_basins_actively, gaps_and_errors
from landscape.analysis.basins.answer import Division
from landscape.analysis.basins.structure import fill_unmeasured
from landscape.analysis.by_rule import RuleGaps, gaps_by_rule
from landscape.analysis.gaps import square
from landscape.analysis.judgements import (
    Judgement,
    as_matrices,
    in_sentences,
    intervals_of,
    judge,
    noise_of,
)
from landscape.analysis.statistics import (
    Conditions,
    Relation,
    find_conditions,
    pair_kinds,
    relate,
    score_facts,
    score_groups,
)
from landscape.core.errors import ConfigError, require_known
from landscape.core.sentences import Criterion
from landscape.records import MEASURED, Results, StoredDataset
from landscape.records.results import largest, select
from landscape.tasks.groups import group_rows


@dataclass(frozen=True)
class Curves:
    """Mean losses (n_pairs, n_points) along every pair's path, nats, NaN where not evaluated.

    ``low`` and ``high`` are the 95% normal interval over examples; ``accuracy`` is in [0, 1];
    ``evaluated``: the point has losses, in whatever format.
    """

    name: str
    positions: np.ndarray
    losses: np.ndarray
    low: np.ndarray
    high: np.ndarray
    accuracy: np.ndarray
    evaluated: np.ndarray

    @property
    def measured(self) -> np.ndarray:
        """(n_pairs,) bool: the pair was evaluated, and all its losses are finite."""
        finite = np.isfinite(self.losses) | ~self.evaluated
        return finite.all(axis=1) & self.evaluated.any(axis=1)

    @property
    def filled(self) -> Curves:
        """For drawing: lines through the points that were not evaluated."""
        if self.evaluated.all():
            return self
        arrays = {name: getattr(self, name).copy() for name in _ALONG_THE_PATH}
        for values in arrays.values():
            for row, seen in zip(values, self.evaluated, strict=True):
                if seen.any():
                    row[~seen] = np.interp(self.positions[~seen], self.positions[seen], row[seen])
        return replace(self, **arrays)


_ALONG_THE_PATH = ("losses", "low", "high", "accuracy")


@dataclass(frozen=True)
class Analysis:
    """What a store says.

    Attributes:
        dataset: The data set whose losses make the gap matrix.
        focus: The column of ``scores`` that figures show; "" without challenge sets.
        curves: By data set; under the focus' name its group's.
        gaps: (n_models, n_models) estimates and intervals in nats, symmetric, zero on the
            diagonal; of each pair's exact points alone. NaN for pairs that were never measured;
            intervals are NaN where losses of single examples are not known.
        scores: A row a model, a column a data set or group.
        conditions: Which models were trained alike; None where nothing tells them apart.
        kinds: (n_pairs,) which ends the pair joins, by the focus' score.
        tolerance: Nats: on the whole grid no gap exceeds its estimate by more than this; NaN where
            points are not exact that were judged by another rule or data set.
        difference: Nats: the largest absolute difference of one example's loss between the fast
            format and the exact one, over all data sets; NaN where nothing has both.
        mean_difference: Nats: the largest absolute difference of a mean loss between them.
        settled: Whether the basins stay the same when every gap is as large as its tolerance
            allows.
        not_finite: A line for each pair left out for losses that are NaN or infinite somewhere.
        left_out: Models of which no pair has finite losses.
    """

    results: Results
    models: tuple[str, ...]
    pairs: np.ndarray
    positions: np.ndarray
    dataset: str
    rule: str
    focus: str
    curves: dict[str, Curves]
    gaps: GapIntervals
    basins: Basins
    scores: pd.DataFrame
    in_domain_columns: tuple[str, ...]
    challenge_columns: tuple[str, ...]
    relation: Relation
    conditions: Conditions | None
    kinds: np.ndarray
    tolerance: float
    difference: float
    mean_difference: float
    settled: bool
    not_finite: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @cached_property
    def judgements(self) -> tuple[Judgement, ...]:
        """The answer by loss and, where they are known, by calibrated loss and by accuracy."""
        basins = self.basins
        filled = fill_unmeasured(basins.gaps, self.pairs)
        n_examples = len(self.results.datasets[self.dataset].labels)
        first = Judgement(Criterion.LOSS, filled, basins.noise, basins, n_examples)
        if self.results.chosen == "active":  # by the loss
            return (first,)
        others = [
            judge(self.results, criterion, self.dataset, self.rule, basins.states.asked, seed=0)
            for criterion in (Criterion.CALIBRATED, Criterion.ACCURACY)
        ]
        return (first, *(judgement for judgement in others if judgement is not None))

    @property
    def answer(self) -> list[str]:
        """Which models share a basin, in plain sentences."""
        return in_sentences(self.judgements, self.models)

    @cached_property
    def contributions(self) -> PopulationContributions | None:
        """Which examples make the gaps.

        None where losses of examples are not known, or the rule is no sum over examples.
        """
        if not RULES[self.rule].linear or self.results.datasets[self.dataset].aggregated:
            return None
        return population_contributions(self.results, self.dataset, self.rule)

    @cached_property
    def by_rule(self) -> tuple[RuleGaps, ...]:
        """The gaps by this rule and by others, beside one another."""
        return gaps_by_rule(self.results, self.dataset, self.rule, states=self.basins.states)


def analyze(
    results: Results,
    *,
    rule: str = "convexity_gap",
    dataset: str | None = None,
    n_basins: int | None = None,
    delta: float | str = "median",
    focus: str | None = None,
    conditions: str | Mapping[str, str] = "auto",
    tolerance: float = 0.02,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Analysis:
    """Gaps, basins and their relation to challenge scores.

    Args:
        results: A store whose pairs are all measured.
        rule: A name from ``barriers.RULES``.
        dataset: The data set that makes the gaps; the first in-domain one by default.
        n_basins: Found from the data by default.
        delta: The affinity's scale in nats, or "median".
        focus: A column of scores; the task's, or the first challenge set, by default.
        conditions: What tells training conditions apart, see ``find_conditions``.
        tolerance: Nats below which a gap is no barrier.
        n_resamples: Of the examples, for the intervals of the gaps.
        seed: Of every resampling and of k-means.

    Raises:
        ConfigError: No such rule, data set or column; pairs that are not measured.
    """
    in_domain = [name for name, data in results.datasets.items() if data.role == "in_domain"]
    dataset = dataset or in_domain[0]
    require_known("data set", dataset, results.datasets)
    if missing := int((results.status != MEASURED).sum()):
        raise ConfigError(
            f"{missing} of {len(results.status)} pairs are not measured yet.",
            where=results.path,
            fix="run the experiment again: it goes on where it stopped",
        )
    results, not_finite, left_out = _without_infinite(results, dataset)
    scores, challenge = _all_scores(results)
    focus = focus or (challenge[0] if challenge else "")
    if focus:
        require_known("focus", focus, scores.columns)
    rng = np.random.default_rng(seed)
    intervals = intervals_of(results, dataset, rule, n_resamples, rng)
    gaps = as_matrices(intervals, results.pairs, len(results.models))
    # a signed rule is negative where there is no barrier: no distance is less than none
    heights = np.maximum(gaps.estimate, 0)
    reached = _tolerance(results, rule, dataset, in_domain[0])
    again = copy.deepcopy(rng)
    settled = reached == 0
    chosen = results.config.get("pairs") == "active"
    if chosen:
        basins = _active_basins(results, dataset, rule, n_basins, delta, tolerance, seed)
    else:
        filled = fill_unmeasured(heights, results.pairs)
        noise = noise_of(results, gaps, intervals, filled) | {
            "n_examples": len(results.datasets[dataset].labels),
            "measured": ~np.isnan(heights) & ~np.eye(len(heights), dtype=bool),
            "tolerance": tolerance,
        }
        basins = find_basins(filled, n_basins, delta=delta, **noise, rng=rng)
        basins = replace(basins, gaps=heights)
    if reached > 0 and not chosen:
        more = square(results.tolerance, results.pairs, len(heights))
        highest = filled + np.where(np.isnan(heights), 0, more)
        other = find_basins(highest, n_basins, delta=delta, **noise, rng=again)
        settled = _same_answer(other, basins)
    curves = {name: _curves(name, data, results) for name, data in results.datasets.items()}
    between = [
        np.abs(np.where(results.exact, curves[name].losses, np.nan) - data.screened)
        for name, data in results.datasets.items()
    ]
    if focus and focus not in curves and focus not in results.given_scores.columns:
        curves[focus] = _focus_curves(focus, results)
    trained = find_conditions(results, conditions)
    labels = None if trained is None else trained.labels
    facts = vars(score_facts(results, seed))
    return Analysis(
        results=results,
        models=results.models,
        pairs=results.pairs,
        positions=results.positions,
        dataset=dataset,
        rule=rule,
        focus=focus,
        curves=curves,
        gaps=gaps,
        basins=basins,
        scores=scores,
        in_domain_columns=tuple(c for c in scores.columns if c not in challenge),
        challenge_columns=tuple(challenge),
        relation=relate(basins, scores, conditions=labels, **facts, rng=rng),
        conditions=trained,
        kinds=pair_kinds(scores[focus].to_numpy(), results.pairs)
        if focus
        else np.full(len(results.pairs), ""),
        tolerance=reached,
        difference=results.largest_difference,
        mean_difference=largest(*between),
        settled=settled,
        not_finite=not_finite,
        left_out=left_out,
    )


def _without_infinite(
    results: Results, dataset: str
) -> tuple[Results, tuple[str, ...], tuple[str, ...]]:
    """The results less the pairs without a finite gap, and less the models that have no other.

    Also a line for each of these pairs between two models that stay, and the models' names.
    """
    losses, rows = results.datasets[dataset].losses, []
    for row, pair in enumerate(losses):  # not all pairs' masks at once
        rows.append(bool(np.isfinite(pair[results.exact[row]]).all()))
    good = np.array(rows, dtype=bool)
    if good.all():
        return results, (), ()
    if not good.any():
        raise ConfigError(
            "No pair has finite losses.",
            where=f"{dataset} in {results.path}",
            fix="see to the models: their weights are read, but what they compute overflows",
        )
    stays = np.isin(np.arange(len(results.models)), results.pairs[good])
    lines = []
    for row in np.flatnonzero(~good & stays[results.pairs].all(axis=1)).tolist():
        exact = results.exact[row][:, None]
        points = np.flatnonzero((exact & ~np.isfinite(losses[row])).any(axis=1))
        first, second = (results.models[k] for k in results.pairs[row])
        where = ", ".join(f"{results.positions[point]:.2g}" for point in points)
        lines.append(f"{first} and {second} at t = {where}")
    left_out = [results.models[model] for model in np.flatnonzero(~stays)]
    return select(results, stays, good), tuple(lines), tuple(left_out)


def analysis_options(results: Results) -> dict[str, Any]:
    """The keyword arguments for ``analyze`` that the stored experiment names."""
    options = dict(results.config.get("analysis", {}))
    if options.get("focus") is None:
        options["focus"] = results.config.get("resolved_focus")
    return options


def _tolerance(results: Results, rule: str, dataset: str, default: str) -> float:
    """The largest reached, if it is one of these gaps."""
    options = results.config.get("analysis", {})
    measured_for = (options.get("rule") or "convexity_gap", options.get("dataset") or default)
    if results.exact.all() or measured_for == (rule, dataset):
        return results.largest_tolerance
    return float("nan")


def _all_scores(results: Results) -> tuple[pd.DataFrame, list[str]]:
    """A row a model: what is scored from predictions, what came with the losses; the challenges."""
    tables, challenge = [], []
    for name, data in results.datasets.items():
        if data.aggregated:
            table = pd.DataFrame({name: data.model_accuracies}).dropna(axis=1, how="all")
        else:
            table = score_groups(
                data.model_predictions, data.labels, data.groups, data.metric, name
            )
        tables.append(table)
        if data.role == "challenge":
            challenge += [str(column) for column in table.columns]
    imported = results.given_scores.reset_index(drop=True)
    roles = {
        str(name): results.score_roles.get(str(name), "challenge") for name in imported.columns
    }
    shown = [name for name, role in roles.items() if role != "covariate"]
    scores = pd.concat([*tables, imported[shown]], axis=1)
    scores = scores.loc[:, ~scores.columns.duplicated(keep="last")]
    scores.index = pd.Index(results.models, name="model")
    return scores, challenge + [name for name in shown if roles[name] == "challenge"]


def _active_basins(
    results: Results,
    dataset: str,
    rule: str,
    n_basins: int | None,
    delta: float | str,
    tolerance: float,
    seed: int,
) -> Basins:
    """The basins that the run decided on, found again from the pairs that it measured."""
    row = {tuple(pair): place for place, pair in enumerate(results.pairs.tolist())}
    losses = results.datasets[dataset].losses

    def answer(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        places = [row.get(tuple(pair)) for pair in np.sort(pairs, axis=1).tolist()]
        measured = [place for place in places if place is not None]
        if len(measured) < len(places):
            raise ConfigError(
                "The pairs that were measured do not decide this.",
                where=results.path,
                expected="the rule, data set and seed that the run chose its pairs by",
                found=f"{rule} on {dataset}, seed {seed}",
                fix="run the experiment with these; what is measured already is kept",
            )
        return gaps_and_errors(losses[measured], rule, results.positions, results.exact[measured])

    search = find_basins_actively(
        len(results.models),
        answer,
        budget=results.config.get("pairs_budget"),
        tolerance=tolerance,
        rng=seed,
    )
    basins = find_basins(search.completed, n_basins, delta=delta, tolerance=tolerance, rng=seed)
    division: dict[str, Any] = {f.name: getattr(search, f.name) for f in fields(Division)}
    return replace(basins, **division, gaps=search.gaps)


def _same_answer(one: Basins, other: Basins) -> bool:
    return one.answer == other.answer and np.array_equal(one.labels, other.labels)


def _curves(
    name: str, data: StoredDataset, results: Results, rows: np.ndarray | None = None
) -> Curves:
    if data.aggregated:
        nothing = np.full(data.losses.shape[:2], np.nan)
        mean = data.losses[..., 0].astype(np.float64)
        right = data.accuracies.astype(np.float64)
        return Curves(name, results.positions, mean, nothing, nothing, right, results.evaluated)
    rows = np.arange(len(data.labels)) if rows is None else rows
    # a pair at a time: all pairs' examples in double precision need not fit in memory
    mean = np.array([pair[:, rows].mean(1, dtype=np.float64) for pair in data.losses])
    deviation = np.array([pair[:, rows].std(1, ddof=1, dtype=np.float64) for pair in data.losses])
    half = 1.959964 * deviation / np.sqrt(len(rows))
    right = np.array([(pair[:, rows] == data.labels[rows]).mean(1) for pair in data.predictions])
    right[np.isnan(mean)] = np.nan
    return Curves(name, results.positions, mean, mean - half, mean + half, right, results.evaluated)


def _focus_curves(focus: str, results: Results) -> Curves:
    for name, data in results.datasets.items():
        rows = group_rows(data.groups, len(data.labels), name).get(focus)
        if rows is not None:
            return _curves(focus, data, results, np.flatnonzero(rows))
    raise ConfigError("The focus is not a group of any data set.", found=focus)
