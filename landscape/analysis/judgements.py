"""The answer by each thing that can have a barrier: loss, calibrated loss, accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from landscape.analysis.barriers import GapIntervals, bootstrap_gaps
from landscape.analysis.barriers.intervals import Method
from landscape.analysis.basins.answer import Division, divide, in_words
from landscape.analysis.basins.noise import Noise, make_noise
from landscape.analysis.basins.structure import fill_unmeasured
from landscape.analysis.gaps import gap_matrix, square
from landscape.core.arrays import Array
from landscape.core.sentences import Criterion, criteria_sentences
from landscape.records import Results

LEVELS = (0.02, 0.05, 0.1, 0.2)  # nats, or shares of the examples: no single tolerance is right
_DRAWS = 400  # resamples that the answer is held against
OF_PAIRS = ("estimate", "low", "high", "standard_error", "bias", "corrected", "null_bias")


@dataclass(frozen=True)
class Judgement:
    """Which models share a basin by one criterion.

    Attributes:
        criterion: ``loss``, ``calibrated loss`` (each point's logits divided by one temperature
            that the other half of the examples chose: what is left is not confidence) or
            ``accuracy`` (the share of wrong predictions).
        gaps: (n_models, n_models) in the criterion's unit, 0 on the diagonal; unmeasured ones
            filled.
        noise: What a sample of examples does to them; None where that is not known.
        division: The answer.
        n_examples: That the gaps are from.
    """

    criterion: Criterion
    gaps: Array = field(repr=False)
    noise: Noise | None = field(repr=False)
    division: Division
    n_examples: int

    def at(self, tolerance: float) -> Division:
        """The answer where a barrier is what exceeds another tolerance."""
        return divide(
            self.gaps,
            self.noise,
            tolerance,
            self.n_examples,
            measured=self.division.states.measured,
        )

    def sentence(self, models: Sequence[str]) -> str:
        """The answer in plain words."""
        gaps = np.where(self.division.states.measured, self.gaps, np.nan)
        return in_words(self.division, gaps, models, self.criterion)


def in_sentences(judgements: Sequence[Judgement], models: Sequence[str]) -> list[str]:
    """The answer; where criteria give different ones, all of them, and that first."""
    divisions = [judgement.division for judgement in judgements]
    same = all(
        division.answer == divisions[0].answer
        and np.array_equal(division.labels, divisions[0].labels)
        for division in divisions
    )
    criteria = [
        (each.criterion, each.division.answer, each.division.n_basins) for each in judgements
    ]
    return criteria_sentences(criteria, [each.sentence(models) for each in judgements], same)


def judge(
    results: Results, criterion: Criterion, dataset: str, rule: str, tolerance: float, seed: int
) -> Judgement | None:
    """The answer by a criterion; None where it was not measured at every point that counts.

    Gaps in accuracy are held against the same tolerance: .02 are two points.
    """
    values = criterion_values(results, criterion, dataset)
    if values is None:
        return None
    rng = np.random.default_rng(seed)
    intervals = bootstrap_gaps(
        values, rule, results.positions, points=results.exact, keep_draws=True, rng=rng
    )
    matrices = as_matrices(intervals, results.pairs, len(results.models))
    filled = fill_unmeasured(np.maximum(matrices.estimate, 0), results.pairs)
    n_examples = values.shape[-1]
    options = noise_of(results, matrices, intervals, filled)
    noise = make_noise(filled, **options, rng=rng)
    measured = ~np.isnan(matrices.estimate) & ~np.eye(len(filled), dtype=bool)
    division = divide(filled, noise, tolerance, n_examples, measured=measured)
    return Judgement(criterion, filled, noise, division, n_examples)


def criterion_values(results: Results, criterion: Criterion, dataset: str) -> Array | None:
    """(n_pairs, n_points, n_examples) along all pairs' paths, NaN where not known.

    Nats, or 0 and 1 of accuracy, where 1 is a wrong prediction.
    """
    data = results.datasets[dataset]
    if data.aggregated or results.given_gaps is not None:
        return None
    if criterion is Criterion.LOSS:
        return data.losses
    if criterion is Criterion.ACCURACY:
        return np.where(np.isnan(data.losses), np.nan, data.predictions != data.labels)
    table = results.indicators.get("calibrated_loss")
    if table is None or f"{dataset}/losses" not in table.arrays:
        return None
    n_models, rows = len(results.models), table.arrays[f"{dataset}/losses"]
    values = np.full(data.losses.shape, np.nan)
    of_model = np.full((n_models, len(data.labels)), np.nan)
    is_model = table.path < n_models
    of_model[table.path[is_model]] = rows[is_model]
    values[:, 0], values[:, -1] = of_model[results.pairs[:, 0]], of_model[results.pairs[:, 1]]
    is_pair = ~is_model & (table.path < n_models + len(values))
    values[table.path[is_pair] - n_models, table.point[is_pair]] = rows[is_pair]
    known = np.isfinite(values).all(-1) | ~results.exact
    return values if known.all() else None


def intervals_of(
    results: Results,
    dataset: str,
    rule: str,
    n_resamples: int,
    rng: np.random.Generator,
    method: Method = "directional",
) -> GapIntervals:
    """Of every pair; without intervals where losses of single examples are not known."""
    data = results.datasets[dataset]
    if results.given_gaps is not None or data.aggregated:
        means = data.losses[..., 0].astype(np.float64)
        gaps = gap_matrix(results, means, rule)[tuple(results.pairs.T)]
        none = np.full_like(gaps, np.nan)
        return GapIntervals(gaps, none, none, none, none, none, none, 0.95, n_resamples)
    return bootstrap_gaps(
        data.losses,
        rule,
        results.positions,
        points=results.exact,
        n_resamples=n_resamples,
        method=method,
        keep_draws=True,
        rng=rng,
    )


def noise_of(
    results: Results, gaps: GapIntervals, intervals: GapIntervals, filled: Array
) -> dict[str, Any]:
    """What ``find_basins`` is told of the noise; gaps that were filled in have none."""
    if intervals.draws is None or intervals.null is None:
        return dict.fromkeys(("noise", "draws", "null", "corrected"))
    n = len(results.models)
    upper = np.triu_indices(n, 1)
    place = square(np.arange(len(results.pairs), dtype=float), results.pairs, n)[upper]
    measured = np.isfinite(gaps.estimate[upper]) & ~np.isnan(place)
    order = place[measured].astype(np.intp)
    draws = np.tile(filled[upper], (min(_DRAWS, len(intervals.draws)), 1))
    null = np.zeros_like(draws)
    draws[:, measured] = np.maximum(intervals.draws[:_DRAWS, order], 0)
    null[:, measured] = np.maximum(intervals.null[:_DRAWS, order], 0)
    corrected = np.where(np.isnan(gaps.corrected), filled, np.maximum(gaps.corrected, 0))
    errors = np.nan_to_num(gaps.standard_error)
    return {"noise": errors, "draws": draws, "null": null, "corrected": corrected}


def as_matrices(intervals: GapIntervals, pairs: np.ndarray, n: int) -> GapIntervals:
    """What is one number a pair as matrices (n, n)."""
    matrices: dict[str, Any] = {
        name: square(getattr(intervals, name), pairs, n) for name in OF_PAIRS
    }
    return replace(intervals, **matrices, draws=None, null=None)
