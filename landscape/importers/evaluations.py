"""Scores of models from their predictions, as Juneja et al. (2023, arXiv 2205.12411) keep them.

A JSON file a model, named after it: ``label_dict``, from labels' names to their numbers, and
``samples``, each of a ``sentence``, its ``label`` and the labels' ``probabilities``.
"""

from __future__ import annotations

import json
import reprlib
import unicodedata
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.analysis.statistics import score_groups
from landscape.core.errors import DataError
from landscape.core.files import read_bytes
from landscape.importers.curves import Metric
from landscape.importers.names import check_name, names_of_files

if TYPE_CHECKING:
    import pandas as pd

    from landscape.tasks import Examples

_LARGEST_UNMATCHED = 0.01


def is_evaluation(text: str) -> bool:
    """Whether a file's text looks like predictions; they may still be wrong."""
    return text.lstrip()[:1] == "{" and '"samples"' in text


def read_evaluations(
    files: Iterable[Path],
    *,
    metric: Metric = "accuracy",
    examples: Examples | None = None,
    models: Iterable[str] = (),
) -> pd.DataFrame:
    """Read one or more models' predictions on one or more sets, and score them.

    Args:
        files: A model and set each: what stands before ``eval`` in the name is the set's name, what
            follows the model's.
        metric: What predictions are scored by.
        examples: The evaluated set with its groups; predictions are scored on each of them. Texts
            are matched without regard to case, accents and spaces.
        models: Known names, to find a file's model by.

    Returns:
        A row a model, the index named ``model``; the columns ``name``, ``name: label``,
        ``name: group`` and ``name (loss)``, which is the mean loss in nats, infinite where a label
        has probability 0.

    Raises:
        DataError: What cannot be read is named by the file and its place in it.
    """
    import pandas as pd

    sets: dict[str, dict[Path, dict[str, float]]] = {}
    for path in files:
        before, found, _ = path.stem.partition("eval")
        name = (before.strip("_-. ") if found else "") or "evaluation"
        sets.setdefault(name, {})[path] = _scores(name, path, metric, examples)
    tables = []
    for scores in sets.values():
        names = names_of_files(list(scores), models)
        rows = {names[path]: row for path, row in scores.items()}
        tables.append(pd.DataFrame.from_dict(rows, orient="index", dtype=float))
    return pd.concat(tables, axis=1).rename_axis("model")


def _scores(name: str, path: Path, metric: Metric, examples: Examples | None) -> dict[str, float]:
    """One model's scores from its predictions."""
    try:
        content = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise DataError("The file is no JSON.", where=path, found=error) from None
    samples = content.get("samples")
    if not isinstance(samples, list) or not samples:
        raise DataError("There are no samples.", where=path, expected="a list of 'samples'")
    probabilities, labels = _read_samples(samples, path)
    groups: dict[str, np.ndarray] = {}
    if metric == "accuracy":  # one label alone has no correlation
        names = _label_names(content.get("label_dict"), probabilities.shape[1], path)
        groups["label"] = np.array(names)[labels]
    if examples is not None:
        groups |= _groups_of(samples, examples, path)
    scores = score_groups(probabilities.argmax(1)[None], labels, groups, metric, name).iloc[0]
    with np.errstate(divide="ignore"):
        loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    return {**{str(key): float(value) for key, value in scores.items()}, f"{name} (loss)": loss}


def _read_samples(samples: list[Any], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(n, n_labels) probabilities and (n,) labels."""
    rows, labels, width = [], [], 0
    for number, sample in enumerate(samples, start=1):
        values: Mapping[str, Any] = sample if isinstance(sample, Mapping) else {}
        row, label = values.get("probabilities"), values.get("label")
        width = width or (len(row) if isinstance(row, list) else 0)
        fits = isinstance(row, list) and len(row) == width > 1
        fits = fits and all(type(p) in (int, float) and 0 <= p <= 1 + 1e-6 for p in row or ())
        if not (fits and type(label) is int and 0 <= label < width):
            raise DataError(
                "A sample cannot be read.",
                where=f"{path}, sample {number}",
                expected=f"{width or 'two or more'} 'probabilities' from 0 to 1, and a 'label' "
                "that counts them from 0",
                found=reprlib.repr(sample),
            )
        rows.append(row)
        labels.append(label)
    return np.array(rows, dtype=np.float64), np.array(labels)


def _label_names(numbers: Any, n: int, path: Path) -> list[str]:
    if numbers is None:
        return [f"label {k}" for k in range(n)]
    names = {}
    if isinstance(numbers, Mapping) and all(type(value) is int for value in numbers.values()):
        names = {value: key for key, value in numbers.items()}
    if sorted(names) != list(range(n)) or len(names) != len(numbers):
        raise DataError(
            "The labels' names do not fit the probabilities.",
            where=f"{path}, label_dict",
            expected=f"names of 0 to {n - 1}",
            found=reprlib.repr(numbers),
        )
    return [check_name(names[k], path, "label") for k in range(n)]


def _groups_of(samples: list[Any], examples: Examples, path: Path) -> dict[str, np.ndarray]:
    """From a grouping to (n,) group names, "" where the example is not in the set."""
    places: dict[str, deque[int]] = {}
    for k, texts in enumerate(zip(*examples.texts, strict=True)):
        places.setdefault(_bare("".join(texts)), deque()).append(k)
    rows = np.full(len(samples), -1)
    for k, sample in enumerate(samples):
        sentence = sample.get("sentence")
        if isinstance(sentence, str) and (alike := places.get(_bare(sentence))):
            rows[k] = alike[0]
            alike.rotate(-1)  # the same text again is the next example that has it
    unknown = rows < 0
    if unknown.mean() > _LARGEST_UNMATCHED:
        raise DataError(
            f"{int(unknown.sum())} of {len(rows)} samples are not in the set '{examples.name}'.",
            where=f"{path}, sample {int(unknown.argmax()) + 1}",
            expected="'sentence' with the texts of an example",
            found=reprlib.repr(samples[int(unknown.argmax())].get("sentence")),
        )
    return {
        grouping: np.where(unknown, "", np.asarray(values).astype(str)[rows])
        for grouping, values in examples.groups.items()
    }


def _bare(text: str) -> str:
    """What a tokenizer that ignores case keeps of a text, without spaces and its own signs."""
    for sign in ("[CLS]", "[SEP]", "[PAD]", "<s>", "</s>", "<pad>"):
        text = text.replace(sign, "")
    parts = unicodedata.normalize("NFD", text.lower())
    return "".join(c for c in parts if not c.isspace() and unicodedata.category(c) != "Mn")
