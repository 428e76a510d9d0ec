"""How often is a population of one basin split? At most 5% of the time is what is promised."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from populations import ONE_BASIN, Sample, is_split, record
from scipy.stats import binomtest

from figures import draw_false_positives
from landscape.core.progress import bar

SIZES = {6: 0.3, 10: 0.25, 20: 0.25, 48: 0.12, 100: 0.08}  # and the share of populations of each
EXAMPLES = (64, 256, 1024)
NOISES = (0.25, 0.5)
TAILS = ("normal", "student", "lognormal")


def main(out: Path, quick: bool = False) -> None:
    """Write false_positives.json and .md; a stopped run goes on with its lines in ``.jsonl``."""
    number = 60 if quick else 600
    lines = out / "false_positives.jsonl"
    done = lines.read_text().splitlines() if lines.is_file() else []
    with lines.open("a") as file:
        for seed in bar(range(len(done), number), "population"):
            file.write(json.dumps(one(seed)) + "\n")
            file.flush()
    table = pd.read_json(lines, lines=True)
    draw_false_positives(table, out / "false_positives")
    (out / "false_positives.md").write_text(as_markdown(table))
    table.to_json(out / "false_positives.json", orient="records", indent=0, double_precision=4)


def one(seed: int) -> dict[str, object]:
    """A population of its own kind, size and noise, and what was found."""
    rng = np.random.default_rng([2205, seed])
    kind = list(ONE_BASIN)[seed % len(ONE_BASIN)]
    n = int(rng.choice(list(SIZES), p=list(SIZES.values())))
    dip = 0.03 if kind == "no gaps" and rng.random() < 0.5 else 0.0
    sample = Sample(
        int(rng.choice(EXAMPLES)), float(rng.choice(NOISES)), str(rng.choice(TAILS)), dip
    )
    while True:
        gaps = ONE_BASIN[kind](n, rng)
        if not is_split(gaps):
            break
    found = record(gaps, sample, rng, np.zeros(n, dtype=int))
    return {"kind": kind, "seed": seed, "dip": dip, **found}


def as_markdown(table: pd.DataFrame) -> str:
    """Shares with exact 95% intervals, over all and along each axis of the design."""
    wrong = table["found"] > 1
    rows = [("all", "", wrong)]
    for column in ("kind", "n_models", "n_examples", "noise", "tail"):
        rows += [(column, value, wrong[table[column] == value]) for value in _values(table[column])]
    text = [
        "# Populations of one basin that were split",
        "",
        "| | | populations | split | share | 95% interval |",
        "|---|---|---|---|---|---|",
    ]
    for name, value, some in rows:
        interval = binomtest(int(some.sum()), len(some)).proportion_ci()
        text.append(
            f"| {name.replace('_', ' ')} | {value} | {len(some)} | {int(some.sum())} | "
            f"{some.mean():.3f} | {interval.low:.3f} to {interval.high:.3f} |"
        )
    return "\n".join(text) + "\n"


def _values(column: pd.Series) -> list[object]:
    return list(dict.fromkeys(column if column.dtype == object else sorted(column)))
