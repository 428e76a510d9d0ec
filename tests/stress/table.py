"""The table of all trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.stress.trial import Trial


@dataclass(frozen=True)
class Row:
    """A trial of a kind of faults."""

    kind: str
    executor: str
    trial: Trial


_HEAD = """| fault | executor | tried | survived | records there | lost, though sound | resumes |
|---|---|--:|--:|--:|--:|--:|
"""


def as_table(rows: Sequence[Row]) -> str:
    """A line a kind and executor; what failed."""
    kinds = sorted({(row.kind, row.executor) for row in rows})
    lines = [
        f"| {name} | {executor} | {_sums([r for r in rows if (r.kind, r.executor) == key])} |\n"
        for key in kinds
        for name, executor in [key]
    ]
    bad = [f"- {r.kind}, {r.executor}: {'; '.join(r.trial.failures)}\n" for r in rows]
    bad = [line for line, row in zip(bad, rows, strict=True) if row.trial.failures]
    end = ["\n## Not survived\n\n", *bad] if bad else []
    return "".join([_HEAD, *lines, f"| **all** | | {_sums(rows)} |\n", *end])


def _sums(rows: Sequence[Row]) -> str:
    good = sum(not row.trial.failures for row in rows)
    sums = [sum(getattr(r.trial, name) for r in rows) for name in ("n_records", "lost", "resumes")]
    return " | ".join(map(str, (len(rows), good, *sums)))
