"""Losses that others published, as a finished store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import h5py
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from landscape.core.errors import StoreError, require_known
from landscape.records.store.arrays import allocate, make_scale, write_column
from landscape.records.store.copy import copy_packed
from landscape.records.store.disk import writing
from landscape.records.store.layout import (
    CHECKPOINT_NUMBERS,
    CHECKPOINT_TEXT,
    allocate_distances,
    allocate_formats,
    exact_code,
    write_frame,
)
from landscape.records.store.replace import make_file, partial_of, put_in_place
from landscape.records.store.slots import assigned, check_pairs
from landscape.records.store.tables import MEASURED, add_checksums, allocate_checksums

ROLES = ("in_domain", "challenge", "covariate")
"""What a column of scores is for."""


@dataclass(frozen=True)
class Published:
    """What is known of one data set: means over its examples.

    Attributes:
        role: ``in_domain`` or ``challenge``.
        metric: ``accuracy`` or ``matthews``: what ``accuracies`` are.
        losses: (n_pairs, n_points) mean losses in nats, NaN where unknown.
        accuracies: (n_pairs, n_points), NaN where unknown.
        model_losses: (n_models,) nats; by default the mean over the ends of a model's pairs, NaN
            for a model that is in none.
    """

    role: Literal["in_domain", "challenge"]
    metric: Literal["accuracy", "matthews"]
    losses: ArrayLike = field(repr=False)
    accuracies: ArrayLike | None = field(default=None, repr=False)
    model_losses: ArrayLike | None = field(default=None, repr=False)


def write_published(
    path: Path,
    *,
    models: Sequence[str],
    pairs: ArrayLike,
    positions: ArrayLike,
    datasets: Mapping[str, Published],
    scores: pd.DataFrame | None = None,
    roles: Mapping[str, str] | None = None,
    attributes: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Write a finished store of aggregated data sets, all at once or not at all.

    A pair counts as measured where some data set has losses at both of its ends; a point as
    evaluated where some data set has a loss. Where the table lacks pairs of models, the store says
    that its pairs were chosen.

    Args:
        path: The file; one that is there is replaced.
        models: (n_models) unique names.
        pairs: (n_pairs, 2) model indices, first < second.
        positions: (n_points,) ascending from 0 to 1.
        datasets: By name, at least one in-domain set.
        scores: A row a model in their order, a column a score.
        roles: From each column of ``scores`` to ``in_domain``, ``challenge`` or ``covariate``.
        attributes: Root attributes beside the encoding's: where the numbers come from.
        config: What is known of the experiment; ``name`` is the file's where it has none.

    Raises:
        StoreError: Shapes that do not fit, names that are not unique, pairs that are not pairs of
            two models; or the file cannot be written.
        ConfigError: A role that there is not.
    """
    n = len(models)
    rows = check_pairs(pairs, n)
    t = np.asarray(positions, dtype=np.float64)
    _check_frame(path, models, rows, t, datasets)
    arrays = {name: _arrays(name, data, rows, n, len(t)) for name, data in datasets.items()}
    columns = _columns(scores, roles or {}, n)
    known = np.any([np.isfinite(own["losses"]) for own in arrays.values()], axis=0)
    ends = [np.isfinite(own["losses"][:, [0, -1]]).all(1) for own in arrays.values()]
    measured = np.any(ends, axis=0)
    model_measured = np.any([np.isfinite(own["model_losses"]) for own in arrays.values()], axis=0)
    notes = {"pairs": "all" if len(rows) == n * (n - 1) // 2 else "active", **(attributes or {})}
    code = exact_code(notes)
    table = pd.DataFrame({name: [""] * n for name in CHECKPOINT_TEXT})
    table = table.assign(name=list(models), **dict.fromkeys(CHECKPOINT_NUMBERS, np.nan))
    content = {"name": path.stem, **(config or {})}
    with h5py.File("published", "w", driver="core", backing_store=False) as file:
        write_frame(file, content, notes, table, rows, t)
        file["checkpoints/status"][...] = np.where(model_measured, MEASURED, 0)
        sets = file.create_group("datasets", track_order=True)
        for name, data in datasets.items():
            _write_set(file, sets.create_group(name), data, arrays[name])
        allocate_formats(file)
        allocate_distances(file)
        file["pairs/formats"][...] = np.where(known & measured[:, None], code, 0)
        file["pairs/tolerance"][...] = np.where(measured, 0.0, np.nan)
        file["pairs/status"][...] = np.where(measured, MEASURED, 0)
        if columns:
            group = file.create_group("scores", track_order=True)
            for column, values in columns.items():
                key = quote(column, safe=" ")
                write_column(group, key, values, file["model"])
                group[key].attrs["role"] = (roles or {})[column]
        allocate_checksums(file)
        add_checksums(file)

        def pack(target: h5py.File) -> None:
            copy_packed(file, target)
            target.attrs["finished"] = "yes"
            target["config"][()] = json.dumps(content, indent=1)

        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            make_file(partial_of(path), pack)
            put_in_place(partial_of(path), path)


def _write_set(
    file: h5py.File, group: h5py.Group, data: Published, arrays: Mapping[str, NDArray[Any]]
) -> None:
    group.attrs["role"] = data.role
    group.attrs["metric"] = data.metric
    group.attrs["content-hash"] = ""
    group.attrs["label-names"] = []
    group.attrs["aggregated"] = "yes"
    model, pair, point = file["model"], file["pair"], file["position"]
    example = make_scale(group, "example", np.arange(1))
    write_column(group, "labels", np.zeros(1, dtype=np.uint8), example)
    group.create_group("groups", track_order=True)
    allocate(group, "model_predictions", (model, example), "u1", 255)
    allocate(group, "predictions", (pair, point, example), "u1", 255)
    write_column(group, "model_losses", arrays["model_losses"][:, None], model, example)
    write_column(group, "losses", arrays["losses"][..., None], pair, point, example)
    if data.accuracies is not None:
        write_column(group, "accuracies", arrays["accuracies"], pair, point)
        write_column(group, "model_accuracies", arrays["model_accuracies"], model)


def _arrays(
    name: str, data: Published, pairs: np.ndarray, n_models: int, n_points: int
) -> dict[str, NDArray[np.float32]]:
    """Every array that a data set gives, or that follows from what it gives."""
    require_known("role", data.role, ROLES[:2], where=f"data set '{name}'")
    require_known("metric", data.metric, ("accuracy", "matthews"), where=f"data set '{name}'")
    shape = len(pairs), n_points
    found = {"losses": _shaped(name, "losses", data.losses, shape)}
    if data.accuracies is not None:
        found["accuracies"] = _shaped(name, "accuracies", data.accuracies, shape)
        found["model_accuracies"] = _at_ends(found["accuracies"], pairs, n_models)
    if data.model_losses is None:
        found["model_losses"] = _at_ends(found["losses"], pairs, n_models)
    else:
        found["model_losses"] = _shaped(name, "model_losses", data.model_losses, (n_models,))
    return found


def _shaped(name: str, what: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float32]:
    array = np.asarray(values, dtype=np.float32)
    if array.shape != shape:
        raise StoreError(
            f"The {what} of the data set '{name}' do not fit the store.",
            expected=f"shape {shape}",
            found=f"shape {array.shape}",
        )
    return array


def _at_ends(values: NDArray[np.float32], pairs: np.ndarray, n: int) -> NDArray[np.float32]:
    """(n_models,) mean over what stands at a model's end of its pairs; NaN where nothing does."""
    at, found = pairs.ravel(), values[:, [0, -1]].ravel().astype(np.float64)
    good = np.isfinite(found)
    counts = np.bincount(at[good], minlength=n)
    sums = np.bincount(at[good], weights=found[good], minlength=n)
    mean = np.full(n, np.nan)
    np.divide(sums, counts, out=mean, where=counts > 0)
    return mean.astype(np.float32)


def _columns(
    scores: pd.DataFrame | None, roles: Mapping[str, str], n: int
) -> dict[str, NDArray[np.float64]]:
    if scores is None:
        scores = pd.DataFrame(index=range(n))
    columns = list(map(str, scores.columns))
    if len(scores) != n or len(set(columns)) != len(columns) or set(roles) != set(columns):
        raise StoreError(
            "The scores do not fit the models, or their roles do not fit them.",
            where="scores",
            expected=f"{n} rows, unique columns, and a role for each",
            found=f"{len(scores)} rows, columns {columns}, roles of {sorted(roles)}",
        )
    for column in columns:
        require_known("role", roles[column], ROLES, where=f"score '{column}'")
    return {name: scores.iloc[:, k].to_numpy(np.float64) for k, name in enumerate(columns)}


def _check_frame(
    path: Path,
    models: Sequence[str],
    pairs: np.ndarray,
    positions: np.ndarray,
    datasets: Mapping[str, Published],
) -> None:
    if len(set(models)) != len(models) or not models:
        raise StoreError("The models need unique names.", where=path, found=", ".join(models))
    if not len(pairs) or not assigned(pairs).all():
        raise StoreError(
            "Published losses are those of pairs.",
            where=path,
            expected="at least one pair, and no free slots",
            found=f"{len(pairs)} rows",
        )
    inside = positions.ndim == 1 and len(positions) >= 2 and (np.diff(positions) > 0).all()
    if not inside or positions[0] != 0 or positions[-1] != 1:
        raise StoreError(
            "The positions are not those of a line.",
            where=path,
            expected="(n_points,) ascending from 0 to 1",
            found=positions,
        )
    if not any(data.role == "in_domain" for data in datasets.values()):
        raise StoreError(
            "No in-domain data set is given; the gap matrix is made from one.",
            where=path,
            found=", ".join(datasets) or "no data set",
        )
