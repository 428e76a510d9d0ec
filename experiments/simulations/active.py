"""The answer from few pairs against the complete one: how often the same, for whom in doubt?"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kinds import KINDS
from matplotlib.figure import Figure

from landscape.analysis.analysis import analyze
from landscape.analysis.basins.active import find_basins_actively
from landscape.analysis.basins.answer import divide
from landscape.core.progress import bar
from landscape.output.plots import common
from landscape.records import read_store

TOLERANCE = 0.02
NOISES = (0.0, 0.005)  # nats, standard error of every gap
REPEATS = {100: 10, 400: 1}
REAL = Path(__file__).parents[2] / "figures" / "strategies_99.h5"


def main(out: Path, quick: bool = False) -> None:
    """Write active.json, .md and a figure; a stopped run goes on with its lines in .jsonl."""
    cells = [
        (kind, n, noise, repeat)
        for n in (list(REPEATS)[:1] if quick else REPEATS)
        for repeat in range(1 if quick else REPEATS[n])
        for noise in NOISES
        for kind in KINDS
    ]
    cells += [("99 real classifiers", 99, 0.0, seed) for seed in range(1 if quick else 10)]
    lines = out / "active.jsonl"
    done = len(lines.read_text().splitlines()) if lines.is_file() else 0
    with lines.open("a") as file:
        for cell in bar(cells[done:], "population"):
            file.write(json.dumps(compare(*cell)) + "\n")
            file.flush()
    table = pd.read_json(lines, lines=True)
    draw(table, out / "active")
    (out / "active.md").write_text("\n".join(as_markdown(table)) + "\n")
    table.to_json(out / "active.json", orient="records", indent=0, double_precision=4)


def compare(kind: str, n: int, noise: float, repeat: int) -> dict[str, Any]:
    """Both answers for a population, the complete one without noise."""
    rng = np.random.default_rng([2705, repeat, n, round(1e4 * noise)])
    gaps = _real() if kind not in KINDS else KINDS[kind][1](n, rng)
    order = rng.permutation(len(gaps))
    gaps = gaps[np.ix_(order, order)]
    error = np.triu(rng.normal(0, noise, gaps.shape), 1)
    seen = np.maximum(gaps + error + error.T, 0)

    def measure(pairs: np.ndarray) -> Any:
        values = seen[pairs[:, 0], pairs[:, 1]]
        return (values, np.full(len(pairs), noise)) if noise else values

    few = find_basins_actively(len(gaps), measure, tolerance=TOLERANCE, rng=repeat)
    sure = np.setdiff1d(np.arange(len(gaps)), few.doubtful)
    # of the models that are not in doubt, the complete answer
    complete = divide(gaps[np.ix_(sure, sure)], None, TOLERANCE)
    same = few.answer == complete.answer and np.array_equal(few.labels[sure], complete.labels)
    whole = divide(gaps, None, TOLERANCE)
    return {
        "kind": kind,
        "n": n,
        "noise": noise,
        "pairs": few.states.n_measured / math.comb(len(gaps), 2),
        "same": bool(same),
        "doubtful": len(few.doubtful) / len(gaps),
        "answer": few.answer,
        "complete": whole.answer,
        "split": few.answer in ("basins", "apart") and complete.n_connected == 1,
    }


def _real() -> np.ndarray:
    return np.maximum(analyze(read_store(REAL), n_resamples=100).gaps.estimate, 0)


def as_markdown(table: pd.DataFrame) -> list[str]:
    """A row a kind."""
    head = ["kind", "complete answer"]
    cells = [(n, noise) for n in sorted(table["n"].unique()) for noise in NOISES if n != 99]
    head += [f"{n} models, {noise:g} nats" for n, noise in cells]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for kind, rows in table.groupby("kind", sort=False):
        row = [str(kind), rows["complete"].mode()[0]]
        for n, noise in cells if kind in KINDS else [(99, 0.0)]:
            some = rows[(rows["n"] == n) & (rows["noise"] == noise)]
            if len(some):
                doubt = some["doubtful"].mean()
                row.append(f"{some['same'].mean():.2f}" + (f" ({doubt:.0%})" if doubt else ""))
        lines.append("| " + " | ".join(row) + " |")
    return [
        "How often the answer from few pairs is the complete, noise-free one of the same models, "
        "and of how many models (in brackets) too few pairs were measured to count them. "
        f"{len(table):,} populations.",
        "",
        *lines,
    ]


def draw(table: pd.DataFrame, out: Path) -> None:
    """Same answers, and models in doubt, by kind; 100 models."""
    some = table[(table["n"].isin([99, 100])) & (table["noise"] == 0)]
    means = some.groupby("kind", sort=False)[["same", "doubtful"]].mean()
    figure = Figure(figsize=(common.TEXT_WIDTH, 3.6), layout="constrained")
    ax = figure.add_subplot()
    places = np.arange(len(means))
    ax.barh(places - 0.2, means["same"], 0.38, color=common.GENERALISING, label="same answer")
    ax.barh(places + 0.2, means["doubtful"], 0.38, color="0.7", label="models in doubt")
    ax.set_yticks(places, list(means.index), fontsize=7)
    ax.invert_yaxis()
    ax.set(xlim=(0, 1), xlabel="share")
    ax.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, 1.1))
    for suffix in ("png", "pdf"):
        figure.savefig(out.with_suffix(f".{suffix}"), dpi=200)
