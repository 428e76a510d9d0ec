"""What a store holds so far, as a run that goes on with it asks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike

from landscape.records.store.layout import FORMATS
from landscape.records.store.points import StoredPath, read_points
from landscape.records.store.read import read_distances
from landscape.records.store.rows import load_rows
from landscape.records.store.slots import FREE, assigned
from landscape.records.store.tables import MEASURED, plans_of, point_table


class Held:
    """Questions to an open store; nothing is written and nothing is kept in memory."""

    path: Path
    _file: h5py.File
    _exact: int

    def _table(self) -> np.ndarray:
        """(n_rows, 2) model indices, also of free slots; what a killed writer half gave is free."""
        models = self._file["pairs/models"][:]
        models[~assigned(models) | (self._file["pairs/seal"][:] == 0)] = FREE
        return models

    def pairs(self) -> np.ndarray:
        """(n_rows, 2) model indices; rows are the pairs' indices in all other functions.

        Free slots after the last pair are left out; one between pairs is (-1, -1).
        """
        models = self._table()
        return models[: np.flatnonzero([True, *assigned(models)])[-1]]

    def model_predictions(self, dataset: str) -> np.ndarray:
        """(n_models, n_examples) label indices."""
        return self._file["datasets"][dataset]["model_predictions"][:]

    def model_losses(self, dataset: str) -> np.ndarray:
        """(n_models, n_examples) float32 nats, NaN where a model is not measured."""
        losses = self._file["datasets"][dataset]["model_losses"][:]
        losses[self._file["checkpoints/status"][:] != MEASURED] = np.nan
        return losses

    def curves(self, dataset: str, pairs: Sequence[int]) -> np.ndarray:
        """(len(pairs), n_points) float64 mean losses of these pairs in nats, NaN where missing."""
        losses = self._file["datasets"][dataset]["losses"]
        status = self._file["pairs/status"][:]
        means = [
            losses[pair].mean(axis=1, dtype=np.float64)
            if status[pair] == MEASURED
            else np.full(losses.shape[1], np.nan)
            for pair in pairs
        ]
        return np.array(means).reshape(-1, losses.shape[1])

    def pair_losses(self, dataset: str, rows: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Losses (n_rows, n_points, n_examples) float32 nats of these rows of the pair table.

        And which of their points are exact, (n_rows, n_points) bool.
        """
        places = [int(row) for row in np.atleast_1d(np.asarray(rows))]
        losses = self._file["datasets"][dataset]["losses"]
        formats = self._file["pairs/formats"][:][places]
        full = {FORMATS.index("fp32"), FORMATS.index("fp64"), self._exact}
        return np.array([losses[row] for row in places]), np.isin(formats, list(full))

    def screening_error(self, dataset: str, pairs: Sequence[int]) -> float:
        """The largest difference of a mean loss between the formats, nats; NaN where none is.

        Of all models and, as far as they are measured, of these pairs.
        """
        group = self._file["datasets"][dataset]
        status = self._file["pairs/status"][:]
        done = [pair for pair in pairs if status[pair] == MEASURED]
        screened = group["model_screened"][:]
        screened[self._file["checkpoints/status"][:] != MEASURED] = np.nan
        differences = [screened - group["model_losses"][:].mean(axis=1, dtype=np.float64)]
        for pair in done:
            twice = np.isfinite(group["difference"][pair])
            exact = group["losses"][pair][twice].mean(axis=1, dtype=np.float64)
            differences.append(group["screened"][pair][twice] - exact)
        found = np.abs(np.concatenate(differences))
        found = found[np.isfinite(found)]
        return float(found.max()) if len(found) else np.nan

    def models_to_measure(self) -> np.ndarray:
        """Indices of models that have no losses yet."""
        return np.flatnonzero(self._file["checkpoints/status"][:] != MEASURED)

    def pairs_to_measure(self) -> np.ndarray:
        """Indices of pairs that have no losses yet; free slots are no pairs."""
        held = assigned(self._table())
        return np.flatnonzero(held & (self._file["pairs/status"][:] != MEASURED))

    def plans(self) -> list[dict[str, Any]]:
        """How numbers were computed, as far as that was noted; the last argument of writing."""
        return plans_of(self._file)

    def distances(self) -> np.ndarray:
        """(n_models, n_models) weight distances, NaN where unknown."""
        return read_distances(self._file)

    def points(self, name: str) -> StoredPath | None:
        """A way or a surface as far as it is measured, or None where there is none."""
        if name not in self._file.get("points", {}):
            return None
        rows = load_rows(self._file, point_table(self._file, name), (), verify=False)
        return read_points(self._file, name, rows)
