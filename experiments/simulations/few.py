"""How often do intervals of a gap cover that few examples carry, and which number says so?"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from landscape.analysis.barriers import bootstrap_gaps
from landscape.analysis.barriers.contributions import FEW, effective_number
from landscape.analysis.barriers.contributions.peak import highest
from landscape.analysis.simulation import simulate_losses
from landscape.core.progress import bar

EXAMPLES = (64, 256, 1024)
CARRIERS = (1, 2, 3, 5, 10, None)
"""As many examples carry the gap on average; None: all."""
GAPS = (0.05, 0.2)
NOISES = (0.1, 0.5)
TAILS = ("normal", "student", "lognormal")
ENOUGH = 0.9  # coverage of a 95% interval that is let pass

Cell = tuple[int, int | None, float, float, str]


def main(out: Path, quick: bool = False) -> None:
    """Write few.json and few.md; a stopped run goes on where it was."""
    cells: list[Cell] = list(itertools.product(EXAMPLES, CARRIERS, GAPS, NOISES, TAILS))
    n_curves = 100 if quick else 500
    lines = out / f"few-{n_curves}.jsonl"
    done = len(lines.read_text().splitlines()) if lines.is_file() else 0
    with lines.open("a") as file:
        for cell in bar(cells[done:], "cell"):
            file.write(json.dumps(one(cell, n_curves)) + "\n")
            file.flush()
    table = pd.read_json(lines, lines=True)
    (out / "few.md").write_text(as_markdown(table))
    table.to_json(out / "few.json", orient="records", indent=0, double_precision=4)
    lines.unlink()


def one(cell: Cell, n_curves: int) -> dict[str, Any]:
    """Coverage over independent curves, and the median effective number."""
    n_examples, carriers, gap, noise, tail = cell
    axes = (EXAMPLES, CARRIERS, GAPS, NOISES, TAILS)
    place = [list(axis).index(x) for axis, x in zip(axes, cell, strict=True)]
    rng = np.random.default_rng([1965, *place])
    losses = np.concatenate(
        [
            simulate_losses(
                [[0, gap], [gap, 0]],
                n_examples=n_examples,
                noise=noise,
                tail=tail,
                shared=0,
                uneven=0,
                carrying=1.0 if carriers is None else carriers / n_examples,
                rng=rng,
            ).losses
            for _ in range(n_curves)
        ]
    )
    found = bootstrap_gaps(losses, n_resamples=400, rng=rng)
    numbers = [behind(curve.astype(np.float64)) for curve in losses]
    return {
        "n_examples": n_examples,
        "carriers": carriers or n_examples,
        "gap": gap,
        "noise": noise,
        "tail": tail,
        "n_curves": n_curves,
        "covers": float(((found.low <= gap) & (gap <= found.high)).mean()),
        "above": float((found.high < gap).mean()),
        "effective": float(np.nanmedian(numbers)),
        "few": float((np.array(numbers) < FEW).mean()),
    }


def behind(losses: np.ndarray) -> float:
    """The effective number of examples behind the gap of losses (n_points, n_examples)."""
    (i, k, j), weights, _ = highest(losses.mean(1), np.linspace(0, 1, len(losses)), "convexity_gap")
    return effective_number(losses[k] - weights[0] * losses[i] - weights[1] * losses[j])


def as_markdown(table: pd.DataFrame) -> str:
    """Coverage by the effective number, then by the examples that carry the gap."""
    edges = [0, 1.5, 2, 2.5, FEW, 3.5, 4, 5, 7, 10, 20, np.inf]
    short = table["covers"] < ENOUGH
    caught = table["effective"] < FEW
    text = [
        "# Intervals of gaps that few examples carry",
        "",
        f"{len(table)} cells of {table['n_curves'].min()} curves, 95% intervals. The effective "
        "number is the median over a cell's curves.",
        "",
        f"{int((short & caught).sum())} of the {int(short.sum())} cells that cover in less than "
        f"{ENOUGH:.0%} have one below {FEW}, as do {int((~short & caught).sum())} of the "
        f"{int((~short).sum())} others.",
        "",
        "| effective number | cells | coverage, lowest | median |",
        "|---|---|---|---|",
    ]
    for low, high in itertools.pairwise(edges):
        some = table[table["effective"].between(low, high, inclusive="left")]["covers"]
        if len(some):
            text.append(
                f"| {low:g} to {high:g} | {len(some)} | {some.min():.3f} | {some.median():.3f} |"
            )
    text += [
        "",
        "## By the examples that carry the gap",
        "",
        "Lowest and median coverage over gaps, noise and tails; where a sample has none of them, "
        "no interval can know.",
        "",
        "| examples | carriers | lowest | median | effective number, median |",
        "|---|---|---|---|---|",
    ]
    for (n, carriers), some in table.groupby(["n_examples", "carriers"]):
        text.append(
            f"| {n} | {carriers} | {some['covers'].min():.3f} | {some['covers'].median():.3f} "
            f"| {some['effective'].median():.1f} |"
        )
    return "\n".join(text) + "\n"
