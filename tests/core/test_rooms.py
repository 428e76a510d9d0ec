"""Rooms: which there are, and that imports go one way; ``python -m tests.core.test_rooms``."""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import landscape

PACKAGE = Path(landscape.__file__).parent
ORDER = (
    "core",
    "checkpoints",
    "tasks",
    "paths",
    "evaluation",
    "indicators",
    "training",
    "records",
    "analysis",
    "importers",
    "output",
    "run",
)
WITHIN_ANALYSIS = ("barriers", "basins", "statistics")
MOST_ENTRIES, MOST_LINES = 14, 500


def modules() -> dict[str, Path]:
    """From each module's name to its file."""
    named = {}
    for path in PACKAGE.rglob("*.py"):
        parts = ("landscape", *path.relative_to(PACKAGE).with_suffix("").parts)
        named[".".join(parts).removesuffix(".__init__")] = path
    return named


@cache
def imports() -> list[tuple[str, str]]:
    """Pairs of a module and one of the package's that it imports anywhere."""
    named, pairs = modules(), []
    for module, path in named.items():
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                while name.startswith("landscape") and name not in named:
                    name = name.rpartition(".")[0]
                if name.startswith("landscape."):
                    pairs.append((module, name))
    return pairs


def room(module: str) -> str:
    """The folder at the package's top."""
    return module.split(".")[1] if "." in module else ""


def test_the_rooms_are_these() -> None:
    entries = {path.name for path in PACKAGE.iterdir()} - {"__pycache__"}
    assert entries == {*ORDER, "__init__.py", "py.typed"}
    assert len(entries) <= MOST_ENTRIES


def place(module: str) -> tuple[int, int]:
    """Where a module stands among the rooms, and within the analysis."""
    _, outer, *rest = module.split(".")
    early = outer == "analysis" and rest and rest[0] in WITHIN_ANALYSIS
    return ORDER.index(outer), WITHIN_ANALYSIS.index(rest[0]) if early else len(WITHIN_ANALYSIS)


def test_no_import_goes_against_the_grain() -> None:
    against = [
        f"{module} imports {other}"
        for module, other in imports()
        if room(module) and place(other) > place(module)
    ]
    assert not against


def test_no_file_is_long() -> None:
    lines = {path: len(path.read_text().splitlines()) for path in modules().values()}
    assert max(lines.values()) <= MOST_LINES, max(lines, key=lambda path: lines[path])


if __name__ == "__main__":
    arrows: dict[str, set[str]] = defaultdict(set)
    for source, target in imports():
        if room(source) != room(target):
            arrows[room(source) or "landscape"].add(room(target))
    size: dict[str, int] = defaultdict(int)
    for source, file in modules().items():
        size[room(source) or "landscape"] += len(file.read_text().splitlines())
    for name in ("landscape", *ORDER):
        known = ", ".join(other for other in ORDER if other in arrows[name])
        print(f"{name:<12} {size[name]:>6} lines  <- {known}")
    print(f"{'in all':<12} {sum(size.values()):>6} lines")
