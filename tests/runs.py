"""Runs that are stopped on the way, and whether two of them hold the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from landscape.records import Record, RunFolder

if TYPE_CHECKING:
    from landscape.run.workers import Workers


def quiet(line: str) -> None:
    """Take a line of progress and say nothing."""


def measured(
    config: Path,
    root: Path,
    out: Path | None = None,
    *,
    workers: Workers | None = None,
    changes: Mapping[str, Any] | None = None,
    report: Callable[[str], None] = quiet,
) -> Path:
    """The folder of a run, measured as ``landscape run`` does, nothing drawn."""
    from landscape.run.inputs import open_experiment
    from landscape.run.pipeline import measure

    experiment = open_experiment(config, root=root, out=out, changes=changes)
    measure(experiment, report, workers=workers)
    return experiment.out


def stop_after(context: pytest.MonkeyPatch, n: int, folder: str = "pairs") -> None:
    """Interrupt a run in place of writing the losses of one job more."""
    write, left = RunFolder.write, [n]

    def stop(self: RunFolder, record: Record, name: str | None = None) -> None:
        if record.indicator == "loss" and record.paths[0].startswith(f"{folder}/"):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
        write(self, record, name)

    context.setattr(RunFolder, "write", stop)


def records_of(run: Path) -> dict[str, bytes]:
    """The bytes of every file of a run's records."""
    files = sorted(path for path in (run / "records").rglob("*") if path.is_file())
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def n_measured(run: Path, folder: str = "pairs") -> int:
    """How many records of losses there are."""
    return len(list((run / "records" / folder).glob("[!.]*.loss.npz")))


def differences(one: Any, other: Any, where: str = "", *, but: tuple[str, ...] = ()) -> list[str]:
    """Where two results, or parts of them, are not equal to the bit.

    Args:
        one: A dataclass, mapping, table, array or plain value.
        other: Of the same kind.
        where: What they are.
        but: Names of fields and keys that may differ.
    """
    if is_dataclass(one):
        one, other = ({f.name: getattr(x, f.name) for f in fields(x)} for x in (one, other))
    if isinstance(one, Mapping):
        if set(one) != set(other):
            return [f"{where}: {list(one)} and {list(other)}"]
        return [
            line
            for key in one
            if key not in but
            for line in differences(one[key], other[key], f"{where}/{key}", but=but)
        ]
    if isinstance(one, pd.DataFrame):
        return differences(dict(one.items()), dict(other.items()), where, but=but)
    if isinstance(one, np.ndarray | pd.Series):
        one, other = np.asarray(one), np.asarray(other)
        floats = one.dtype.kind == "f"
        same = one.dtype.kind == other.dtype.kind and one.dtype.itemsize == other.dtype.itemsize
        if one.dtype.kind in "OU":
            same = other.dtype.kind in "OU"
        return [] if same and np.array_equal(one, other, equal_nan=floats) else [where]
    return [] if one == other else [f"{where}: {one!r} and {other!r}"]
