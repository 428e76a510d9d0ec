"""What a store holds, in lines of text."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from landscape.records import MEASURED, Results, read_store


def describe(path: Path) -> str:
    """A table of a store's models, data sets, progress and provenance.

    Raises:
        StoreError: The file cannot be read as a store.
    """
    contents = read_store(path)
    attributes = contents.attributes
    done = int((contents.status == MEASURED).sum())
    models_done = int((contents.model_status == MEASURED).sum())
    finished = attributes.get("finished") == "yes"
    lines = [
        f"{contents.config.get('name', path.stem)}: {path} ({path.stat().st_size / 1e6:.1f} MB)",
        f"  pairs      {done} of {len(contents.status)} measured"
        + ("" if finished else ", unfinished: 'landscape run' goes on"),
        f"  chosen     {_chosen(contents)}",
        f"  models     {models_done} of {len(contents.models)} measured",
        f"  positions  {len(contents.positions)}: "
        + " ".join(f"{t:.4g}" for t in contents.positions),
        f"  evaluated  {_evaluated(contents)}",
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
    for data in contents.datasets.values():
        groups = sum(len(set(values)) for values in data.groups.values())
        lines.append(
            f"  {data.name:<24} {data.role:<10} {data.metric:<9} "
            f"{'means' if data.aggregated else len(data.labels):>8} {groups:>7} "
            f"{'yes' if data.texts else 'no':>5}  {data.content_hash[:12]}".rstrip()
        )
    if any(data.aggregated for data in contents.datasets.values()):
        lines.append("  means: losses averaged over the examples; nothing is known of single ones")
    if len(contents.given_scores.columns):
        width = max(map(len, ("given score", *contents.score_roles)))
        lines += ["", f"  {'given score':<{width}}  {'role':<10}  models"]
        for name, values in contents.given_scores.items():
            known = int(values.notna().sum())
            lines.append(
                f"  {name:<{width}}  {contents.score_roles[str(name)]:<10}  "
                f"{known} of {len(values)}"
            )
    if contents.points:
        lines += ["", f"  {'path or surface':<36} {'kind':<8} {'points':>11}  between"]
    for points in contents.points.values():
        share = f"{int(points.evaluated.sum())} of {points.evaluated.size}"
        between = points.notes.get("models") or points.models
        lines.append(f"  {points.name:<36} {points.kind:<8} {share:>11}  {', '.join(between)}")
    width = max(map(len, ("model", *contents.models)))
    lines += ["", f"  {'model':<{width}}  {'seed':>6} {'step':>7}  {'sha256':<12}  reference"]
    for row in contents.checkpoints.to_dict("records"):
        seed, step = (f"{v:.0f}" if v == v else "-" for v in (row["seed"], row["step"]))
        revision = f"@{row['revision']}" if row["revision"] else ""
        lines.append(
            f"  {row['name']:<{width}}  {seed:>6} {step:>7}  {row['sha256'][:12]}  "
            f"{row['ref']}{revision}".rstrip()
        )
    return "\n".join(lines)


def _chosen(contents: Results) -> str:
    """Which pairs of models the store is about, and whether weight distances are there."""
    n = contents.never_measured
    text = "all pairs of models" if contents.chosen == "all" else f"active, {n} never measured"
    if contents.chosen == "all" and n:
        text += f" but {n}"
    known = np.isfinite(contents.distances).all()
    return text + f"; weight distances {'known' if known else 'not known'}"


def _evaluated(contents: Results) -> str:
    """Points of all pairs, in which formats, and what that leaves open."""
    formats = contents.points_by_format
    text = f"{sum(formats.values()):,} of {contents.formats.size:,} points"
    if formats:
        named = ", ".join(f"{name} {n:,}" for name, n in formats.items())
        text += f" ({named}), tolerance reached {contents.largest_tolerance:.2g} nats"
    if np.isfinite(contents.largest_difference):
        text += f", formats differ by up to {contents.largest_difference:.2g} nats an example"
    return text
