"""Surfaces: the plane through three models, along random, principal or given directions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator

from landscape.checkpoints.gram_matrix import gram
from landscape.core.errors import require_known
from landscape.core.schema import PathText, Seed
from landscape.paths import Directions, Plane, coordinates, pca
from landscape.paths.directions import random_direction, read_direction
from landscape.paths.kinds.registry import (
    Params,
    Part,
    PathKind,
    Population,
    Spanned,
    path_kind,
)


class Surface(PathKind):
    """A kind with two dimensions.

    Attributes:
        through: Models' names, or ``two_basins`` for the two nearest models of one basin and the
            one of another that is farthest from them.
        points: Along the longer side.
        tolerance: How far a loss may be off, as a share of it, where it is interpolated between
            evaluated points; every point is evaluated when null.
    """

    through: Literal["two_basins"] | tuple[str, ...] = "two_basins"
    points: int = Field(default=21, ge=3, le=501)
    tolerance: float | None = Field(default=None, gt=0)

    n_dims = 2

    def check(self, names: Sequence[str], params: Params) -> None:
        """As in ``PathKind``."""
        if isinstance(self.through, tuple):
            for name in self.through:
                require_known("model", name, names, where="paths.through")

    def chosen(self, population: Population) -> tuple[int, ...]:
        """The models' indices."""
        if isinstance(self.through, str):
            return population.two_basins()
        return tuple(list(population.names).index(name) for name in self.through)

    def parts(self, population: Population) -> list[Part]:
        """As in ``PathKind``."""
        return [Part(self.title, self.chosen(population))]

    @model_validator(mode="after")
    def _as_many_as_it_needs(self) -> Surface:
        needed = {"plane": 3, "random": 1, "directions": 1}.get(self.kind)
        if needed and isinstance(self.through, tuple) and len(self.through) != needed:
            raise ValueError(
                f"a surface of kind '{self.kind}' goes through {needed} of the models, "
                f"not {len(self.through)}"
            )
        return self


@path_kind
class PlaneConfig(Surface):
    """The plane through three models; their true coordinates are kept.

    Attributes:
        margin: Beside the models, as a share of each side.
    """

    kind: Literal["plane"] = "plane"
    margin: float = Field(default=0.2, ge=0)

    text = "plane through three models"
    source = "arXiv:1802.10026"

    def span(self, members: Sequence[Params], controls: Sequence[Params], part: Part) -> Spanned:
        """As in ``PathKind``."""
        marks = coordinates(gram(members))
        geometry = Plane.around(marks, self.points, self.margin)
        return Spanned(geometry, members, marks, geometry.shape)


class _OneModel(Surface):
    """A surface about one model; ``extent``: steps go from -extent to extent."""

    extent: float = Field(default=1.0, gt=0)

    def chosen(self, population: Population) -> tuple[int, ...]:
        """The model's index."""
        return super().chosen(population)[:1]

    def _around(self, model: Params, directions: Sequence[Params]) -> Spanned:
        steps = np.linspace(-self.extent, self.extent, self.points)
        geometry = Directions(steps, steps)
        return Spanned(geometry, [model, *directions], np.zeros((1, 2)), geometry.shape)


@path_kind
class RandomConfig(_OneModel):
    """Along two filter-normalised Gaussian directions; steps in lengths of the filters.

    Attributes:
        seed: Of the directions.
    """

    kind: Literal["random"] = "random"
    seed: Seed = 0

    text = "surface along random directions"
    source = "arXiv:1712.09913"

    def span(self, members: Sequence[Params], controls: Sequence[Params], part: Part) -> Spanned:
        """As in ``PathKind``."""
        rng = torch.Generator().manual_seed(self.seed)
        return self._around(members[0], [random_direction(members[0], rng) for _ in range(2)])


@path_kind
class DirectionsConfig(_OneModel):
    """Along two given directions; steps in lengths of these.

    Attributes:
        through: One model's name.
        along: Two safetensors files with the directions' tensors under the parameters' names; a
            parameter that a file lacks does not move.
    """

    kind: Literal["directions"] = "directions"
    along: tuple[PathText, PathText]

    text = "surface along given directions"

    def parts(self, population: Population) -> list[Part]:
        """As in ``PathKind``."""
        files = [str(population.base / file) for file in self.along]
        return [Part(self.title, self.chosen(population), {"along": files})]

    def span(self, members: Sequence[Params], controls: Sequence[Params], part: Part) -> Spanned:
        """As in ``PathKind``."""
        model = members[0]
        return self._around(
            model, [read_direction(Path(file), model) for file in part.notes["along"]]
        )


@path_kind
class PcaConfig(Surface):
    """The principal plane of all models.

    Attributes:
        margin: Beside the models, as a share of each side.
    """

    kind: Literal["pca"] = "pca"
    margin: float = Field(default=0.2, ge=0)

    text = "principal plane of the models"
    source = "arXiv:1712.09913"

    def chosen(self, population: Population) -> tuple[int, ...]:
        """All models' indices."""
        return tuple(range(len(population.names)))

    def span(self, members: Sequence[Params], controls: Sequence[Params], part: Part) -> Spanned:
        """As in ``PathKind``."""
        principal = pca(gram(members))
        notes: dict[str, Any] = {
            "explained_variance": principal.explained.tolist(),
            "off_plane": principal.off_plane.tolist(),
        }
        grid = principal.span(self.points, self.margin)
        # three tensors instead of one for each model
        anchors = _combined(members, np.stack([grid.origin, *grid.axes]))
        mixing = Directions(grid.x, grid.y)
        return Spanned(grid, anchors, principal.coordinates, grid.shape, notes, mixing)


def _combined(members: Sequence[Params], rows: np.ndarray) -> list[Params]:
    """Linear combinations (n_rows, n_members) of the members, one tensor read at a time."""
    combined: list[dict[str, torch.Tensor]] = [{} for _ in rows]
    for name in members[0]:
        for place, member in enumerate(members):
            tensor = member[name].detach()
            for out, row in zip(combined, rows, strict=True):
                if not tensor.is_floating_point():
                    out[name] = tensor
                elif place:
                    out[name].add_(tensor, alpha=float(row[place]))
                else:
                    out[name] = tensor * float(row[place])
    return list(combined)
