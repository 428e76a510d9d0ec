"""Rows of a data set: read, mapped to the task's labels, cut in groups, sampled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from landscape.core.errors import DataError
from landscape.tasks.spec import DataSpec, Task
from landscape.tasks.tables import check_cells, read_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Examples:
    """Labelled texts.

    Attributes:
        name: The data set's name.
        texts: One or two columns, each a tuple of n_examples strings.
        labels: (n_examples,), indices into ``label_names``.
        label_names: The classes that this set tells apart.
        classes: For each of them the task's label indices that it stands for.
        groups: From a grouping's name to (n_examples,) group names.
        metric: ``accuracy`` or ``matthews``.
    """

    name: str
    texts: tuple[tuple[str, ...], ...]
    labels: np.ndarray
    label_names: tuple[str, ...]
    classes: tuple[tuple[int, ...], ...]
    groups: dict[str, np.ndarray]
    metric: str

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> Examples:
        """The examples at these row numbers, in this order."""
        return replace(
            self,
            texts=tuple(tuple(column[i] for i in rows) for column in self.texts),
            labels=self.labels[rows],
            groups={name: values[rows] for name, values in self.groups.items()},
        )

    def content_hash(self) -> str:
        """SHA-256 over texts, labels, label names and groups."""
        content = {
            "texts": self.texts,
            "labels": [self.label_names[label] for label in self.labels],
            "classes": self.classes,
            "groups": {name: values.tolist() for name, values in self.groups.items()},
        }
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def load_examples(
    task: Task, name: str, root: Path | None = None, base: Path | None = None
) -> Examples:
    """Read one of a task's data sets (``train`` too), whole.

    Relative files are looked for below the data root, then below ``base``, the configuration's
    folder.

    Raises:
        DataError: A missing file or column, an unknown label, an empty set.
    """
    spec = task.train if name == "train" else task.datasets.get(name)
    if spec is None:
        raise DataError(
            f"The task '{task.name}' has no data set '{name}'.",
            expected=f"one of {', '.join(task.datasets)}",
        )
    texts = spec.texts or task.texts
    grouping = [(cut,) if isinstance(cut, str) else cut for cut in spec.groups]
    columns = [*texts, spec.label, *spec.where, *(column for cut in grouping for column in cut)]
    needed = list(dict.fromkeys(columns))
    frame, where = _read_frame(spec, needed, texts, root, base)
    for column in needed:
        if column not in frame.columns:
            raise DataError(
                f"The data set '{name}' has no column '{column}'.",
                where=where,
                found=f"columns {', '.join(map(str, frame.columns))}"[:500],
                fix="name the columns with 'texts', 'label' and 'groups'",
            )
    check_cells(frame[needed], where)
    keep = np.ones(len(frame), dtype=bool)
    for column, values in spec.where.items():
        keep &= frame[column].isin(values).to_numpy()
    if spec.folds is not None:
        folds = [_fold(row, spec.folds.n) for row in zip(*(frame[c] for c in texts), strict=True)]
        keep &= np.isin(folds, spec.folds.use)
    frame = frame[keep]
    if frame.empty:
        raise DataError(f"The data set '{name}' has no rows.", where=where)
    label_names, classes, labels = _labels(task, spec, name, frame[spec.label], where)
    return Examples(
        name=name,
        texts=tuple(tuple(frame[column]) for column in texts),
        labels=labels,
        label_names=label_names,
        classes=classes,
        groups={
            " x ".join(cut): np.array([" / ".join(v) for v in frame[list(cut)].to_numpy()])
            for cut in grouping
        },
        metric=spec.metric or task.metric,
    )


def sample_examples(examples: Examples, n: int | None, rng: np.random.Generator) -> Examples:
    """A sample stratified by label and finest grouping, in the file's order.

    Each stratum gets its share of ``n`` by largest remainder, ties broken at random; fewer rows
    than ``n`` (or ``n`` None) gives all of them.
    """
    if n is None or n >= len(examples):
        return examples
    finest = max(examples.groups.values(), key=lambda g: len(set(g)), default=None)
    keys = [str(label) for label in examples.labels]
    if finest is not None:
        keys = [f"{key}\t{group}" for key, group in zip(keys, finest, strict=True)]
    _, stratum, counts = np.unique(np.array(keys), return_inverse=True, return_counts=True)
    share = n * counts / counts.sum()
    quota = np.floor(share).astype(int)
    order = np.lexsort((rng.random(len(counts)), quota - share))
    quota[order[: n - quota.sum()]] += 1
    rows = [
        rng.choice(np.flatnonzero(stratum == s), size=k, replace=False)
        for s, k in enumerate(quota)
        if k
    ]
    return examples.take(np.sort(np.concatenate(rows)))


def _read_frame(
    spec: DataSpec,
    columns: Sequence[str],
    texts: Sequence[str],
    root: Path | None,
    base: Path | None,
) -> tuple[pd.DataFrame, object]:
    """All rows, of which these columns are text; a column that is not there is left out."""
    if spec.datasets is not None:
        return _read_hub(spec), f"{spec.datasets} ({spec.split})"
    assert spec.file is not None
    path = _find(spec.file, root, base)
    return read_table(path, columns, texts=texts, quoting=spec.quoting), path


def _find(file: str, root: Path | None, base: Path | None) -> Path:
    named = Path(file)
    with suppress(RuntimeError):  # a user who is not there
        named = named.expanduser()
    tried = [folder / named for folder in (root, base, Path()) if folder is not None]
    for path in tried:
        with suppress(OSError):  # a name that is too long
            if path.is_file():
                return path
    raise DataError(
        "The data file does not exist.",
        where=" or ".join(str(path.absolute()) for path in dict.fromkeys(tried)),
        fix="set the data root (--data-root, 'data_root:' or the LANDSCAPE_DATA variable)",
    )


def _read_hub(spec: DataSpec) -> pd.DataFrame:
    try:
        import datasets
    except ImportError:
        raise DataError(
            "Reading a hub data set needs the 'datasets' package.",
            where=spec.datasets,
            fix="pip install 'landscape-basins[datasets]'",
        ) from None
    assert spec.datasets is not None
    repository, _, configuration = spec.datasets.partition(":")
    try:
        rows = datasets.load_dataset(repository, configuration or None, split=spec.split)
        frame = rows.to_pandas()
    except Exception as error:  # its builders raise whatever their parsers raise
        raise DataError(
            "The hub data set cannot be loaded.",
            where=spec.datasets,
            found=str(error)[:500] or type(error).__name__,
            fix="check the id (REPOSITORY or REPOSITORY:CONFIGURATION) and the split; the command "
            "line is offline unless HF_HUB_OFFLINE=0 is set",
        ) from None
    return frame.astype(str).mask(frame.isna())


def _fold(row: tuple[str, ...], n: int) -> int:
    return int.from_bytes(hashlib.sha256("\t".join(row).encode()).digest()[:8], "big") % n


def _labels(
    task: Task, spec: DataSpec, name: str, column: pd.Series, where: object
) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...], np.ndarray]:
    """Class names, the task labels behind each class, and each row's class."""
    mapping = spec.labels or {label: label for label in task.labels}
    class_of: dict[str, tuple[int, ...]] = {}
    names: dict[tuple[int, ...], str] = {}
    for value, target in mapping.items():
        targets = (target,) if isinstance(target, str) else target
        key = class_of[value] = tuple(sorted(task.labels.index(label) for label in targets))
        names.setdefault(key, task.labels[key[0]] if len(key) == 1 else value)
    classes = sorted(names)
    indices = [index for key in classes for index in key]
    if len(set(indices)) != len(indices):
        raise DataError(
            f"The label map of '{name}' lets a task label stand in two classes.",
            where=where,
            found=mapping,
        )
    index_of = {value: classes.index(key) for value, key in class_of.items()}
    unknown = sorted(set(map(str, column)) - set(index_of))
    if unknown:
        row = next(i for i, value in enumerate(column) if str(value) == unknown[0])
        raise DataError(
            f"The data set '{name}' has a label that the task does not know.",
            where=f"{where}, data row {row + 1}",
            expected=f"one of {', '.join(index_of)}"[:2000],
            found=", ".join(repr(value)[:80] for value in unknown[:5]),
            fix="map the file's labels to the task's with 'labels:'",
        )
    labels = np.array([index_of[str(value)] for value in column], dtype=np.int64)
    return tuple(names[key] for key in classes), tuple(classes), labels
