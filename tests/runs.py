"""Runs that are stopped on the way, and whether two of them hold the same."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from landscape.records import Record, RunFolder

if TYPE_CHECKING:
    from landscape.run.workers import Workers


def quiet(line: str) -> None:
    """Take a line of progress and say nothing."""


class Said(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def landscape(*arguments: object) -> Said:
    """``landscape ARGUMENTS``, in this process."""
    from landscape.run.commands import main

    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "argv", ["landscape", *map(str, arguments)]),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as end,
    ):
        main()
    return Said(int(end.value.code or 0), out.getvalue(), err.getvalue())


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


def differences(
    one: Any, other: Any, where: str = "", *, but: tuple[str, ...] = (), within: float = 0.0
) -> list[str]:
    """Where two results, or parts of them, are not equal to the bit.

    Args:
        one: A dataclass, mapping, table, array or plain value.
        other: Of the same kind.
        where: What they are.
        but: Names of fields and keys that may differ.
        within: Floats may differ by so much, and by this share.
    """
    options: dict[str, Any] = {"but": but, "within": within}
    if is_dataclass(one):
        one, other = ({f.name: getattr(x, f.name) for f in fields(x)} for x in (one, other))
    if isinstance(one, Mapping):
        if set(one) != set(other):
            return [f"{where}: {list(one)} and {list(other)}"]
        return [
            line
            for key in one
            if key not in but
            for line in differences(one[key], other[key], f"{where}/{key}", **options)
        ]
    if isinstance(one, pd.DataFrame):
        return differences(dict(one.items()), dict(other.items()), where, **options)
    if isinstance(one, np.ndarray | pd.Series):
        one, other = np.asarray(one), np.asarray(other)
        floats = one.dtype.kind == "f"
        if floats and within and one.shape == other.shape:
            near = np.allclose(one, other, rtol=within, atol=within, equal_nan=True)
            return [] if near else [where]
        same = one.dtype.kind == other.dtype.kind and one.dtype.itemsize == other.dtype.itemsize
        if one.dtype.kind in "OU":
            same = other.dtype.kind in "OU"
        return [] if same and np.array_equal(one, other, equal_nan=floats) else [where]
    both_nan = one != one and other != other
    return [] if one == other or both_nan else [f"{where}: {one!r} and {other!r}"]


def assert_same_stores(one: Path, other: Path, *but: str) -> None:
    """The stores of two runs hold the same numbers."""
    from landscape.records import read_store

    stores = [read_store(run / "store.h5") for run in (one, other)]
    assert not differences(*stores, but=("path", "created", "content-sha256", *but))


def assert_same(one: Path, other: Path) -> None:
    """Two runs have the same records, byte for byte, and the same numbers in the store."""
    assert records_of(one) == records_of(other)
    assert_same_stores(one, other)
