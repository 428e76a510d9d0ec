"""What a store holds, in lines of text."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from landscape.analysis.by_rule import gaps_by_rule
from landscape.analysis.gaps import gap_dataset
from landscape.core.wording import short
from landscape.records import MEASURED, Results, read_store


def describe(path: Path) -> str:
    """A table of a store's models, data sets, progress and provenance."""
    results = read_store(path)
    attributes = results.attributes
    done = int((results.status == MEASURED).sum())
    models_done = int((results.model_status == MEASURED).sum())
    finished = attributes.get("finished") == "yes"
    lines = [
        f"{results.config.get('name', path.stem)}: {path} ({path.stat().st_size / 1e6:.1f} MB)",
        f"  pairs      {done} of {len(results.status)} measured"
        + ("" if finished else ", unfinished: 'landscape run' goes on"),
        f"  chosen     {_chosen(results)}",
        f"  models     {models_done} of {len(results.models)} measured",
        f"  positions  {len(results.positions)}: "
        + " ".join(f"{t:.4g}" for t in results.positions),
        f"  evaluated  {_evaluated(results)}",
        *_gaps(results),
        "  made       "
        + ", ".join(
            f"{key.removesuffix('-version')} {value}"
            for key, value in sorted(attributes.items())
            if not key.startswith(("encoding", "content")) and key not in ("finished", "pairs")
        ),
        "",
        f"  {'data set':<24} {'role':<10} {'metric':<9} {'examples':>8} {'groups':>7} "
        f"{'texts':>5}  hash",
    ]
    for data in results.datasets.values():
        groups = sum(len(set(values)) for values in data.groups.values())
        lines.append(
            f"  {data.name:<24} {data.role:<10} {data.metric:<9} "
            f"{'means' if data.aggregated else len(data.labels):>8} {groups:>7} "
            f"{'yes' if data.texts else 'no':>5}  {data.content_hash[:12]}".rstrip()
        )
    if any(data.aggregated for data in results.datasets.values()):
        lines.append("  means: losses averaged over the examples; nothing is known of single ones")
    if len(results.given_scores.columns):
        width = max(map(len, ("given score", *results.score_roles)))
        lines += ["", f"  {'given score':<{width}}  {'role':<10}  models"]
        for name, values in results.given_scores.items():
            n_known = int(values.notna().sum())
            lines.append(
                f"  {name:<{width}}  {results.score_roles[str(name)]:<10}  "
                f"{n_known} of {len(values)}"
            )
    if results.points:
        lines += ["", f"  {'path or surface':<36} {'kind':<8} {'points':>11}  between"]
    for points in results.points.values():
        share = f"{int(points.evaluated.sum())} of {points.evaluated.size}"
        between = points.notes.get("models") or points.models
        lines.append(f"  {points.name:<36} {points.kind:<8} {share:>11}  {', '.join(between)}")
    width = max(map(len, ("model", *results.models)))
    lines += ["", f"  {'model':<{width}}  {'seed':>6} {'step':>7}  {'sha256':<12}  reference"]
    for row in results.checkpoints.to_dict("records"):
        seed, step = (f"{v:.0f}" if v == v else "-" for v in (row["seed"], row["step"]))
        revision = f"@{row['revision']}" if row["revision"] else ""
        lines.append(
            f"  {row['name']:<{width}}  {seed:>6} {step:>7}  {row['sha256'][:12]}  "
            f"{row['ref']}{revision}".rstrip()
        )
    return "\n".join(lines)


def _chosen(results: Results) -> str:
    """Which pairs of models the store is about, and whether weight distances are there."""
    n = results.never_measured
    text = "all pairs of models" if results.chosen == "all" else f"active, {n} never measured"
    if results.chosen == "all" and n:
        text += f" but {n}"
    distances = "known" if np.isfinite(results.distances).all() else "not known"
    return text + f"; weight distances {distances}"


def _gaps(results: Results) -> list[str]:
    """How many pairs have a barrier by each rule, once all are measured."""
    if not (results.status == MEASURED).all():
        return []
    options = results.config.get("analysis", {})
    dataset = gap_dataset(results)
    by_rule = gaps_by_rule(results, dataset, options.get("rule") or "convexity_gap")
    if not by_rule:
        return []
    own = by_rule[0]
    beyond = " beyond noise" if own.beyond_noise else ""
    found = ", ".join(
        f"{by.name} {by.n_apart} (median {short(by.median)}, largest {short(by.largest)})"
        for by in by_rule
    )
    of = f"of {own.n_pairs} above {short(own.tolerance)} nats{beyond} on {dataset}"
    return [f"  gaps       {found} {of}"]


def _evaluated(results: Results) -> str:
    """Points of all pairs, in which formats, and what that leaves open."""
    formats = results.points_by_format
    text = f"{sum(formats.values()):,} of {results.formats.size:,} points"
    if formats:
        named = ", ".join(f"{name} {n:,}" for name, n in formats.items())
        text += f" ({named}), tolerance reached {results.largest_tolerance:.2g} nats on this grid"
    if np.isfinite(results.largest_difference):
        text += f", formats differ by up to {results.largest_difference:.2g} nats an example"
    return text
