"""What is answered of planted populations, of twenty-two kinds, by how many examples?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kinds import KINDS
from scipy.spatial.distance import squareform
from scipy.stats import binomtest

from landscape.analysis.barriers import bootstrap_gaps
from landscape.analysis.basins.answer import Division, divide
from landscape.analysis.basins.noise import make_noise
from landscape.analysis.simulation import simulate_losses
from landscape.core.progress import bar

TOLERANCE = 0.02
EXAMPLES = (64, 256, 512, 1024, 2048)
TAILS = ("normal", "student", "lognormal")
NOISES = (0.25, 0.5)  # nats an example; .5 is what MNLI classifiers show
CLAIMS = ("basins", "apart")  # that several basins are there


def main(out: Path, quick: bool = False) -> None:
    """Write answers.json, .md and figures; a stopped run goes on with its lines in ``.jsonl``."""
    cells = [
        (kind, n, n_examples, repeat)
        for repeat in range(1 if quick else 12)
        for kind, (_, _, sizes) in KINDS.items()
        for n in sizes
        for n_examples in EXAMPLES
        if n * n * n_examples <= 6_000_000 and (n < 40 or repeat < 6)
    ]
    lines = out / "answers.jsonl"
    done = len(lines.read_text().splitlines()) if lines.is_file() else 0
    with lines.open("a") as file:
        for cell in bar(cells[done:], "population"):
            file.write(json.dumps(one(*cell)) + "\n")
            file.flush()
    table = pd.read_json(lines, lines=True)
    from figures import draw_answers

    draw_answers(table, out / "answers")
    (out / "answers.md").write_text(as_markdown(table))


def one(kind: str, n: int, n_examples: int, repeat: int) -> dict[str, Any]:
    """A population, what is true of it, and what was answered."""
    rng = np.random.default_rng([1912, repeat, n, n_examples, list(KINDS).index(kind)])
    gaps = KINDS[kind][1](n, rng)
    true = divide(gaps, None, TOLERANCE)
    tail = TAILS[repeat % len(TAILS)]
    drawn = simulate_losses(
        gaps, n_examples=n_examples, noise=NOISES[repeat % 2], tail=tail, rng=rng
    )
    seen = bootstrap_gaps(drawn.losses, n_resamples=300, keep_draws=True, rng=rng)
    noise = make_noise(
        squareform(seen.estimate),
        squareform(seen.standard_error),
        seen.draws,
        seen.null,
        squareform(seen.corrected),
        rng,
    )
    found = divide(squareform(seen.estimate), noise, TOLERANCE)
    # where the tolerance had to be raised, the truth is that of the raised one
    at_this = divide(gaps, None, found.states.tolerance)
    return {
        "kind": kind,
        "n": n,
        "examples": n_examples,
        "tail": tail,
        "noise": NOISES[repeat % 2],
        "error": float(np.median(seen.standard_error)),
        "tolerance": found.states.tolerance,
        "true": true.answer,
        "true_here": at_this.answer,
        "found": found.answer,
        "right": _same(found, at_this),
        "split": found.answer in CLAIMS and at_this.n_connected == 1,
        "at_least": found.at_least,
        "true_basins": at_this.n_basins,
        "basins": found.n_basins,
        "apart": found.states.n_apart,
        "joined": found.states.n_joined,
    }


def _same(found: Division, true: Division) -> bool:
    return bool(
        found.answer == true.answer
        and found.n_basins == true.n_basins
        and found.n_connected == true.n_connected
        and np.array_equal(found.parts, true.parts)
    )
