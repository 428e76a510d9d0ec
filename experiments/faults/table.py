"""The committed table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_HEAD = """# Faults

`python experiments/faults/run.py --seed {seed} --faults {n}` writes this table. A fault is survived
when nothing is wrong after it: every row that was finished reads and is right, the plain command
goes on to the arrays of the uninterrupted run, bit for bit, nothing is measured twice, one clear
error and no traceback is said, and no process or file is left. Rows are models, pairs, and points
of ways and surfaces. *Resumes* are the runs that were needed beside the first.

| fault | executor | tried | survived | finished rows | lost, though sound | resumes |
|---|---|--:|--:|--:|--:|--:|
"""
_DAMAGE = """
## Damaged stores

| damage | store | tried | found | of no effect | mended | beyond it | rows hit | sound rows kept |
|---|---|--:|--:|--:|--:|--:|--:|--:|
"""
_PLACES = ("start", "models", "pairs", "ways", "surface", "packing", "drawing")


def as_table(results: Sequence[dict[str, Any]], seed: int) -> str:
    """Markdown of all trials."""
    lines = [_HEAD.format(seed=seed, n=len(results))]
    kinds = sorted({result["case"]["kind"] for result in results})
    for kind in kinds:
        for executor in ("local", "process"):
            own = [
                r for r in results if (r["case"]["kind"], r["case"]["executor"]) == (kind, executor)
            ]
            if own:
                lines.append(f"| {kind} | {executor} | {_sums(own)} |\n")
    lines.append(f"| **all** | | {_sums(results)} |\n")
    lines += _damage(results)
    lines.append("\n## What the run was doing\n\n| fault | " + " | ".join(_PLACES) + " |\n")
    lines.append("|---|" + "--:|" * len(_PLACES) + "\n")
    for kind in kinds:
        own = [r["place"] for r in results if r["case"]["kind"] == kind]
        if set(own) & set(_PLACES):
            counts = " | ".join(str(own.count(place) or "") for place in _PLACES)
            lines.append(f"| {kind} | {counts} |\n")
    bad = [result for result in results if result["failures"]]
    if bad:
        lines.append("\n## What failed\n\n")
        lines += [f"- {_named(r)}: {'; '.join(r['failures'])}\n" for r in bad]
    return "".join(lines)


def _sums(own: Sequence[dict[str, Any]]) -> str:
    good = sum(not result["failures"] for result in own)
    sums = [sum(result[key] for result in own) for key in ("rows", "lost", "resumes")]
    return " | ".join(map(str, (len(own), good, *sums)))


def _damage(results: Sequence[dict[str, Any]]) -> list[str]:
    lines = []
    for kind in ("store cut", "bytes of the store flipped"):
        for place in ("unfinished", "finished"):
            own = [r for r in results if r["case"]["kind"] == kind and r["place"] == place]
            if not own:
                continue
            found, mended = (sum(bool(r[key]) for r in own) for key in ("detected", "mended"))
            hit, lost, rows = (sum(r[key] for r in own) for key in ("hit", "lost", "rows"))
            cells = (len(own), found, len(own) - found, mended, found - mended, hit)
            sound = f"{rows - hit - lost} of {rows - hit}"
            lines.append(f"| {kind} | {place} | {' | '.join(map(str, cells))} | {sound} |\n")
    return [_DAMAGE, *lines] if lines else []


def _named(result: dict[str, Any]) -> str:
    case = result["case"]
    return f"{case['number']}, {case['kind']}, {case['executor']}, {result['place']}"
