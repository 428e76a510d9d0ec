"""Fuzz a reader by coverage: ``python -m experiments.malformed.fuzz pickle -runs=100000 -seed=1``.

Needs ``pip install atheris``. Inputs that reach new code are kept and changed further. What
follows the reader's name goes to libFuzzer (``-runs=``, ``-seed=``, ``-max_total_time=``); the
first crash ends it, and its input is written to ``fuzz-crashes``.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["landscape", "yaml"]):
    from landscape.core.errors import LandscapeError
    from tests.malformed.readers import READERS

from tests.tiny import save_population


def main() -> None:
    """Ends as libFuzzer does: with 0 after all runs, with another code at the first crash."""
    if len(sys.argv) < 2 or sys.argv[1] not in READERS:
        sys.exit(f"usage: fuzz.py READER [-runs=N ...], READER one of {', '.join(READERS)}")
    reader = READERS[sys.argv[1]]
    work = Path(tempfile.mkdtemp(prefix="landscape-fuzz-"))
    save_population(work, "bert", 1)
    (work / "member-0").rename(work / "member")
    (work / "corpus").mkdir()
    for number, seed in enumerate(reader.seeds):
        (work / "corpus" / str(number)).write_bytes(seed)
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in reader.words if word)
    (work / "words").write_text("".join(f'"{word}"\n' for word in escaped))
    Path("fuzz-crashes").mkdir(exist_ok=True)
    warnings.simplefilter("ignore")

    def read(data: bytes) -> None:
        try:
            reader.read(data, work)
        except LandscapeError:
            return

    options = [f"-dict={work / 'words'}", "-timeout=5", "-rss_limit_mb=2048", "-max_len=8192"]
    options += ["-artifact_prefix=fuzz-crashes/", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], str(work / "corpus"), *options, *sys.argv[2:]], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
