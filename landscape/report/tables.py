"""The report's tables."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from landscape.plots import common
from landscape.plots.captions import count, delta_words, percent
from landscape.report.words import DASH, FDR, number, p_value, ranked_pairs, sentence

if TYPE_CHECKING:
    from landscape.analysis import Analysis

PAIRS_SHOWN = 15


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        number: Whether it is set flush right and sorted as a number.
        key: What sorting compares; "" is missing; the text when None.
        basin: The basin whose colour stands before the text.
        note: Words in a softer colour behind it.
        code: Whether it is set in a typewriter face.
        long: Whether it may go over several lines.
    """

    text: str
    number: bool = False
    key: str | None = None
    basin: int | None = None
    note: str = ""
    code: bool = False
    long: bool = False


@dataclass(frozen=True)
class Row:
    """One row, its first cell the heading; ``strong`` is highlighted."""

    cells: tuple[Cell, ...]
    strong: bool = False


@dataclass(frozen=True)
class Head:
    """A column's heading."""

    text: str
    number: bool = False


@dataclass(frozen=True)
class Table:
    """A table; ``folded`` is the text to click on where it starts folded."""

    caption: str
    head: tuple[Head, ...]
    rows: tuple[Row, ...]
    folded: str = ""
    sortable: bool = True


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    id: str
    title: str
    tables: tuple[Table, ...]
    paragraphs: tuple[str, ...] = ()


def basins_section(analysis: Analysis) -> Section:
    """How many basins, why, and who is in them."""
    basins = analysis.basins
    rows = []
    gaps = np.asarray(analysis.gaps.estimate)
    for basin in range(basins.n_basins):
        members = np.flatnonzero(np.asarray(basins.labels) == basin)
        inside = gaps[np.ix_(members, members)][np.triu_indices(len(members), 1)]
        inside = inside[np.isfinite(inside)]
        names = ", ".join(analysis.models[model] for model in members)
        cells = (
            Cell(f"basin {basin}", basin=basin),
            _count_cell(len(members)),
            _number_cell(np.median(inside) if inside.size else np.nan, 3),
            _number_cell(inside.max() if inside.size else np.nan, 3),
            Cell(names, long=True),
        )
        rows.append(Row(cells))
    rule = common.rule_name(analysis)
    table = Table(
        "Every basin and the gaps between its own models.",
        (
            Head("basin"),
            Head("models", True),
            Head(f"median {rule} (nats)", True),
            Head(f"largest {rule} (nats)", True),
            Head("members"),
        ),
        tuple(rows),
        sortable=False,
    )
    text = (
        f"{sentence(basins.evidence.reason)} The affinity's scale is delta = "
        f"{basins.delta:.4g} nats ({delta_words(basins.delta_rule)})."
    )
    return Section("basins", "Basins", (table, _evidence_table(analysis)), (text,))


def _evidence_table(analysis: Analysis) -> Table:
    basins, evidence = analysis.basins, analysis.basins.evidence
    rows = tuple(
        Row(
            (
                Cell(str(k)),
                _number_cell(silhouette, 3),
                _number_cell(null, 3),
            ),
            strong=int(k) == basins.n_basins,
        )
        for k, silhouette, null in zip(
            evidence.candidates, evidence.silhouettes, evidence.null_quantiles, strict=True
        )
    )
    best = number(evidence.null_quantile, 3)
    return Table(
        "How well the models separate into each number of basins, against models of one basin. "
        f"The best of all must exceed {best}, the 95% quantile of one basin's best.",
        (
            Head("basins"),
            Head("mean silhouette", True),
            Head("95% quantile under one basin", True),
        ),
        rows,
        folded="Evidence for the number of basins",
        sortable=False,
    )


def models_section(analysis: Analysis) -> Section:
    """Every model."""
    brief = [c for c in analysis.scores.columns if c in analysis.contents.datasets]
    if analysis.focus and analysis.focus not in brief:
        brief.append(analysis.focus)
    table = analysis.contents.checkpoints
    losses = analysis.contents.datasets[analysis.dataset].model_losses
    head = [
        Head("model"),
        Head("basin", True),
        Head("centroid distance", True),
        Head(f"{analysis.dataset}: loss (nats)", True),
        *(Head(_scored(analysis, column), True) for column in brief),
        Head("seed", True),
        Head("step", True),
        Head("reference"),
        Head("content (sha256)"),
    ]
    rows, full = [], []
    for model, name in enumerate(analysis.models):
        label = int(analysis.basins.labels[model])
        values = analysis.scores.iloc[model]
        who = Cell(name, basin=label)
        checkpoint = table.iloc[model]
        revision = _text_of(checkpoint, "revision")
        cells = (
            who,
            _count_cell(label),
            _number_cell(analysis.basins.centroid_distance[model], 3),
            _number_cell(losses[model].mean(dtype=np.float64), 4),
            *(_number_cell(values[column], 3) for column in brief),
            _integer_cell(checkpoint, "seed"),
            _integer_cell(checkpoint, "step"),
            Cell(
                _text_of(checkpoint, "ref") or DASH,
                code=True,
                note=f"@ {revision[:12]}" if revision else "",
            ),
            Cell(_text_of(checkpoint, "sha256")[:12] or DASH, code=True),
        )
        rows.append(Row(cells))
        full.append(Row((who, *(_number_cell(value, 3) for value in values))))
    tables = [
        Table(
            "Every model: its basin, its loss and scores (accuracy and other metrics are shares "
            "of 1), and where it came from.",
            tuple(head),
            tuple(rows),
        )
    ]
    if len(analysis.scores.columns) > len(brief):
        columns = tuple(Head(_scored(analysis, str(column)), True) for column in analysis.scores)
        tables.append(
            Table(
                "Every model's score on every data set and group.",
                (Head("model"), *columns),
                tuple(full),
                folded=f"All {len(analysis.scores.columns)} scores of every model",
            )
        )
    return Section("models", "Models", tuple(tables))


def pairs_section(analysis: Analysis) -> Section:
    """The pairs with the largest gaps."""
    gaps, rule = analysis.gaps, common.rule_name(analysis)
    ranked = ranked_pairs(analysis)
    losses = analysis.curves[analysis.dataset].losses
    # of the points that make the gap
    exact = np.where(analysis.contents.exact, losses, -np.inf)
    rows = []
    for pair in ranked[:PAIRS_SHOWN]:
        i, j = (int(model) for model in analysis.pairs[pair])
        first, second = int(analysis.basins.labels[i]), int(analysis.basins.labels[j])
        cells = (
            Cell(analysis.models[i], basin=first),
            Cell(analysis.models[j], basin=second),
            _number_cell(gaps.estimate[i, j], 4, note=_range(gaps.low[i, j], gaps.high[i, j], 4)),
            _number_cell(gaps.bias[i, j], 4),
            _number_cell(exact[pair].max(), 4),
            _number_cell(analysis.positions[int(exact[pair].argmax())], 2),
            Cell(str(analysis.kinds[pair]) or DASH),
        )
        rows.append(Row(cells))
    shown = min(len(ranked), PAIRS_SHOWN)
    which = f"The {shown} pairs with the largest {rule}" if len(ranked) > 1 else f"The {rule}"
    table = Table(
        f"{which} on {analysis.dataset}, with {percent(gaps.confidence)} intervals under resampled "
        f"examples ({count(gaps.n_resamples, 'resample')}) and the bias those show.",
        (
            Head("model at t = 0"),
            Head("model at t = 1"),
            Head(f"{rule} (nats)", True),
            Head("bias (nats)", True),
            Head("largest loss (nats)", True),
            Head("at t", True),
            Head("kind of pair"),
        ),
        tuple(rows),
    )
    return Section("pairs", "Pairs", (table,) if rows else ())


def relation_section(analysis: Analysis) -> Section:
    """Every group of scores by basin."""
    relation = analysis.relation
    level = percent(relation.confidence)
    basins = [
        basin
        for basin in range(len(analysis.models))
        if f"basin_{basin}_mean" in relation.table.columns
    ]
    compared = "basin 0 less basin 1"
    rows, significant = [], 0
    for _, row in relation.table.iterrows():
        marked = bool(row["q_value"] < FDR)
        significant += marked
        cells = [Cell(str(row["group"]))]
        cells += [_ranged_cell(row, f"basin_{basin}", 3, "_mean") for basin in basins]
        cells += [
            _ranged_cell(row, "difference", 3),
            _number_cell(row["auc"], 2),
            _number_cell(row["hedges_g"], 2),
            _p_cell(row["p_value"]),
            _p_cell(row["q_value"], note="significant" if marked else ""),
            _ranged_cell(row, "pearson", 2),
            _ranged_cell(row, "spearman", 2),
        ]
        rows.append(Row(tuple(cells), strong=row["group"] == analysis.focus))
    tested = int(relation.table["q_value"].notna().sum())
    if tested:
        text = (
            f"{significant} of {count(tested, 'group')} "
            f"{'differs' if significant == 1 else 'differ'} between basins at a false discovery "
            f"rate of {percent(FDR)}."
        )
    else:
        text = "No group could be compared between basins."
    focus = " The focus is highlighted." if analysis.focus else ""
    table = Table(
        f"Every score by basin, with {level} intervals in brackets.{focus}",
        (
            Head("group"),
            *(Head(f"mean in basin {basin}", True) for basin in basins),
            Head(f"difference ({compared})", True),
            Head("AUC", True),
            Head("Hedges g", True),
            Head("p", True),
            Head("q", True),
            Head("Pearson r with centroid distance", True),
            Head("Spearman \u03c1 with centroid distance", True),
        ),
        tuple(rows),
    )
    return Section("relation", "Basins and generalisation", (table,), (text,))


def datasets_section(analysis: Analysis) -> Section:
    """What was measured on."""
    rows = []
    for name, data in analysis.contents.datasets.items():
        notes = ", ".join(
            what
            for what, is_it in (
                ("gives the gaps", name == analysis.dataset),
                ("holds the focus", name == common.dataset_of(analysis, analysis.focus)),
            )
            if is_it
        )
        groups = [f"{cut} ({len(np.unique(values))})" for cut, values in data.groups.items()]
        cells = (
            Cell(name, note=notes),
            Cell(data.role.replace("_", "-")),
            _count_cell(len(data.labels)),
            Cell({"matthews": "Matthews correlation"}.get(data.metric, data.metric)),
            Cell(", ".join(data.label_names)),
            Cell("; ".join(groups) or DASH, long=len(groups) > 1),
            Cell(data.content_hash[:16], code=True),
        )
        rows.append(Row(cells))
    table = Table(
        "Every data set: its part, its size, how it is scored, and a hash of its examples.",
        (
            Head("data set"),
            Head("role"),
            Head("examples", True),
            Head("metric"),
            Head("labels"),
            Head("groupings (values)"),
            Head("content hash"),
        ),
        tuple(rows),
        sortable=False,
    )
    return Section("datasets", "Data sets", (table,))


def _scored(analysis: Analysis, column: str) -> str:
    return f"{column}: {common.metric_of(analysis, column)}"


def _number_cell(value: float, digits: int, note: str = "") -> Cell:
    value = float(value)
    return Cell(
        number(value, digits), number=True, key=f"{value!r}" if isfinite(value) else "", note=note
    )


def _count_cell(value: int) -> Cell:
    return Cell(f"{value:,}", number=True, key=str(value))


def _integer_cell(row: pd.Series, column: str) -> Cell:
    value = float(row.get(column, np.nan))
    return _count_cell(int(value)) if isfinite(value) else Cell(DASH, number=True, key="")


def _p_cell(value: float, note: str = "") -> Cell:
    value = float(value)
    return Cell(p_value(value), number=True, key=f"{value!r}" if isfinite(value) else "", note=note)


def _range(low: float, high: float, digits: int) -> str:
    if not (isfinite(low) and isfinite(high)):
        return ""
    return f"[{number(low, digits)}, {number(high, digits)}]"


def _ranged_cell(row: pd.Series, name: str, digits: int, value: str = "") -> Cell:
    note = _range(row[f"{name}_low"], row[f"{name}_high"], digits)
    return _number_cell(row[f"{name}{value}"], digits, note=note)


def _text_of(row: pd.Series, column: str) -> str:
    value = row.get(column, "")
    return "" if pd.isna(value) else str(value)
