"""The figure of what is answered: right answers, divided populations, power."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from answers import EXAMPLES, GAPS, RATIO_NAMES, SHAPES, by_kind, is_split
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest

from landscape.output.plots import common


@common.styled
def draw_answers(table: pd.DataFrame, out: Path) -> None:
    """Right answers by kind and noise, divided populations by kind, power by gap and examples."""
    figure = Figure(figsize=(common.TEXT_WIDTH, 6.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[3.4, 1.5])
    heat, splits = above.subplots(1, 2, width_ratios=[1.1, 1])
    rates = by_kind(table).pivot_table("right", "kind", "ratio", observed=False, sort=False)
    _heat(heat, rates.reindex(columns=list(RATIO_NAMES)))
    heat.set_xlabel("standard error of a gap over the tolerance")
    heat.set_title("answered as the true gaps are")
    _draw_splits(splits, is_split(table))
    power = table[table["part"] == "power"]
    for ax, shape in zip(below.subplots(1, len(SHAPES)), SHAPES, strict=True):
        some = power[power["kind"] == shape]
        rates = some.pivot_table("right", "examples", "gap")
        _heat(ax, rates.reindex(index=list(EXAMPLES)[::-1], columns=list(GAPS)))
        ax.set_title(shape)
        ax.set_xlabel("nats between basins")
    below.axes[0].set_ylabel("examples")
    for suffix in ("pdf", "png"):
        metadata = {"CreationDate": None} if suffix == "pdf" else {}
        figure.savefig(out.with_suffix(f".{suffix}"), dpi=200, metadata=metadata)


def _draw_splits(ax: Axes, table: pd.DataFrame) -> None:
    rows = [(str(kind), some["split"]) for kind, some in table.groupby("kind", sort=False)]
    rows.append(("all", table["split"]))
    for place, (_, split) in enumerate(rows):
        interval = binomtest(int(split.sum()), len(split)).proportion_ci()
        ax.plot([interval.low, interval.high], [place, place], color="0.5", lw=1.5)
        ax.plot(split.mean(), place, "o", color="black", markersize=4)
    ax.axvline(0.05, color="0.6", ls=":")
    ax.set_yticks(range(len(rows)), [f"{name} ({len(split)})" for name, split in rows])
    ax.invert_yaxis()
    ax.set_xlim(0, 0.2)
    ax.set_xlabel("share, with 95% interval")
    ax.set_title("connected, but divided")


def _heat(ax: Axes, values: pd.DataFrame) -> None:
    ax.patch.set(hatch="////", edgecolor="0.85")  # where there are no populations
    ax.imshow(values, vmin=0, vmax=1, cmap="Greys", aspect="auto")
    for (row, column), value in np.ndenumerate(values.to_numpy()):
        if np.isfinite(value):
            color = "white" if value > 0.5 else "black"
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=color, fontsize=6)
    ax.set_xticks(range(values.shape[1]), [str(name) for name in values.columns])
    ax.set_yticks(range(len(values)), [str(name) for name in values.index])
