"""A store in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import h5py
import numpy as np
import pandas as pd

from landscape.errors import StoreError
from landscape.store.layout import (
    CHECKPOINT_NUMBERS,
    CHECKPOINT_TEXT,
    FORMATS,
    MEASURED,
    check_encoding,
    exact_code,
    has_formats,
)
from landscape.store.points import StoredPoints, read_points


@dataclass(frozen=True)
class StoredDataset:
    """One data set's examples and everything measured on them.

    Attributes:
        role: ``in_domain`` or ``challenge``.
        metric: ``accuracy`` or ``matthews``.
        labels: (n_examples,) indices into ``label_names``.
        groups: From a grouping to (n_examples,) group names.
        losses: (n_pairs, n_points, n_examples) float32 nats: exact where the point is, else the
            screened ones, NaN where the point was not evaluated.
        predictions: (n_pairs, n_points, n_examples) uint8, meaningless where losses are NaN.
        model_losses: (n_models, n_examples) float32 nats.
        model_predictions: (n_models, n_examples) uint8.
        screened: (n_pairs, n_points) float64 mean losses in the fast format, in nats; NaN where a
            point was not screened.
        difference: (n_pairs, n_points) float32, the largest absolute difference of one example's
            loss between the fast format and the exact one, in nats; NaN where a point has not both.
        model_screened: (n_models,) as ``screened``.
        model_difference: (n_models,) as ``difference``.
    """

    name: str
    role: str
    metric: Literal["accuracy", "matthews"]
    label_names: tuple[str, ...]
    labels: np.ndarray
    groups: dict[str, np.ndarray]
    content_hash: str
    losses: np.ndarray = field(repr=False)
    predictions: np.ndarray = field(repr=False)
    model_losses: np.ndarray = field(repr=False)
    model_predictions: np.ndarray = field(repr=False)
    screened: np.ndarray = field(repr=False)
    difference: np.ndarray = field(repr=False)
    model_screened: np.ndarray = field(repr=False)
    model_difference: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Contents:
    """A store, read whole.

    Attributes:
        attributes: Versions, device, precision, machine, ``finished``.
        config: The experiment.
        models: (n_models) short unique names.
        checkpoints: A row a model: name, ref, sha256, labels, revision, fingerprint, seed, step.
        pairs: (n_pairs, 2) model indices, first < second.
        status: (n_pairs,) 1 where measured.
        model_status: (n_models,) 1 where measured.
        positions: (n_points,) of the line, from 0 at the first model to 1 at the second.
        formats: (n_pairs, n_points) uint8 indices into ``FORMATS``, the number format of the
            losses of a point; 0 where it was not evaluated.
        tolerance: (n_pairs,) nats: at most by this the gap on the whole grid exceeds the gap on the
            exact points, by the rule and data set of the experiment; NaN where not measured.
        datasets: By name, in-domain sets first.
        points: Ways and surfaces that were measured beside the pairs, by name.
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
    points: dict[str, StoredPoints] = field(default_factory=dict)

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


def largest(*arrays: np.ndarray) -> float:
    """The largest value that is not NaN; NaN where there is none."""
    flat = np.concatenate([np.ravel(array) for array in arrays])
    return float(np.fmax.reduce(flat, initial=np.nan))


def read_store(path: str | Path) -> Contents:
    """Read a store, finished or not, even while a run writes to it.

    Args:
        path: The file, of this format or an older one.

    Returns:
        What it holds; what an older format does not say is filled in as its specification has it.

    Raises:
        StoreError: No file, not a store, damaged, or of a newer format.
    """
    path = Path(path)
    if not path.is_file():
        raise StoreError("There is no store.", where=path.absolute())
    try:
        with _open_to_read(path) as file:
            check_encoding(file, path)
            return _read(path, file)
    except StoreError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise StoreError("The store cannot be read.", where=path, found=error) from None


def _open_to_read(path: Path) -> h5py.File:
    """Without a lock, so that a run that writes is no obstacle."""
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        return h5py.File(path, "r")  # this process has it open already


def _text(dataset: h5py.Dataset) -> np.ndarray:
    return dataset.asstr()[()]


def _metric(group: h5py.Group) -> Literal["accuracy", "matthews"]:
    return "matthews" if group.attrs["metric"] == "matthews" else "accuracy"


def _read(path: Path, file: h5py.File) -> Contents:
    table = {name: _text(file["checkpoints"][name]) for name in CHECKPOINT_TEXT}
    table |= {name: file["checkpoints"][name][()] for name in CHECKPOINT_NUMBERS}
    checkpoints = pd.DataFrame(table)
    # the status first: a pair that a writer finishes meanwhile counts as not measured
    status, model_status = file["pairs/status"][()], file["checkpoints/status"][()]
    positions = file["position"][()]
    code = exact_code(file.attrs)
    if has_formats(file):
        formats, tolerance = file["pairs/formats"][()], file["pairs/tolerance"][()]
    else:
        formats = np.full((len(status), len(positions)), code, dtype=np.uint8)
        tolerance = np.zeros(len(status))
    # a killed writer may have left half a pair behind
    formats[status != MEASURED] = 0
    tolerance[status != MEASURED] = np.nan
    sets = {}
    for name, group in file["datasets"].items():
        sets[name] = StoredDataset(
            name=name,
            role=str(group.attrs["role"]),
            metric=_metric(group),
            label_names=tuple(map(str, group.attrs["label-names"])),
            labels=group["labels"][()],
            groups={unquote(cut): _text(values) for cut, values in group["groups"].items()},
            content_hash=str(group.attrs["content-hash"]),
            predictions=group["predictions"][()],
            model_predictions=group["model_predictions"][()],
            losses=_measured(group, "losses", status),
            model_losses=_measured(group, "model_losses", model_status),
            **_screened(file, group, status, model_status),
        )
    return Contents(
        path=path,
        attributes=dict(file.attrs),
        config=json.loads(file["config"].asstr()[()]),
        models=tuple(checkpoints["name"]),
        checkpoints=checkpoints,
        pairs=file["pairs/models"][()],
        status=status,
        model_status=model_status,
        positions=positions,
        formats=formats,
        tolerance=tolerance,
        datasets=dict(sorted(sets.items(), key=lambda item: item[1].role != "in_domain")),
        points=read_points(file),
    )


def _screened(
    file: h5py.File, group: h5py.Group, status: np.ndarray, model_status: np.ndarray
) -> dict[str, np.ndarray]:
    kinds = {"screened": status, "model_screened": model_status}
    kinds |= {"difference": status, "model_difference": model_status}
    if has_formats(file):
        return {kind: _measured(group, kind, rows) for kind, rows in kinds.items()}
    shape = (len(status), file["position"].shape[0])
    return {
        kind: np.full(
            shape if rows is status else len(rows),
            np.nan,
            dtype=np.float64 if kind.endswith("screened") else np.float32,
        )
        for kind, rows in kinds.items()
    }


def _measured(group: h5py.Group, name: str, status: np.ndarray) -> np.ndarray:
    """An array whose rows are NaN where the status does not vouch for them."""
    values = group[name][()]
    values[status != MEASURED] = np.nan
    return values
