"""Which separation is found, with how many models? Power over both, for several shapes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from populations import Sample, bridged, many_basins, record

from landscape.core.progress import bar

SEPARATIONS = (0.03, 0.05, 0.1, 0.2, 0.4)  # nats, median gap between basins
SAMPLE = Sample(n_examples=256, noise=0.5, tail="lognormal")
EQUAL = tuple((k, n) for k in (2, 3, 4) for n in (6, 8, 12, 24, 48) if n % k == 0 and n >= 2 * k)
UNEVEN = ((9, 3), (20, 4), (47, 1), (88, 12))
BRIDGED = ((4, 4), (10, 10))


def shapes() -> dict[str, tuple[int, ...]]:
    """Sizes of basins by name; a bridge is one more model without a barrier to either."""
    named = {f"{k} basins of {n // k}": (n // k,) * k for k, n in EQUAL}
    named |= {" and ".join(map(str, sizes)): sizes for sizes in UNEVEN}
    return named | {f"{a} and {b}, bridged": (a, b) for a, b in BRIDGED}


def main(out: Path, quick: bool = False) -> None:
    """Write power.json and .md; a stopped run goes on with its lines in ``.jsonl``."""
    cells = [
        (shape, sizes, separation, repeat)
        for repeat in range(2 if quick else 20)
        for shape, sizes in shapes().items()
        for separation in SEPARATIONS
        if repeat < 10 or sum(sizes) < 40
    ]
    lines = out / "power.jsonl"
    done = len(lines.read_text().splitlines()) if lines.is_file() else 0
    with lines.open("a") as file:
        for cell in bar(cells[done:], "population"):
            file.write(json.dumps(one(*cell)) + "\n")
            file.flush()
    table = pd.read_json(lines, lines=True)
    from figures import draw_power  # which imports this module

    draw_power(table, out / "power")
    (out / "power.md").write_text(as_markdown(table))
    table.to_json(out / "power.json", orient="records", indent=0, double_precision=4)


def one(shape: str, sizes: tuple[int, ...], separation: float, repeat: int) -> dict[str, object]:
    """A population of this shape, and what was found."""
    rng = np.random.default_rng([2205, repeat, sum(sizes), len(sizes), int(1000 * separation)])
    if "bridged" in shape:
        gaps, labels = bridged((sizes[0], sizes[1]), separation)
    else:
        gaps, labels = many_basins(sizes, separation, rng)
    found = record(gaps, SAMPLE, rng, labels)
    return {"shape": shape, "separation": separation, "repeat": repeat, **found}


def is_found(table: pd.DataFrame) -> pd.Series:
    """Right number of basins, and all models but a bridge in the right one."""
    least = np.where(table["shape"].str.contains("bridged"), 0.6, 0.999)
    return (table["found"] == table["true"]) & (table["adjusted_rand"] >= least)


def as_markdown(table: pd.DataFrame) -> str:
    """Share of populations whose basins were found, each model in its own, by separation."""
    table = table.assign(right=is_found(table), more=table["found"] > table["true"])
    head = [f"{separation:g} nats" for separation in SEPARATIONS]
    text = [
        "# Basins that were found",
        "",
        "Share of populations with the right number of basins and every model in its own.",
        "",
        f"| shape | {' | '.join(head)} | populations | too many basins |",
        f"|---|{'---|' * (len(head) + 2)}",
    ]
    for shape in shapes():
        some = table[table["shape"] == shape]
        shares = [some.loc[some["separation"] == s, "right"].mean() for s in SEPARATIONS]
        numbers = " | ".join(f"{share:.2f}" for share in shares)
        text.append(f"| {shape} | {numbers} | {len(some)} | {some['more'].mean():.3f} |")
    return "\n".join(text) + "\n"
