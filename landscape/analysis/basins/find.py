"""Gap matrix to basins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from landscape.analysis.basins.answer import Division, divide, in_words
from landscape.analysis.basins.checks import check_gaps
from landscape.analysis.basins.groups import Groups, find_groups
from landscape.analysis.basins.noise import Noise, make_noise
from landscape.core.arrays import Array, Labels, Mask
from landscape.core.errors import ConfigError
from landscape.core.sentences import Answer

Noun = Literal["basin", "group", "model"]


@dataclass(frozen=True)
class Shown:
    """What figures, tables and relations tell models apart by.

    Attributes:
        noun: ``basin`` where the answer has several of several models; else ``group`` where the
            clustering has several; else ``model``: all alike.
        labels: (n_models,) from 0, the largest; -1 for a model that joins several basins.
        n: How many.
    """

    noun: Noun
    labels: Labels
    n: int


@dataclass(frozen=True)
class Basins(Division):
    """Which models share a basin, and which have gaps that are alike.

    Attributes:
        gaps: (n_models, n_models) nats.
        merge_tree: (n_models - 1, 4) scipy's single linkage of the gaps, heights in nats.
        groups: The clustering of the gaps, whatever the answer.
        noise: What a sample of examples does to the gaps; None where that is not known.
    """

    gaps: Array
    merge_tree: Array
    groups: Groups
    noise: Noise | None = field(repr=False)

    @property
    def shown(self) -> Shown:
        """What models are told apart by."""
        forced = self.groups.evidence.verdict == "asked"
        if self.answer in (Answer.BASINS, Answer.BRIDGED) and not forced:
            return Shown("basin", self.labels, self.n_basins or 1)
        if self.groups.n_groups > 1:
            return Shown("group", self.groups.labels, self.groups.n_groups)
        return Shown("model", self.groups.labels, 1)

    def sentence(self, models: Sequence[str]) -> str:
        """The answer in one plain sentence, with models' names."""
        return in_words(self, self.gaps, models)


def find_basins(
    gaps: ArrayLike,
    n_basins: int | None = None,
    *,
    delta: float | str = "median",
    noise: ArrayLike | None = None,
    draws: ArrayLike | None = None,
    null: ArrayLike | None = None,
    corrected: ArrayLike | None = None,
    n_examples: int | None = None,
    measured: Mask | None = None,
    tolerance: float = 0.02,
    rng: np.random.Generator | int | None = None,
) -> Basins:
    """Which models share a basin (see ``basins.answer``), and their groups (``basins.groups``).

    Args:
        gaps: (n_models, n_models) nats, symmetric, zero diagonal.
        n_basins: Forces so many groups; the answer stays what the gaps say.
        delta: The affinity's scale in nats, or ``median`` of the off-diagonal gaps (their mean
            when the median is 0, 1 when all are); of the groups.
        noise: (n_models, n_models) standard errors of the gaps in nats, taken as normal and
            independent where there are no draws.
        draws: (n_draws, n_pairs) resampled gaps as ``bootstrap_gaps`` keeps them, pairs in the
            order of scipy's condensed matrices; with ``null``.
        null: (n_draws, n_pairs) gaps that example noise alone gives.
        corrected: (n_models, n_models) gaps less their bias; the gaps when absent.
        n_examples: That the gaps are from.
        measured: (n_models, n_models) bool; other gaps were filled, and show nothing. All when
            absent.
        tolerance: Nats below which a gap is no barrier; 0.02 lowers the (geometric) mean
            probability of the right label by 2%.
        rng: A generator or a seed, for the groups' nulls and k-means; seed 0 when absent. The
            answer is not random.

    Raises:
        ConfigError: Gaps or noise that are no symmetric non-negative matrix, unmeasured pairs, a
            delta, tolerance or n_basins out of range.
    """
    matrix = check_gaps(gaps)
    n = len(matrix)
    if not tolerance >= 0:
        raise ConfigError("The tolerance must not be negative.", found=tolerance)
    if n_basins is not None and not 1 <= n_basins <= n:
        raise ConfigError(
            "The number of basins does not fit the population.",
            expected=f"1 to {n}, for {n} models",
            found=n_basins,
        )
    generator = np.random.default_rng(0 if rng is None else rng)
    sampled = make_noise(matrix, noise, draws, null, corrected, generator)
    division = divide(matrix, sampled, tolerance, n_examples, measured=measured)
    return Basins(
        **vars(division),
        gaps=matrix,
        merge_tree=linkage(squareform(matrix, checks=False), method="single"),
        groups=find_groups(
            matrix, sampled, division, n_groups=n_basins, delta=delta, rng=generator
        ),
        noise=sampled,
    )


def order_by_basin(basins: Basins) -> Labels:
    """Models (n_models,) one basin or group after the other, by centroid distance within."""
    return np.lexsort((basins.groups.centroid_distance, basins.shown.labels))
