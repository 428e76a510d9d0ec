"""What a task's YAML file says."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from landscape.core.errors import DataError, require_known
from landscape.core.schema import PathText, Strict, read_yaml, validate

_FOLDER = Path(__file__).parent
BUILTIN_TASKS: tuple[str, ...] = tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


Label = Annotated[str, Field(min_length=1, max_length=500)]
MAX_LABELS = 255
"""Stores keep a label as one byte, of which one value means that there is none."""


class Folds(Strict):
    """A part of a file's rows, drawn by a hash of the text: equal texts stay together."""

    n: int = Field(ge=2, le=1_000_000)
    use: tuple[int, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_range(self) -> Folds:
        if not all(0 <= fold < self.n for fold in self.use):
            raise ValueError(f"folds must lie in 0..{self.n - 1}")
        return self


class DataSpec(Strict):
    """Where one data set lies and how its columns are read.

    Attributes:
        file: A TSV, CSV or JSONL file, gzipped or not: an absolute path, or one below the data
            root.
        datasets: Instead of ``file``: a ``datasets`` id (needs the ``datasets`` extra).
        split: The split of a ``datasets`` id.
        texts: One or two text columns; the task's when absent.
        label: The label column.
        labels: From each value in the label column to the task's label, or to several task labels
            that this data set does not tell apart (HANS: non-entailment).
        groups: Cuts of the set: each a column or a list of columns whose values are joined.
        where: Keep only the rows whose column has one of these values.
        folds: Keep only a share of the rows.
        metric: The task's when absent.
        quoting: Whether a TSV file quotes its fields (a CSV file always may).
    """

    file: PathText | None = None
    datasets: str | None = None
    split: str = "validation"
    texts: tuple[str, ...] | None = Field(default=None, min_length=1, max_length=2)
    label: str = "label"
    labels: dict[str, str | Annotated[tuple[str, ...], Field(min_length=1)]] | None = Field(
        default=None, min_length=1
    )
    groups: tuple[str | Annotated[tuple[str, ...], Field(min_length=1)], ...] = ()
    where: dict[str, tuple[str, ...]] = {}
    folds: Folds | None = None
    metric: Literal["accuracy", "matthews"] | None = None
    quoting: bool = False

    @field_validator("labels", mode="before")
    @classmethod
    def _text_keys(cls, value: Any) -> Any:
        # YAML reads 0, 1, yes and no as numbers and booleans; files hold text
        return {str(key): item for key, item in value.items()} if isinstance(value, dict) else value

    @field_validator("groups")
    @classmethod
    def _each_once(cls, value: tuple[str | tuple[str, ...], ...]) -> Any:
        names = [cut if isinstance(cut, str) else " x ".join(cut) for cut in value]
        if len(set(names)) < len(names):
            raise ValueError("a group stands twice")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> DataSpec:
        if (self.file is None) == (self.datasets is None):
            raise ValueError("give exactly one of 'file' and 'datasets'")
        path = Path(self.file or "")
        if not path.is_absolute() and ".." in path.parts:
            raise ValueError("a relative 'file' lies below the data root, without '..'")
        return self


class Task(Strict):
    """A classification task.

    Attributes:
        labels: Label names; their order is the order of the logits that analyses use.
        texts: The one or two text columns.
        in_domain: Data sets drawn as the training data was; the first one gives the gap matrix.
        challenge: Data sets on which shortcuts fail.
        collapse: How logits of labels that a data set does not tell apart become one: their
            maximum (Juneja et al. 2023, arXiv 2205.12411) or their log-sum-exp, which is the
            logarithm of the summed probability.
        focus: The challenge group that figures show, as "DATA SET: GROUP".
    """

    name: str
    labels: tuple[Label, ...] = Field(min_length=2, max_length=MAX_LABELS)
    texts: tuple[str, ...] = Field(min_length=1, max_length=2)
    train: DataSpec | None = None
    in_domain: dict[str, DataSpec] = Field(min_length=1)
    challenge: dict[str, DataSpec] = {}
    metric: Literal["accuracy", "matthews"] = "accuracy"
    collapse: Literal["max", "logsumexp"] = "max"
    focus: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Task:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("label names must differ")
        if len(set(self.texts)) != len(self.texts):
            raise ValueError("the two columns of 'texts' must differ")
        if both := set(self.in_domain) & set(self.challenge):
            raise ValueError(f"the data set {both.pop()!r} is both in_domain and challenge")
        for name, spec in self.datasets.items():
            if "/" in name or name.startswith("."):
                raise ValueError(f"the data set name {name!r} must not hold '/' or begin with '.'")
            if not name.strip() or len(name) > 200 or not name.isprintable():
                raise ValueError(
                    f"a data set's name is printable text of up to 200 letters, not {name!r:.80}"
                )
            for value, target in (spec.labels or {}).items():
                for label in (target,) if isinstance(target, str) else target:
                    if label not in self.labels:
                        raise ValueError(
                            f"data set {name!r} maps {value!r} to {label!r}, "
                            f"which is not one of the labels {list(self.labels)}"
                        )
        return self

    @property
    def datasets(self) -> dict[str, DataSpec]:
        """In-domain data sets first, then challenge sets."""
        return {**self.in_domain, **self.challenge}


def load_task(task: str | Path | dict[str, Any] | Task, base: Path | None = None) -> Task:
    """Read a task by built-in name, from a YAML file, or from a plain mapping.

    Args:
        task: ``"mnli"`` and so on, a path to a YAML file, or the file's content.
        base: The folder that a relative path starts from.

    Raises:
        ConfigError: No such task, or its description does not hold together.
    """
    if isinstance(task, Task):
        return task
    if isinstance(task, dict):
        return validate(Task, task, "task")
    path = Path(task)
    if str(task) in BUILTIN_TASKS:
        path = _FOLDER / f"{task}.yaml"
    elif path.suffix not in (".yaml", ".yml"):
        require_known("task", str(task), BUILTIN_TASKS, also=", or a path to a YAML file")
    elif base is not None and not path.is_absolute():
        path = base / path
    return validate(Task, read_yaml(path), path)


def data_root(root: str | Path | None = None) -> Path | None:
    """The folder that relative data files lie in: the argument, or ``$LANDSCAPE_DATA``."""
    chosen = root or os.environ.get("LANDSCAPE_DATA")
    if not chosen:
        return None
    path = Path(chosen)
    with suppress(OSError, RuntimeError):  # a name that is too long, a user who is not there
        path = path.expanduser()
        if path.is_dir():
            return path
    raise DataError("The data root is not a folder.", where=path.absolute())
