"""The committed tables; ``python table.py fuzz.jsonl`` prints that of fuzzing."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from judge import Result

_HEAD = """# Malformed inputs

`python experiments/malformed/run.py` writes this table. The command stands without the folder of
its case; peak is the resident size of the whole process, of which {base:.0f} MB are there before.

| kind | cases | failed | longest, s | largest peak, MB |
|---|--:|--:|--:|--:|
"""


def as_table(results: Sequence[Result]) -> str:
    """Markdown: a summary by kind, then a row a case."""
    lines = [_HEAD.format(base=min(result.peak_mb for result in results))]
    for kind in dict.fromkeys(result.kind for result in results):
        own = [result for result in results if result.kind == kind]
        bad = sum(bool(result.failures) for result in own)
        slow, large = (max(getattr(r, key) for r in own) for key in ("seconds", "peak_mb"))
        lines.append(f"| {kind} | {len(own)} | {bad} | {slow:.1f} | {large:.0f} |\n")
    for kind in dict.fromkeys(result.kind for result in results):
        lines.append(f"\n## {kind}\n\n| case | command | exit | s | MB | what it says |\n")
        lines.append("|---|---|--:|--:|--:|---|\n")
        lines += [_row(result) for result in results if result.kind == kind]
    return "".join(lines)


def _row(result: Result) -> str:
    said = "; ".join(result.failures) or result.first_line or "(a page)"
    return (
        f"| {_cell(result.name)} | `{_cell(result.command[:100])}` | {result.code} | "
        f"{result.seconds:.2f} | {result.peak_mb:.0f} | {_cell(said[:160])} |\n"
    )


def _cell(text: str) -> str:
    """Text that neither ends a cell nor is taken for HTML."""
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return shown.replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


_FUZZ = """| reader | by | executions | read | refused | s | crashes |
|---|---|--:|--:|--:|--:|--:|
"""


def as_fuzz_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a row a reader and way of fuzzing."""
    lines = [_FUZZ]
    for row in rows:
        cells = [row["reader"], row.get("by", "mutation")]
        cells[1] += f", {row['edges']} edges" if "edges" in row else ""
        cells += [f"{row[k]:,}" if k in row else "" for k in ("executions", "read", "refused")]
        cells += [f"{row['seconds']:.0f}", str(sum(n for n, _ in row["crashes"].values()))]
        lines.append(f"| {' | '.join(cells)} |\n")
    executions, seconds = (sum(row[k] for row in rows) for k in ("executions", "seconds"))
    lines.append(f"| all | | {executions:,} | | | {seconds:.0f} | |\n")
    return "".join(lines)


if __name__ == "__main__":
    print(as_fuzz_table([json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]))
