"""Basins from few pairs against the complete answer: how often equal, for how many pairs?"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

from landscape.analysis.analysis import analyze
from landscape.analysis.basins import find_basins
from landscape.analysis.basins.active import default_budget, find_basins_actively
from landscape.analysis.simulation import (
    block_gaps,
    bridge_gaps,
    chain_gaps,
    cloud_gaps,
    effect_gaps,
)
from landscape.core.progress import bar
from landscape.output.plots import common
from landscape.records import MEASURED, read_store

ROOT = Path(__file__).parents[2]
SIZES = (100, 200, 500, 1000, 2000)
REPEATS = {100: 10, 200: 4, 500: 1, 1000: 1, 2000: 1}
NOISY = {100: 6, 200: 2, 500: 1, 1000: 1, 2000: 1}
NOISE = 0.01  # nats, standard error of every gap
MOST_COMPLETE = {0.0: 200, NOISE: 200}  # models: beyond, the complete answer is dear
SAME = 0.99  # adjusted Rand index

Rng = np.random.Generator
Population = tuple[np.ndarray, np.ndarray]


def _equal(n: int, k: int) -> list[int]:
    return [n // k + (i < n % k) for i in range(k)]


def _blocks(
    n: int, sizes: list[int], rng: Rng, spread: float = 0.3, within: float = 0.01
) -> Population:
    return block_gaps(sizes, between=0.5, within=within, spread=spread, rng=rng)


def _one(gaps: np.ndarray) -> Population:
    return gaps, np.zeros(len(gaps), dtype=np.intp)


def _bridges(n: int) -> Population:
    first = 3 * n // 5
    sizes, n_bridges = (first, n - first - n // 20), n // 20
    labels = np.repeat([0, 1, 0], [*sizes, n_bridges])
    return bridge_gaps(sizes, between=0.5, bridges=n_bridges), labels


FAMILIES: dict[str, Callable[[int, Rng], Population]] = {
    "2 equal basins": lambda n, rng: _blocks(n, _equal(n, 2), rng),
    "3 equal basins": lambda n, rng: _blocks(n, _equal(n, 3), rng),
    "4 equal basins": lambda n, rng: _blocks(n, _equal(n, 4), rng),
    "8 equal basins": lambda n, rng: _blocks(n, _equal(n, 8), rng),
    "12 of 100 apart": lambda n, rng: _blocks(n, [n - 12 * n // 100, 12 * n // 100], rng),
    "1 model apart": lambda n, rng: _blocks(n, [n - 1, 1], rng),
    "2 basins, heavy tails": lambda n, rng: _blocks(n, _equal(n, 2), rng, 1.0),
    "3 wide basins, heavy tails": lambda n, rng: _blocks(n, _equal(n, 3), rng, 1.0, 0.05),
    "2 basins, 5% joined to both": lambda n, rng: _bridges(n),
    "none: equal gaps": lambda n, rng: _one(
        effect_gaps(n, mean=0.3, effects="equal", spread=0.2, rng=rng)
    ),
    "none: some models farther out": lambda n, rng: _one(
        effect_gaps(n, mean=0.3, effects="exponential", spread=0.2, rng=rng)
    ),
    "none: continuum, 1 dimension": lambda n, rng: _one(cloud_gaps(n, mean=0.3, n_dims=1, rng=rng)),
    "none: continuum, 3 dimensions": lambda n, rng: _one(
        cloud_gaps(n, mean=0.3, n_dims=3, rng=rng)
    ),
    "none: chain": lambda n, rng: _one(chain_gaps(n, reach=0.2 * n, slope=1 / n)),
}


def main(out: Path, quick: bool = False) -> None:
    """Write active.json and .md and a figure; a stopped run goes on with its lines in .jsonl."""
    cells: list[tuple[Any, ...]] = [
        ("simulated", name, n, noise, repeat)
        for n in (SIZES[:2] if quick else SIZES)
        for noise, repeats in ((0.0, REPEATS), (NOISE, NOISY))
        for repeat in range(1 if quick else repeats[n])
        for name in FAMILIES
    ]
    cells += [
        ("real", str(path.relative_to(ROOT)), 0, math.nan, seed)
        for path, n in matrices()
        for seed in range(1 if n <= 24 else 3 if quick else 10)
    ]
    lines = out / "active.jsonl"
    done = len(lines.read_text().splitlines()) if lines.is_file() else 0
    with lines.open("a") as file:
        for kind, *cell in bar(cells[done:], "population"):
            row = simulated(*cell) if kind == "simulated" else real(*cell)
            file.write(json.dumps({"kind": kind, **row}) + "\n")
            file.flush()
    table = pd.read_json(lines, lines=True)
    draw(table[table["kind"] == "simulated"], out / "active")
    (out / "active.md").write_text("\n".join(as_markdown(table)) + "\n")
    table.to_json(out / "active.json", orient="records", indent=0, double_precision=4)


def matrices() -> Iterator[tuple[Path, int]]:
    """Measured populations, and how many models each has: stores of figures with every pair."""
    for path in sorted((ROOT / "figures").glob("*.h5")):
        results = read_store(path)
        n = len(results.models)
        if (results.status == MEASURED).all() and len(results.pairs) == n * (n - 1) // 2:
            yield path, n


def simulated(name: str, n: int, noise: float, repeat: int) -> dict[str, Any]:
    """One population in random order, its complete answer where affordable, the active one."""
    rng = np.random.default_rng([2205, n, repeat, list(FAMILIES).index(name), int(noise > 0)])
    gaps, truth = FAMILIES[name](n, rng)
    order = rng.permutation(n)
    gaps, truth = gaps[np.ix_(order, order)], truth[order]
    errors = None
    if noise > 0:
        drawn = squareform(rng.normal(0, noise, n * (n - 1) // 2))
        gaps, errors = np.maximum(gaps + drawn, 0), np.full_like(gaps, noise)
        np.fill_diagonal(gaps, 0)
    complete = n <= MOST_COMPLETE[noise]
    row = compare(gaps, errors, complete, repeat)
    labels = row.pop("labels")
    rand = float(adjusted_rand_score(truth, labels))
    return {"population": name, "noise": noise, "repeat": repeat, "to_truth": rand, **row}


def real(path: str, _n: int, _noise: float, seed: int) -> dict[str, Any]:
    """A measured gap matrix, by one seed."""
    gaps, errors = measured_gaps(ROOT / path)
    row = compare(gaps, errors, True, seed)
    row.pop("labels")
    # how far the complete answer stays when a tenth of the models, or half of them, is left out
    whole = find_basins(gaps, noise=errors).labels
    order = np.random.default_rng([2205, seed]).permutation(len(gaps))
    for name, share in (("left_out", 0.9), ("half", 0.5)):
        some = np.sort(order[: math.ceil(share * len(gaps))])
        at = np.ix_(some, some)
        fewer = find_basins(gaps[at], noise=None if errors is None else errors[at])
        row[name] = float(adjusted_rand_score(whole[some], fewer.labels))
    return {"population": path, "repeat": seed, **row}


@cache
def measured_gaps(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Estimates and, where examples are known, standard errors (n_models, n_models) of a store."""
    found = analyze(read_store(path)).gaps
    errors = None if np.isnan(found.standard_error).any() else found.standard_error
    return np.maximum(found.estimate, 0), errors


def compare(
    gaps: np.ndarray, errors: np.ndarray | None, complete: bool, seed: int
) -> dict[str, Any]:
    """What the two answers are and cost."""
    n = len(gaps)

    def measure(pairs: np.ndarray) -> Any:
        answers = gaps[pairs[:, 0], pairs[:, 1]]
        return answers if errors is None else (answers, errors[pairs[:, 0], pairs[:, 1]])

    began = time.perf_counter()
    active = find_basins_actively(n, measure, rng=seed)
    seconds = time.perf_counter() - began
    row: dict[str, Any] = {
        "n_models": n,
        "found": active.n_basins,
        "pairs": active.n_measured,
        "share": active.share,
        "slope": active.n_measured / (n * math.log2(n)),
        "uncertain": int(active.uncertain.sum()),
        "reason": active.reason,
        "seconds": seconds,
        "labels": active.labels,
    }
    if complete:
        began = time.perf_counter()
        full = find_basins(gaps, noise=errors)
        row["full_seconds"] = time.perf_counter() - began
        row["full_found"] = full.n_basins
        row["to_full"] = float(adjusted_rand_score(full.labels, active.labels))
    return row


def as_markdown(table: pd.DataFrame) -> Iterator[str]:
    """Tables by kind of population and size, of real matrices, and of the projection."""
    drawn = table[table["kind"] == "simulated"]
    yield from ("# Basins from few pairs", "")
    yield f"Share of populations whose adjusted Rand index is {SAME} or more: against the complete"
    yield "answer where it was computed, and against the truth. At 100 models one model in the"
    yield "wrong basin is less. The complete answer may itself differ from the truth; if one of two"
    yield "says that there is one basin and the other does not, the index is 0."
    for noise, some in drawn.groupby("noise"):
        yield from ("", f"## Standard error of a gap {noise:g} nats", "")
        yield (
            "| population | models | runs | equal to complete | least index | equal to truth |"
            + (" pairs, mean | pairs, most | share, most | pairs / N log2 N, most | seconds |")
        )
        yield "|---|" + "---|" * 10
        for (name, n), rows in some.groupby(["population", "n_models"], sort=False):
            full = rows["to_full"].dropna() if "to_full" in rows else pd.Series(dtype=float)
            same = f"{(full >= SAME).mean():.2f} | {full.min():.2f}" if len(full) else "- | -"
            yield (
                f"| {name} | {n} | {len(rows)} | {same} | {(rows['to_truth'] >= SAME).mean():.2f} "
                f"| {rows['pairs'].mean():.0f} | {rows['pairs'].max()} "
                f"| {rows['share'].max():.3f} | {rows['slope'].max():.2f} "
                f"| {rows['seconds'].mean():.1f} |"
            )
    yield from ("", "## All kinds together", "")
    yield "| models | error | runs | equal to complete | equal to truth | pairs allowed | share |"
    yield "|---|---|---|---|---|---|---|"
    for (n, noise), rows in drawn.groupby(["n_models", "noise"]):
        full = rows["to_full"].dropna()
        same = f"{(full >= SAME).mean():.3f}" if len(full) else "-"
        allowed = default_budget(n)
        yield (
            f"| {n} | {noise:g} | {len(rows)} | {same} | {(rows['to_truth'] >= SAME).mean():.3f} "
            f"| {allowed:,} | {allowed / (n * (n - 1) / 2):.3f} |"
        )
    yield from ("", "## Measured gap matrices", "")
    yield "Up to 24 models every pair is measured and the answer is the complete one. To compare:"
    yield "the index of the complete answer with itself when a random tenth of the models is out,"
    yield "and when half of them are, of whose pairs a quarter of all was measured."
    yield ""
    yield (
        "| matrix | models | seeds | basins, complete | basins | equal | index, mean | least "
        "| pairs | share | a tenth left out: equal | index, mean | least "
        "| half left out: equal | index, mean | least |"
    )
    yield "|---|" + "---|" * 15
    for name, rows in table[table["kind"] == "real"].groupby("population"):
        left, half = rows["left_out"], rows["half"]
        yield (
            f"| {name} | {rows['n_models'].iloc[0]} | {len(rows)} "
            f"| {rows['full_found'].iloc[0]:.0f} | {sorted(set(rows['found']))} "
            f"| {(rows['to_full'] >= SAME).mean():.2f} "
            f"| {rows['to_full'].mean():.3f} | {rows['to_full'].min():.3f} "
            f"| {rows['pairs'].mean():.0f} | {rows['share'].mean():.3f} "
            f"| {(left >= SAME).mean():.2f} | {left.mean():.3f} | {left.min():.3f} "
            f"| {(half >= SAME).mean():.2f} | {half.mean():.3f} | {half.min():.3f} |"
        )
    yield from projection(table)


def projection(table: pd.DataFrame) -> Iterator[str]:
    """What 10,000 models would cost, by formula and measured rates."""
    measured = ROOT / "experiments" / "benchmarks" / "results"
    rates: dict[str, float] = {}
    pairs = json.loads((measured / "pairs.json").read_text())
    for name, seconds in pairs["seconds"].items():
        rates[f"16 MiniLM classifiers, 2 x 128 examples: {name}"] = seconds / pairs["pairs"]
    for file in ("line", "long"):
        one = json.loads((measured / f"{file}.json").read_text())
        for name in ("engine, fp32", "engine, auto, adaptive"):
            label = f"one line of 11 points, {one['examples']} examples of {one['dataset']}: {name}"
            rates[label] = one["seconds"][name]
    n = 10_000
    allowed, every = default_budget(n), n * (n - 1) // 2
    yield from ("", "## Projection for 10,000 models", "")
    yield (
        f"Not measured. 1.1 N log2 N = {allowed:,} pairs of {every:,} "
        f"({100 * allowed / every:.2f}%); time is pairs times the measured seconds a pair of "
        "`experiments/benchmarks/results`, on the machine that is named there, without a GPU."
    )
    yield from (
        "",
        "| measured rate | seconds a pair | active, days | all pairs, days |",
        "|---|---|---|---|",
    )
    for name, rate in rates.items():
        yield f"| {name} | {rate:.2f} | {allowed * rate / 86400:.1f} | {every * rate / 86400:.0f} |"
    largest = table[table["n_models"] == table["n_models"].max()]
    yield ""
    yield (
        f"The search itself took {largest['seconds'].mean():.0f} s on average at "
        f"{largest['n_models'].max()} models; its matrices of N x N doubles are 0.8 GB each at "
        "10,000, of which it holds a few."
    )


@common.styled
def draw(table: pd.DataFrame, out: Path) -> None:
    """Pairs spent over population size, and how often that gave the right answer."""
    figure = Figure(figsize=(common.TEXT_WIDTH, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    sizes = sorted(table["n_models"].unique())
    every = np.array(sizes) * (np.array(sizes) - 1) / 2
    left.plot(sizes, every, color="0.6", ls=":", label="all pairs")
    left.plot(sizes, [default_budget(n) for n in sizes], color="black", label="allowed")
    spent = table.groupby(["population", "n_models"])["pairs"].mean()
    for name in FAMILIES:
        values = spent[name]
        left.plot(values.index, values, ".", color="0.35", markersize=4)
    left.plot([], [], ".", color="0.35", label="spent, by kind")
    left.set(xscale="log", yscale="log", xlabel="models", ylabel="pairs")
    left.set_xticks(sizes, [str(n) for n in sizes])
    left.minorticks_off()
    left.legend(loc="upper left")
    best = table["to_full"].fillna(table["to_truth"]) >= SAME
    share = table.assign(right=best).groupby(["population", "n_models"])["right"].mean().unstack()
    share = share.loc[list(FAMILIES)]
    right.imshow(share, vmin=0, vmax=1, cmap="Greys", aspect="auto")
    for (row, column), value in np.ndenumerate(share.to_numpy()):
        color = "white" if value > 0.5 else "black"
        right.text(column, row, f"{value:.2f}", ha="center", va="center", color=color, fontsize=5)
    right.set_yticks(range(len(share)), share.index)
    right.set_xticks(range(len(sizes)), [str(n) for n in sizes])
    right.set_xlabel("models")
    right.set_title("share of right answers", fontsize="medium")
    for suffix in ("pdf", "png"):
        metadata = {"CreationDate": None} if suffix == "pdf" else {}
        figure.savefig(out.with_suffix(f".{suffix}"), dpi=200, metadata=metadata)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    main(given.out, given.quick)
