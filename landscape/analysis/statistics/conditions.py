"""Training conditions: what may stand behind a relation between basins and scores."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import numpy as np

from landscape.core.arrays import Labels
from landscape.core.errors import ConfigError
from landscape.records import Results

_NUMBER = re.compile(r"[\W_]*\d+$")


@dataclass(frozen=True)
class Conditions:
    """Which models were trained alike but for chance.

    Attributes:
        names: Of each condition, sorted.
        labels: (n_models,) indices into ``names``.
        source: What tells them apart: checkpoints' ``recipe``; models' ``names``, which nobody
            confirmed; or what was ``given``.
    """

    names: tuple[str, ...]
    labels: Labels
    source: Literal["recipe", "names", "given"]


def find_conditions(
    results: Results, chosen: str | Mapping[str, str] = "auto"
) -> Conditions | None:
    """The training conditions of a store's models; None where there is one, or as many as models.

    Args:
        results: A store.
        chosen: ``recipe``: what checkpoints' recipes differ in, but seeds and what is of one model
            alone; ``names``: models' names without the number at their end; ``auto``: the first of
            these that tells models apart; ``none``; or from patterns of names (``none-*``) to
            conditions, of which the first that fits counts.

    Raises:
        ConfigError: A model that no pattern fits.
    """
    if isinstance(chosen, Mapping):
        return _numbered([_matching(name, chosen) for name in results.models], "given")
    by_recipe = by_name = None
    if chosen in ("auto", "recipe"):
        by_recipe = _numbered(_from_recipes(results), "recipe")
    if chosen in ("auto", "names"):
        families = [_NUMBER.sub("", name) or name for name in results.models]
        by_name = _numbered(families, "names" if chosen == "auto" else "given")
    return by_recipe or by_name


def _numbered(
    conditions: Sequence[str], source: Literal["recipe", "names", "given"]
) -> Conditions | None:
    names, labels = np.unique(np.array(conditions, dtype=str), return_inverse=True)
    # of conditions of a model each, nothing lies within
    if not 1 < len(names) <= len(conditions) / 2:
        return None
    return Conditions(tuple(map(str, names)), labels.astype(np.intp), source)


def _matching(name: str, patterns: Mapping[str, str]) -> str:
    for pattern, condition in patterns.items():
        if fnmatchcase(name, pattern):
            return condition
    raise ConfigError(
        "A model's training condition is not known.",
        where="analysis.conditions",
        expected=f"a pattern that fits {name}",
        found=", ".join(patterns),
    )


def _from_recipes(results: Results) -> list[str]:
    """Of each model, the settings that differ between recipes: ``rule=none, steps=300``."""
    table = results.checkpoints
    noted: Any = table["recipe"] if "recipe" in table else [{}] * len(table)
    recipes = [dict(_flat(recipe)) for recipe in noted]
    for recipe, step in zip(recipes, table["step"], strict=True):
        recipe["step"] = f"{step:g}"
    keys = sorted({key for recipe in recipes for key in recipe})
    values = {key: [recipe.get(key, "") for recipe in recipes] for key in keys if _counts(key)}
    differ = {key: column for key, column in values.items() if 1 < len(set(column)) < len(column)}
    return [
        ", ".join(f"{key}={column[model]}" for key, column in differ.items())
        for model in range(len(recipes))
    ]


def _counts(key: str) -> bool:
    """Whether a setting makes a condition: no seed, and no name."""
    last = key.rpartition(".")[2]
    return not last.endswith("seed") and last != "name"


def _flat(recipe: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
