"""One model's predictions on a set, as Juneja et al. (2023, arXiv 2205.12411) keep them."""

from __future__ import annotations

import reprlib
import unicodedata
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from landscape.analysis.statistics import score_groups
from landscape.core.errors import DataError
from landscape.importers.names import check_name

if TYPE_CHECKING:
    from landscape.tasks import Examples

_LARGEST_UNMATCHED = 0.01


def samples_of(value: Any) -> dict[str, Any]:
    """``samples`` and ``label_dict`` of a file about one model; empty where it is none."""
    if isinstance(value, Mapping) and isinstance(value.get("samples"), list):
        return dict(value)
    rows = value if isinstance(value, list) else [value]
    if rows and all(isinstance(row, Mapping) and "probabilities" in row for row in rows):
        return {"samples": rows}
    return {}


def is_number(value: object) -> bool:
    """Whether a value is an int or a float, and nothing derived from them."""
    return type(value) in (int, float)


def score_samples(
    content: Mapping[str, Any],
    name: str,
    where: object,
    *,
    metric: Literal["accuracy", "matthews"] = "accuracy",
    examples: Examples | None = None,
) -> dict[str, float]:
    """One model's scores from its predictions.

    Args:
        content: ``samples``, and perhaps ``label_dict``.
        name: The evaluated set's.
        where: The file.
        metric: As in ``read_evaluations``.
        examples: As in ``read_evaluations``.

    Raises:
        DataError: A sample that cannot be read; it is named by its number, from 1.
    """
    probabilities, labels = _read_samples(content["samples"], where)
    names = _label_names(content.get("label_dict"), probabilities.shape[1], where)
    groups: dict[str, np.ndarray] = {}
    if metric == "accuracy":  # one label alone has no correlation
        groups["label"] = np.array(names)[labels]
    if examples is not None:
        groups |= _groups_of(content["samples"], examples, where)
    found = score_groups(probabilities.argmax(1)[None], labels, groups, metric, name).iloc[0]
    with np.errstate(divide="ignore"):
        loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    return {**{str(key): float(value) for key, value in found.items()}, f"{name} (loss)": loss}


def _read_samples(samples: list[Any], where: object) -> tuple[np.ndarray, np.ndarray]:
    """(n, n_labels) probabilities and (n,) labels."""
    rows, labels, width = [], [], 0
    for number, sample in enumerate(samples, start=1):
        known: Mapping[str, Any] = sample if isinstance(sample, Mapping) else {}
        row, label = known.get("probabilities"), known.get("label")
        width = width or (len(row) if isinstance(row, list) else 0)
        fits = isinstance(row, list) and len(row) == width > 1
        fits = fits and all(is_number(p) and 0 <= p <= 1 + 1e-6 for p in row or ())
        if not (fits and type(label) is int and 0 <= label < width):
            raise DataError(
                "A sample cannot be read.",
                where=f"{where}, sample {number}",
                expected=f"{width or 'two or more'} 'probabilities' from 0 to 1, and a 'label' "
                "that counts them from 0",
                found=reprlib.repr(dict(sample) if isinstance(sample, Mapping) else sample),
            )
        rows.append(row)
        labels.append(label)
    if not rows:
        raise DataError("There are no samples.", where=where)
    return np.array(rows, dtype=np.float64), np.array(labels)


def _label_names(given: Any, n: int, where: object) -> list[str]:
    if given is None:
        return [f"label {k}" for k in range(n)]
    names = (
        {value: key for key, value in given.items()}
        if isinstance(given, Mapping) and all(type(value) is int for value in given.values())
        else {}
    )
    if sorted(names) != list(range(n)) or len(names) != len(given):
        raise DataError(
            "The labels' names do not fit the probabilities.",
            where=f"{where}, label_dict",
            expected=f"names of 0 to {n - 1}",
            found=reprlib.repr(given),
        )
    return [check_name(names[k], where, "label") for k in range(n)]


def _groups_of(samples: list[Any], examples: Examples, where: object) -> dict[str, np.ndarray]:
    """From a grouping to (n,) group names, "" where the example is not found."""
    places: dict[str, deque[int]] = {}
    for k, texts in enumerate(zip(*examples.texts, strict=True)):
        places.setdefault(_bare("".join(texts)), deque()).append(k)
    rows = np.full(len(samples), -1)
    for k, sample in enumerate(samples):
        sentence = sample.get("sentence")
        own = places.get(_bare(sentence)) if isinstance(sentence, str) else None
        if own:
            rows[k] = own[0]
            own.rotate(-1)  # the same text again is the next example that has it
    unknown = rows < 0
    if unknown.mean() > _LARGEST_UNMATCHED:
        raise DataError(
            f"{int(unknown.sum())} of {len(rows)} samples are not in the set '{examples.name}'.",
            where=f"{where}, sample {int(unknown.argmax()) + 1}",
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
