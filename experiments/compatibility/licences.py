"""The licence of everything that an installation brings: writes ``LICENCES.md``.

    python experiments/compatibility/licences.py

Run it where README's test command installed the versions of constraints.txt.
"""

from __future__ import annotations

import importlib.metadata as metadata
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SAME = {
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 3-Clause License": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD License": "BSD",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""What packages that name no SPDX expression write."""


def licence(name: str) -> str:
    """As an SPDX expression, from the package's own metadata."""
    about = metadata.metadata(name)
    if expression := about.get("License-Expression"):
        return expression
    text = (about.get("License") or "").strip()
    groups = [g.split(" :: ")[-1] for g in about.get_all("Classifier") or [] if "License ::" in g]
    if len(text.splitlines()) == 1 and len(text) < 60 and "Copyright" not in text:
        return SAME.get(text, text)
    return " OR ".join(SAME.get(group, group) for group in groups) or "unknown"


def closure(requirements: list[str]) -> set[str]:
    """The canonical names of all that these bring in this environment."""
    names: set[str] = set()
    todo = [(text, "") for text in requirements]
    while todo:
        text, extra = todo.pop()
        one = Requirement(text)
        name = canonicalize_name(one.name)
        if one.marker is not None and not one.marker.evaluate({"extra": extra}):
            continue
        inner = metadata.distribution(name).requires or []
        if name not in names:
            names.add(name)
            todo += [(more, "") for more in inner]
        todo += [(more, part) for part in one.extras for more in inner]
    return names


def main() -> None:
    """Write the page."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    run, test = project["dependencies"], project["optional-dependencies"]["test"]
    direct = {canonicalize_name(Requirement(text).name) for text in [*run, *test]}
    needed, everything = closure(run), closure([*run, *test])
    lines = [
        "# Licences",
        "",
        "What README's test command brings on Linux, with torch's build for CPUs, by the",
        f"packages' metadata (`licences.py`): {len(needed)} packages, and for the tests",
        f"{len(everything) - len(needed)} more.",
        "",
        "| package | version | needed | licence |",
        "|---|---|---|---|",
    ]
    for name in sorted(everything):
        why = "directly" if name in direct else "by others"
        why += "" if name in needed else ", for the tests"
        version = metadata.version(name).partition("+")[0]
        lines.append(f"| {name} | {version} | {why} | {licence(name)} |")
    (HERE / "LICENCES.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
