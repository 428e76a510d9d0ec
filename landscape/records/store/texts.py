"""The texts of a data set's examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

import h5py
import numpy as np

from landscape.records.store.arrays import write_column
from landscape.tasks.examples import Examples


def text_columns(config: Mapping[str, Any], name: str, n: int) -> tuple[str, ...]:
    """The names of a data set's ``n`` text columns, as the stored experiment's task has them.

    They are ``text``, or ``text 1`` and ``text 2``, where it names none.
    """
    task = config.get("task")
    if isinstance(task, Mapping):
        specs = {**task.get("in_domain", {}), **task.get("challenge", {})}
        names = (specs.get(name) or {}).get("texts") or task.get("texts") or ()
        if len(names) == n:
            return tuple(map(str, names))
    return ("text",) if n == 1 else tuple(f"text {number + 1}" for number in range(n))


def write_texts(group: h5py.Group, examples: Examples, config: Mapping[str, Any]) -> None:
    """Add an example set's texts to a data set's group."""
    columns = text_columns(config, examples.name, len(examples.texts))
    texts = group.create_group("texts", track_order=True)
    for name, column in zip(columns, examples.texts, strict=True):
        # HDF5 ends a string of variable length at its first NUL
        values = np.array([text.replace("\0", "\N{REPLACEMENT CHARACTER}") for text in column])
        write_column(texts, quote(name, safe=" "), values.astype(object), group["example"])


def copy_texts(source: h5py.Group, target: h5py.Group) -> None:
    """Add the texts of a data set's group to that of another store."""
    texts = target.create_group("texts", track_order=True)
    for name, values in source["texts"].items():
        write_column(texts, name, values.asstr()[()].astype(object), target["example"])


def read_texts(group: h5py.Group) -> dict[str, np.ndarray]:
    """From each text column to (n_examples,) strings; empty where there are none."""
    columns = group.get("texts", {})
    return {unquote(name): values.asstr()[()] for name, values in columns.items()}
