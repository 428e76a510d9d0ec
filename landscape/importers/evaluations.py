"""Scores of models from JSON: each model's predictions, or tables of scores."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal

from landscape.core.errors import DataError
from landscape.importers.files import (
    MAX_VALUES,
    Paths,
    check_amount,
    find_files,
    read_text,
)
from landscape.importers.names import check_name, names_of_files
from landscape.importers.samples import is_number, samples_of, score_samples

if TYPE_CHECKING:
    import pandas as pd

    from landscape.tasks import Examples

_DEPTH = 10


def read_evaluations(
    paths: Paths,
    *,
    name: str | None = None,
    metric: Literal["accuracy", "matthews"] = "accuracy",
    examples: Examples | None = None,
    models: Iterable[str] = (),
) -> pd.DataFrame:
    """Read scores of models from JSON or JSON lines.

    Known forms:

    * A file a model, as the code of Juneja et al. (2023, arXiv 2205.12411) writes: ``label_dict``
      and ``samples``, each of a sentence, a label and the labels' probabilities; or the samples
      alone, a line each. The model is named by the file.
    * An object from each model to its scores, cut further by objects inside, if wanted.
    * A list or lines of objects, each with the ``model`` and its scores.

    Args:
        paths: Files, folders and patterns.
        name: The evaluated set's; by default what stands before ``eval`` in a file's name.
        metric: What predictions are scored by.
        examples: The evaluated set with its groups; predictions are scored on each of them. Texts
            are matched without regard to case, accents and spaces.
        models: Known names, to find a file's model by.

    Returns:
        A row a model, the index named ``model``; the columns ``name``, ``name: label``,
        ``name: group`` and ``name (loss)``, which is the mean loss in nats, infinite where a label
        has probability 0.

    Raises:
        DataError: No such file; what cannot be read is named by the file and its place in it.
    """
    import pandas as pd

    tables: dict[str, dict[str, float]] = {}
    sets: dict[str, dict[PurePath, dict[str, float]]] = {}
    for path in find_files(paths):
        value = parse_json(read_text(path), path)
        if samples := samples_of(value):  # scored at once: all files' would fill the memory
            label = name or _set_name(path)
            sets.setdefault(label, {})[path] = score_samples(
                samples, label, path, metric=metric, examples=examples
            )
        else:
            for model, scores in _tables(value, path):
                _add(tables, model, scores, path)
    for files in sets.values():
        for file, model in names_of_files(list(files), models).items():
            _add(tables, model, files[file], file)
    if not tables:
        raise DataError("There are no scores.", where=paths)
    columns = {name for row in tables.values() for name in row}
    if len(columns) * len(tables) > MAX_VALUES:
        raise DataError(
            "The models have too few scores in common.",
            where=paths,
            expected=f"up to {MAX_VALUES} cells of models and scores",
            found=f"{len(tables)} models, {len(columns)} scores",
        )
    frame = pd.DataFrame.from_dict(tables, orient="index", dtype=float)
    return frame.rename_axis("model")


def parse_json(text: str, where: object) -> Any:
    """A JSON value, or a list of the values of JSON lines.

    Raises:
        DataError: Neither, the line is named; or too many values.
    """
    check_amount(text, ",[{\n", where)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        whole = error
    values = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise DataError(
                "The file is neither JSON nor JSON lines.",
                where=f"{where}, line {number}",
                found=whole if number == 1 else error,
            ) from None
    return values


def is_evaluation(value: Any) -> bool:
    """Whether a JSON value has the form of predictions or of scores; they may still be wrong."""
    if samples_of(value) or _is_row(value):
        return True
    if isinstance(value, Mapping):
        return bool(value) and all(isinstance(v, Mapping | int | float) for v in value.values())
    return isinstance(value, list) and bool(value) and all(map(_is_row, value))


def _is_row(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("model"), str | int)


def _set_name(path: Path) -> str:
    before, found, _ = path.stem.partition("eval")
    return (before.strip("_-. ") if found else "") or "evaluation"


def _add(
    tables: dict[str, dict[str, float]], model: str, scores: dict[str, float], path: PurePath
) -> None:
    row = tables.setdefault(model, {})
    if twice := set(row) & set(scores):
        raise DataError(
            f"The model '{model}' has the score '{min(twice)}' twice.",
            where=path,
            expected="one file a model and set",
        )
    row |= scores


def _tables(value: Any, where: Path) -> Iterator[tuple[str, dict[str, float]]]:
    if _is_row(value):
        value = [value]
    if isinstance(value, list):
        rows = [
            (row.get("model"), row) if isinstance(row, Mapping) else (None, {}) for row in value
        ]
    elif isinstance(value, Mapping):
        rows = list(value.items())
    else:
        rows = [(None, {})]
    if not rows:
        raise DataError("There are no scores.", where=where)
    for number, (model, scores) in enumerate(rows, start=1):
        if model is None:
            raise DataError(
                "The scores name no model.",
                where=f"{where}, object {number}",
                expected="predictions of one model, an object from models to scores, or objects "
                "with 'model'",
            )
        place = f"{where}, model {reprlib.repr(model)}"
        name = check_name(str(model) if type(model) is int else model, where)
        yield name, dict(_flat("", {"score": scores} if is_number(scores) else scores, place, 0))


def _flat(front: str, scores: Any, where: str, depth: int) -> Iterator[tuple[str, float]]:
    if not isinstance(scores, Mapping) or depth > _DEPTH:
        raise DataError(
            f"The score '{front}' is no number." if front else "The scores cannot be read.",
            where=where,
            expected="a number, null, or an object of scores",
            found=reprlib.repr(scores),
        )
    for key, value in scores.items():
        if depth == 0 and key == "model":
            continue
        own = check_name(key, where, "score")
        path = own if not front else f"{front}{' / ' if ': ' in front else ': '}{own}"
        if value is None or is_number(value):
            yield path, math.nan if value is None else _number(value)
        else:
            yield from _flat(path, value, where, depth + 1)


def _number(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
