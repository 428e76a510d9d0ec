"""Figures of false positives and power, from their results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from power import EQUAL, SEPARATIONS, is_found
from scipy.stats import binomtest

from landscape.output.plots import common


@common.styled
def draw_power(table: pd.DataFrame, out: Path) -> None:
    """Power over separation and number of models, a panel a number of basins; other shapes."""
    table = table.assign(right=is_found(table))
    kinds = sorted({k for k, _ in EQUAL})
    figure = Figure(figsize=(common.TEXT_WIDTH, 4.4), layout="constrained")
    grid = figure.subplots(2, len(kinds))
    for ax, k in zip(grid[0], kinds, strict=True):
        sizes = [n for number, n in EQUAL if number == k]
        values = np.array(
            [[_share(table, f"{k} basins of {n // k}", s) for s in SEPARATIONS] for n in sizes]
        )
        _heat(ax, values, [f"{n}" for n in sizes])
        ax.set_title(f"{k} equal basins")
    grid[0][0].set_ylabel("models")
    others = [shape for shape in table["shape"].unique() if "basins of" not in shape]
    for ax in grid[1]:
        ax.remove()
    ax = figure.add_subplot(grid[1][0].get_gridspec()[1, :])
    for shape in others:
        shares = [_share(table, shape, s) for s in SEPARATIONS]
        ax.plot(SEPARATIONS, shares, marker="o", markersize=3, label=shape)
    ax.set_xscale("log")
    ax.set_xticks(SEPARATIONS, [f"{s:g}" for s in SEPARATIONS])
    ax.minorticks_off()
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlabel("median gap between basins (nats)")
    ax.set_ylabel("basins found")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    _save(figure, out)


@common.styled
def draw_false_positives(table: pd.DataFrame, out: Path) -> None:
    """Share of one-basin populations that were split, by kind and by size, with 95% intervals."""
    wrong = table["found"] > 1
    rows = [(str(kind), wrong[table["kind"] == kind]) for kind in table["kind"].unique()]
    rows += [
        (f"{n} models", wrong[table["n_models"] == n]) for n in sorted(table["n_models"].unique())
    ]
    rows.append(("all", wrong))
    figure = Figure(figsize=(common.TEXT_WIDTH, 3.6), layout="constrained")
    ax = figure.subplots()
    for place, (_, some) in enumerate(rows):
        interval = binomtest(int(some.sum()), len(some)).proportion_ci()
        ax.plot([interval.low, interval.high], [place, place], color="0.5", lw=1.5)
        ax.plot(some.mean(), place, "o", color="black", markersize=4)
    ax.axvline(0.05, color="0.6", ls=":")
    ax.set_yticks(range(len(rows)), [f"{name} ({len(some)})" for name, some in rows])
    ax.invert_yaxis()
    ax.set_xlim(0, None)
    ax.set_xlabel("share split into two basins or more (95% interval; dotted: what is promised)")
    _save(figure, out)


def _share(table: pd.DataFrame, shape: str, separation: float) -> float:
    some = table[(table["shape"] == shape) & (table["separation"] == separation)]
    return float(some["right"].mean())


def _heat(ax: Axes, values: np.ndarray, sizes: list[str]) -> None:
    ax.imshow(values, vmin=0, vmax=1, cmap="Greys", aspect="auto", origin="lower")
    for (row, column), value in np.ndenumerate(values):
        color = "white" if value > 0.5 else "black"
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=color, fontsize=6)
    ax.set_xticks(range(len(SEPARATIONS)), [f"{s:g}" for s in SEPARATIONS])
    ax.set_yticks(range(len(sizes)), sizes)
    ax.set_xlabel("median gap (nats)")


def _save(figure: Figure, out: Path) -> None:
    for suffix in ("pdf", "png"):
        metadata = {"CreationDate": None} if suffix == "pdf" else {}
        figure.savefig(out.with_suffix(f".{suffix}"), dpi=200, metadata=metadata)
