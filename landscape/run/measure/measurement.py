"""What was measured at some points of one path, and the records that keep it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from landscape.evaluation import Evaluation
from landscape.evaluation.compute_plan import ComputePlan
from landscape.indicators import Indicator, Quantity, Reading
from landscape.indicators.loss import Loss
from landscape.records import FORMATS, Record, RunFolder

if TYPE_CHECKING:
    from landscape.evaluation.engine import Precision
    from landscape.tasks import Examples

Outputs = dict[str, Evaluation]
Quantities = dict[str, dict[str, Quantity]]
"""By indicator and ``DATASET/NAME``, arrays whose first dimension is the points."""


@dataclass(frozen=True)
class Measurement:
    """What was measured of a model, a pair, or another path.

    By indicator the places (n,) of the points on the path, ascending, and what was measured there;
    ``tolerance`` is by how many nats a pair's gap may be too low.
    """

    points: dict[str, np.ndarray]
    quantities: Quantities
    tolerance: float | None = None


def quantities_of(
    outputs: Outputs,
    precision: Precision,
    examples: Sequence[tuple[str, Examples]],
    indicators: Sequence[Indicator] = (),
) -> Quantities:
    """The losses and all else that is measured of outputs, on data sets of some role each.

    With the losses come each point's ``format`` and, of each data set, what is known of the fast
    format: the mean loss in it (``screened``) and the largest ``difference`` of an example's loss
    to the exact one, both NaN here.
    """
    quantities: Quantities = {
        indicator.name: {
            f"{data.name}/{key}": quantity
            for role, data in examples
            if role in indicator.on and (out := outputs[data.name])
            for key, quantity in indicator.measure(
                Reading(data.name, data.labels, out.logits, out.losses, out.predictions)
            ).items()
        }
        for indicator in (Loss(), *indicators)
    }
    n_points = len(next(iter(outputs.values())).losses)
    code = np.full(n_points, FORMATS.index(precision), dtype=np.uint8)
    quantities["loss"]["format"] = Quantity(code)
    for name in outputs:
        quantities["loss"] |= compared(name, np.full(n_points, np.nan), np.full(n_points, np.nan))
    return quantities


def compared(dataset: str, screened: np.ndarray, difference: np.ndarray) -> dict[str, Quantity]:
    """What is known of the fast format at some points, nats."""
    return {
        f"{dataset}/screened": Quantity(screened.astype(np.float64), unit="nats"),
        f"{dataset}/difference": Quantity(difference.astype(np.float32), unit="nats"),
    }


def joined(tables: Sequence[Mapping[str, Quantity]]) -> dict[str, Quantity]:
    """The points of several tables as one."""
    first = tables[0] if tables else {}
    return {
        name: replace(quantity, values=np.concatenate([table[name].values for table in tables]))
        for name, quantity in first.items()
    }


def write_measurements(
    folder: RunFolder,
    measurements: Mapping[str, Measurement],
    plan: ComputePlan,
    indicators: Sequence[str],
    name: str | None = None,
) -> None:
    """Keep what was measured, by path (as ``pairs/0003-0007``), in a record an indicator.

    Of ``indicators`` the losses, which are the first, are written last: by them the job counts as
    done. ``name`` as in ``RunFolder.write``.
    """
    plan_name = folder.add_plan(plan.to_json())
    nothing = np.zeros(0, np.int32)
    for indicator in reversed(indicators):
        points = [each.points.get(indicator, nothing) for each in measurements.values()]
        tables = [each.quantities.get(indicator, {}) for each in measurements.values()]
        table = joined([quantities for quantities in tables if quantities])
        tolerances = [each.tolerance for each in measurements.values()]
        of_pairs = indicator == "loss" and None not in tolerances
        record = Record(
            paths=tuple(measurements),
            indicator=indicator,
            path=np.repeat(np.arange(len(points)), [len(places) for places in points]),
            point=np.concatenate(points),
            arrays={key: quantity.values for key, quantity in table.items()},
            dims={key: quantity.dims for key, quantity in table.items()},
            units={key: quantity.unit for key, quantity in table.items() if quantity.unit},
            plan=plan_name,
            notes={"tolerance": tolerances} if of_pairs else {},
        )
        folder.write(record, name)
