"""Run the tests in an environment of its own: other Pythons, the oldest and newest libraries.

    python experiments/compatibility/run.py --pinned --python 3.12
    python experiments/compatibility/run.py --lowest
    python experiments/compatibility/run.py --newest

Each writes ``results/NAME.json`` and the table of all results, ``results/table.md``. What comes
after ``--`` goes to pytest.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SHOWN = ("torch", "transformers", "numpy", "scipy", "pandas", "h5py", "scikit-learn", "pydantic")


def main() -> None:
    """Make the environment, run the tests in it, keep what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kind = parser.add_mutually_exclusive_group(required=True)
    for name, words in (
        ("pinned", "the versions of constraints.txt"),
        ("lowest", "those of lowest.txt, the lower bounds of pyproject.toml"),
        ("newest", "the newest that pyproject.toml allows"),
    ):
        kind.add_argument(f"--{name}", dest="kind", action="store_const", const=name, help=words)
    parser.add_argument("--python", default="3.11", help="3.12, or an interpreter's path")
    parser.add_argument("--torch", help="this version of torch, where the other is not at hand")
    parser.add_argument(
        "--without-torch",
        action="store_true",
        help="install no torch and skip the tests that need it, where no build is at hand",
    )
    parser.add_argument("--environment", type=Path, help="keep it here, or use what is here")
    parser.add_argument("pytest", nargs="*", help="options and files, after --")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="landscape-compatibility-") as name:
        folder = given.environment or Path(name) / "environment"
        python = folder / "bin" / "python"
        if not python.exists():
            _install(given, folder, Path(name))
        result = _test(given, python.absolute(), Path(name) / "report.xml")
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    (results / f"{result['name']}.json").write_text(json.dumps(result, indent=1) + "\n")
    (results / "table.md").write_text(table(results))
    print((results / "table.md").read_text())
    sys.exit(bool(result["failed"]))


def _install(given: argparse.Namespace, folder: Path, work: Path) -> None:
    found = shutil.which(given.python) or shutil.which(f"python{given.python}")
    if found is None:
        sys.exit(f"There is no Python {given.python} here: name an interpreter with --python.")
    subprocess.run([found, "-m", "venv", folder], check=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    constraints = {"pinned": ROOT / "constraints.txt", "lowest": HERE / "lowest.txt"}
    lines = constraints[given.kind].read_text().splitlines() if given.kind in constraints else []
    if given.torch or given.without_torch:
        lines = [line for line in lines if not line.startswith("torch==")]
        wanted = [one for one in wanted if not re.match(r"torch\b", one)]
    if given.torch:
        wanted.append(f"torch=={given.torch}")
    chosen = work / "constraints.txt"
    chosen.write_text("\n".join(lines) + "\n")
    pip = [folder / "bin" / "python", "-m", "pip", "install", "-q", "-c", chosen]
    if not given.without_torch:  # it goes first: what else is there must not bring another
        torch = [one for one in wanted if re.match(r"torch\b", one)]
        subprocess.run([*pip, *torch], check=True)
    subprocess.run([*pip, *wanted], check=True)
    own = ["--no-deps", "--force-reinstall", str(ROOT)]
    subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-q", *own], check=True)


def _test(given: argparse.Namespace, python: Path, report: Path) -> dict[str, Any]:
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    if given.kind != "pinned":
        command += ["-W", "default"]  # other versions warn of other things
    if given.without_torch:
        command += ["--noconftest", "-p", "torchless"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE),
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "CI": "true",  # hypothesis draws alike each time, and has no deadlines
    }
    started = time.monotonic()
    subprocess.run([*command, *given.pytest], cwd=ROOT, env=environment)
    seconds = time.monotonic() - started
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=json"], capture_output=True, check=True
    )
    versions = {one["name"].lower(): one["version"] for one in json.loads(listed.stdout)}
    asked = subprocess.run([python, "--version"], capture_output=True, text=True, check=True)
    version = asked.stdout.split()[1]
    suite = next(iter(ET.parse(report).getroot()))
    bad = [
        f"{case.get('classname')}::{case.get('name')}"
        for case in suite.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = int(suite.get("skipped", 0))
    name = f"{given.kind}-{version.rpartition('.')[0]}"
    if given.without_torch or given.torch:
        name += "-without-torch" if given.without_torch else f"-torch-{given.torch}"
    return {
        "name": name,
        "python": version,
        "passed": int(suite.get("tests", 0)) - len(bad) - skipped,
        "failed": len(bad),
        "skipped": skipped,
        "failures": bad,
        "seconds": round(seconds),
        "options": given.pytest,
        "versions": {name: versions.get(name, "none") for name in SHOWN},
    }


def table(results: Path) -> str:
    """All results, a row each."""
    rows = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    lines = ["| environment | Python | " + " | ".join(SHOWN) + " | passed | failed | skipped |"]
    lines.append("|---" * (len(SHOWN) + 5) + "|")
    for row in rows:
        shown = [row["name"], row["python"], *(row["versions"][name] for name in SHOWN)]
        counts = [str(row[count]) for count in ("passed", "failed", "skipped")]
        lines.append("| " + " | ".join(shown + counts) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
