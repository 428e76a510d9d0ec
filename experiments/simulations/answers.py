"""What is answered of planted populations, of many kinds, by how many examples?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from kinds import KINDS, between, near_copies
from scipy.spatial.distance import squareform
from scipy.stats import binomtest

from landscape.analysis.barriers import bootstrap_gaps
from landscape.analysis.basins.answer import Division, divide
from landscape.analysis.basins.noise import Noise, make_noise
from landscape.analysis.basins.states import pair_states
from landscape.analysis.simulation import simulate_losses
from landscape.core.progress import bar

TOLERANCE = 0.02
EXAMPLES = (64, 256, 1024, 2048)
TAILS = ("normal", "student", "lognormal")
NOISES = (0.1, 0.25, 0.5)  # nats an example; .5 is what MNLI classifiers show
REPEATS = {20: 12, 40: 3, 80: 2, 101: 1}  # of populations of fewer models
MOST = 1_200_000  # models x models x examples: more takes too long
SHAPES = {
    "two basins of 6": (6, 6),
    "three basins of 4": (4, 4, 4),
    "an outlier among 48": (47, 1),
}
GAPS = (0.03, 0.05, 0.1, 0.2, 0.4)  # nats between basins
COPIES = (25, 60)  # models, each run with five near-copies
RATIOS = (0.0, 0.125, 0.25, 0.5, 1.0, np.inf)  # of a gap's standard error to the tolerance
RATIO_NAMES = ("to 1/8", "to 1/4", "to 1/2", "to 1", "above")
CLAIMS = ("basins", "apart")  # that several basins are there


class Cell(NamedTuple):
    """One population: of a kind, of a shape and a gap, or of near-copies."""

    part: str
    kind: str
    n: int
    examples: int
    gap: float
    repeat: int


def cells(quick: bool) -> list[Cell]:
    """All populations, some of each kind first."""
    parts = [
        Cell("kinds", kind, n, examples, 0.0, repeat)
        for repeat in range(max(REPEATS.values()))
        for kind, (_, _, sizes) in KINDS.items()
        for n in sizes
        for examples in EXAMPLES
        if n * n * examples <= MOST
        and repeat < next(number for limit, number in REPEATS.items() if n < limit)
    ]
    parts += [
        Cell("power", shape, sum(sizes), examples, gap, repeat)
        for repeat in range(10)
        for shape, sizes in SHAPES.items()
        for gap in GAPS
        for examples in EXAMPLES
        if sum(sizes) ** 2 * examples <= 2 * MOST and (sum(sizes) < 20 or repeat < 5)
    ]
    parts += [
        Cell("near-copies", "near-copies", n, 64, 0.0, repeat)
        for repeat in range(9)
        for n in COPIES
    ]
    parts.sort(key=lambda cell: cell.repeat)
    return parts[:: len(parts) // 100] if quick else parts


def main(out: Path, quick: bool = False) -> None:
    """Write answers.json, .md and figures; a stopped run goes on with its lines in ``.jsonl``."""
    lines = out / "answers.jsonl"
    done = len(lines.read_text().splitlines()) if lines.is_file() else 0
    with lines.open("a") as file:
        for cell in bar(cells(quick)[done:], "population"):
            file.write(json.dumps(one(cell)) + "\n")
            file.flush()
    table = pd.read_json(lines, lines=True)
    from figures import draw_answers  # which imports this module

    draw_answers(table, out / "answers")
    (out / "answers.md").write_text(as_markdown(table))
    table.to_json(out / "answers.json", orient="split", index=False, double_precision=4)


def one(cell: Cell) -> dict[str, Any]:
    """A population, what is true of it, and what was answered."""
    rng = np.random.default_rng([1912, *map(ord, cell.kind), *cell[2:4], *_whole(cell)])
    tail = TAILS[cell.repeat % 3]
    size = NOISES[(cell.repeat + cell.repeat // 3) % 3]
    if cell.part == "kinds":
        gaps = KINDS[cell.kind][1](cell.n, rng)
    elif cell.part == "power":
        size = 0.5
        gaps = between(SHAPES[cell.kind], rng, high=(cell.gap, cell.gap))
    else:
        gaps = near_copies(cell.n, rng)
    noises, dip = np.full(gaps.shape, size), 0.0
    if cell.part == "near-copies":
        noises, dip = np.where(gaps > 0, 0.5, 0.05), 0.12
    estimate, noise = _seen(gaps, noises, cell.examples, tail, dip, rng)
    answer = divide(estimate, noise, TOLERANCE)
    # where the tolerance had to be raised, the truth is that of the raised one
    true = divide(gaps, None, answer.states.tolerance)
    row = cell._asdict() | {
        "tail": tail,
        "noise": size,
        "error": noise.error,
        "tolerance": answer.states.tolerance,
        "true": true.answer,
        "true_basins": true.n_basins,
        "connected": true.n_connected == 1,
        "answer": answer.answer,
        "right": _same(answer, true),
        "at_least": answer.at_least,
        "barriers": true.states.n_apart,
        "shown": answer.states.n_apart,
    }
    if cell.part == "near-copies":
        row["without_floor"] = pair_states(estimate, noise, TOLERANCE, least=1e-9).n_apart
    return row


def _whole(cell: Cell) -> tuple[int, int]:
    return round(1000 * cell.gap), cell.repeat


def _seen(
    gaps: np.ndarray, noises: np.ndarray, n_examples: int, tail: Any, dip: float, rng: Any
) -> tuple[np.ndarray, Noise]:
    """Gaps that a sample of examples shows, and their noise."""
    drawn = simulate_losses(gaps, n_examples=n_examples, noise=noises, tail=tail, dip=dip, rng=rng)
    seen = bootstrap_gaps(drawn.losses, n_resamples=300, keep_draws=True, rng=rng)
    estimate, corrected = squareform(seen.estimate), squareform(seen.corrected)
    errors = squareform(seen.standard_error)
    noise = make_noise(estimate, errors, seen.draws, seen.null, corrected, rng)
    assert noise is not None
    return estimate, noise


def _same(answer: Division, true: Division) -> bool:
    return bool(
        answer.answer == true.answer
        and answer.n_basins == true.n_basins
        and answer.n_connected == true.n_connected
        and np.array_equal(answer.parts, true.parts)
    )


def by_kind(table: pd.DataFrame) -> pd.DataFrame:
    """The populations of some kind, with the class of their standard error."""
    some = table[table["part"] == "kinds"].copy()
    some["ratio"] = pd.cut(some["error"] / TOLERANCE, RATIOS, labels=RATIO_NAMES)
    return some


def is_split(table: pd.DataFrame) -> pd.DataFrame:
    """Populations that are connected through joined pairs, and which of them were divided.

    Those that only a raised tolerance connects count together.
    """
    some = by_kind(table)
    some = some[some["connected"]]
    kinds = some["kind"].where(some["tolerance"] == TOLERANCE)
    rare = ~some["kind"].isin(kinds.dropna().unique())
    return some.assign(kind=some["kind"].mask(rare, "others"), split=some["answer"].isin(CLAIMS))


def as_markdown(table: pd.DataFrame) -> str:
    """Shares with their numbers of populations; exact 95% intervals where a rate is promised."""
    kinds, connected = by_kind(table), is_split(table)
    seen = kinds[kinds["error"] <= TOLERANCE / 2]
    text = [
        f"# What is answered of {len(table):,} planted populations",
        "",
        f"Tolerance {TOLERANCE:g} nats. Right: the answer, the number of basins and each model's "
        "part are those of the true gaps, at the tolerance that was used; in brackets: "
        "populations. The examples' noise is .1, .25 or .5 nats.",
        *_section("Right, by a gap's standard error over the tolerance", _rates(kinds, "ratio")),
        *_section("Right, by examples", _rates(kinds, "examples")),
        *_section("What is said, standard error at most half the tolerance", _outcomes(seen)),
        *_section("Connected populations that were divided", _splits(connected)),
        *_section("Other claims that are false", _claims(kinds)),
        *_section(
            "One outlier found, standard error at most half the tolerance",
            _intervals(seen[seen["kind"] == "one outlier"], "right", ("n", "tail")),
        ),
    ]
    power = table[table["part"] == "power"]
    for shape in SHAPES:
        some = power[power["kind"] == shape]
        title = f"Right: {shape}, by nats between basins and examples"
        text += _section(title, _rates(some, "examples", rows="gap"))
    text += _section("Near-copies: lines declared barriers", _copies(table))
    return "\n".join(text) + "\n"


def _section(title: str, rows: list[list[str]]) -> list[str]:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return ["", f"## {title}", "", lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]


def _rates(table: pd.DataFrame, columns: str, rows: str = "kind") -> list[list[str]]:
    names = [name for name in _values(table[columns]) if (table[columns] == name).any()]
    lines = [["", *map(str, names)]]
    for value, some in table.groupby(rows, sort=rows != "kind"):
        cells = [some.loc[some[columns] == name, "right"] for name in names]
        lines.append([str(value), *(f"{c.mean():.2f} ({len(c)})" if len(c) else "" for c in cells)])
    return lines


def _outcomes(table: pd.DataFrame) -> list[list[str]]:
    lines = [
        ["", "populations", "right", "95% interval", "undecided", "other", "all basins certain"]
    ]
    for kind, some in table.groupby("kind", sort=False):
        right, undecided = some["right"], some["answer"] == "undecided"
        basins = some[some["true_basins"] > 1]
        certain = f"{(basins['at_least'] == basins['true_basins']).mean():.2f}"
        shares = [f"{undecided.mean():.2f}", f"{(~right & ~undecided).mean():.2f}"]
        lines.append([str(kind), *_counted(right)[:1], *_counted(right)[2:], *shares])
        lines[-1].append(certain if len(basins) else "")
    return lines


def _splits(table: pd.DataFrame) -> list[list[str]]:
    half = table[table["error"] <= TOLERANCE / 2]
    lines = _intervals(table, "split", ("kind", "n", "examples", "tail", "ratio"))
    return [*lines[:2], ["standard error at most half", *_counted(half["split"])], *lines[2:]]


def _claims(table: pd.DataFrame) -> list[list[str]]:
    barriers = table[table["barriers"] > 0]
    linked = table[table["connected"] & (table["true"] != "bridged")]
    basins = table[table["true_basins"].notna()]
    return [
        ["", "populations", "false", "share", "95% interval"],
        ["one basin, of those with a barrier", *_counted(barriers["answer"] == "one")],
        [
            "basins but for a few models, of connected ones where that is not so",
            *_counted(linked["answer"] == "bridged"),
        ],
        [
            "more basins certain than there are",
            *_counted(basins["at_least"] > basins["true_basins"]),
        ],
    ]


def _intervals(table: pd.DataFrame, what: str, by: tuple[str, ...]) -> list[list[str]]:
    lines = [["", "populations", what, "share", "95% interval"], ["all", *_counted(table[what])]]
    for column in by:
        for value in _values(table[column]):
            some = table.loc[table[column] == value, what]
            if len(some):
                name = {"n": "models", "ratio": "error over tolerance"}.get(column, column)
                lines.append([f"{name}: {value}", *_counted(some)])
    return lines


def _counted(values: pd.Series) -> list[str]:
    n, k = len(values), int(values.sum())
    interval = binomtest(k, n).proportion_ci()
    return [f"{n}", f"{k}", f"{k / n:.3f}", f"{interval.low:.3f} to {interval.high:.3f}"]


def _copies(table: pd.DataFrame) -> list[list[str]]:
    lines = [["", "populations", "true barriers", "declared", "without a floor on the noise"]]
    for n, some in table[table["part"] == "near-copies"].groupby("n"):
        means = [f"{some[name].mean():.0f}" for name in ("barriers", "shown", "without_floor")]
        lines.append([f"{n // 5} runs, {n} models", f"{len(some)}", *means])
    return lines


def _values(column: pd.Series) -> list[object]:
    if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
        return list(dict.fromkeys(column))
    return list(column.cat.categories) if hasattr(column, "cat") else sorted(column.unique())
