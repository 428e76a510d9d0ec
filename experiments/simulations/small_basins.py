"""How often do intervals of means of small basins, and of their differences, contain the true one?

Scores lie in [0, 1] and are spread, huddled at an end, or of two kinds of models; the bootstrap's
percentiles and Student's t (Welch's) stand beside the interval that `relate` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations_with_replacement, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from landscape.analysis.statistics.intervals import interval_of_difference, interval_of_mean

Scores = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
SIZES = (2, 3, 4, 5, 7, 10)
PAIRS = ((2, 2), (2, 5), (3, 3), (5, 5), (2, 10), (10, 10))
CONFIDENCE = 0.95
RANGE = (0.0, 1.0)


def _two(share: float, low: float, high: float, spread: float) -> Scores:
    """A share of the models near ``high``, the others near ``low``."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        center = np.where(rng.random(shape) < share, high, low)
        return np.asarray(center + spread * rng.uniform(-1, 1, shape))

    return draw


def _beta(a: float, b: float) -> Scores:
    return lambda rng, shape: rng.beta(a, b, shape)


KINDS: dict[str, tuple[Scores, float]] = {
    "uniform": (_beta(1, 1), 1 / 2),
    "beta 60, 25: accuracies near .7": (_beta(60, 25), 60 / 85),
    "beta .3, 9: most at 0": (_beta(0.3, 9), 0.3 / 9.3),
    "beta .2, .2: at both ends": (_beta(0.2, 0.2), 1 / 2),
    "half .1, half .9": (_two(0.5, 0.1, 0.9, 0.05), 0.5),
    "a tenth .95, the others .02": (_two(0.1, 0.02, 0.95, 0.02), 0.113),
    "a third 1, the others 0": (_two(1 / 3, 0, 1, 0), 1 / 3),
    "a twentieth 0, the others 1": (_two(0.95, 0, 1, 0), 0.95),
}
"""By name: how scores are drawn, and their true mean."""


def main(out: Path, quick: bool = False) -> None:
    """Write small_basins.json and .md."""
    table = pd.DataFrame(simulate(50 if quick else 1000))
    table.to_json(out / "small_basins.json", orient="records", indent=0, double_precision=4)
    (out / "small_basins.md").write_text(as_markdown(table))


def simulate(n_populations: int) -> Iterator[dict[str, Any]]:
    """A row a kind of scores (a pair of kinds) and a number of models, or two."""
    for number, (name, n) in enumerate(product(KINDS, SIZES)):
        rng = np.random.default_rng([1405, number])
        draw, true = KINDS[name]
        rows = draw(rng, (n, n_populations))
        half = stats.sem(rows) * stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)
        yield {"scores": name, "models": str(n)} | _row(
            true,
            gaffke=interval_of_mean(rows, [RANGE] * n_populations, CONFIDENCE, rng),
            student=(rows.mean(0) - half, rows.mean(0) + half),
            bootstrap=np.quantile(_bootstrap(rows, rng), _LEVELS, axis=0),
        )
    couples = combinations_with_replacement(KINDS, 2)
    for number, ((first, second), sizes) in enumerate(product(couples, PAIRS)):
        rng = np.random.default_rng([1406, number])
        one, other = (
            KINDS[name][0](rng, (n, n_populations))
            for name, n in zip((first, second), sizes, strict=True)
        )
        resampled = _bootstrap(one, rng) - _bootstrap(other, rng)
        limits = [RANGE] * n_populations
        yield {"scores": f"{first} - {second}", "models": f"{sizes[0]}, {sizes[1]}"} | _row(
            KINDS[first][1] - KINDS[second][1],
            gaffke=interval_of_difference(one, other, limits, CONFIDENCE, rng),
            student=_welch(one, other),
            bootstrap=np.quantile(resampled, _LEVELS, axis=0),
        )


_LEVELS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)


def _row(true: float, **intervals: Any) -> dict[str, float]:
    """Coverage and mean width of each; rounding must not make an exact hit a miss."""
    row = {}
    for name, (low, high) in intervals.items():
        row[name] = float(((low <= true + 1e-12) & (true - 1e-12 <= high)).mean())
        row[f"{name} width"] = float((high - low).mean())
    return row


def _bootstrap(rows: np.ndarray, rng: np.random.Generator, n_draws: int = 500) -> np.ndarray:
    """(n_draws, n_populations) means of resampled models."""
    weights = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), n_draws) / len(rows)
    return np.asarray(weights @ rows)


def _welch(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    parts = [rows.var(0, ddof=1) / len(rows) for rows in (first, second)]
    total = np.maximum(parts[0] + parts[1], 1e-300)
    least = sum(
        (p / total) ** 2 / (len(r) - 1) for p, r in zip(parts, (first, second), strict=True)
    )
    half = stats.t.ppf(_LEVELS[1], 1 / np.maximum(least, 1e-3)) * np.sqrt(total)
    difference = first.mean(0) - second.mean(0)
    return difference - half, difference + half


def as_markdown(table: pd.DataFrame) -> str:
    """Means in full; of differences, over pairs of kinds, the least and the median."""
    methods = ("gaffke", "student", "bootstrap")
    single = ~table["models"].str.contains(",")
    n_pairs = len(KINDS) * (len(KINDS) + 1) // 2
    lines = [
        "# Intervals of means of small basins",
        "",
        f"95% intervals, {len(KINDS)} kinds of scores in [0, 1]: how many contain the true mean, "
        "and their mean width in brackets. Gaffke's is the one that `relate` gives.",
        "",
        "| scores | models | Gaffke | Student | bootstrap |",
        "|---|---|---|---|---|",
    ]
    for _, row in table[single].iterrows():
        cells = [f"{row[m]:.3f} ({row[f'{m} width']:.2f})" for m in methods]
        lines.append(f"| {row['scores']} | {row['models']} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Differences, of {n_pairs} pairs of kinds: the least and the median share that contains "
        "the true one, and the median width in brackets.",
        "",
        "| models | Gaffke | Student (Welch) | bootstrap |",
        "|---|---|---|---|",
    ]
    for sizes, rows in table[~single].groupby("models", sort=False):
        cells = [
            f"{rows[m].min():.3f}, {rows[m].median():.3f} ({rows[f'{m} width'].median():.2f})"
            for m in methods
        ]
        lines.append(f"| {sizes} | {' | '.join(cells)} |")
    least = table["gaffke"].min()
    return "\n".join([*lines, "", f"The least of all {len(table)} cells: {least:.3f}.", ""])
