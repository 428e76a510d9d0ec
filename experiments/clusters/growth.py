"""Up to 10,000 models and 100 GPUs, on paper and by simulation: ``python .../growth.py``.

A discrete-event simulation of ``landscape.run.executors.stream``: workers with two calls each, one
driver that hands out tasks and writes results, one at a time. What a call and a write cost the
driver is read from ``results/benchmark.json``; how long a pair takes is varied, from a small
classifier on a fast GPU to a large one on a CPU.
"""

from __future__ import annotations

import heapq
import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from landscape.analysis.basins.active import default_budget
from landscape.output.plots import common

RESULTS = Path(__file__).parent / "results"
WORKERS = (1, 2, 4, 8, 16, 32, 64, 100, 200)
PAIR_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 10.0)
SPREAD = 0.2  # standard deviation of the logarithm of a pair's seconds
AHEAD = 2
SIMULATED = 20_000  # pairs


def simulate(
    n_workers: int, n_pairs: int, seconds: float, driver: float, rng: np.random.Generator
) -> float:
    """Seconds of wall time until the last of the pairs is written.

    Args:
        n_workers: Each holds two calls at a time.
        n_pairs: In all.
        seconds: A pair, in the mean.
        driver: Seconds of the driver a pair, for handing out and writing.
        rng: For the pairs' own seconds, log-normal.
    """
    work = rng.lognormal(np.log(seconds) - SPREAD**2 / 2, SPREAD, n_pairs)
    free = np.zeros(n_workers)  # when each worker has done what it holds
    done: list[tuple[float, int]] = []  # results under way to the driver
    given = 0
    for _ in range(AHEAD):
        for worker in range(n_workers):
            if given < n_pairs:
                free[worker] += work[given]
                heapq.heappush(done, (free[worker], worker))
                given += 1
    now = 0.0
    while done:
        ready, worker = heapq.heappop(done)
        now = max(now, ready) + driver
        if given < n_pairs:
            free[worker] = max(free[worker], now) + work[given]
            heapq.heappush(done, (free[worker], worker))
            given += 1
    return now


@common.styled
def main() -> None:
    """Write growth.md and a figure."""
    found = json.loads((RESULTS / "benchmark.json").read_text())
    runs = found["runs"]["ray"]
    write = float(np.median([run["seconds of writing a pair"] for run in runs]))
    size = str(found["bytes a pair"])
    costs = {kind: sizes[size] for kind, sizes in found["idle seconds a call"].items()}
    driver = costs["ray"] + write
    rng = np.random.default_rng(0)
    table = {
        seconds: [
            SIMULATED * seconds / (n * simulate(n, SIMULATED, seconds, driver, rng))
            for n in WORKERS
        ]
        for seconds in PAIR_SECONDS
    }
    lines = [
        "# Growth",
        "",
        f"Of every pair the driver pays {1e3 * costs['ray']:.2f} ms for the call (Ray; "
        f"{1e3 * costs['process']:.2f} ms between processes) and {1e3 * write:.2f} ms for writing, "
        f"measured on {found['machine']} for results of {found['bytes a pair']:,} bytes "
        "(`benchmark.md`): no more than "
        f"{1 / driver:.0f} pairs a second, whoever computes. Simulated with these costs, "
        f"{SIMULATED:,} pairs, a pair's own seconds log-normal around their mean:",
        "",
        "| seconds a pair | " + " | ".join(f"{n} workers" for n in WORKERS) + " |",
        "|---" * (len(WORKERS) + 1) + "|",
    ]
    for seconds, shares in table.items():
        cells = " | ".join(f"{share:.0%}" for share in shares)
        lines.append(f"| {seconds:g} | {cells} |")
    lines += ["", *paper(found, driver)]
    (RESULTS / "growth.md").write_text("\n".join(lines) + "\n")
    figure = Figure(figsize=(common.COLUMN_WIDTH, 2.4), layout="constrained")
    ax = figure.subplots()
    for place, (seconds, shares) in enumerate(table.items()):
        shade = str(0.75 * (1 - place / (len(table) - 1)))
        ax.plot(WORKERS, shares, ".-", color=shade, linewidth=0.9, label=f"{seconds:g} s")
    ax.set(xscale="log", ylim=(0, 1.05), xlabel="workers", ylabel="parallel efficiency")
    ax.set_xticks(WORKERS, [str(n) for n in WORKERS])
    ax.minorticks_off()
    ax.legend(title="a pair takes", loc="lower left", fontsize=6, title_fontsize=6)
    for suffix in ("pdf", "png"):
        metadata = {"CreationDate": None} if suffix == "pdf" else {}
        figure.savefig(RESULTS / f"growth.{suffix}", dpi=200, metadata=metadata)


def paper(found: dict[str, object], driver: float) -> list[str]:
    """10,000 models: pairs, bytes, days."""
    n = 10_000
    every, active = n * (n - 1) // 2, default_budget(n)
    per_point = 5 * found["examples"]  # type: ignore[operator]
    lines = [
        f"## {n:,} models, on paper",
        "",
        f"All pairs are {every:,}, those of the active rule {active:,}. An example's loss and "
        f"prediction take 5 bytes: at {found['points']} points and {found['examples']} examples "
        f"a pair is {found['points'] * per_point:,} bytes.",  # type: ignore[operator]
        "",
        "| pairs | store | 100 GPUs at .1 s a pair | at 1 s | at 10 s | the driver alone |",
        "|---|---|---|---|---|---|",
    ]
    for name, pairs in (("all", every), ("active", active)):
        store = pairs * found["points"] * per_point / 1e9  # type: ignore[operator]
        times = " | ".join(
            _days(pairs * max(seconds / 100, driver)) for seconds in (0.1, 1.0, 10.0)
        )
        lines.append(f"| {name} | {store:,.0f} GB | {times} | {_days(pairs * driver)} |")
    return [
        *lines,
        "",
        "Beyond what one driver writes, shards are measured by drivers of their own and put "
        "together by `landscape merge`.",
    ]


def _days(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


if __name__ == "__main__":
    main()
