"""A run on a Ray cluster of two nodes, one of them killed in the middle.

``python experiments/clusters/two_nodes.py CONFIG --data-root DATA --out OUT`` starts the cluster on
this machine, measures CONFIG there, kills a node once a third of the pairs is measured, adds
another one after two thirds, and compares the store with that of a run in one process.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from landscape.records import Record, Results, RunFolder, read_store
from landscape.records.collect import done_pairs
from landscape.run.pipeline import run_experiment
from landscape.run.workers import Workers


def main(config: Path, data_root: Path | None, out: Path, report: Callable[[str], None]) -> None:
    """Both runs, and whether they agree."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    began = time.monotonic()

    def say(line: str) -> None:
        report(f"{time.monotonic() - began:6.1f} s  {line}")

    written: Counter[str] = Counter()
    real = RunFolder.write

    def counting(self: RunFolder, record: Record, name: str | None = None) -> None:
        written[record.paths[0]] += 1
        real(self, record, name)

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    say(f"a cluster of a head without cores and two nodes of one core: {cluster.address}")
    RunFolder.write = counting  # type: ignore[method-assign]
    workers = Workers("ray", workers=2, address=cluster.address)
    with ThreadPoolExecutor(1) as aside:  # Ray's own changes want the main thread
        run = aside.submit(
            run_experiment, config, root=data_root, out=out / "ray", workers=workers, report=say
        )
        _disturb(cluster, nodes, RunFolder(out / "ray"), run, say)
        store = run.result()
    RunFolder.write = real  # type: ignore[method-assign]
    cluster.shutdown()
    one = read_store(store)
    say(f"{int(one.status.sum())} of {len(one.pairs)} pairs measured")
    say(f"records written more than once: {sum(count > 1 for count in written.values())}")
    say(f"plans: {len(one.plans)}, threads {[plan['threads'] for plan in one.plans]}")
    import torch

    torch.set_num_threads(one.plans[0]["threads"])
    other = read_store(run_experiment(config, root=data_root, out=out / "local", report=say))
    say(f"arrays that differ from those of one process: {different(one, other) or 'none'}")


def _disturb(
    cluster: Any, nodes: list[Any], folder: RunFolder, run: Future[Path], say: Callable[[str], None]
) -> None:
    """Kill a node after a third of the pairs, add one after two thirds."""
    for share, what in ((1 / 3, "killed"), (2 / 3, "added")):
        done, every = 0, 0
        while not every or (done < share * every and not run.done()):
            time.sleep(0.02)
            if run.done():
                run.result()
            if folder.exists():
                done, every = len(done_pairs(folder)), len(folder.manifest().pairs or ())
        say(f"a node is {what}: {done} of {every} pairs measured")
        if what == "killed":
            _kill(cluster, nodes[1])
        else:
            cluster.add_node(num_cpus=1)


def _kill(cluster: Any, node: Any) -> None:
    """As when its power goes: the workers too, which would find out after a while."""
    for pid in [info.process.pid for info in node.all_processes["raylet"]]:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)


def different(one: Results, other: Results) -> list[str]:
    """Names of the arrays that are not the same, byte for byte."""
    found = []
    for name, data in one.datasets.items():
        for array in ("losses", "predictions", "model_losses", "model_predictions"):
            mine, theirs = getattr(data, array), getattr(other.datasets[name], array)
            if not np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f"):
                found.append(f"{name}/{array}")
    for array in ("formats", "tolerance", "distances"):
        if not np.array_equal(
            getattr(one, array), getattr(other, array), equal_nan=array != "formats"
        ):
            found.append(array)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    main(given.config, given.data_root, given.out, lambda line: print(line, flush=True))
