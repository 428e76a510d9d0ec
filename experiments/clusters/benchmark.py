"""What executors cost: efficiency of two workers, seconds of scheduling and bytes moved a pair.

``python experiments/clusters/benchmark.py --checkpoints FOLDER --data-root DATA`` measures pairs of
MNLI classifiers (FOLDER/seed-*) with each executor, each in a process of its own, and calls that do
nothing; run it on an idle machine of two cores or more.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import platform
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

RESULTS = Path(__file__).parent / "results"
MODELS, POINTS, EXAMPLES = 8, 11, 32
CREWS = ("local", "process", "ray")
CALLS = {"local": 20_000, "process": 2000, "ray": 2000}


class Idle:
    """A worker that does nothing, and hands back as much as a pair would."""

    def __init__(self, size: int, *_: int) -> None:
        self._result = np.zeros(size, dtype=np.uint8)

    def call(self, _task: int, _following: int | None) -> np.ndarray:
        """What a pair gives, at once."""
        return self._result.copy()


def main(checkpoints: Path, data_root: Path, repeats: int) -> None:
    """Write benchmark.json and benchmark.md."""
    measured: dict[str, list[dict[str, float]]] = {kind: [] for kind in CREWS}
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "pairs.yaml"
        refs = [str(p.absolute()) for p in sorted(checkpoints.glob("seed-*"))[:MODELS]]
        content = {
            "name": "pairs",
            "checkpoints": refs,
            "task": "mnli",
            "datasets": ["mnli_dev", "hans"],
            "examples": EXAMPLES,
            "paths": {"points": POINTS},
            "evaluate": {"token_budget": 2048},
        }
        config.write_text(yaml.safe_dump(content))
        for turn in range(repeats):
            for kind in CREWS:
                out = Path(folder) / f"{kind}-{turn}"
                line = _apart("run", kind, str(config), str(data_root), str(out))
                measured[kind].append(json.loads(line))
                print(kind, line, file=sys.stderr, flush=True)
    n_bytes = int(measured["process"][0]["bytes"])
    idle = {
        kind: {
            size: json.loads(_apart("idle", kind, str(size))) for size in (0, n_bytes, 10 * n_bytes)
        }
        for kind in CREWS
    }
    found = {
        "machine": _machine(),
        "models": MODELS,
        "pairs": MODELS * (MODELS - 1) // 2,
        "points": POINTS,
        "examples": 2 * EXAMPLES,
        "bytes a pair": n_bytes,
        "runs": measured,
        "idle seconds a call": idle,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "benchmark.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "benchmark.md").write_text(as_markdown(found))
    print(as_markdown(found))


def _apart(*arguments: str) -> str:
    """The last line that this script says in a process of its own, on one thread a worker."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout.strip().splitlines()[-1]


def run(kind: str, config: Path, data_root: Path, out: Path) -> dict[str, float]:
    """Seconds of all pairs, of the whole run, and of writing a pair; bytes of its result."""
    from landscape.records import Record, RunFolder, read_store
    from landscape.run.inputs import open_experiment
    from landscape.run.pipeline import measure
    from landscape.run.workers import Workers

    times: list[float] = []
    sizes: list[int] = []
    writing = 0.0
    real = RunFolder.write

    def write(self: RunFolder, record: Record, name: str | None = None) -> None:
        nonlocal writing
        began = time.perf_counter()
        real(self, record, name)
        if record.paths[0].startswith("pairs/"):
            times.append(time.perf_counter())
            writing += times[-1] - began
            sizes.append(len(pickle.dumps(dict(record.arrays), protocol=5)))

    RunFolder.write = write  # type: ignore[method-assign]
    workers = Workers() if kind == "local" else Workers(kind, workers=2)  # type: ignore[arg-type]
    began = time.perf_counter()
    experiment = open_experiment(config, root=data_root, out=out)
    measure(experiment, lambda line: None, workers=workers)
    whole = time.perf_counter() - began
    results = read_store(experiment.store)
    # between the first pair and the last, when all workers are at work
    return {
        "pairs": len(times),
        "seconds a pair": (times[-1] - times[0]) / (len(times) - 1),
        "seconds of the run": whole,
        "seconds of writing a pair": writing / len(times),
        "bytes": float(np.mean(sizes)),
        "threads": float(results.plans[0]["threads"]),
    }


def idle(kind: str, size: int) -> float:
    """Seconds a call of workers that do nothing."""
    from landscape.run.executors import LocalExecutor, ProcessExecutor, stream

    make = partial(Idle, size)
    executor: Any
    if kind == "local":
        executor = LocalExecutor(make)
    elif kind == "process":
        executor = ProcessExecutor([make] * 2)
    else:
        from landscape.run.executors.on_ray import RayExecutor

        executor = RayExecutor(make, 2, gpu=False)
    list(stream(executor, Idle.call, list(range(20))))
    n = CALLS[kind]
    began = time.perf_counter()
    for _ in stream(executor, Idle.call, list(range(n))):
        pass
    seconds = (time.perf_counter() - began) / n
    executor.shutdown()
    return seconds


def as_markdown(found: dict[str, Any]) -> str:
    """Tables."""
    n_runs = len(found["runs"]["local"])
    lines = [
        "# What executors cost",
        "",
        f"{found['machine']}. {found['pairs']} pairs of {found['models']} MiniLM classifiers, "
        f"{found['points']} points, {found['examples']} examples; one thread a worker; "
        f"{'one run' if n_runs == 1 else f'medians of {n_runs} runs'}.",
        "",
        "| executor | workers | seconds a pair | efficiency of two workers | seconds of the run |",
        "|---|---|---|---|---|",
    ]
    median = {
        kind: {key: float(np.median([one[key] for one in runs])) for key in runs[0]}
        for kind, runs in found["runs"].items()
    }
    alone = median["local"]["seconds a pair"]
    for kind, one in median.items():
        n = 1 if kind == "local" else 2
        efficiency = "" if n == 1 else f"{alone / (n * one['seconds a pair']):.0%}"
        lines.append(
            f"| {kind} | {n} | {one['seconds a pair']:.2f} | {efficiency} "
            f"| {one['seconds of the run']:.0f} |"
        )
    lines += [
        "",
        f"A pair's result moves {found['bytes a pair']:,} bytes; writing it takes "
        f"{1e3 * median['process']['seconds of writing a pair']:.1f} ms.",
        "",
        "Calls of two workers that do nothing, by what they hand back:",
        "",
    ]
    idle_calls = found["idle seconds a call"]
    sizes = " | ".join(f"{int(size):,} bytes" for size in idle_calls["local"])
    lines += [f"| executor | {sizes} |", "|---" * (1 + len(idle_calls["local"])) + "|"]
    for kind, sizes in idle_calls.items():
        cells = " | ".join(f"{1e3 * seconds:.2f} ms" for seconds in sizes.values())
        lines.append(f"| {kind} | {cells} |")
    return "\n".join(lines) + "\n"


def _machine() -> str:
    info, name = Path("/proc/cpuinfo"), platform.processor()
    if info.is_file():
        lines = info.read_text().splitlines()
        name = next((line.split(":")[1].strip() for line in lines if "model name" in line), name)
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        print(json.dumps(run(sys.argv[2], *map(Path, sys.argv[3:]))))
    elif sys.argv[1:2] == ["idle"]:
        print(json.dumps(idle(sys.argv[2], int(sys.argv[3]))))
    else:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--checkpoints", type=Path, required=True)
        parser.add_argument("--data-root", type=Path, required=True)
        parser.add_argument("--repeats", type=int, default=3)
        given = parser.parse_args()
        main(given.checkpoints, given.data_root, given.repeats)
