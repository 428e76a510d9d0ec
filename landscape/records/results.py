"""What a run measured, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

FORMATS = ("", "fp32", "tf32", "bf16", "fp64")
"""What a point's code in ``Results.formats`` means; 0: it was not evaluated."""
MEASURED = 1
NO_PLAN = 255
"""The index of a plan that nobody noted, or of what is not measured."""
_UNKNOWN: Any = None
"""The default of arrays that become NaN of the right shape."""


_OF_PAIRS = ("losses", "predictions", "screened", "difference", "accuracies")


def _default(to: object, name: str, value: object) -> None:
    if getattr(to, name) is None:
        object.__setattr__(to, name, value)


@dataclass(frozen=True, kw_only=True)
class DatasetFrame:
    """A data set without anything measured.

    Attributes:
        role: ``in_domain`` or ``challenge``.
        metric: ``accuracy`` or ``matthews``.
        labels: (n_examples,) indices into ``label_names``.
        groups: From a grouping to (n_examples,) group names.
        texts: From a text column to (n_examples,) strings; empty where texts were not stored.
        aggregated: Whether nothing is known of single examples: the one row in the dimension of
            the examples is the mean over all of them, labels and predictions mean nothing, and
            ``accuracies`` say what is known of the predictions.
    """

    name: str
    role: str
    metric: Literal["accuracy", "matthews"]
    label_names: tuple[str, ...]
    labels: np.ndarray
    groups: dict[str, np.ndarray]
    content_hash: str
    texts: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    aggregated: bool = False


@dataclass(frozen=True, kw_only=True)
class StoredDataset(DatasetFrame):
    """One data set's examples and everything measured on them.

    Attributes:
        losses: (n_pairs, n_points, n_examples) float32 nats: exact where the point is, else the
            screened ones, NaN where the point was not evaluated.
        predictions: (n_pairs, n_points, n_examples) uint8, meaningless where losses are NaN.
        screened: (n_pairs, n_points) float64 mean losses in the fast format, in nats; NaN where a
            point was not screened.
        difference: (n_pairs, n_points) float32, the largest absolute difference of one example's
            loss between the fast format and the exact one, in nats; NaN where a point has not both.
        accuracies: (n_pairs, n_points) float32, of an aggregated set and by its ``metric``; NaN
            where unknown.

    What begins with ``model_`` is the same of the models, (n_models, ...).
    """

    losses: np.ndarray = field(repr=False)
    predictions: np.ndarray = field(repr=False)
    model_losses: np.ndarray = field(repr=False)
    model_predictions: np.ndarray = field(repr=False)
    screened: np.ndarray = field(repr=False)
    difference: np.ndarray = field(repr=False)
    model_screened: np.ndarray = field(repr=False)
    model_difference: np.ndarray = field(repr=False)
    accuracies: np.ndarray = field(default=_UNKNOWN, repr=False)
    model_accuracies: np.ndarray = field(default=_UNKNOWN, repr=False)

    def __post_init__(self) -> None:
        _default(self, "accuracies", np.full(self.losses.shape[:2], np.nan, np.float32))
        n = len(self.model_losses)
        _default(self, "model_accuracies", np.full(n, np.nan, np.float32))


@dataclass(frozen=True)
class StoredPath:
    """A path between two checkpoints beside the pairs', or a surface through some.

    Attributes:
        name: Unique among those of its store.
        kind: A path kind: ``bezier``, ``plane``.
        models: Names of the checkpoints that lie on it: a curve's ends, a plane's corners.
        marks: (len(models), n_dims) where they lie, in the coordinates of ``positions``.
        positions: (n_points, n_dims): t of a curve, coordinates (x, y) of a surface, row by
            row (all x of the lowest y first), in units of length; of ``random``, in steps along
            the directions.
        shape: (n_points,) of a curve, (n_y, n_x) of a surface.
        lengths: (n_points,) length of a curve up to each point; NaN on a surface.
        notes: How it was made: settings, convergence, tolerance reached; plain data.
        status: (n_points,) uint8, 1 where evaluated.
        losses: By data set, (n_points, n_examples) float32 nats, NaN where not evaluated.
        predictions: By data set, (n_points, n_examples) uint8 label indices.
        plan: (n_points,) uint8 indices into the store's plans; 255 where not evaluated or unknown.
    """

    name: str
    kind: str
    models: tuple[str, ...]
    marks: np.ndarray = field(repr=False)
    positions: np.ndarray = field(repr=False)
    shape: tuple[int, ...]
    lengths: np.ndarray = field(repr=False)
    notes: dict[str, Any] = field(repr=False)
    status: np.ndarray = field(default=_UNKNOWN, repr=False)
    losses: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    predictions: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    plan: np.ndarray = field(default=_UNKNOWN, repr=False)

    def __post_init__(self) -> None:
        for name, nothing in (("status", 0), ("plan", NO_PLAN)):
            _default(self, name, np.full(len(self.positions), nothing, np.uint8))

    @property
    def is_surface(self) -> bool:
        """Whether it has two dimensions."""
        return len(self.shape) == 2

    @property
    def evaluated(self) -> np.ndarray:
        """(n_points,) bool."""
        return np.asarray(self.status == 1)

    def mean_losses(self, dataset: str) -> np.ndarray:
        """(n_points,) float64 nats, NaN where not evaluated."""
        return self.losses[dataset].mean(1, dtype=np.float64)

    def accuracies(self, dataset: str, labels: np.ndarray) -> np.ndarray:
        """(n_points,) share of examples predicted right, NaN where not evaluated."""
        right = (self.predictions[dataset] == labels).mean(1)
        return np.where(self.evaluated, right, np.nan)


@dataclass(frozen=True)
class Measured:
    """What one indicator, beside the losses, gave at points of weight space; a row a point.

    Attributes:
        path: (n_rows,) int32: a model's index, or n_models and a pair's, or n_models + n_pairs and
            that of one of ``Results.points`` in order.
        plan: (n_rows,) uint8 indices into the plans.

    The rest as in ``Record``.
    """

    path: np.ndarray = field(repr=False)
    point: np.ndarray = field(repr=False)
    plan: np.ndarray = field(repr=False)
    arrays: dict[str, np.ndarray] = field(repr=False)
    dims: dict[str, tuple[str, ...]]
    units: dict[str, str]


@dataclass(frozen=True)
class Results:
    """A store, read whole.

    Attributes:
        attributes: Versions, device, precision, machine, ``finished``.
        config: The experiment.
        models: (n_models) short unique names.
        checkpoints: A row a model: name, ref, sha256, labels, revision, fingerprint, seed, step,
            and where it was noted the recipe that it was trained by, a mapping.
        pairs: (n_pairs, 2) model indices, first < second; of a run that chooses its pairs, those
            that it has chosen so far.
        status: (n_pairs,) 1 where measured.
        model_status: (n_models,) 1 where measured.
        positions: (n_points,) of the line, from 0 at the first model to 1 at the second.
        formats: (n_pairs, n_points) uint8 indices into ``FORMATS``, the number format of the
            losses of a point; 0 where it was not evaluated.
        tolerance: (n_pairs,) nats: at most by this the gap on the whole grid exceeds the gap on the
            exact points, by the rule and data set of the experiment; NaN where not measured.
        datasets: By name, in-domain sets first.
        points: Paths and surfaces that were measured beside the pairs, by name.
        indicators: What was measured beside the losses, by the indicator's name.
        distances: (n_models, n_models) float64 Euclidean distances of all parameters, NaN where
            unknown.
        chosen: ``all`` where the run measures every pair of models, ``active`` where it chooses
            those that decide something.
        given_scores: A row a model, a column a score that came with the losses, not from
            predictions; no columns where none did.
        score_roles: From each of these columns to ``in_domain``, ``challenge`` or ``covariate``.
        given_gaps: (n_models, n_models) nats, NaN where unknown, of pairs whose gaps came without
            the losses that they are of; None where gaps follow from losses.
        plans: How numbers were computed, as far as that was noted.
        plan: (n_pairs,) uint8 indices into ``plans``; 255 where not measured or unknown.
        model_plan: (n_models,) as ``plan``.
    """

    path: Path
    attributes: dict[str, Any]
    config: dict[str, Any]
    models: tuple[str, ...]
    checkpoints: pd.DataFrame
    pairs: np.ndarray
    status: np.ndarray
    model_status: np.ndarray
    positions: np.ndarray
    formats: np.ndarray
    tolerance: np.ndarray
    datasets: dict[str, StoredDataset]
    points: dict[str, StoredPath] = field(default_factory=dict)
    indicators: dict[str, Measured] = field(default_factory=dict, repr=False)
    distances: np.ndarray = field(default=_UNKNOWN, repr=False)
    chosen: Literal["all", "active"] = "all"
    given_scores: pd.DataFrame = field(default=_UNKNOWN, repr=False)
    score_roles: dict[str, str] = field(default_factory=dict)
    given_gaps: np.ndarray | None = field(default=None, repr=False)
    plans: list[dict[str, Any]] = field(default_factory=list, repr=False)
    plan: np.ndarray = field(default=_UNKNOWN, repr=False)
    model_plan: np.ndarray = field(default=_UNKNOWN, repr=False)

    def __post_init__(self) -> None:
        n = len(self.models)
        _default(self, "distances", np.full((n, n), np.nan))
        _default(self, "given_scores", pd.DataFrame(index=pd.Index(self.models, name="model")))
        _default(self, "plan", np.full(len(self.pairs), NO_PLAN, np.uint8))
        _default(self, "model_plan", np.full(n, NO_PLAN, np.uint8))

    @property
    def never_measured(self) -> int:
        """How many pairs of models are not among ``pairs``."""
        n = len(self.models)
        return n * (n - 1) // 2 - len(self.pairs)

    @property
    def evaluated(self) -> np.ndarray:
        """(n_pairs, n_points) bool: the point has losses, in whatever format."""
        return self.formats > 0

    @property
    def exact(self) -> np.ndarray:
        """(n_pairs, n_points) bool: the point has the losses that gaps are made of.

        They are in fp32, fp64 or the one format that the run was asked for; what a run of
        precision ``auto`` has only screened is not exact.
        """
        full = {FORMATS.index("fp32"), FORMATS.index("fp64"), exact_code(self.attributes)}
        return np.isin(self.formats, list(full))

    @property
    def points_by_format(self) -> dict[str, int]:
        """How many points of all pairs were evaluated in each format, the ends in every pair."""
        counts = np.bincount(self.formats.ravel(), minlength=len(FORMATS))
        return {FORMATS[code]: int(counts[code]) for code in np.flatnonzero(counts) if code}

    @property
    def largest_tolerance(self) -> float:
        """Nats over all pairs; NaN where none is measured."""
        return largest(self.tolerance)

    @property
    def largest_difference(self) -> float:
        """Nats between the formats, of one example's loss over all points of all data sets.

        NaN where no point was evaluated in two formats.
        """
        sets = self.datasets.values()
        return largest(*(d.difference for d in sets), *(d.model_difference for d in sets))


def select(results: Results, models: np.ndarray, pairs: np.ndarray) -> Results:
    """These models (n_models,) and pairs (n_pairs,) alone; no pair has a model that is not kept."""
    number = np.cumsum(models) - 1
    sets = {}
    for name, data in results.datasets.items():
        of_pairs = {kind: getattr(data, kind)[pairs] for kind in _OF_PAIRS}
        of_models = {f"model_{kind}": getattr(data, f"model_{kind}")[models] for kind in _OF_PAIRS}
        sets[name] = replace(data, **of_pairs, **of_models)
    stays = np.concatenate([models, pairs, np.ones(len(results.points), dtype=bool)])
    place = np.cumsum(stays) - 1
    indicators = {}
    for name, values in results.indicators.items():
        rows = stays[values.path]
        arrays = {key: array[rows] for key, array in values.arrays.items()}
        of_rows = {"path": place[values.path[rows]].astype(np.int32), "arrays": arrays}
        indicators[name] = replace(
            values, **of_rows, point=values.point[rows], plan=values.plan[rows]
        )
    both = np.ix_(models, models)
    return replace(
        results,
        models=tuple(np.array(results.models)[models].tolist()),
        checkpoints=results.checkpoints.iloc[models],
        pairs=number[results.pairs[pairs]],
        datasets=sets,
        indicators=indicators,
        distances=results.distances[both],
        given_scores=results.given_scores.iloc[models],
        given_gaps=None if results.given_gaps is None else results.given_gaps[both],
        **{name: getattr(results, name)[models] for name in ("model_status", "model_plan")},
        **{
            name: getattr(results, name)[pairs]
            for name in ("status", "formats", "tolerance", "plan")
        },
    )


def largest(*arrays: np.ndarray) -> float:
    """The largest value that is not NaN; NaN where there is none."""
    flat = np.concatenate([np.ravel(array) for array in arrays])
    return float(np.fmax.reduce(flat, initial=np.nan))


def exact_code(attributes: Mapping[str, Any]) -> int:
    """The code in ``FORMATS`` of a run's exact numbers: its precision, fp32 for ``auto``."""
    precision = attributes.get("precision", "auto")
    return FORMATS.index("fp32" if precision == "auto" else precision)
