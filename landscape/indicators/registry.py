"""What an indicator is: one class that turns a model's outputs at some points into named arrays."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeVar

import numpy as np

from landscape.core.errors import ConfigError, require_known
from landscape.core.schema import Strict, validate

Place = Literal["models", "pairs", "paths"]
Role = Literal["in_domain", "challenge"]


@dataclass(frozen=True)
class Reading:
    """The outputs of a model on a data set, at several points of weight space.

    Attributes:
        dataset: The data set's name.
        labels: (n_examples,) indices of the right labels.
        logits: (n_points, n_examples, n_labels).
        losses: (n_points, n_examples) cross-entropy in nats.
        predictions: (n_points, n_examples) label indices.
    """

    dataset: str
    labels: np.ndarray = field(repr=False)
    logits: np.ndarray = field(repr=False)
    losses: np.ndarray = field(repr=False)
    predictions: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Quantity:
    """A named array of results.

    Attributes:
        values: (n_points, ...).
        dims: The names of its dimensions after the first; ``example`` is that of the examples.
        unit: nats, or 1 of a share; "" where it has none.
    """

    values: np.ndarray = field(repr=False)
    dims: tuple[str, ...] = ()
    unit: str = ""


class Indicator(Strict):
    """What can be measured at any point; an indicator inherits from it, its options are fields.

    Attributes:
        at: Of what: the models, the points of all pairs' paths, those of the other paths.
        on: Data sets of which role.
    """

    name: ClassVar[str]
    """What it is called in results."""
    text: ClassVar[str]
    """What it is, in a line."""
    source: ClassVar[str] = ""

    at: tuple[Place, ...] = ("models", "pairs", "paths")
    on: tuple[Role, ...] = ("in_domain", "challenge")

    def measure(self, reading: Reading) -> dict[str, Quantity]:
        """Its quantities by name, from the outputs on one data set."""
        raise NotImplementedError


Kind = TypeVar("Kind", bound=type[Indicator])
INDICATORS: dict[str, type[Indicator]] = {}


def indicator(kind: Kind) -> Kind:
    """Add an indicator to what ``indicators`` may name."""
    INDICATORS[kind.name] = kind
    return kind


def read_indicator(content: object, where: str) -> Indicator:
    """An entry of ``indicators``: a name, or a mapping of one name to its options.

    A name is one of ``INDICATORS``, or a user's own class as ``package.module:Class``.

    Raises:
        ConfigError: No such indicator, or options that it does not have.
    """
    if isinstance(content, Indicator):
        return content
    name: object = content
    options: object = {}
    if isinstance(content, Mapping) and len(content) == 1:
        [(name, options)] = content.items()
    if not isinstance(name, str):
        raise ConfigError(
            "An indicator is a name, or a mapping of one name to its options.",
            where=where,
            found=content,
        )
    if ":" in name:
        kind = _imported(name, where)
    else:
        require_known("indicator", name, INDICATORS, where=where, also="; or package.module:Class")
        kind = INDICATORS[name]
    return validate(kind, options or {}, where)


def _imported(name: str, where: str) -> type[Indicator]:
    module, _, attribute = name.partition(":")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"The indicator '{name}' cannot be imported.", where=where, found=error
        ) from None
    if not isinstance(kind, type) or not issubclass(kind, Indicator):
        raise ConfigError(
            f"'{name}' is no indicator.",
            where=where,
            expected="a class that inherits from landscape.indicators.Indicator",
            found=kind,
        )
    INDICATORS.setdefault(kind.name, kind)
    return kind
