"""What a path kind is: one class that says what the user may write and which points it has.

A kind makes anchors and coefficients, and nothing else; ``evaluate`` does the rest. One file here,
or anywhere that is imported before the configuration is read, adds a kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import numpy as np
from pydantic import Field, model_validator
from torch import Tensor

from landscape.core.errors import ConfigError, require_known
from landscape.core.schema import Name, Seed, Strict, validate

Params = Mapping[str, Tensor]


class TrainingConfig(Strict):
    """How points are trained, on the task's training data.

    Attributes:
        examples: Training examples in a stratified sample; all when null.
        batch_size: Examples a step.
        steps: Of the optimiser; of one cycle of AutoNEB.
        learning_rate: The peak.
        precision: bf16 means autocast; the weights stay fp32.
        seed: Of the sample, the order of the batches and whatever else is drawn.
    """

    examples: int | None = Field(default=4000, ge=2)
    batch_size: int = Field(default=32, gt=0)
    steps: int = Field(default=300, gt=0)
    learning_rate: float = Field(default=1e-4, gt=0)
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: Seed = 0


class FitConfig(TrainingConfig):
    """How the control points of a curve are trained.

    Attributes:
        points_per_step: Values of t a step.
        optimizer: With momentum, if sgd.
        weight_decay: Of the optimiser.
    """

    points_per_step: int = Field(default=1, gt=0, le=1001)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    weight_decay: float = Field(default=0.0, ge=0)


class Geometry(Protocol):
    """Points of weight space, in coordinates of their own."""

    @property
    def positions(self) -> np.ndarray:
        """(n_points,) or (n_points, n_dims)."""

    def coefficients(self) -> np.ndarray:
        """(n_points, n_anchors)."""

    def basis(self, at: Any) -> np.ndarray:
        """(n, n_anchors) at other positions."""


@dataclass(frozen=True)
class Part:
    """One path of an entry.

    Attributes:
        name: Unique in a run.
        models: Indices of the models that it is made from.
        notes: What else tells it from the entry's other parts.
    """

    name: str
    models: tuple[int, ...]
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """Control points, and how they were made."""

    controls: list[dict[str, Tensor]] = field(repr=False)
    notes: dict[str, Any]


@dataclass(frozen=True)
class Spanned:
    """The points of a path.

    Attributes:
        geometry: Their positions and coefficients.
        anchors: What the coefficients are of.
        marks: (n_marks, n_dims), where the first models lie.
        shape: (n_points,) of a curve, (n_y, n_x) of a surface.
        notes: What the report may want to say.
        mixing: What gives the coefficients of these anchors, where the geometry does not.
    """

    geometry: Geometry
    anchors: Sequence[Params] = field(repr=False)
    marks: np.ndarray
    shape: tuple[int, ...]
    notes: dict[str, Any] = field(default_factory=dict)
    mixing: Geometry | None = None

    def coefficients(self) -> np.ndarray:
        """(n_points, n_anchors)."""
        return (self.mixing or self.geometry).coefficients()

    def basis(self, at: Any) -> np.ndarray:
        """(n, n_anchors) at other positions."""
        return (self.mixing or self.geometry).basis(at)


class Population(Protocol):
    """What an entry may ask of a run whose pairs are measured."""

    @property
    def names(self) -> Sequence[str]:
        """Of the models."""

    @property
    def base(self) -> Path:
        """The folder that relative paths start from."""

    def params(self, model: int) -> Params:
        """A model's parameters."""

    def largest_gap(self) -> tuple[int, int]:
        """The pair of models with the largest gap."""

    def two_basins(self) -> tuple[int, int, int]:
        """The two nearest models of a basin, and the one of another that is farthest from them."""


class Trainer(Protocol):
    """Trains control points between some models on the task's training data."""

    def fit_curve(self, ends: Sequence[Params], geometry: Any, fit: FitConfig) -> Trained:
        """The control points of a curve (arXiv:1802.10026)."""

    def find_path(
        self, ends: Sequence[Params], cycles: int, max_pivots: int, fit: TrainingConfig
    ) -> Trained:
        """The pivots of AutoNEB (arXiv:1803.00885)."""

    def fit_simplex(
        self,
        vertices: Sequence[Params],
        fit: TrainingConfig,
        *,
        connect: int,
        samples_per_step: int,
        volume_weight: float,
    ) -> Trained:
        """Connecting vertices (arXiv:2102.13042)."""


class PathKind(Strict):
    """An entry of ``paths``; a kind inherits from it.

    Attributes:
        kind: Its name, a literal with itself as the default.
        name: What the path is called in results; the kind where absent.
    """

    kind: str
    name: Name | None = None

    text: ClassVar[str]
    """What figures and the report call it."""
    source: ClassVar[str] = ""
    trained: ClassVar[bool] = False
    """Whether it has control points that are trained."""
    n_dims: ClassVar[int] = 1

    @property
    def title(self) -> str:
        """Its name in results."""
        return self.name or self.kind

    @property
    def is_of_all_pairs(self) -> bool:
        """Whether it is the path of every pair of models."""
        return False

    def check(self, names: Sequence[str], params: Params) -> None:
        """Refuse what it cannot be made of, before hours are spent.

        Raises:
            ConfigError: A model or tensors that are not there.
        """

    def parts(self, population: Population) -> list[Part]:
        """The paths that it stands for."""
        raise NotImplementedError

    def train(self, members: Sequence[Params], trainer: Trainer) -> Trained:
        """Its control points."""
        return Trained([], {})

    def span(self, members: Sequence[Params], controls: Sequence[Params], part: Part) -> Spanned:
        """Its points, from the models' parameters and the trained control points."""
        raise NotImplementedError


Kind = TypeVar("Kind", bound=PathKind)
PATH_KINDS: dict[str, type[PathKind]] = {}


def path_kind(kind: type[Kind]) -> type[Kind]:
    """Add a kind to what ``paths`` may name."""
    PATH_KINDS[kind.model_fields["kind"].default] = kind
    return kind


def read_path(content: object, where: str) -> PathKind:
    """An entry of ``paths``.

    Raises:
        ConfigError: No such kind, or a key that it does not have.
    """
    if isinstance(content, PathKind):
        return content
    if not isinstance(content, Mapping) or not isinstance(content.get("kind", "line"), str):
        raise ConfigError(
            "A path is a mapping with a kind.", where=where, expected="{kind: line}", found=content
        )
    kind = content.get("kind", "line")
    require_known("path kind", kind, PATH_KINDS, where=where)
    return validate(PATH_KINDS[kind], dict(content), where)


class Curve(PathKind):
    """A kind between two models.

    Attributes:
        between: Two models' names, ``largest_gap``, or ``all`` pairs of models.
        points: Evenly spaced values of t, both ends included; 11 of all pairs, else 21.
        adaptive: Of all pairs: evaluate a position only where the gap could still grow by more
            than the tolerance.
        tolerance: Of all pairs: nats by which a gap may be too low on this grid, with adaptive
            positions or ``precision: auto``.
    """

    between: Literal["all", "largest_gap"] | tuple[str, str] = "largest_gap"
    points: int = Field(default=21, ge=3, le=1001)
    adaptive: bool = False
    tolerance: float = Field(default=0.005, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _points_of_all(cls, content: Any) -> Any:
        between = cls.model_fields["between"].default
        if isinstance(content, Mapping) and content.get("between", between) == "all":
            return {"points": 11, **content}
        return content

    @model_validator(mode="after")
    def _for_all_only(self) -> Curve:
        ignored = sorted(self.model_fields_set & {"adaptive", "tolerance"})
        named = [name for name in ignored if getattr(self, name) != _default(name)]
        if not self.is_of_all_pairs and named:
            raise ValueError(f"'{named[0]}' is of paths between all pairs")
        return self

    @property
    def is_of_all_pairs(self) -> bool:
        """Whether it is the path of every pair of models."""
        return self.between == "all"

    def check(self, names: Sequence[str], params: Params) -> None:
        """As in ``PathKind``."""
        if isinstance(self.between, tuple):
            for name in self.between:
                require_known("model", name, names, where="paths.between")

    def pair(self, population: Population) -> tuple[int, int]:
        """The two models' indices."""
        if isinstance(self.between, str):
            return population.largest_gap()
        first, second = (list(population.names).index(name) for name in self.between)
        return first, second

    def parts(self, population: Population) -> list[Part]:
        """As in ``PathKind``."""
        return [Part(self.title, self.pair(population))]


def _default(name: str) -> Any:
    return Curve.model_fields[name].default


ENDS = np.array([[0.0], [1.0]])
"""Where the two models of a curve lie."""
