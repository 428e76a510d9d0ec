"""What each example contributes to the gap of one pair."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from landscape.analysis.barriers.contributions.rise import checked, gap_without, rise_of
from landscape.analysis.barriers.contributions.spread import (
    Concentration,
    by_contribution,
    concentration,
    percent,
    sentence,
)
from landscape.core.errors import ConfigError
from landscape.records.store import Results


@dataclass(frozen=True)
class Contributions:
    """What each example contributes to the gap of one pair.

    Attributes:
        dataset: The data set's name.
        rule: A linear one.
        pair: (2,) names of the models.
        values: (n_examples,) nats; their mean is the gap. All 0 where the gap is 0.
        triple: Positions (t_i, t_k, t_j) where the rise is largest, t_i < t_k < t_j; of several,
            the widest segment's, then the first. NaN where the gap is 0.
        gap: Nats.
        concentration: Of ``values``.
        gap_without_top: Nats, the gap (its maximum taken anew) without the example that
            contributes most; NaN of a single example.
        gap_without_top_1: Nats, without the 1% that contribute most, rounded up.
    """

    dataset: str
    rule: str
    pair: tuple[str, str]
    values: NDArray[np.float64] = field(repr=False)
    triple: tuple[float, float, float]
    gap: float
    concentration: Concentration
    gap_without_top: float
    gap_without_top_1: float

    @property
    def sentence(self) -> str:
        """The finding in plain words."""
        return sentence(
            f"the gap between {self.pair[0]} and {self.pair[1]}",
            len(self.values),
            self.gap,
            self.gap_without_top_1,
            self.concentration,
        )


def contributions(
    contents: Results, dataset: str, pair: int, rule: str = "convexity_gap"
) -> Contributions:
    """Decompose the gap of one pair over the examples.

    Args:
        contents: A store; of the pair only its exact points are seen.
        dataset: The data set whose losses make the gap.
        pair: A row of ``contents.pairs``.
        rule: A linear one: ``convexity_gap`` or ``barrier_height``.

    Raises:
        ConfigError: Another rule, no such data set or pair, a data set of which only means are
            known, or a pair that is not measured or has losses that are not finite.
    """
    data = checked(contents, dataset, rule)
    if not 0 <= pair < len(contents.pairs):
        raise ConfigError(
            "There is no such pair.",
            where=contents.path,
            expected=f"a row from 0 to {len(contents.pairs) - 1}",
            found=pair,
        )
    names = tuple(contents.models[model] for model in contents.pairs[pair])
    rise = rise_of(contents, data, pair, rule)
    if rise is None:
        raise ConfigError(
            "The pair has no finite gap.",
            where=f"{names[0]} and {names[1]} in {contents.path}",
            expected=f"finite losses on '{dataset}' at all exact points",
            fix="run the experiment again where the pair is not measured yet",
        )
    order = by_contribution(rise.values)
    return Contributions(
        dataset=dataset,
        rule=rule,
        pair=(names[0], names[1]),
        values=rise.values,
        triple=rise.triple,
        gap=float(rise.values.mean()),
        concentration=concentration(rise.values),
        gap_without_top=gap_without(rise, order[:1], rule),
        gap_without_top_1=gap_without(rise, order[: percent(len(order), 1)], rule),
    )
