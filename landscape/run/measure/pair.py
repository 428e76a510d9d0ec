"""One pair: the points of its way that its gap needs, each in the format that its use needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from landscape.evaluation import Evaluation
from landscape.indicators import Quantity
from landscape.records import FORMATS
from landscape.run.measure.adaptive import Smoothness, refine

if TYPE_CHECKING:
    from landscape.evaluation.engine import Precision

Outputs = dict[str, Evaluation]
Quantities = dict[str, dict[str, Quantity]]
"""By indicator and ``DATASET/NAME``, arrays whose first dimension is the points."""

SAFETY = 3.0
"""Times the largest difference between the formats seen so far."""


def measure_pair(
    run: Callable[[list[int], Precision], Outputs],
    ends: np.ndarray,
    positions: np.ndarray,
    *,
    dataset: str,
    rule: str,
    tolerance: float,
    formats: tuple[Precision, Precision | None] = ("fp32", None),
    smoothness: Smoothness | None = None,
    error: float = 0.0,
    quantities: Callable[[Outputs], Quantities],
) -> MeasuredPair:
    """Evaluate the points of one pair that its gap needs.

    Args:
        run: From the indices of grid points and a number format to outputs by data set.
        ends: (2,) mean losses of the two models on ``dataset``, nats.
        positions: (n_points,).
        dataset: Whose losses make the gap.
        rule: The gap's barrier rule.
        tolerance: Nats by which the gap may be too low.
        formats: Of reported numbers, and the one to screen in, where there is one.
        smoothness: Learnt from complete pairs; without it every point is evaluated.
        error: Nats, how far a screened mean loss may be off; raised when one is further off.
        quantities: From outputs to what is kept of them.
    """
    points = _Points(run, len(positions), dataset, *formats, quantities)
    if formats[1] is None and smoothness is None:
        points(range(1, len(positions) - 1), True)
        return points.measured(0.0)
    while True:
        refined = refine(
            points,
            ends,
            positions,
            rule=rule,
            tolerance=tolerance,
            smoothness=smoothness,
            error=None if formats[1] is None else error,
        )
        twice = np.isfinite(refined.exact) & np.isfinite(refined.screened)
        off = np.abs(refined.exact - refined.screened)[twice].max(initial=0.0)
        if formats[1] is None or off <= error:
            return points.measured(refined.tolerance)
        error = SAFETY * float(off)  # further off than thought: again, with what is known by now


@dataclass(frozen=True)
class MeasuredPair:
    """A pair's inner points, those that were evaluated.

    Attributes:
        points: (n,) their places in the grid, ascending.
        formats: (n,) codes in ``FORMATS``.
        arrays: Of the losses, exact where a point is, else screened.
        exact: (n_exact,) which of the points the other indicators were measured at.
        others: What these gave.
        screened: By data set, mean losses in the fast format and the largest difference of an
            example's loss between the formats, each (n,), NaN where there is none.
        tolerance: Nats by which the gap may be too low.
    """

    points: np.ndarray
    formats: np.ndarray
    arrays: dict[str, Quantity]
    exact: np.ndarray
    others: Quantities
    screened: dict[str, tuple[np.ndarray, np.ndarray]]
    tolerance: float


class _Points:
    """Evaluates points as they are asked for, and keeps what came out."""

    def __init__(
        self,
        run: Callable[[list[int], Precision], Outputs],
        n_points: int,
        dataset: str,
        exact: Precision,
        fast: Precision | None,
        quantities: Callable[[Outputs], Quantities],
    ) -> None:
        self._run, self._dataset, self._exact, self._fast = run, dataset, exact, fast
        self._quantities = quantities
        self._formats = np.zeros(n_points, dtype=np.uint8)
        self._rows: dict[int, Quantities] = {}
        self._screened: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._means: dict[tuple[int, str], float] = {}

    def __call__(self, points: Sequence[int], exact: bool) -> np.ndarray:
        """Mean losses (n_points,) of these points on the data set that makes the gap."""
        precision = self._exact if exact or self._fast is None else self._fast
        if missing := [point for point in points if (point, precision) not in self._means]:
            self._evaluate(missing, precision)
        return np.array([self._means[point, precision] for point in points])

    def _evaluate(self, points: list[int], precision: Precision) -> None:
        outputs = self._run(points, precision)
        quantities = self._quantities(outputs)
        for name, result in outputs.items():
            if name not in self._screened:
                nothing = np.full(len(self._formats), np.nan)
                self._screened[name] = nothing, nothing.copy()
            means, differences = self._screened[name]
            if precision == self._fast:
                means[points] = result.losses.mean(1, dtype=np.float64)
                continue
            for row, point in enumerate(points):
                if point in self._rows:  # it was screened before
                    before = self._rows[point]["loss"][f"{name}/losses"].values[0]
                    differences[point] = np.abs(result.losses[row] - before).max()
        for row, point in enumerate(points):
            self._rows[point] = {
                indicator: {
                    key: replace(quantity, values=quantity.values[row : row + 1])
                    for key, quantity in own.items()
                }
                for indicator, own in quantities.items()
            }
        self._formats[points] = FORMATS.index(precision)
        means_now = outputs[self._dataset].losses.mean(1, dtype=np.float64)
        self._means |= {(p, precision): float(m) for p, m in zip(points, means_now, strict=True)}

    def measured(self, tolerance: float) -> MeasuredPair:
        points = np.flatnonzero(self._formats)
        exact = points[self._formats[points] == FORMATS.index(self._exact)]
        names = self._rows[int(points[0])] if len(points) else {}
        return MeasuredPair(
            points=points,
            formats=self._formats[points],
            arrays=self._stacked("loss", points) if names else {},
            exact=exact,
            others={name: self._stacked(name, exact) for name in names if name != "loss"},
            screened={
                name: (means[points], differences[points])
                for name, (means, differences) in self._screened.items()
            },
            tolerance=tolerance,
        )

    def _stacked(self, indicator: str, points: np.ndarray) -> dict[str, Quantity]:
        rows = [self._rows[int(point)][indicator] for point in points]
        if not rows:
            return {}
        return {
            key: replace(first, values=np.concatenate([row[key].values for row in rows]))
            for key, first in rows[0].items()
        }
