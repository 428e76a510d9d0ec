"""A benchmark's result as Markdown."""

from __future__ import annotations

from typing import Any


def as_table(result: dict[str, Any]) -> str:
    """Every mapping of plain values becomes a table; long lists stay in the JSON."""
    lines = [f"# {result['benchmark']}", ""]
    scalars = {k: v for k, v in result.items() if not isinstance(v, (dict, list))}
    lines += [f"- {key}: {_plain(value)}" for key, value in scalars.items() if key != "benchmark"]
    for key, value in result.items():
        if not isinstance(value, dict) or key.startswith("all_"):
            continue
        lines += ["", f"## {key}", ""]
        nested = {k: v for k, v in value.items() if isinstance(v, dict)}
        if nested:
            columns = list(dict.fromkeys(c for row in nested.values() for c in row))
            lines.append("| | " + " | ".join(columns) + " |")
            lines.append("|---" * (len(columns) + 1) + "|")
            for name, row in nested.items():
                cells = (_plain(row.get(column, "")) for column in columns)
                lines.append(f"| {name} | " + " | ".join(cells) + " |")
        else:
            lines += ["| | |", "|---|---|"]
            lines += [f"| {name} | {_plain(entry)} |" for name, entry in value.items()]
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)
