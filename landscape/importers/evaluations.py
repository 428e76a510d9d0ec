"""Scores of models from their predictions, as Juneja et al. (2023, arXiv 2205.12411) keep them.

A JSON file a model, named after it: ``label_dict``, from labels' names to their numbers, and
``samples``, each of a ``sentence``, its ``label`` and the labels' ``probabilities``.
"""

from __future__ import annotations

import json
import reprlib
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
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

_LARGEST_UNMATCHED = 0.01  # of samples: a tokenizer may not know a sign


def is_evaluation(text: str) -> bool:
    """Whether a file's text looks like predictions; they may still be wrong."""
    return text.lstrip()[:1] == "{" and '"samples"' in text


def read_evaluations(
    files: Iterable[Path], metric: Metric, examples: Examples | None, models: Iterable[str]
) -> pd.DataFrame:
    """Read models' predictions on one or more sets, and score them.

    What stands before ``eval`` in a file's name is the set's name, what follows the model's. Texts
    are matched to the examples' without regard to case, accents and spaces.

    Returns:
        A row a model, the index named ``model``; the columns ``name``, ``name: label``,
        ``name: group`` and ``name (loss)``, which is the mean loss in nats, infinite where a label
        has probability 0.

    Raises:
        DataError: What cannot be read is named by the file.
    """
    import pandas as pd

    sets = defaultdict[str, list[Path]](list)
    for path in files:
        name, separator, _ = path.stem.partition("eval")
        sets[(name.strip("_-. ") if separator else "") or "evaluation"].append(path)
    tables = []
    for name, paths in sets.items():
        named = names_of_files(paths, models)
        rows = {model: _scores(name, path, metric, examples) for model, path in named.items()}
        tables.append(pd.DataFrame.from_dict(rows, orient="index", dtype=float))
    return pd.concat(tables, axis=1).rename_axis("model")


def _scores(name: str, path: Path, metric: Metric, examples: Examples | None) -> dict[str, float]:
    """One model's scores from its predictions."""
    try:
        content = json.loads(read_bytes(path))
        samples: list[Any] = content["samples"]
        probabilities = np.array([s["probabilities"] for s in samples], dtype=np.float64)
        labels = np.array([s["label"] for s in samples])
        n = probabilities.shape[1]
        names = content.get("label_dict", {f"label {k}": k for k in range(n)})
        fits: Any = (
            (probabilities >= 0).all()
            and (probabilities <= 1 + 1e-6).all()
            and labels.dtype.kind == "i"
            and 0 <= labels.min() <= labels.max() < n
            and sorted(names.values()) == list(range(n))
        )
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        fits = False
    if not fits:
        raise DataError(
            "The file holds no predictions.",
            where=path,
            expected="JSON of 'samples', each of as many 'probabilities' from 0 to 1 and a "
            "'label' that counts them from 0, and in 'label_dict' a name for each label",
        )
    groups: dict[str, Any] = {}
    if metric == "accuracy":  # one label alone has no correlation
        ordered = [check_name(label, path, "label") for label in sorted(names, key=names.get)]
        groups["label"] = np.array(ordered)[labels]
    if examples is not None:
        groups |= _groups_of(samples, examples, path)
    scores = score_groups(probabilities.argmax(1)[None], labels, groups, metric, name).iloc[0]
    with np.errstate(divide="ignore"):
        loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    return {**{str(key): float(value) for key, value in scores.items()}, f"{name} (loss)": loss}


def _groups_of(samples: list[Any], examples: Examples, path: Path) -> dict[str, np.ndarray]:
    """From a grouping to (n,) group names, "" where the example is not in the set."""
    places = {_bare("".join(texts)): k for k, texts in enumerate(zip(*examples.texts, strict=True))}
    rows = np.array([places.get(_bare(str(sample.get("sentence"))), -1) for sample in samples])
    unknown = rows < 0
    if unknown.mean() > _LARGEST_UNMATCHED:
        raise DataError(
            f"{int(unknown.sum())} of {len(rows)} samples are not in the set '{examples.name}'.",
            where=path,
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
