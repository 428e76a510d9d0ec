"""Fuzz readers by coverage: ``python experiments/malformed/fuzz_coverage.py pickle -runs=100000``.

Needs ``pip install atheris``. For the readers that are Python through and through: inputs that
reach new code are kept and changed further. What follows the reader's name goes to libFuzzer
(``-runs=``, ``-seed=``, ``-max_total_time=``). The first crash ends it; its input is written to
``fuzz-crashes``. Prints a line of JSON.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["landscape", "yaml"]):
    from landscape.checkpoints.labels import match_labels  # noqa: F401
    from landscape.core.errors import LandscapeError

from fuzz_readers import READERS

NAMES = ("configuration", "task", "data: JSONL", "labels", "pickle", "log", "table", "JSON")


def main() -> None:
    """Ends as libFuzzer does: with 0 after all runs, with another code at the first crash."""
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        sys.exit(f"usage: fuzz_coverage.py READER [-runs=N ...], READER one of {', '.join(NAMES)}")
    crashes = Path("fuzz-crashes")
    crashes.mkdir(exist_ok=True)
    reader = READERS[sys.argv[1]]
    memory = Path("/dev/shm")
    work = Path(tempfile.mkdtemp(prefix="landscape-fuzz-", dir=memory if memory.is_dir() else None))
    corpus = work / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(reader.prepare(work, work)):
        (corpus / str(number)).write_bytes(seed)
    words = work / "words"
    words.write_text("".join(f'"{_escaped(token)}"\n' for token in reader.tokens if token))
    warnings.simplefilter("ignore")

    def once(data: bytes) -> None:
        try:
            reader.read(data, work)
        except LandscapeError:
            return

    options = [f"-dict={words}", "-timeout=5", "-rss_limit_mb=2048", "-max_len=8192"]
    options += [f"-artifact_prefix={crashes}/", "-print_final_stats=1"]
    log, began = work / "log", time.monotonic()
    child = os.fork()  # libFuzzer ends its process by itself
    if not child:
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), 2)
        atheris.Setup([sys.argv[0], str(corpus), *options, *sys.argv[2:]], once)
        atheris.Fuzz()
    status = os.waitpid(child, 0)[1]
    said = log.read_text(errors="replace")
    shutil.rmtree(work, ignore_errors=True)
    if status:
        print(said[-3000:], file=sys.stderr)
    runs = re.findall(r"number_of_executed_units: *([0-9]+)", said)
    row = {
        "reader": sys.argv[1],
        "by": "coverage",
        "executions": int(runs[-1]) if runs else 0,
        "seconds": round(time.monotonic() - began, 1),
        "edges": int((re.findall(r"cov: ([0-9]+)", said) or [0])[-1]),
        "crashes": {"see above": [1, 0]} if status else {},
    }
    print(json.dumps(row))
    sys.exit(os.waitstatus_to_exitcode(status))


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


if __name__ == "__main__":
    main()
