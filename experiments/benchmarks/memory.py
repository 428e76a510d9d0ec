"""Memory: all pairs of 64 six-layer models under a stated budget, by the system's own peak."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import yaml
from common import Setting
from pairs import population_of

from landscape.records import read_store

MODELS = 64
BUDGET = "2GB"
_RUN = """
import sys
from pathlib import Path
from landscape.run.pipeline import measure
from landscape.run.inputs import open_experiment
from landscape.run.measure.worker import peak_memory
measure(open_experiment(Path(sys.argv[1]), root=sys.argv[2]))
print("PEAK", peak_memory())
"""


def bench_memory(setting: Setting) -> dict[str, Any]:
    """A process of its own, so that its peak is that of the run alone."""
    refs = population_of(setting, MODELS)
    folder = setting.work / "memory"
    folder.mkdir()
    config = folder / "config.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "name": "memory",
                "checkpoints": refs,
                "task": "mnli",
                "datasets": ["mnli_dev"],
                "examples": 8,
                "paths": {"points": 3},
                "evaluate": {"memory_budget": BUDGET, "token_budget": 2048},
                "out": str(folder / "out"),
            }
        )
    )
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(config), str(setting.data)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    peak = int(done.stdout.split("PEAK")[1])
    results = read_store(folder / "out" / "store.h5")
    each = 4 * 22_713_219
    return {
        "models": MODELS,
        "pairs measured": int((results.status == 1).sum()),
        "GB": {
            "budget": 2.0 * 2**30 / 1e9,
            "peak resident (getrusage ru_maxrss)": peak / 1e9,
            "all checkpoints in fp32": MODELS * each / 1e9,
        },
    }
