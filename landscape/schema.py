"""YAML read into strict pydantic models, with errors that name the nearest key."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from landscape.errors import ConfigError


class Strict(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        ConfigError: The file is missing, is not YAML, or is not a mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError("The file does not exist.", where=path.absolute()) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError("The file cannot be read as YAML.", where=path, found=error) from None
    if not isinstance(content, dict):
        raise ConfigError(
            "The file is not a YAML mapping.",
            where=path,
            expected="key: value lines",
            found=type(content).__name__,
        )
    return content


def validate(model: type[Model], content: object, where: object) -> Model:
    """Build ``model`` from plain data.

    Raises:
        ConfigError: One entry for each problem, with the nearest known key for an unknown one.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = [_explain(model, problem) for problem in error.errors()]
        raise ConfigError(
            f"The configuration has {len(problems)} problem{'s' * (len(problems) > 1)}: "
            + "; ".join(problems),
            where=where,
        ) from None


def _explain(model: type[BaseModel], problem: Any) -> str:
    *parents, last = problem["loc"] or ("(top)",)
    place = ".".join(map(str, problem["loc"])) or "(top)"
    if problem["type"] == "extra_forbidden":
        known = sorted(_fields_at(model, parents))
        near = difflib.get_close_matches(str(last), known, n=1)
        advice = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
        return f"unknown key '{place}' ({advice})"
    shown = repr(problem["input"])
    return f"'{place}': {problem['msg']} (found {shown[:80]})"


def _fields_at(model: type[BaseModel], parents: list[Any]) -> set[str]:
    """The field names of the model that lies at a location inside ``model``."""
    here: set[type[BaseModel]] = {model}
    for part in parents:
        inner: set[type[BaseModel]] = set()
        for candidate in here:
            if part in candidate.model_fields:
                inner |= _models_in(candidate.model_fields[part].annotation)
        here = inner or here
    return {name for candidate in here for name in candidate.model_fields}


def _models_in(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    found: set[type[BaseModel]] = set()
    for argument in getattr(annotation, "__args__", ()):
        found |= _models_in(argument)
    return found
