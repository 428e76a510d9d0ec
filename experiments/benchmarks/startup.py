"""Start-up: how long until a user sees something."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from common import Setting, median

_FIRST_POINT = """
import sys, landscape
task = landscape.load_task("mnli")
population = landscape.load_population([sys.argv[1] + "/seed-0[01]"], task.labels)
a, b = population.checkpoints
tokens = landscape.tokenize(
    landscape.load_tokenizer(a), landscape.load_examples(task, "hans", sys.argv[2]).take(range(32))
)
landscape.evaluate(
    landscape.build_model(a), [a, b], [[0.5, 0.5]], landscape.make_batches(tokens)
)
"""


def bench_startup(setting: Setting) -> dict[str, Any]:
    """Each in a new process, less the time that an empty Python takes where that is said."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import landscape": [sys.executable, "-c", "import landscape"],
        "landscape --help": [sys.executable, "-m", "landscape.run", "--help"],
        "import torch": [sys.executable, "-c", "import torch"],
    }
    if setting.data and list(setting.checkpoints.glob("seed-*")):
        commands["first point: two checkpoints, 32 HANS pairs, one point"] = [
            sys.executable, "-c", _FIRST_POINT, str(setting.checkpoints), str(setting.data)
        ]  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(-1, max(11, setting.repeats)):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if turn >= 0:
                times[name].append(time.perf_counter() - began)
    seconds = {name: median(values) for name, values in times.items()}
    return {
        "seconds": seconds,
        "less an empty Python": {
            name: seconds[name] - seconds["python -c pass"]
            for name in ("import landscape", "landscape --help")
        },
        "all_seconds": times,
    }
