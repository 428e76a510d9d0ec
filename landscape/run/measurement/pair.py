"""One pair: the points of its way that its gap needs, each in the format that its use needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from landscape.evaluation import Evaluation
from landscape.records.store import FORMATS
from landscape.run.measurement.adaptive import Smoothness, refine

if TYPE_CHECKING:
    from landscape.evaluation.engine import Precision

Outputs = dict[str, Evaluation]

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
    """
    points = _Points(run, len(positions), dataset, *formats)
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
    """A pair's inner points.

    Attributes:
        outputs: By data set, losses in nats (NaN where not evaluated) and predictions, each
            (n_points - 2, n_examples).
        screened: By data set, mean losses in the fast format and the largest difference of an
            example's loss between the formats, each (n_points - 2,), NaN where there is none.
        formats: (n_points - 2,) codes in ``store.FORMATS``.
        tolerance: Nats by which the gap may be too low.
    """

    outputs: dict[str, tuple[np.ndarray, np.ndarray]]
    screened: dict[str, tuple[np.ndarray, np.ndarray]]
    formats: np.ndarray
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
    ) -> None:
        self._run, self._dataset, self._exact, self._fast = run, dataset, exact, fast
        self._formats = np.zeros(n_points - 2, dtype=np.uint8)
        self._outputs: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._screened: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._known: dict[tuple[int, str], float] = {}

    def __call__(self, points: Sequence[int], exact: bool) -> np.ndarray:
        """Mean losses (n_points,) of these points on the data set that makes the gap."""
        precision = self._exact if exact or self._fast is None else self._fast
        if missing := [point for point in points if (point, precision) not in self._known]:
            self._evaluate(missing, precision)
        return np.array([self._known[point, precision] for point in points])

    def _evaluate(self, points: list[int], precision: Precision) -> None:
        outputs = self._run(points, precision)
        inner = np.array(points) - 1
        for name, result in outputs.items():
            if name not in self._outputs:
                shape = (len(self._formats), result.losses.shape[1])
                self._outputs[name] = np.full(shape, np.nan, "f4"), np.full(shape, 255, "u1")
                self._screened[name] = np.full(shape[0], np.nan), np.full(shape[0], np.nan)
            losses, predictions = self._outputs[name]
            means, differences = self._screened[name]
            if precision == self._fast:
                means[inner] = result.losses.mean(1, dtype=np.float64)
            else:
                differences[inner] = np.abs(result.losses - losses[inner]).max(1)
            losses[inner], predictions[inner] = result.losses, result.predictions
        self._formats[inner] = FORMATS.index(precision)
        means = outputs[self._dataset].losses.mean(1, dtype=np.float64)
        self._known |= {(p, precision): float(m) for p, m in zip(points, means, strict=True)}

    def measured(self, tolerance: float) -> MeasuredPair:
        return MeasuredPair(self._outputs, self._screened, self._formats, tolerance)
