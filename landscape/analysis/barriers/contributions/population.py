"""What each example contributes to the gaps of a population, and whether pairs agree."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from landscape.analysis.barriers.contributions.peak import SLACK, checked, gap_without, peak_of
from landscape.core.arrays import Array
from landscape.core.errors import ConfigError
from landscape.core.sentences import contributions_sentence
from landscape.records import Results, StoredDataset
from landscape.tasks.groups import group_rows

FEW = 3
"""Effective number of examples behind a gap below which intervals cover in fewer than 90%
(``experiments/simulations/few.py``): the next sample may have none of these examples."""


@dataclass(frozen=True)
class Concentration:
    """How few examples make a net gap: the sum of all contributions, those below 0 too.

    NaN where that is 0, but for ``n_half`` and ``share_positive``.

    Attributes:
        top_1: Share of the net gap that the 1% of the examples with the largest contributions make
            (rounded up to whole examples); above 1 where the others lower it.
        top_5: The same of 5%.
        top_10: The same of 10%.
        n_half: The fewest examples that make half of it; 0 where there is none.
        effective_number: (sum c^2)^2 / sum c^4 of all contributions c, the inverse Simpson index
            of their squares (Hill 1973): so many examples of one size would make a gap as
            uncertain. It is of this sample: where no example that carries a gap is in it, nothing
            here can say so.
        share_positive: Of the examples, in [0, 1].
    """

    top_1: float
    top_5: float
    top_10: float
    n_half: int
    effective_number: float
    share_positive: float


def concentration(array: Array) -> Concentration:
    """How concentrated contributions (n_examples,) in any unit are; their sum is not negative."""
    n, share_positive = len(array), float((array > 0).mean())
    total = float(array.sum())
    if not total > 0:
        nan = float("nan")
        return Concentration(nan, nan, nan, 0, nan, share_positive)
    cumulative = np.cumsum(array[by_contribution(array)]) / total
    top_1, top_5, top_10 = (float(cumulative[percent(n, k) - 1]) for k in (1, 5, 10))
    return Concentration(
        top_1=top_1,
        top_5=top_5,
        top_10=top_10,
        n_half=int((cumulative >= 0.5 - SLACK).argmax()) + 1,
        effective_number=effective_number(array),
        share_positive=share_positive,
    )


def effective_number(array: Array) -> float:
    """(sum c^2)^2 / sum c^4 of contributions c (n_examples,); NaN where all are 0."""
    if not (largest := float(np.abs(array).max())):
        return float("nan")
    squares = (array / largest) ** 2  # so that powers neither vanish nor overflow
    return float(squares.sum() ** 2 / (squares**2).sum())


def by_contribution(values: Array) -> NDArray[np.int64]:
    """Rows from the largest contribution on; of equal ones the first comes first."""
    return np.argsort(-values, kind="stable")


def percent(n: int, share: int) -> int:
    """So many percent of n, rounded up."""
    return -(-n * share // 100)


@dataclass(frozen=True)
class PopulationContributions:
    """What each example contributes to the gaps of a population's pairs.

    Attributes:
        dataset: The data set's name.
        rule: A linear one.
        pairs: (n_used,) rows of ``Results.pairs`` that have a finite gap.
        gaps: (n_used,) nats.
        mean: (n_examples,) nats, mean contribution over these pairs; its mean is the mean gap.
        concentration: Of ``mean``.
        effective: (n_used,) effective number of examples behind each pair's gap (see
            ``Concentration``); NaN where that is 0.
        stability: (n_used,) Spearman correlation over examples of a pair's contributions with the
            mean of the other pairs'; NaN where either is constant or there is no other pair.
        gap_without_top: Nats, mean gap without the example that contributes most on average.
        gap_without_top_1: Nats, mean gap without the 1% that contribute most, rounded up.
        examples: A row an example, largest mean contribution first, indexed by its row in the
            data set: ``contribution``; ``share`` of the net mean gap; ``text: COLUMN``;
            ``label``; ``group: GROUPING``; ``loss_`` (nats) and ``accuracy_`` of ``ends`` and
            ``middle``: on the line between the segment's ends and at the point above it, over the
            pairs whose gap is not 0; ``in_top_5``, to how many pairs' gap it is among the 5% that
            contribute most, and positively.
        groups: A row a group of the data set's groupings and labels, the whole set first:
            ``group``; ``examples``, how many; ``contribution``, their mean in nats; ``share`` of
            the sum over all examples, which is negative or above 1 where groups pull apart.
    """

    dataset: str
    rule: str
    pairs: NDArray[np.int64]
    gaps: Array
    mean: Array = field(repr=False)
    concentration: Concentration
    effective: Array
    stability: Array
    gap_without_top: float
    gap_without_top_1: float
    examples: pd.DataFrame = field(repr=False)
    groups: pd.DataFrame = field(repr=False)

    @property
    def sentence(self) -> str:
        """The finding in plain words."""
        defined = self.stability[np.isfinite(self.stability)]
        return contributions_sentence(
            len(self.pairs),
            len(self.mean),
            gap=float(self.gaps.mean()),
            n_half=self.concentration.n_half,
            n_top=percent(len(self.mean), 1),
            gap_without_top=self.gap_without_top_1,
            agreement=float(np.median(defined)) if len(defined) else float("nan"),
            n_agreement=len(defined),
        )


def population_contributions(
    results: Results, dataset: str, rule: str = "convexity_gap"
) -> PopulationContributions:
    """Decompose the gaps of all pairs over the examples, and say whether pairs agree.

    Pairs are read one at a time, twice; those that are not measured or have losses that are not
    finite are left out. A pair whose gap is 0 counts with contributions of 0.

    Args:
        results: A store; of each pair only its exact points are seen.
        dataset: The data set whose losses make the gaps.
        rule: A linear one.

    Raises:
        ConfigError: Another rule, no such data set, one of which only means are known, or no pair
            with a finite gap.
    """
    data = checked(results, dataset, rule)
    n = len(data.labels)
    total, in_top = np.zeros(n), np.zeros(n, dtype=np.int64)
    used, gaps, effective = [], [], []
    at_triple, n_raised = np.zeros((4, n)), 0
    for pair in range(len(results.pairs)):
        peak = peak_of(results, data, pair, rule)
        if peak is None:
            continue
        used.append(pair)
        gaps.append(float(peak.values.mean()))
        effective.append(effective_number(peak.values))
        if peak.points is None:
            continue
        total += peak.values
        top = by_contribution(peak.values)[: percent(n, 5)]
        in_top[top[peak.values[top] > 0]] += 1
        right = data.predictions[pair, peak.points] == data.labels
        for row, values in ((0, peak.losses[peak.at]), (2, right)):
            at_triple[row] += peak.weights @ values[[0, 2]]
            at_triple[row + 1] += values[1]
        n_raised += 1
    if not used:
        raise ConfigError(
            "No pair has a finite gap.",
            where=results.path,
            expected=f"pairs with finite losses on '{dataset}'",
        )
    mean = total / len(used)
    order = by_contribution(mean)
    stability, without = np.full(len(used), np.nan), np.zeros((2, len(used)))
    for place, pair in enumerate(used):
        peak = peak_of(results, data, pair, rule)
        assert peak is not None
        if len(used) > 1:
            stability[place] = _spearman(peak.values, total - peak.values)
        for row, left_out in enumerate((order[:1], order[: percent(n, 1)])):
            without[row, place] = gap_without(peak, left_out, rule)
    with np.errstate(invalid="ignore"):  # no pair rises above its ends
        at_triple = at_triple / np.float64(n_raised)
    return PopulationContributions(
        dataset=dataset,
        rule=rule,
        pairs=np.array(used, dtype=np.int64),
        gaps=np.array(gaps),
        mean=mean,
        concentration=concentration(mean),
        effective=np.array(effective),
        stability=stability,
        gap_without_top=float(without[0].mean()),
        gap_without_top_1=float(without[1].mean()),
        examples=_examples(data, mean, at_triple, in_top).iloc[order],
        groups=_groups(data, mean),
    )


def _spearman(first: Array, second: Array) -> float:
    ranks = rankdata(first) - (len(first) + 1) / 2, rankdata(second) - (len(first) + 1) / 2
    scale = np.sqrt((ranks[0] @ ranks[0]) * (ranks[1] @ ranks[1]))
    return float(ranks[0] @ ranks[1] / scale) if scale > 0 else float("nan")


def _examples(
    data: StoredDataset, mean: Array, at_triple: Array, in_top: NDArray[np.int64]
) -> pd.DataFrame:
    columns = {
        "contribution": mean,
        "share": mean / (mean.sum() or 1.0),
        **{f"text: {name}": values for name, values in data.texts.items()},
        "label": _label_names(data),
        **{f"group: {name}": values for name, values in data.groups.items()},
        "loss_ends": at_triple[0],
        "loss_middle": at_triple[1],
        "accuracy_ends": at_triple[2],
        "accuracy_middle": at_triple[3],
        "in_top_5": in_top,
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(len(mean), name="example"))


def _groups(data: StoredDataset, mean: Array) -> pd.DataFrame:
    cuts = {**data.groups, "label": data.groups.get("label", _label_names(data))}
    total = mean.sum()
    rows = [
        {
            "group": name,
            "examples": int(chosen.sum()),
            "contribution": float(mean[chosen].mean()),
            "share": float(mean[chosen].sum() / total) if total else float("nan"),
        }
        for name, chosen in group_rows(cuts, len(mean), data.name).items()
    ]
    return pd.DataFrame(rows)


def _label_names(data: StoredDataset) -> NDArray[np.object_]:
    return np.array(data.label_names, dtype=object)[data.labels]
