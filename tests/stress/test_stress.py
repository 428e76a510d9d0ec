"""A handful of faults; ``python -m tests.stress`` tries 220."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_what_runs_survive(tmp_path: Path) -> None:
    table = tmp_path / "table.md"
    command = [sys.executable, "-m", "tests.stress", "--faults", "4", "--seed", "5", "--quick"]
    done = subprocess.run([*command, "--out", table], cwd=ROOT, capture_output=True, text=True)
    assert "4 faults, 4 survived" in done.stdout, done.stderr
    assert "| **all** | | 4 | 4 |" in table.read_text()
