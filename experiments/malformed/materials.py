"""Sound inputs, to be copied and broken: two tiny classifiers, a task with data, two stores."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def make_materials(folder: Path) -> Path:
    """Write ``population``, ``task``, ``store.h5`` and ``old-store.h5``.

    That happens in a child process, which torch stays in. The old store is of the last format
    without checksums: what is changed in it is for its reader to find out.

    Args:
        folder: An empty folder.
    """
    child = os.fork()
    if not child:
        code = 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # bars
        try:
            _make(folder)
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("the sound inputs could not be made")
    return folder


def _make(folder: Path) -> None:
    sys.path.insert(0, str(ROOT))
    from landscape.run.inputs import open_experiment
    from landscape.run.pipeline import measure
    from tests.tiny import save_population, write_experiment, write_task

    population = save_population(folder / "population", "bert", 2)
    (folder / "task").mkdir()
    task = write_task(folder / "task", n=24)
    config = write_experiment(
        folder / "config.yaml", population, task, examples=20, path={"points": 3}
    )
    experiment = open_experiment(config, root=folder / "task", out=folder / "run")
    measure(experiment, lambda line: None)
    os.replace(experiment.store, folder / "store.h5")
    shutil.copy(ROOT / "tests" / "data" / "store-0.4.0.h5", folder / "old-store.h5")
