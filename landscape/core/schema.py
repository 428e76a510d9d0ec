"""YAML read into strict pydantic models, with errors that name the nearest key."""

from __future__ import annotations

import difflib
import reprlib
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from landscape.core.errors import ConfigError, LandscapeError
from landscape.core.files import read_bytes
from landscape.core.plain_yaml import parse_yaml

_SHOWN = 20  # problems of one file

PathText = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=4096)]
"""A path as a user writes it: what no file system takes is refused here."""
Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""What every generator of random numbers takes."""
Name = Annotated[str, Field(pattern=r"^\.*[\w-][\w.-]*$", max_length=200)]
"""A file's or a folder's name: not "..", and no path."""
Device = Annotated[str, Field(pattern=r"^(cpu|cuda(:\d+)?)$")]
"""What computes."""


class Strict(BaseModel):
    """A frozen model that refuses unknown keys, NaN and infinite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        ConfigError: The file is missing, not YAML (of plain values, each key once), or not a
            mapping.
        DataError: It cannot be read.
    """
    if not path.exists():
        raise ConfigError("The file does not exist.", where=path.absolute())
    data = read_bytes(path)
    try:
        content = parse_yaml(data)
    except ValueError as error:
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
        for problem in error.errors():  # of an entry that was read by a registry of its own
            inner = problem.get("ctx", {}).get("error")
            if isinstance(inner, LandscapeError):
                raise inner.within(where) from None
        n = error.error_count()
        problems = [_explain(model, problem) for problem in error.errors()[:_SHOWN]]
        raise ConfigError(
            f"The configuration has {n} problem{'s' * (n > 1)}: "
            + "; ".join(problems)
            + ("; and so on" if n > _SHOWN else ""),
            where=where,
        ) from None


def _explain(model: type[BaseModel], problem: Any) -> str:
    *parents, last = problem["loc"] or ("(top)",)
    place = ".".join(map(str, problem["loc"]))[:200] or "(top)"
    if problem["type"] == "extra_forbidden":
        keys = sorted(_fields_at(model, parents))
        near = difflib.get_close_matches(str(last)[:200], keys, n=1)
        advice = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(keys)}"
        return f"unknown key '{place}' ({advice})"
    shown = reprlib.repr(problem["input"])
    return f"'{place}': {problem['msg'][:500]} (found {shown[:80]})"


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
    models: set[type[BaseModel]] = set()
    for argument in getattr(annotation, "__args__", ()):
        models |= _models_in(argument)
    return models
