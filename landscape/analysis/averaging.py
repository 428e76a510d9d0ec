"""Will these classifiers average? What the gaps between them say before they are souped; no torch.

A soup of models that share a basin is a point of low loss; of models on both sides of a barrier, it
lies on the barrier (Neyshabur et al. 2020, arXiv 2008.11687; Wortsman et al. 2022, arXiv
2203.05482). Gaps speak of pairs: whether many models average, only their soup's own loss can show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from landscape.analysis.barriers import RULES
from landscape.core.errors import ConfigError, require_known
from landscape.core.sentences import Averages, averaging_sentence

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis


@dataclass(frozen=True)
class Averaging:
    """Whether models can be averaged, by the largest gap between two of them.

    Attributes:
        pair: The two models with the largest gap.
        gap: Nats, the largest; NaN where the loss between the pair is not finite.
        low: Nats, the lower end of its interval.
        high: Nats, the upper end.
        confidence: Of the interval, in (0, 1).
        tolerance: Nats up to which a gap is no obstacle.
        n_above: How many intervals lie above the tolerance; a loss that is not finite does.
        n_possible: How many reach above it.
        n_points: Of the grid: a spike between two of its points is not seen.
        unknown: Points were left out that this rule or data set may need.
        verdict: ``yes`` where no interval reaches above the tolerance; ``no`` where one lies above
            it, or a loss is not finite; else ``unclear``.
    """

    models: tuple[str, ...]
    dataset: str
    rule: str
    pair: tuple[str, str]
    gap: float
    low: float
    high: float
    confidence: float
    tolerance: float
    n_pairs: int
    n_above: int
    n_possible: int
    unknown: bool
    n_points: int
    verdict: Averages

    @property
    def reason(self) -> str:
        """The verdict in one plain sentence."""
        return averaging_sentence(**vars(self))


def will_average(
    analysis: Analysis, models: Sequence[str] | None = None, *, tolerance: float = 0.02
) -> Averaging:
    """Judge from a store's gaps whether models can be averaged.

    Where points of the lines were left out, a gap may exceed its estimate by the tolerance that the
    run reached: that is added to the upper end of every interval before it is judged.

    Args:
        analysis: By a rule that is 0 where there is no barrier.
        models: Names of two models or more; all by default.
        tolerance: Nats up to which a gap is no obstacle; 0.02 lowers the (geometric) mean
            probability by 2%.

    Raises:
        ConfigError: A model that is not there or named twice, fewer than two, another rule, or a
            negative tolerance.
    """
    names = tuple(analysis.models if models is None else models)
    _check(analysis, names, tolerance)
    places = np.array([analysis.models.index(name) for name in names])
    i, j = np.triu_indices(len(names), 1)
    pairs = (places[i], places[j])
    estimate, low, high = (
        getattr(analysis.gaps, part)[pairs] for part in ("estimate", "low", "high")
    )
    highest = high + _left_out(analysis)[pairs]
    # comparisons with NaN are false: what is not known is not within noise
    small = highest <= tolerance
    failed = ~np.isfinite(estimate)
    clear = failed | (low > tolerance)
    worst = int(np.where(failed, np.inf, estimate).argmax())
    verdict = Averages.YES if small.all() else Averages.NO if clear.any() else Averages.UNCLEAR
    return Averaging(
        models=names,
        dataset=analysis.dataset,
        rule=analysis.rule,
        pair=(names[i[worst]], names[j[worst]]),
        gap=float(estimate[worst]),
        low=float(low[worst]),
        high=float(high[worst]),
        confidence=analysis.gaps.confidence,
        tolerance=float(tolerance),
        n_pairs=len(i),
        n_above=int(clear.sum()),
        n_possible=int((~small).sum()),
        unknown=bool(np.isnan(highest[~failed]).any()),
        n_points=len(analysis.positions),
        verdict=verdict,
    )


def _check(analysis: Analysis, names: tuple[str, ...], tolerance: float) -> None:
    for name in names:
        require_known("model", name, analysis.models)
    if len(set(names)) < max(2, len(names)):
        raise ConfigError(
            "Averaging needs two models or more, each named once.", found=", ".join(names)
        )
    if not RULES[analysis.rule].is_zero_without:
        raise ConfigError(
            f"The rule '{analysis.rule}' is not 0 where there is no barrier.",
            expected=f"one of {', '.join(name for name in RULES if RULES[name].is_zero_without)}",
            fix="analyze the store by one of these",
        )
    if not tolerance >= 0:
        raise ConfigError("The tolerance must not be negative.", found=tolerance)


def _left_out(analysis: Analysis) -> np.ndarray:
    """(n_models, n_models) nats by which a gap on the whole grid may exceed its estimate."""
    n = len(analysis.models)
    matrix = np.zeros((n, n))
    if not analysis.results.exact.all():
        # NaN where the points were chosen for another rule or data set
        more = analysis.results.tolerance if np.isfinite(analysis.tolerance) else np.nan
        matrix[tuple(analysis.pairs.T)] = more
        matrix = matrix + matrix.T
    return matrix
