"""One pair: the points of its path that its gap needs, each in the format that its use needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from landscape.records import FORMATS
from landscape.run.measure.adaptive import Smoothness, refine
from landscape.run.measure.measurement import Measurement, Outputs, Quantities, compared, joined

if TYPE_CHECKING:
    from landscape.evaluation.engine import Precision

Run = Callable[[list[int], "Precision"], Outputs]

SAFETY = 3.0
"""Times the largest difference between the formats seen so far."""


def measure_pair(
    run: Run,
    ends: np.ndarray,
    positions: np.ndarray,
    *,
    dataset: str,
    rule: str,
    tolerance: float,
    quantities: Callable[[Outputs, Precision], Quantities],
    formats: tuple[Precision, Precision | None] = ("fp32", None),
    smoothness: Smoothness | None = None,
    error: float = 0.0,
) -> Measurement:
    """Evaluate the points of one pair that its gap needs.

    Args:
        run: From the indices of grid points and a number format to outputs by data set.
        ends: (2,) mean losses of the two models on ``dataset``, nats.
        positions: (n_points,).
        dataset: Whose losses make the gap.
        rule: The gap's barrier rule.
        tolerance: Nats by which the gap may be too low.
        quantities: From outputs in a format to what is kept of them, as ``quantities_of``.
        formats: Of reported numbers, and the one to screen in, where there is one.
        smoothness: Learnt from complete pairs; without it every point is evaluated.
        error: Nats, how far a screened mean loss may be off; raised when one is further off.
    """
    points = _Points(run, dataset, *formats, quantities)
    if formats[1] is None and smoothness is None:
        points(range(1, len(positions) - 1), True)
        return points.measurement(0.0)
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
            return points.measurement(refined.tolerance)
        error = SAFETY * float(off)  # further off than thought: again, with what is known by now


class _Points:
    """Evaluates points as they are asked for, and keeps what came out."""

    def __init__(
        self,
        run: Run,
        dataset: str,
        exact: Precision,
        fast: Precision | None,
        quantities: Callable[[Outputs, Precision], Quantities],
    ) -> None:
        self._run, self._dataset, self._exact, self._fast = run, dataset, exact, fast
        self._quantities = quantities
        self._points: dict[int, Quantities] = {}
        self._means: dict[tuple[int, Precision], float] = {}

    def __call__(self, points: Sequence[int], exact: bool) -> np.ndarray:
        """Mean losses (n_points,) of these points on the data set that makes the gap."""
        precision = self._exact if exact or self._fast is None else self._fast
        if missing := [point for point in points if (point, precision) not in self._means]:
            self._evaluate(missing, precision)
        return np.array([self._means[point, precision] for point in points])

    def _evaluate(self, points: list[int], precision: Precision) -> None:
        outputs = self._run(points, precision)
        quantities = self._quantities(outputs, precision)
        means = {name: out.losses.mean(1, dtype=np.float64) for name, out in outputs.items()}
        for row, point in enumerate(points):
            at_point = {
                indicator: {
                    name: replace(quantity, values=quantity.values[row : row + 1])
                    for name, quantity in table.items()
                }
                for indicator, table in quantities.items()
            }
            for name, out in outputs.items():
                screened, difference = np.array([np.nan]), np.array([np.nan])
                if precision == self._fast:
                    screened = means[name][row : row + 1]
                elif point in self._points:  # it was screened before
                    before = self._points[point]["loss"]
                    screened = before[f"{name}/screened"].values
                    losses = before[f"{name}/losses"].values[0]
                    difference = np.abs(out.losses[[row]] - losses).max(1)
                at_point["loss"] |= compared(name, screened, difference)
            self._points[point] = at_point
            self._means[point, precision] = float(means[self._dataset][row])

    def measurement(self, tolerance: float) -> Measurement:
        """All points so far."""
        tables = dict(sorted(self._points.items()))
        code = FORMATS.index(self._exact)
        exact = [p for p, table in tables.items() if table["loss"]["format"].values[0] == code]
        indicators = next(iter(tables.values()), {})
        points = {name: list(tables) if name == "loss" else exact for name in indicators}
        return Measurement(
            {name: np.array(places, dtype=np.int32) for name, places in points.items()},
            {name: joined([tables[p][name] for p in places]) for name, places in points.items()},
            tolerance,
        )
