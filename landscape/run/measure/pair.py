"""One pair: the points of its path that its gap needs, each in the format that its use needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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

    ``ends`` (2,) are the mean losses of the two models on ``dataset``, whose losses make the gap;
    ``tolerance`` is by how much it may be too low, ``error`` how far a screened mean loss may be
    off, all in nats. ``quantities`` gives what is kept of outputs in a format; ``formats`` are that
    of reported numbers, and the one to screen in. Without ``smoothness`` every point is evaluated.
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


@dataclass(frozen=True)
class _Points:
    """Evaluates points as they are asked for, and keeps what came out."""

    run: Run
    dataset: str
    exact: Precision
    fast: Precision | None
    quantities: Callable[[Outputs, Precision], Quantities]
    points: dict[int, Quantities] = field(default_factory=dict)
    means: dict[tuple[int, Precision], float] = field(default_factory=dict)

    def __call__(self, points: Sequence[int], exact: bool) -> np.ndarray:
        """Mean losses (n_points,) of these points on the data set that makes the gap."""
        precision = self.exact if exact or self.fast is None else self.fast
        if missing := [point for point in points if (point, precision) not in self.means]:
            self._evaluate(missing, precision)
        return np.array([self.means[point, precision] for point in points])

    def _evaluate(self, points: list[int], precision: Precision) -> None:
        outputs = self.run(points, precision)
        quantities = self.quantities(outputs, precision)
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
                if precision == self.fast:
                    screened = means[name][row : row + 1]
                elif point in self.points:  # it was screened before
                    before = self.points[point]["loss"]
                    screened = before[f"{name}/screened"].values
                    losses = before[f"{name}/losses"].values[0]
                    difference = np.abs(out.losses[[row]] - losses).max(1)
                at_point["loss"] |= compared(name, screened, difference)
            self.points[point] = at_point
            self.means[point, precision] = float(means[self.dataset][row])

    def measurement(self, tolerance: float) -> Measurement:
        """All points so far."""
        tables = dict(sorted(self.points.items()))
        code = FORMATS.index(self.exact)
        exact = [p for p, table in tables.items() if table["loss"]["format"].values[0] == code]
        indicators = next(iter(tables.values()), {})
        points = {name: list(tables) if name == "loss" else exact for name in indicators}
        return Measurement(
            {name: np.array(places, dtype=np.int32) for name, places in points.items()},
            {name: joined([tables[p][name] for p in places]) for name, places in points.items()},
            tolerance,
        )
