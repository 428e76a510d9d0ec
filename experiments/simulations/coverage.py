"""How often do intervals of a gap contain the true one? 93 to 97% is what is promised, and how
much of the upward bias of a maximum is removed.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import binomtest, norm

from landscape.analysis.barriers import bootstrap_gaps, convexity_gap
from landscape.analysis.barriers.resamples import Resamples, interval
from landscape.analysis.simulation import simulate_losses
from landscape.core.progress import bar
from landscape.output.plots import common

GAPS = {
    "straight": (0.0, 0.0),
    "dip": (0.0, 0.05),
    "0.02": (0.02, 0.0),
    "0.05": (0.05, 0.0),
    "0.1": (0.1, 0.0),
    "0.3": (0.3, 0.0),
}
"""By name: the true gap, and how much lower a line without one lies in its middle, nats."""
EXAMPLES = (64, 256, 1024)
TAILS = ("normal", "student", "lognormal")
NOISES = (0.25, 0.5)
UNEVEN = (0.0, 1.0)
METHODS = ("directional", "percentile", "basic", "bca")
N_RESAMPLES = 400
CONFIDENCE = 0.95
ABOVE_NOISE = 3  # standard errors
AT_ONCE = 250  # curves that share the numbers of the resampled examples

Cell = tuple[str, int, str, float, float]


def cells() -> list[Cell]:
    """Gap, examples, tail, noise, unevenness; exactly straight lines carry no barrier unevenly."""
    every = itertools.product(GAPS, EXAMPLES, TAILS, NOISES, UNEVEN)
    return [cell for cell in every if not (cell[0] == "straight" and cell[4])]


def main(out: Path, quick: bool = False) -> None:
    """Write coverage.json, .md, .png and .pdf; a stopped run goes on where it was."""
    n_curves = 250 if quick else 2000
    lines = out / f"coverage-{n_curves}.jsonl"
    done = len(lines.read_text().splitlines()) if lines.is_file() else 0
    with lines.open("a") as file:
        for cell in bar(cells()[done:], "cell"):
            file.write(json.dumps(one(cell, n_curves)) + "\n")
            file.flush()
    table = pd.read_json(lines, lines=True, dtype={"gap": str})
    (out / "coverage.md").write_text(as_markdown(table))
    table.to_json(out / "coverage.json", orient="records", indent=0, double_precision=5)
    draw(table, out)
    lines.unlink()


def one(cell: Cell, n_curves: int) -> dict[str, Any]:
    """What came out over independent curves: models, path and examples are all drawn anew."""
    name, n_examples, tail, noise, uneven = cell
    true, dip = GAPS[name]
    place = (axis.index(x) for axis, x in zip(_AXES, cell, strict=True))
    rng = np.random.default_rng([2205, *place])
    columns: dict[str, list[np.ndarray]] = {}
    for _ in range(n_curves // AT_ONCE):
        losses = np.concatenate(
            [
                simulate_losses(
                    [[0, true], [true, 0]],
                    n_examples=n_examples,
                    noise=noise,
                    tail=tail,
                    shared=0,
                    uneven=uneven,
                    dip=dip,
                    rng=rng,
                ).losses
                for _ in range(AT_ONCE)
            ]
        )
        for key, values in intervals(losses, rng).items():
            columns.setdefault(key, []).append(values)
    found = {key: np.concatenate(values) for key, values in columns.items()}
    error = found["estimate"].std(ddof=1)
    summary: dict[str, Any] = {
        "gap": name,
        "n_examples": n_examples,
        "tail": tail,
        "noise": noise,
        "uneven": uneven,
        "true": true,
        "n_curves": len(found["estimate"]),
        "error": error,
        "standard_error": found["standard_error"].mean(),
        "bias": found["estimate"].mean() - true,
        "bias_corrected": found["corrected"].mean() - true,
        "rms": np.sqrt(np.mean((found["estimate"] - true) ** 2)),
        "rms_corrected": np.sqrt(np.mean((found["corrected"] - true) ** 2)),
        "null_bias": found["null_bias"].mean(),
        "above_null": found["above_null"].mean(),
    }
    for method in METHODS:
        low, high = found[f"low {method}"], found[f"high {method}"]
        inside = (low <= true) & (true <= high)
        sure = binomtest(int(inside.sum()), len(inside)).proportion_ci(0.95, "wilson")
        summary |= {
            f"{method}_covers": inside.mean(),
            f"{method}_from": sure.low,
            f"{method}_to": sure.high,
            f"{method}_above": (low > true).mean(),
            f"{method}_below": (high < true).mean(),
            f"{method}_width": (high - low).mean(),
        }
    return {key: x if isinstance(x, (str, int)) else float(x) for key, x in summary.items()}


def intervals(losses: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Of (n_curves, n_points, n_examples): the default's numbers, and every method's ends."""
    seed = int(rng.integers(1 << 32))
    options: dict[str, Any] = {"n_resamples": N_RESAMPLES, "confidence": CONFIDENCE}
    found = bootstrap_gaps(losses, keep_draws=True, rng=seed, **options)
    assert found.null is not None
    columns = {
        "estimate": found.estimate,
        "corrected": found.corrected,
        "standard_error": found.standard_error,
        "null_bias": found.null_bias,
        "above_null": found.estimate > np.quantile(found.null, CONFIDENCE, axis=0),
        "low directional": found.low,
        "high directional": found.high,
    }
    # what bootstrap_gaps does for the other methods, done once for all three
    n = losses.shape[-1]
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES) / n
    same = Resamples(convexity_gap, losses.astype(np.float64), weights)
    low, high = interval(same, CONFIDENCE, "percentile")
    ends = {
        "percentile": (low, high),
        "basic": (2 * same.estimate - high, 2 * same.estimate - low),
        "bca": bca(same),
    }
    for method, (low, high) in ends.items():
        columns[f"low {method}"], columns[f"high {method}"] = low, high
    return columns


def bca(resamples: Resamples) -> np.ndarray:
    """(2, n_curves) ends that correct bias and skew (Efron 1987), with the jackknife."""
    n = len(resamples.gaps)
    lower, equal = resamples.gaps < resamples.estimate, resamples.gaps <= resamples.estimate
    # all draws on one side would ask for an infinite correction
    shift = norm.ppf(np.clip((lower.mean(0) + equal.mean(0)) / 2, 0.5 / n, 1 - 0.5 / n))
    influence = resamples.left_out.mean(0) - resamples.left_out
    scale = (influence**2).sum(0) ** 1.5
    acceleration = (influence**3).sum(0) / (6 * np.where(scale > 0, scale, np.inf))
    z = shift + norm.ppf([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])[:, None]
    levels = norm.cdf(shift + z / (1 - acceleration * z))
    curves = zip(resamples.gaps.T, levels.T, strict=True)
    return np.array([np.quantile(gaps, level) for gaps, level in curves]).T


def as_markdown(table: pd.DataFrame) -> str:
    """How many cells keep the promise, by method; then every cell."""
    snr = table["true"] / table["error"]
    above, zero = table[snr >= ABOVE_NOISE], table[table["true"] == 0]
    least = int(table["n_curves"].min())
    half = 196 * np.sqrt(0.95 * 0.05 / least)
    text = [
        "# Intervals of the convexity gap: coverage",
        "",
        f"{len(table)} cells of {least:,} independent curves or more (11 points, {N_RESAMPLES} "
        f"resamples, nominal {CONFIDENCE:.0%}); a coverage of 95% is known to {half:.1f} points. "
        f"A gap stands above noise where it is {ABOVE_NOISE} of its estimate's standard errors "
        "or more.",
        "",
        "| | cells | " + " | ".join(METHODS) + " |",
        "|---|---|" + "---|" * len(METHODS),
    ]

    def row(name: str, some: pd.DataFrame, told: Any) -> None:
        cells = (told(some[f"{method}_covers"]) for method in METHODS)
        text.append(f"| {name} | {len(some)} | {' | '.join(cells)} |")

    def span(share: pd.Series) -> str:
        return f"{share.min():.3f} to {share.max():.3f}"

    row("above noise: cells of 93 to 97%", above, lambda c: str(c.between(0.93, 0.97).sum()))
    row("above noise: coverage, all cells", above, span)
    for n in EXAMPLES:
        row(f"above noise: coverage, {n} examples", above[above["n_examples"] == n], span)
    row("true gap 0: cells that contain it 95%", zero, lambda c: str((c >= 0.95).sum()))
    row("true gap 0: contained, all cells", zero, span)
    weak = table[(snr > 0) & (snr < ABOVE_NOISE)]
    row("below noise: coverage, all cells", weak, span)
    straight = table[table["gap"] == "straight"]
    dip = table[table["gap"] == "dip"]
    text += [
        "",
        "Bias in standard errors of the estimate (mean over cells, and the range):",
        "",
        "| | cells | estimate | corrected |",
        "|---|---|---|---|",
    ]
    parts = {"straight": straight, "dip": dip, "below noise": weak, "above noise": above}
    for name, some in parts.items():
        both = (some[column] / some["error"] for column in ("bias", "bias_corrected"))
        told = (f"{x.mean():.2f} ({x.min():.2f} to {x.max():.2f})" for x in both)
        text.append(f"| {name} | {len(some)} | {' | '.join(told)} |")
    ratio = (straight["null_bias"] / straight["bias"]).describe()
    text += [
        "",
        "Of straight lines, the mean of the null gaps is "
        f"{ratio['min']:.2f} to {ratio['max']:.2f} times the mean estimate, and "
        f"{straight['above_null'].min():.3f} to {straight['above_null'].max():.3f} of the "
        f"estimates exceed the {CONFIDENCE:.0%} quantile of their null gaps (lines with a dip: at "
        f"most {dip['above_null'].max():.3f}).",
        "",
        "## Every cell",
        "",
        "Gap, noise, bias and width in nats; uneven: sigma of the shares of a barrier that "
        "examples carry; `<` and `>`: the true gap lies below or above the interval.",
        "",
        "| gap | examples | tail | noise | uneven | gap / error | directional (Monte Carlo 95%) "
        "| < | > | width | percentile | basic | bca | bias | corrected |",
        "|---" * 15 + "|",
    ]
    for s, (_, r) in zip(snr, table.iterrows(), strict=True):
        ends = f"{r['directional_from']:.3f} to {r['directional_to']:.3f}"
        others = " | ".join(f"{r[f'{method}_covers']:.3f}" for method in METHODS[1:])
        text.append(
            f"| {r['gap']} | {r['n_examples']} | {r['tail']} | {r['noise']:g} | {r['uneven']:g} "
            f"| {s:.1f} | {r['directional_covers']:.3f} ({ends}) | {r['directional_above']:.3f} "
            f"| {r['directional_below']:.3f} | {r['directional_width']:.4f} | {others} "
            f"| {r['bias']:.4f} | {r['bias_corrected']:.4f} |"
        )
    return "\n".join(text) + "\n"


def draw(table: pd.DataFrame, out: Path) -> None:
    """Coverage by method, and what is left of the bias, over the gap in standard errors."""
    with plt.style.context(common.STYLE):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(common.TEXT_WIDTH, 2.6), layout="constrained"
        )
        # what is 0 stands at the left edge, lines with a dip beside straight ones
        x = table["true"] / table["error"]
        x = x.where(x > 0, np.where(table["gap"] == "dip", 0.24, 0.2))
        left.axhspan(0.93, 0.97, color="0.9", linewidth=0)
        for k, method in reversed(list(enumerate(METHODS))):
            look = {"color": common.basin_color(k), "marker": common.basin_marker(k)}
            left.plot(x, table[f"{method}_covers"], ls="none", ms=2.5, label=method, **look)
        left.set_ylim(0.25, 1.01)
        left.set_ylabel("share of intervals with the true gap")
        left.legend(loc="lower right", reverse=True)
        sides = {"bias": "estimate", "bias_corrected": "corrected"}
        for k, (column, label) in enumerate(sides.items()):
            look = {"color": common.basin_color(4 - k), "marker": common.basin_marker(k)}
            right.plot(x, table[column] / table["error"], ls="none", ms=2.5, label=label, **look)
        right.axhline(0, color="0.5", linewidth=0.6)
        right.set_ylabel("bias (standard errors)")
        right.legend(loc="upper right")
        for ax in (left, right):
            ax.set_xscale("log")
            ax.set_xticks([0.22, 1, 3, 10, 30], ["0", "1", "3", "10", "30"])
            ax.minorticks_off()
            ax.axvline(ABOVE_NOISE, color="0.5", linewidth=0.6, linestyle=":")
            ax.set_xlabel("true gap (standard errors)")
        for kind in ("png", "pdf"):
            figure.savefig(out / f"coverage.{kind}")
        plt.close(figure)


_AXES: tuple[tuple[Any, ...], ...] = (tuple(GAPS), EXAMPLES, TAILS, NOISES, UNEVEN)
