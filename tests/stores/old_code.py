"""Runs with the code of an earlier format on PYTHONPATH; ``make.py`` starts it.

``measure CONFIG [N]`` measures an experiment, and is killed by the system after N flushes of the
store. ``read STORE NUMBERS`` writes what that code's own reader and analysis make of a store.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import h5py
import numpy as np
from flat import flat


def measure(config: str, flushes: str = "0") -> None:
    from landscape.run.inputs import open_experiment
    from landscape.run.pipeline import measure as fill

    left = int(flushes)
    flush = h5py.File.flush

    def counted(file: h5py.File) -> None:
        nonlocal left
        flush(file)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    h5py.File.flush = counted
    fill(open_experiment(Path(config)), lambda line: None)
    print(f"{config}: {-left} flushes")


def read(store: str, numbers: str) -> None:
    from landscape.analysis.analysis import analysis_options, analyze
    from landscape.records import read_store

    contents = read_store(store)
    found = flat(contents)
    if contents.attributes["finished"] == "yes":
        analysis = analyze(contents, **analysis_options(contents))
        found["analysis/gaps"] = analysis.gaps.estimate
        found |= flat(analysis.scores, "analysis/scores")
    np.savez_compressed(numbers, **{name.replace("/", "|"): value for name, value in found.items()})


def published(folder: str, store: str) -> None:
    from landscape.importers import import_published

    import_published(
        [f"{folder}/curves.csv"], out=store, scores=[f"{folder}/scores.csv"], dataset="mnli"
    )


if __name__ == "__main__":
    {"measure": measure, "read": read, "published": published}[sys.argv[1]](*sys.argv[2:])
